"""Whether what a record names is still what it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from promptlab.core.chat import template_hash
from promptlab.core.events import Engine, Failure
from promptlab.core.job import Job, Model
from promptlab.core.prompt import parse
from promptlab.core.provenance import Item, Now, PromptNow, Verified, WeightsNow, compare, entry_of, unreadable
from promptlab.core.record import Cell, Record, finish

SHA256, TEMPLATE = "a" * 64, "{{ messages }}"
MODEL = Model("small", SHA256)
PROMPT = replace(parse("---\noptions: {top_k: 5}\n---\nHello.", "hello"), label="hello@2")
ENGINE = Engine("exact", "0.3.36", "CPU : AVX = 1 | FMA = 1 |", "A processor", 2, {"rows": 3}, False, 4096, "1.9", 1)
HELD = {"temperature": 0.8, "top_k": 5, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.0, "max_tokens": 256}
NOW = Now(
    prompt=PromptNow(PROMPT.hash, "", ("version 2 (commit 1234567890)",)),
    weights=WeightsNow(7, SHA256),
    models={"small": MODEL},
    template=template_hash(TEMPLATE),
    engine=ENGINE,
    measured=True,
    options={**HELD, "stop": [], "seed": 0},
)


def made(engine: Engine | None = ENGINE, **changes: Any) -> Record:
    job = Job(0, PROMPT, {}, MODEL, 0)
    cell = Cell(job, engine=engine, template=TEMPLATE if engine else None)
    return replace(finish(cell, id="01A", started_at="2026-01-02T03:04:05Z", output="Hi."), **changes)


def unlike(found: Verified) -> dict[str, tuple[str, str, str]]:
    return {each.what: (each.standing, each.was, each.now) for each in found.items if each.standing != "same"}


def test_all_is_the_same() -> None:
    found = compare(made(), NOW)
    assert (found.standing, unlike(found)) == ("same", {})
    assert (found.id, found.prompt, found.label, found.model) == ("01A", "hello", "hello@2", "small")


@pytest.mark.parametrize(
    ("changes", "what", "told"),
    [
        ({"llama_cpp": "0.4"}, "engine", ("llama.cpp 0.3.36", "llama.cpp 0.4")),
        ({"build": "CPU : AVX = 1 | AMX = 1 |"}, "engine", ("build FMA = 1", "build AMX = 1")),
        ({"build": "CPU : AVX = 1 | FMA = 1 | X = 1"}, "engine", ("build as now", "build X = 1")),
        ({"llguidance": "2", "revision": 3}, "engine", ("llguidance 1.9, revision 1", "llguidance 2, revision 3")),
        ({"cpu": "Another"}, "processor", ("A processor", "Another")),
        ({"threads": 8}, "threads", ("2", "8")),
        ({"layout": {"rows": 4, "wide": True}}, "layout", ("rows 3, wide none", "rows 4, wide yes")),
        ({"context": 512}, "layout", ("context 4096", "context 512")),
    ],
)
def test_another_engine(changes: dict[str, Any], what: str, told: tuple[str, str]) -> None:
    found = compare(made(), replace(NOW, engine=replace(ENGINE, **changes)))
    assert unlike(found) == {what: ("differs", *told)}


def test_what_an_old_record_did_not_say_is_not_compared() -> None:
    old = replace(ENGINE, llguidance="", revision=0)
    assert unlike(compare(made(old), NOW)) == {}


def test_what_was_not_measured_is_unknown_unless_it_differs_for_certain() -> None:
    here = replace(ENGINE, threads=0, layout={})
    found = compare(made(), replace(NOW, engine=here, measured=False))
    assert {what: how for what, (how, *_) in unlike(found).items()} == {"threads": "unknown", "layout": "unknown"}
    assert found.standing == "unknown"
    found = compare(made(), replace(NOW, engine=replace(here, threads=4, context=512), measured=False))
    assert unlike(found) == {"threads": ("differs", "2", "4"), "layout": ("differs", "context 4096", "context 512")}


def test_a_record_of_a_model_that_never_ran() -> None:
    found = compare(made(None, error=Failure("EngineError", "no memory")), NOW)
    assert {what: how for what, (how, *_) in unlike(found).items()} == {"chat template": "unknown", "engine": "unknown"}
    assert "layout" not in {item.what for item in found.items}


def test_every_change_of_what_determines_the_answer_is_noticed() -> None:
    record = made()
    for changes in (
        {"inputs": {"a": 1}},
        {"case": "x"},
        {"sample": 1},
        {"seed": 1},
        {"options": {**record.options, "top_k": 6}},
        {"overrides": {"top_k": 5}},
        {"model": replace(record.model, sha256="b" * 64)},
        {"engine": replace(ENGINE, threads=3)},
        {"prompt": replace(record.prompt, hash="b" * 64)},
        {"prompt": replace(record.prompt, source="Bye.")},
        {"prompt": replace(record.prompt, partials={"_a.jinja": ""})},
        {"key": "b" * 64},
    ):
        assert compare(replace(record, **changes), NOW).named("differs")[:1] == ("record",), changes


def test_which_entry_is_meant() -> None:
    same, other = Model("same", SHA256), Model("small", "b" * 64)
    assert entry_of({"same": same, "small": MODEL}, made()) is MODEL
    assert entry_of({"small": other, "same": same}, made()) is same
    assert entry_of({"small": other}, made()) is None
    found = compare(made(), replace(NOW, models={"small": other, "same": same}))
    assert unlike(found) == {
        "model entry": (
            "differs",
            f"small, sha256 {'a' * 12}",
            f"small is sha256 {'b' * 12}; those weights are same",
        )
    }


def test_what_stands_worst() -> None:
    def items(*standings: Any) -> Verified:
        return Verified("1", "p", "p", "m", tuple(Item(f"{n}", how, "", "") for n, how in enumerate(standings)))

    assert items("same", "unknown", "gone").standing == items("differs", "unknown").standing == "differs"
    assert items("same", "unknown").standing == unreadable("1", "x").standing == "unknown"
    assert items("same").standing == "same"
    assert items("same", "gone", "unknown", "differs").named("gone", "differs") == ("1", "3")
