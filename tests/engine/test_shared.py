"""One engine for several users: who hears what, who holds what, and what is left when somebody goes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.app.lab import Labs
from promptlab.app.run import IN_FLIGHT, Request, Run, prepare, records
from promptlab.core.chat import Segment
from promptlab.core.events import (
    Answered,
    Engine,
    EngineEvent,
    Failed,
    Failure,
    Loading,
    Ready,
    Started,
    Timings,
    Token,
    Usage,
    Vocabulary,
)
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.core.record import Record
from promptlab.engine.backend import Expected, Measurement, Question
from promptlab.engine.fake import FakeEngine
from promptlab.engine.shared import Seat, Switchboard
from promptlab.errors import EngineError
from promptlab.files.paths import shipped_library

PATIENCE_S = 30.0
PATH = Path("a.gguf")
ALPHA = Model("alpha", "0" * 64)
BETA = Model("beta", "1" * 64)
WORDS = Vocabulary(None, "", "", ())


def ready(model: str) -> Ready:
    return Ready(model, Engine("exact", "", "", "", 1), WORDS, 0.0)


def answered(seq: int) -> Answered:
    return Answered(seq, "", "stop", Usage(0, 0, 0), Timings(0, 0, 0, 0, 0))


class Scripted:
    """Says what the test says, and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.closed = False
        self._events: queue.SimpleQueue[EngineEvent | Exception] = queue.SimpleQueue()

    def say(self, *events: EngineEvent | Exception) -> None:
        for event in events:
            self._events.put(event)

    def load(self, model: Model, path: Path) -> None:
        self.told.append(("load", model, path))

    def expected(self, model: Model, path: Path) -> Expected | None:
        return None

    def release(self, model: str) -> None:
        self.told.append(("release", model))

    def ask(self, question: Question) -> None:
        self.told.append(("ask", question.seq))

    def measure(self, measurement: Measurement) -> None:
        self.told.append(("measure", measurement.seq))

    def cancel(self, model: str, seq: int) -> None:
        self.told.append(("cancel", model, seq))

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        return (1, 2, 3)

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        return tuple(bytes([id]) for id in ids)

    def next_event(self, timeout: float) -> EngineEvent | None:
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        return event

    def unload(self, model: str) -> bool:
        return False

    def residents(self) -> Mapping[str, int | None]:
        return {}

    def room(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engine() -> Scripted:
    return Scripted()


@pytest.fixture
def board(engine: Scripted) -> Iterator[Switchboard]:
    shared = Switchboard(lambda: engine)
    yield shared
    shared.close()


def heard(seat: Seat, count: int) -> list[EngineEvent]:
    """So many events, and no more."""
    found = [event for _ in range(count) if (event := seat.next_event(PATIENCE_S)) is not None]
    assert seat.next_event(0) is None
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def question(seq: int, model: str = "alpha") -> Question:
    return Question(model, seq, (Segment("hello", False),), Options(), 0)


# --- who hears what ---


def test_what_is_about_a_sequence_goes_to_whoever_asked_it(board: Switchboard, engine: Scripted) -> None:
    one, two = board.seat(), board.seat()
    one.ask(question(1))
    two.ask(question(2))
    two.measure(Measurement("alpha", 3, (), ("x",)))
    mine: list[EngineEvent] = [Started(1, ()), Token(1, 7, "a", -1.0), answered(1)]
    theirs: list[EngineEvent] = [
        Started(2, ()),
        Failed("alpha", 2, Failure("E", "m")),
        Failed("alpha", 3, Failure("E", "n")),
    ]
    engine.say(mine[0], theirs[0], mine[1], theirs[1], answered(99), mine[2], theirs[2])
    assert heard(two, 3) == theirs
    assert heard(one, 3) == mine
    engine.say(answered(1), Started(5, ()))  # its sequence has ended; nobody asked the other
    engine.say(Token(1, 7, "", 0.0))
    one.ask(question(6))
    engine.say(Started(6, ()))
    assert heard(one, 1) == [Started(6, ())]


def test_what_is_about_a_model_goes_to_everybody_who_holds_it(board: Switchboard, engine: Scripted) -> None:
    one, two, three = board.seat(), board.seat(), board.seat()
    one.load(ALPHA, PATH)
    two.load(ALPHA, PATH)
    three.load(BETA, PATH)
    engine.say(Loading("alpha", 0.5), ready("beta"), ready("alpha"))
    assert heard(one, 2) == heard(two, 2) == [Loading("alpha", 0.5), ready("alpha")]
    assert heard(three, 1) == [ready("beta")]


def test_whoever_comes_later_hears_that_it_is_ready_and_nobody_else_does(board: Switchboard, engine: Scripted) -> None:
    one, two = board.seat(), board.seat()
    one.load(ALPHA, PATH)
    engine.say(ready("alpha"))
    assert heard(one, 1) == [ready("alpha")]
    two.load(ALPHA, PATH)
    assert heard(two, 1) == [ready("alpha")]
    assert heard(one, 0) == []
    assert engine.told == [("load", ALPHA, PATH)]


def test_a_death_is_told_to_everybody_who_holds_it(board: Switchboard, engine: Scripted) -> None:
    one, two, other = board.seat(), board.seat(), board.seat()
    one.load(ALPHA, PATH)
    two.load(ALPHA, PATH)
    other.load(BETA, PATH)
    one.ask(question(1))
    death = Failure("WorkerDied", "killed", "SIGKILL")
    engine.say(Failed("alpha", 1, death), Failed("alpha", None, death), ready("beta"))
    assert heard(other, 1) == [ready("beta")]
    assert heard(one, 2) == [Failed("alpha", 1, death), Failed("alpha", None, death)]
    assert heard(two, 1) == [Failed("alpha", None, death)]
    two.release("alpha")  # nobody holds it any more, so there is nothing to let go
    one.load(ALPHA, PATH)
    assert engine.told[-1] == ("load", ALPHA, PATH)
    assert ("release", "alpha") not in engine.told


def test_news_of_an_earlier_loading_is_not_taken_for_news_of_this_one(board: Switchboard, engine: Scripted) -> None:
    one, two = board.seat(), board.seat()
    two.load(BETA, PATH)
    one.load(ALPHA, PATH)
    one.ask(question(1))
    engine.say(Started(1, ()), Loading("alpha", 0.1), ready("alpha"), ready("beta"))
    assert heard(two, 1) == [ready("beta")]
    one.release("alpha")
    one.load(ALPHA, PATH)
    assert heard(one, 1) == [Started(1, ())]
    engine.say(ready("alpha"))
    assert heard(one, 1) == [ready("alpha")]


# --- who holds what ---


def test_a_model_is_let_go_when_the_last_user_lets_go(board: Switchboard, engine: Scripted) -> None:
    one, two = board.seat(), board.seat()
    for seat in (one, one, two):
        seat.load(ALPHA, PATH)
    for seat in (one, two, two, two):
        seat.release("alpha")
    assert engine.told == [("load", ALPHA, PATH)]
    one.release("alpha")
    one.release("alpha")
    assert engine.told[1:] == [("release", "alpha")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "fast"}, "alpha is in use with mode exact, not fast"),
        ({"threads": 3}, "alpha is in use with threads None, not 3"),
        ({"context": 99}, "alpha is in use with context 4096, not 99"),
        ({"sha256": "f" * 64}, "another file of this name is in use"),
    ],
)
def test_what_would_change_answers_is_refused(
    board: Switchboard, engine: Scripted, change: dict[str, Any], words: str
) -> None:
    one, two = board.seat(), board.seat()
    one.load(ALPHA, PATH)
    two.load(replace(ALPHA, **change), PATH)
    (refused,) = heard(two, 1)
    assert isinstance(refused, Failed)
    assert (refused.model, refused.seq) == ("alpha", None)
    assert words in refused.failure.message
    engine.say(ready("alpha"))
    assert heard(one, 1) == [ready("alpha")]
    assert heard(two, 0) == []
    one.release("alpha")
    two.load(replace(ALPHA, **change), PATH)  # now nobody else has it
    assert engine.told[-1] == ("load", replace(ALPHA, **change), PATH)


def test_another_file_is_refused_and_another_layout_is_taken_as_it_is(board: Switchboard, engine: Scripted) -> None:
    one, two = board.seat(), board.seat()
    one.load(ALPHA, PATH)
    two.load(ALPHA, Path("b.gguf"))
    assert isinstance(heard(two, 1)[0], Failed)
    two.load(replace(ALPHA, layout={"slots": 4}, options={"top_k": 1}), PATH)
    engine.say(ready("alpha"))
    assert heard(two, 1) == [ready("alpha")]
    assert engine.told == [("load", ALPHA, PATH)]


def test_alone_a_user_may_load_it_otherwise(board: Switchboard, engine: Scripted) -> None:
    one = board.seat()
    fast = replace(ALPHA, mode="fast")
    one.load(ALPHA, PATH)
    engine.say(ready("alpha"))
    assert heard(one, 1) == [ready("alpha")]
    one.load(fast, PATH)
    assert heard(one, 0) == []
    one.release("alpha")
    one.release("alpha")
    assert engine.told == [("load", ALPHA, PATH), ("load", fast, PATH), ("release", "alpha")]


# --- leaving and ending ---


def test_who_leaves_cancels_and_lets_go(board: Switchboard, engine: Scripted) -> None:
    one, two = board.seat(), board.seat()
    one.load(ALPHA, PATH)
    one.load(ALPHA, PATH)
    one.load(BETA, PATH)
    two.load(ALPHA, PATH)
    one.ask(question(1))
    one.measure(Measurement("beta", 2, (), ("x",)))
    two.ask(question(3))
    before = len(engine.told)
    one.close()
    assert engine.told[before:] == [("cancel", "alpha", 1), ("cancel", "beta", 2), ("release", "beta")]
    engine.say(answered(1), answered(3))
    assert heard(two, 1) == [answered(3)]
    assert heard(one, 0) == []
    two.close()
    assert engine.told[-1] == ("release", "alpha")


def test_leaving_before_the_engine_is_there_starts_none() -> None:
    made: list[Scripted] = []
    shared = Switchboard(lambda: made.append(Scripted()) or made[-1])  # type: ignore[func-returns-value]
    shared.seat().close()
    shared.close()
    assert made == []


def test_closing_ends_the_engine_and_every_wait(board: Switchboard, engine: Scripted) -> None:
    one = board.seat()
    one.load(ALPHA, PATH)
    board.close()
    assert engine.closed
    with pytest.raises(EngineError, match="closed"):
        one.next_event(PATIENCE_S)
    with pytest.raises(EngineError, match="closed"):
        one.ask(question(1))
    one.close()


def test_what_the_engine_raises_everybody_hears(board: Switchboard, engine: Scripted) -> None:
    one, two = board.seat(), board.seat()
    one.load(ALPHA, PATH)
    two.load(ALPHA, PATH)
    engine.say(ready("alpha"), OSError("gone"))
    until(lambda: board.broken)
    for seat in (one, two):
        assert seat.next_event(0) == ready("alpha")  # what came before is still heard
        with pytest.raises(OSError, match="gone"):
            seat.next_event(0)


def test_events_go_on_while_a_model_is_being_loaded(engine: Scripted) -> None:
    gate = threading.Event()
    load = engine.load
    engine.load = lambda model, path: (load(model, path), gate.wait(PATIENCE_S))[0]  # type: ignore[method-assign]
    board = Switchboard(lambda: engine)
    one, two = board.seat(), board.seat()
    one.ask(question(1))
    loading = threading.Thread(target=two.load, args=(BETA, PATH))
    loading.start()
    until(lambda: engine.told[-1][0] == "load")
    engine.say(Started(1, ()))
    assert heard(one, 1) == [Started(1, ())]
    gate.set()
    loading.join()
    board.close()


# --- whole runs, side by side ---


def answers(run: Run) -> dict[tuple[str, str, int], Any]:
    return {(r.prompt.name, r.model.name, r.sample): r.output for r in all_well(records(run))}


def all_well(found: Sequence[Record]) -> Sequence[Record]:
    assert [r.error for r in found] == [None] * len(found)
    return found


def both(*requests: tuple[Labs, Request, bool]) -> list[dict[tuple[str, str, int], Any]]:
    """Run some requests at once, each in a thread with a lab of its own."""
    found: list[dict[tuple[str, str, int], Any]] = [{} for _ in requests]
    start = threading.Barrier(len(requests))

    def work(number: int, labs: Labs, request: Request, interactive: bool) -> None:
        with labs.open() as lab:
            ready = prepare(lab, request)
            run = Run(lab, ready.jobs, log=False, interactive=interactive)
            start.wait(PATIENCE_S)
            found[number] = answers(run)

    threads = [threading.Thread(target=work, args=(n, *each)) for n, each in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10 * PATIENCE_S)
    return found


def test_two_runs_at_once_each_get_their_own_answers(library: Path) -> None:
    engine = FakeEngine(lambda question, prompt: f"{question.model} {question.seed} {prompt!r} " * 9)
    one = Request(("explain",), inputs={"topic": "rain"}, samples=6, options={"max_tokens": 500}, log=False)
    two = Request(("numbers/count",), inputs={"n": 7}, samples=6, options={"max_tokens": 500}, log=False)
    labs = Labs(library, lambda: engine)
    alone = [both((labs, request, True))[0] for request in (one, two)]
    assert both((labs, one, True), (labs, two, False)) == alone
    assert all(len(each) == 12 for each in alone)
    labs.close()


def test_a_death_ends_what_both_runs_have_begun_and_both_load_it_again(library: Path) -> None:
    deaths, samples = iter(range(1)), IN_FLIGHT + 20  # so many that some have not begun, whenever it dies

    def answer(question: Question, prompt: str) -> str:
        for _ in deaths:
            fake.kill(question.model, Failure("WorkerDied", "killed", "SIGKILL"))
        return "one two three"

    fake = FakeEngine(answer)
    labs = Labs(library, lambda: fake)
    ends: list[list[str | None]] = []

    def work() -> None:
        with labs.open() as lab:
            run = prepare(lab, Request(("numbers/count",), ("alpha",), {"n": 1}, samples, log=False))
            ends.append([record.error.signal if record.error else None for record in records(run)])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    labs.close()
    assert len(ends) == 2
    assert "SIGKILL" in ends[0] + ends[1]
    assert all(signals.count(None) + signals.count("SIGKILL") == samples for signals in ends)
    assert all(signals.count(None) >= samples - IN_FLIGHT for signals in ends)


@pytest.mark.model
def test_a_batch_and_a_person_share_a_real_engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the models are in the user's own folder
    shared = {"temperature": 0.8, "max_tokens": 24, "seed": 5}
    batch = Request(("explain",), ("smollm2-135m",), {"topic": "rain"}, samples=6, options=shared, log=False)
    person = Request(("explain",), ("smollm2-135m",), {"topic": "moons"}, samples=2, options=shared, log=False)
    labs = Labs(shipped_library())
    alone = [both((labs, request, True))[0] for request in (batch, person)]
    assert both((labs, batch, False), (labs, person, True)) == alone
    assert [len(each) for each in alone] == [6, 2]
    labs.close()
