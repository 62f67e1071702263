"""Measurements by way of the history."""

from __future__ import annotations

import pytest

from promptlab.app.lab import Lab
from promptlab.app.measure import Cached, Measuring
from promptlab.app.run import IN_FLIGHT
from promptlab.core.events import Failure
from promptlab.core.tape import Message
from promptlab.core.verdict import Found, Want
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import present

ASKED = (Message("user", "Is it?"),)


def wants(model: str = "alpha", count: int = 3) -> list[Want]:
    return [Want(model, ASKED, (f"yes {i}", "no")) for i in range(count)]


def measured(lab: Lab, asked: list[Want], *, keep: bool = True, recall: bool = True) -> dict[Want, Found]:
    return dict(Cached(lab, asked, lab.models, keep=keep, recall=recall).results())


def test_each_want_is_measured_once_and_its_model_let_go(lab: Lab, engine: FakeEngine) -> None:
    asked = [*wants(), *wants(), *wants("beta", 2)]
    found = measured(lab, asked)
    assert set(found) == set(asked)
    assert all(len(each.logprobs) == len(each.tokens) == 2 and each.error is None for each in found.values())
    assert found[asked[0]].tokens == (2, 1)
    assert sorted(engine.loaded) == sorted(engine.released) == ["alpha", "beta"]


def test_what_was_measured_is_in_the_history(lab: Lab, engine: FakeEngine) -> None:
    first = measured(lab, wants())
    engine.loaded.clear()
    assert measured(lab, wants()) == first
    assert engine.loaded == []
    assert len(measured(lab, wants(count=4))) == 4
    assert engine.loaded == ["alpha"]
    measured(lab, wants(), recall=False)
    assert engine.loaded == ["alpha", "alpha"]


def test_nothing_is_kept_where_that_is_not_wanted(lab: Lab, engine: FakeEngine) -> None:
    measured(lab, wants(), keep=False, recall=False)
    engine.loaded.clear()
    measured(lab, wants())
    assert engine.loaded == ["alpha"]


def test_what_is_kept_and_cannot_be_read_is_measured_again(lab: Lab, engine: FakeEngine) -> None:
    first = measured(lab, wants())
    lab.store._ask('UPDATE measurements SET json = \'{"logprobs": [1], "tokens": [1]}\'')
    assert measured(lab, wants()) == first


def test_a_model_that_fails_fails_its_own_measurements_only(lab: Lab, engine: FakeEngine) -> None:
    path = present(lab.models["alpha"])
    assert path is not None
    path.unlink()
    found = measured(lab, [*wants(), *wants("beta"), *wants("nobody", 1)])
    errors = {want.model: each.error for want, each in found.items()}
    assert "its file has gone" in str(errors["alpha"])
    assert errors["beta"] is None
    assert errors["nobody"] == "there is no such model in models.yaml"
    assert len(found) == 7


def test_a_worker_that_dies_fails_what_is_left(lab: Lab, engine: FakeEngine) -> None:
    measuring = Measuring(lab, wants(count=5), lab.models)
    found = {}
    for want, scores in measuring.results():
        found[want] = scores
        if len(found) == 2:
            engine.kill("alpha", Failure("EngineError", "it died", signal="SIGSEGV"))
    assert [isinstance(each, Failure) for each in found.values()].count(True) == 3


def test_a_worker_that_dies_is_loaded_once_more_for_what_it_had_not_begun(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptlab.app.measure.IN_FLIGHT", 2)
    asked = wants(count=9)
    found = {}
    for want, scores in Measuring(lab, asked, lab.models).results():
        found[want] = scores
        if len(found) in (1, 4):  # each time, what is under way is lost; the second time, all that is left
            engine.kill("alpha", Failure("EngineError", "it died", signal="SIGSEGV"))
    assert [isinstance(found[want], Failure) for want in asked] == [*[False, True, True], False, *[True] * 5]
    assert engine.loaded == ["alpha", "alpha"]


def test_no_more_is_asked_at_once_than_the_engine_looks_through(lab: Lab, engine: FakeEngine) -> None:
    measuring = Measuring(lab, wants(count=IN_FLIGHT + 10), lab.models)
    most = max(len(measuring._running) for _ in measuring.results())
    assert most in (IN_FLIGHT - 1, IN_FLIGHT)


def test_one_that_is_cancelled_fails_what_is_left_and_loads_nothing_more(lab: Lab, engine: FakeEngine) -> None:
    measuring = Measuring(lab, wants(count=5), lab.models)
    found = []
    for _, scores in measuring.results():
        found.append(scores)
        measuring.cancel()
    assert len(found) == 5
    assert isinstance(found[-1], Failure)
    assert engine.released == ["alpha"]
    engine.loaded.clear()
    before = Cached(lab, wants("beta"), lab.models, keep=False)
    before.cancel()
    assert [each.error for _, each in before.results()] == ["cancelled before it was measured"] * 3
    assert engine.loaded == []
