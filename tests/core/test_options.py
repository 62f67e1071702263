from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.options import MAX_SEED, OPTION_NAMES, Options, check_option, draw_seed, merge_options
from promptlab.errors import OptionError

NAN, INF, HUGE = math.nan, math.inf, 10**5000

RANGES: list[tuple[str, list[Any], list[Any]]] = [
    ("temperature", [0, 0.0, 0.7, 100], [-0.1, 100.1, "1", None, True, NAN, INF, -INF, HUGE, [1]]),
    ("top_k", [0, 40, 1_000_000], [-1, 1_000_001, 40.0, "40", True, None, HUGE]),
    ("top_p", [0.001, 1, 0.95], [0, 1.1, -0.1, NAN, "x"]),
    ("min_p", [0, 1, 0.05], [-0.01, 1.01, NAN]),
    ("repeat_penalty", [0.1, 1, 100], [0, -1, 101, INF]),
    ("max_tokens", [1, 1_000_000], [0, -1, 1_000_001, 1.5, "5", HUGE]),
    ("stop", ["x", ["a", "b"], ("a",), [], "x" * 256, ["a"] * 16], ["", [""], ["a"] * 17, "x" * 257, [1], 5, {"a": 1}]),
    ("seed", [0, 1, 2**32 - 2], [-1, 2**32 - 1, 2**32, 1.0, "1", None, False]),
]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, good, _ in RANGES for v in good])
def test_values_within_their_range(name: str, value: Any) -> None:
    assert check_option(name, value) is None


@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(n, v, id=f"{n}-{i}") for n, _, bad in RANGES for i, v in enumerate(bad)]
)
def test_values_out_of_their_range(name: str, value: Any) -> None:
    reason = check_option(name, value)
    assert reason is not None
    assert reason.startswith(f"{name} wants ")
    assert "; got " in reason
    assert len(reason) < 250


def test_every_option_has_a_range() -> None:
    assert {name for name, _, _ in RANGES} == set(OPTION_NAMES)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", 101, "temperature wants a number from 0 to 100; got 101"),
        ("top_p", 0, "top_p wants a number above 0 up to 1; got 0"),
        ("max_tokens", 0, "max_tokens wants a whole number from 1 to 1000000; got 0"),
        pytest.param(
            "top_k", HUGE, "top_k wants a whole number from 0 to 1000000; got a number of very many", id="huge"
        ),
        ("stop", ["x" * 500], "stop wants a text or a list of up to 16 texts, each of 1 to 256 characters; got ['xxx"),
        ("temprature", 1, "'temprature' is not an option; there are temperature, top_k, top_p, min_p, repeat_penalty"),
        ("x" * 500, 1, "'" + "x" * 59 + "…' is not an option"),
        ("__class__", 1, "'__class__' is not an option"),
    ],
)
def test_the_reason(name: str, value: Any, message: str) -> None:
    reason = check_option(name, value)
    assert reason is not None
    assert reason.startswith(message)


def test_the_strongest_layer_is_the_last() -> None:
    layers: list[Mapping[str, Any]] = [
        {"temperature": 0.1, "top_k": 1, "seed": 5},
        {"temperature": 0.2, "top_k": 2, "stop": "x"},
        {},
        {"temperature": 1, "stop": ["y", "z"]},
    ]
    assert merge_options(*layers) == (Options(temperature=1.0, top_k=2, stop=("y", "z")), 5)


def test_no_layers_are_the_built_in_options() -> None:
    assert merge_options() == (Options(0.8, 40, 0.95, 0.05, 1.0, 256, ()), 0)


def test_numbers_have_one_form_so_that_records_of_equal_options_are_equal() -> None:
    options, _ = merge_options({"temperature": 1, "top_p": 1, "min_p": 0, "repeat_penalty": 2, "stop": "a"})
    assert [type(v) for v in (options.temperature, options.top_p, options.min_p, options.repeat_penalty)] == [float] * 4
    assert (
        options
        == merge_options({"temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 2.0, "stop": ["a"]})[0]
    )


@pytest.mark.parametrize("layer", [{"temperature": -1}, {"tempo": 1}, {"stop": [""]}])
def test_a_bad_layer_is_an_error_even_below_a_good_one(layer: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        merge_options(layer, {"temperature": 1, "stop": "x"})


SEEDS = [  # computed from the definition with sha256sum: first 8 hex digits, modulo 2**32 - 1
    ((0, None, 0, 0), "0//0/0"),
    ((0, "", 0, 0), "0//0/0"),
    ((0, None, 0, 1), "0//0/1"),
    ((0, None, 1, 0), "0//1/0"),
    ((42, "case-7", 3, 2), "42/case-7/3/2"),
    ((2**32 - 2, "é", 0, 0), "4294967294/é/0/0"),
]


@pytest.mark.parametrize(("arguments", "text"), SEEDS)
def test_a_seed_is_what_the_design_says(arguments: tuple[int, str | None, int, int], text: str) -> None:
    assert draw_seed(*arguments) == int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % 4294967295


@pytest.mark.parametrize(("arguments", "seed"), [((0, None, 0, 0), 2156609967), ((42, "case-7", 3, 2), 3015969740)])
def test_seeds_are_the_same_for_ever(arguments: tuple[int, str | None, int, int], seed: int) -> None:
    assert draw_seed(*arguments) == seed


@given(st.integers(0, MAX_SEED), st.none() | st.text(), st.integers(0, 1000), st.integers(0, 255))
def test_a_seed_is_one_that_the_engine_takes(base: int, case: str | None, sample: int, step: int) -> None:
    assert check_option("seed", draw_seed(base, case, sample, step)) is None


@pytest.mark.parametrize(("digest", "seed"), [(b"\xff" * 32, 0), (b"\xff\xff\xff\xfe" * 8, MAX_SEED), (b"\0" * 32, 0)])
def test_a_seed_wraps_before_the_one_that_the_engine_would_choose_itself(
    digest: bytes, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "sha256", lambda _: SimpleNamespace(digest=lambda: digest))
    assert draw_seed(0, None, 0, 0) == seed
