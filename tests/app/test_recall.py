"""The history as a cache: what has been answered is not asked again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.app.lab import Lab
from promptlab.app.run import IN_FLIGHT, Recall, Request, Run, Typed, prepare, records
from promptlab.core.events import Answered, Engine, EngineEvent, Failure, Finished, Ready
from promptlab.core.job import Model
from promptlab.core.record import Record
from promptlab.engine.backend import Expected, Question
from promptlab.engine.fake import FakeEngine


def run(lab: Lab, recall: Recall = "everything", **changes: Any) -> Run:
    asked = replace(Request(("explain",), ("alpha", "beta"), {"topic": Typed("rain")}, samples=3), **changes)
    return Run(lab, prepare(lab, asked).jobs, True, recall=recall, interactive=False)


def finished(run: Run) -> dict[int, Finished]:
    return {event.job: event for event in run.events() if isinstance(event, Finished)}


def test_a_second_run_asks_nothing_loads_nothing_and_gives_the_same_records(lab: Lab, engine: FakeEngine) -> None:
    first = records(run(lab))
    assert len(engine.questions) == 6
    assert not any(question.interactive for question in engine.questions)
    engine.loaded.clear()
    again = finished(run(lab))
    assert [again[i].record for i in range(6)] == first
    assert all(event.cached for event in again.values())
    assert (len(engine.questions), engine.loaded) == (6, [])
    assert len(lab.store.recent(100)) == 6


def test_only_what_is_missing_is_asked(lab: Lab, engine: FakeEngine) -> None:
    records(run(lab, models=("alpha",)))
    more = finished(run(lab, samples=4))
    cached = {i for i, event in more.items() if event.cached}
    assert cached == {0, 1, 2}
    assert [q.model for q in engine.questions[3:]] == ["alpha", "beta", "beta", "beta", "beta"]


@pytest.mark.parametrize(
    "change",
    [{"options": {"temperature": 0.9}}, {"options": {"seed": 3}}, {"inputs": {"topic": Typed("snow")}}],
)
def test_another_question_is_asked(lab: Lab, engine: FakeEngine, change: dict[str, Any]) -> None:
    records(run(lab))
    assert not any(event.cached for event in finished(run(lab, **change)).values())


def test_nothing_is_recalled_unless_asked_for(lab: Lab, engine: FakeEngine) -> None:
    records(run(lab))
    assert not any(event.cached for event in finished(run(lab, "nothing")).values())
    assert len(engine.questions) == 12


def broken(question: Question, prompt: str) -> str:
    raise ValueError("not now")


def test_failures_stand_until_they_are_to_be_tried_again(lab: Lab, engine: FakeEngine) -> None:
    answer, engine.answer = engine.answer, broken
    failed = records(run(lab))
    assert all(record.error for record in failed)
    engine.answer = answer
    assert [event.record for event in finished(run(lab)).values()] == failed
    repeated = finished(run(lab, "answers"))
    assert not any(event.cached or event.record.error for event in repeated.values())
    assert all(event.cached and event.record.error is None for event in finished(run(lab)).values())


def test_what_was_cancelled_is_asked_again(lab: Lab, engine: FakeEngine) -> None:
    stopped = run(lab)
    for event in stopped.events():
        if isinstance(event, Finished):
            stopped.cancel()
    whole = [record for record in stopped.board.records if record.error is None]
    assert 0 < len(whole) < 6
    again = finished(run(lab))
    assert sum(event.cached for event in again.values()) == len(whole)
    assert not any(event.record.error for event in again.values())


class Unforeseen(FakeEngine):
    """What a model is comes out only when it is loaded, as with one that was never loaded on this machine."""

    threads = 1

    def expected(self, model: Model, path: Path) -> Expected | None:
        return None

    def _engine(self, model: Model) -> Engine:
        return replace(super()._engine(model), threads=self.threads)


def swapped(lab: Lab, engine: FakeEngine) -> None:
    lab._make_backend = lambda: engine
    lab._backend = engine


def test_where_a_model_is_not_known_before_the_history_is_searched_when_it_is_loaded(lab: Lab) -> None:
    engine = Unforeseen()
    swapped(lab, engine)
    first = records(run(lab))
    engine.loaded.clear()
    again = finished(run(lab))
    assert engine.loaded == ["alpha", "beta"]
    assert [again[i].record for i in range(6)] == first
    assert len(engine.questions) == 6
    assert engine.released.count("alpha") == 2


def test_an_answer_of_another_engine_is_not_this_ones(lab: Lab) -> None:
    engine = Unforeseen()
    swapped(lab, engine)
    records(run(lab))
    engine.threads = 2
    assert not any(event.cached for event in finished(run(lab)).values())


class Counting(FakeEngine):
    """Notes how many questions are under way at most."""

    most = answered = 0

    def next_event(self, timeout: float) -> EngineEvent | None:
        self.most = max(self.most, len(self.questions) - self.answered)
        event = super().next_event(timeout)
        self.answered += isinstance(event, Answered)
        return event


def test_no_more_is_begun_at_once_than_the_engine_looks_through(lab: Lab) -> None:
    engine = Counting(lambda question, prompt: "one two")
    swapped(lab, engine)
    assert all(record.error is None for record in records(run(lab, samples=IN_FLIGHT + 50, models=("alpha",))))
    assert engine.most == IN_FLIGHT


class Crashing(FakeEngine):
    """Its worker dies after some questions."""

    crashes = 1

    def next_event(self, timeout: float) -> EngineEvent | None:
        event = super().next_event(timeout)
        if self.crashes and len(self.questions) >= 2 and not isinstance(event, Ready):
            self.crashes -= 1
            self.kill("alpha", Failure("EngineError", "it died", signal="SIGSEGV"))
        return event


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptlab.app.run.IN_FLIGHT", 2)


@pytest.mark.parametrize(("crashes", "lost"), [(1, 2), (2, 6)])
def test_when_a_worker_dies_it_is_started_once_more_for_what_it_had_not_begun(
    lab: Lab, few: None, crashes: int, lost: int
) -> None:
    engine = Crashing(lambda question, prompt: "a b c d e")
    engine.crashes = crashes
    swapped(lab, engine)
    made = records(run(lab, samples=6, models=("alpha",)))
    assert len(made) == 6
    assert sum(record.error is not None for record in made) == lost
    assert engine.loaded == ["alpha", "alpha"]


def test_a_record_of_the_history_is_not_kept_twice(lab: Lab, engine: FakeEngine) -> None:
    made: list[Record] = records(run(lab))
    for _ in range(3):
        records(run(lab))
    assert sorted(row.id for row in lab.store.recent(100)) == sorted(record.id for record in made)
