"""A comparison that is told as it goes on, with the fake engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.app.batch import Began, Broken, Given, Laid, Paced, Summed, Telling, begin, follow
from promptlab.app.compare import Request, prepare
from promptlab.app.lab import Lab
from promptlab.core.compare import Comparison
from promptlab.core.search import Search
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import present

FACTS = """\
- {id: rain, vars: {topic: rain}, assert: [{type: icontains, value: RAIN}]}
- {id: snow, vars: {topic: snow}, assert: [{type: logprob, value: white, threshold: -9}, {type: icontains, value: x}]}
- {id: wind, vars: {topic: wind}}
"""
REQUEST = Request(("explain",), ("facts",), ("alpha", "beta"), samples=2)


@pytest.fixture
def seeds(library: Path) -> Path:
    folder = library / "seeds"
    folder.mkdir()
    (folder / "facts.yaml").write_text(FACTS)
    return folder


def without_cached(found: Comparison) -> list[Any]:
    return [replace(each, cached=False) for each in found.results]


def test_it_tells_everything_and_comes_to_the_numbers_of_compare(lab: Lab, seeds: Path) -> None:
    told: list[Telling] = []
    ended = follow(begin(lab, REQUEST), told.append)
    laid = told[0]
    assert isinstance(laid, Laid)
    assert (laid.samples, len(laid.jobs), len(laid.cases)) == (2, 12, 3)
    assert all(laid.jobs[c, k, s].case == laid.cases[k].id for c, k, s in laid.jobs)
    assert {each.place for each in told if isinstance(each, Began)} == set(laid.jobs)
    given = [each for each in told if isinstance(each, Given)]
    first = {(g.result.column, g.result.case, g.result.sample): g for g in reversed(given)}
    # Only what must be measured has to wait, and its verdict comes at the end.
    assert {place[1] for place, each in first.items() if not each.final} == {1}
    assert len(given) == 12 + 4
    last = {(g.result.column, g.result.case, g.result.sample): g.result for g in given}
    assert ended.whole
    assert [last[place] for place in sorted(last)] == list(ended.comparison.results)
    summed = [each for each in told if isinstance(each, Summed)][-1]
    assert [summed.summaries[i] for i in (0, 1)] == list(ended.comparison.summaries)
    paced = [each for each in told if isinstance(each, Paced)]
    assert {each.what for each in paced} == {"answers", "measurements"}
    assert (paced[-1].what, paced[-1].done, paced[-1].total, paced[-1].cached) == ("answers", 12, 12, 0)
    again = prepare(lab, REQUEST)
    for _ in again.events():
        pass
    assert without_cached(again.judged()) == list(ended.comparison.results)


def test_what_was_paused_goes_on_and_nothing_is_asked_twice(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    comparing = begin(lab, REQUEST)
    done: list[str] = []

    def stop(each: Telling) -> None:
        if isinstance(each, Given):
            done.append(each.result.record.id)
            if len(done) == 5:
                comparing.pause()

    paused = follow(comparing, stop)
    assert not paused.whole
    assert [each.record.error for each in paused.comparison.results] == [None] * len(done)
    # What was broken off leaves nothing behind.
    assert len(lab.store.matching(Search())) == len(done)
    finished, asked = len(done), len(engine.questions)
    engine.questions.clear()
    ended = follow(begin(lab, REQUEST, frozenset(done)), lambda each: None)
    assert ended.whole
    assert len(engine.questions) == 12 - finished
    assert asked >= finished
    assert not any(each.cached for each in ended.comparison.results)
    assert len(lab.store.matching(Search())) == 12
    seen: list[Telling] = []
    third = follow(begin(lab, REQUEST), seen.append)
    assert all(each.cached for each in third.comparison.results)
    assert [each for each in seen if isinstance(each, Paced)][-1].cached == 12


def test_a_pause_before_it_begins(lab: Lab, seeds: Path, engine: FakeEngine) -> None:
    comparing = begin(lab, REQUEST)
    comparing.pause()
    ended = follow(comparing, lambda each: None)
    assert (ended.whole, ended.comparison.results, engine.questions) == (False, (), [])
    assert lab.store.matching(Search()) == []


def test_a_model_that_cannot_be_loaded_is_told(lab: Lab, seeds: Path) -> None:
    path = present(lab.models["beta"])
    assert path is not None
    path.write_bytes(b"no weights")
    told: list[Telling] = []
    ended = follow(begin(lab, REQUEST), told.append)
    assert [each.model for each in told if isinstance(each, Broken)] == ["beta"]
    assert [each.errors for each in ended.comparison.summaries] == [0, 6]
