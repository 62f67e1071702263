"""What a worker is expected to hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.core.estimate import INTERPRETER, WORD, at_once, estimate
from promptlab.core.plan import Grant, Need
from promptlab.engine import batch

NEED = Need(weights=10**9, kv_per_token=1000, context=1000, vocabulary=50_000, heads=8, embedding=512)


@pytest.mark.parametrize(("sequences", "slots"), [(1, 4), (4, 4), (5, 8), (8, 8), (9, 16), (17, 32), (32, 32)])
def test_the_cache_grows_by_doubling(sequences: int, slots: int) -> None:
    assert estimate(NEED, sequences).kv == slots * 1024 * 1000


def test_a_grant_limits_it() -> None:
    grant = Grant(kv=5 * 1000 * 1000 + 5, shelf=0)
    assert at_once(NEED, grant) == 5
    assert estimate(NEED, 32, grant).kv == 5 * 1024 * 1000
    assert estimate(NEED, 1, Grant(1000 * 1000, 0)).kv == 1024 * 1000
    assert at_once(NEED, Grant(1 << 50, 0)) == 32


@pytest.mark.parametrize(("sequences", "slots"), [(1, 4), (3, 4), (4, 8), (8, 16), (32, 33)])
def test_one_that_others_go_on_from_takes_a_place_too(sequences: int, slots: int) -> None:
    need = replace(NEED, stems=1)
    assert estimate(need, sequences).kv == slots * 1024 * 1000
    assert at_once(need, Grant(5 * 1000 * 1000, 0)) == 4


def test_the_sum_of_it() -> None:
    found = estimate(NEED, 2)
    logits, scores, activations = 2 * 2 * 50_000 * 4, 192 * 9 * 1024 * 4, 192 * 8 * 512 * 4
    assert found.compute == logits + scores + activations
    assert found.worker == INTERPRETER + WORD * 50_000
    assert found.total == 10**9 + found.kv + found.compute + found.worker


def test_a_model_without_attention_has_no_cache() -> None:
    assert estimate(Need(5, 0, 100), 1).kv == 0
    assert at_once(Need(5, 0, 100), Grant(0, 0)) == 1


def test_it_is_as_the_engine_does_it() -> None:
    from promptlab.core import estimate as estimating

    assert estimating.MIN_SLOTS == batch.MIN_SLOTS
