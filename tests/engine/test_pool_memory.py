"""The pool when memory runs out, when models are released, when they crash again; the workers have no model."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from promptlab.core.events import Answered, EngineEvent, Failed, Loading, Ready
from promptlab.core.job import Model
from promptlab.core.plan import OVERHEAD, RESERVE, SHELF_BUDGET, Need
from promptlab.engine.memory import Taken
from promptlab.engine.pool import Pool
from promptlab.errors import EngineError
from tests.engine.test_pool import SCRIPT, WAIT_S, events, is_ready, load, question

UNIT = 10 << 30
"""What each model needs. What it is granted beyond that is far less."""


@dataclasses.dataclass
class Room:
    """Memory that holds so many models. Of a process that runs, it counts `each` as taken."""

    units: float
    each: int = 0
    pids: set[int] = dataclasses.field(default_factory=set)

    def available(self) -> int:
        return RESERVE + int(self.units * UNIT) - sum(self.taken(pid).private for pid in self.pids)

    def taken(self, pid: int) -> Taken:
        self.pids.add(pid)
        taken = self.each if psutil.pid_exists(pid) else 0
        return Taken(taken, taken)


MakePool = Callable[[Room, str], Pool]


@pytest.fixture
def make_pool() -> Iterator[MakePool]:
    pools: list[Pool] = []

    def make(room: Room, what: str) -> Pool:
        needs = lambda model, path: Need(UNIT - OVERHEAD)  # noqa: E731
        pools.append(Pool([sys.executable, SCRIPT, what], needs=needs, memory=room))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def ready(pool: Pool, *names: str) -> None:
    """Load models, and wait for each."""
    for name in names:
        load(pool, name)
        assert until_ready(pool).model == name


def until_ready(pool: Pool) -> Ready:
    event = events(pool, lambda e: isinstance(e, Ready | Failed))[-1]
    assert isinstance(event, Ready), event
    return event


def answer(pool: Pool, model: str, seq: int) -> None:
    pool.ask(question(model, seq))
    events(pool, lambda e: isinstance(e, Answered))


def loaded(pool: Pool, *names: str) -> list[str]:
    """Which of these have a worker."""
    return [name for name in names if pool.pid(name) is not None]


def failure(pool: Pool) -> Failed:
    event = events(pool, lambda e: isinstance(e, Failed))[-1]
    assert isinstance(event, Failed)
    return event


def ended(pid: int | None) -> bool:
    """Wait for a process that is to end."""
    assert pid is not None
    try:
        psutil.Process(pid).wait(WAIT_S)
    except psutil.NoSuchProcess:
        return True
    return not psutil.pid_exists(pid)


def test_models_stay_loaded_while_memory_lasts(make_pool: MakePool) -> None:
    pool = make_pool(Room(3.5), "answer")
    ready(pool, "a", "b", "c")
    for name in "abc":
        pool.release(name)
    assert loaded(pool, "a", "b", "c") == ["a", "b", "c"]


def test_the_least_recently_used_goes_first(make_pool: MakePool) -> None:
    pool = make_pool(Room(2.5), "answer")
    ready(pool, "a", "b")
    pool.release("a")
    pool.release("b")
    answer(pool, "a", 1)
    pid = pool.pid("b")
    ready(pool, "c")
    assert loaded(pool, "a", "b", "c") == ["a", "c"]
    assert ended(pid)


def test_loading_it_again_is_use(make_pool: MakePool) -> None:
    pool = make_pool(Room(2.5), "answer")
    ready(pool, "a", "b", "a")
    for name in "aab":
        pool.release(name)
    ready(pool, "c")
    assert loaded(pool, "a", "b", "c") == ["a", "c"]


def test_an_evicted_model_comes_back_when_it_is_asked_for(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "answer")
    for name in "aba":
        ready(pool, name)
        answer(pool, name, 1)
        pool.release(name)
    assert loaded(pool, "a", "b") == ["a"]


def test_a_model_that_is_held_stays_between_two_questions(make_pool: MakePool) -> None:
    pool = make_pool(Room(2.5), "answer")
    ready(pool, "a", "b")
    pool.release("b")
    answer(pool, "b", 1)  # so a is the one used least recently
    ready(pool, "c")
    assert loaded(pool, "a", "b", "c") == ["a", "c"]
    load(pool, "b")
    answer(pool, "a", 2)
    assert loaded(pool, "a", "b", "c") == ["a", "c"]


def test_a_model_with_a_running_sequence_stays_until_it_has_ended(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "a=answer-when-cancelled")
    ready(pool, "a")
    pool.ask(question("a", 1))
    pool.release("a")
    load(pool, "b")
    assert loaded(pool, "a", "b") == ["a"]
    pool.cancel("a", 1)
    assert until_ready(pool).model == "b"
    assert loaded(pool, "a", "b") == ["b"]


def test_loads_wait_in_the_order_in_which_they_were_asked_for(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "answer")
    ready(pool, "a")
    load(pool, "b", "c")
    assert loaded(pool, "a", "b", "c") == ["a"]
    for before, after in ("ab", "bc"):
        pool.release(before)
        assert until_ready(pool).model == after
        assert loaded(pool, "a", "b", "c") == [after]


def test_a_load_that_waits_can_be_given_up(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "answer")
    ready(pool, "a")
    load(pool, "b", "c")
    pool.release("b")
    pool.release("a")
    assert until_ready(pool).model == "c"
    pool.ask(question("b", 1))
    assert failure(pool).seq == 1


def test_the_next_one_starts_when_the_memory_has_come_back(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5, each=UNIT), "answer")
    ready(pool, "a")
    pid = pool.pid("a")
    pool.release("a")
    with pool._lock:  # nobody can tell the pool yet that a's process has ended
        load(pool, "b")
        assert loaded(pool, "a", "b") == []
    assert until_ready(pool).model == "b"
    assert ended(pid)


def test_what_a_process_holds_counts_and_not_what_was_planned(make_pool: MakePool) -> None:
    pool = make_pool(Room(3.5, each=2 * UNIT), "answer")
    ready(pool, "a", "b")
    load(pool, "c")  # by the plan there would be room for three
    assert loaded(pool, "a", "b", "c") == ["a", "b"]


def test_a_model_that_never_fits_is_a_failure_with_the_numbers(make_pool: MakePool) -> None:
    pool = make_pool(Room(0.5), "answer")
    load(pool, "a")
    failed = failure(pool)
    assert (failed.model, failed.seq, failed.failure.type) == ("a", None, "EngineError")
    assert failed.failure.message == (
        "a: needs 10.7 GB of memory (10.6 GB of weights, 0 MB of KV cache for 0 tokens, 157 MB besides), and 5.4 GB"
        " can be had. Lower its `context` in models.yaml or take a smaller model; `promptlab models plan` shows the"
        " numbers"
    )
    assert pool.pid("a") is None
    assert pool.next_event(0) is None  # and nothing was started


def test_a_model_that_never_fits_leaves_the_others_alone(make_pool: MakePool) -> None:
    room = Room(1.5)
    pool = make_pool(room, "answer")
    ready(pool, "a")
    pool.release("a")
    room.units = 0.9
    load(pool, "b")
    assert failure(pool).model == "b"
    assert loaded(pool, "a", "b") == ["a"]


def test_a_file_that_is_no_model_is_not_loaded() -> None:
    def needs(model: Model, path: Path) -> Need:
        raise EngineError(f"{path}: is not a usable GGUF file")

    pool = Pool(["/nonexistent/worker"], needs=needs, memory=Room(9))
    load(pool, "a")
    assert failure(pool).failure.message == "nowhere.gguf: is not a usable GGUF file"
    assert pool.next_event(0) is None


def test_a_worker_is_told_what_it_may_take() -> None:
    need = Need(weights=1 << 20, kv_per_token=1 << 10, context=1 << 10)
    pool = Pool([sys.executable, SCRIPT, "answer"], needs=lambda model, path: need, memory=Room(9))
    try:
        load(pool, "a")
        assert until_ready(pool).vocabulary.description == f"{need.kv_most} {SHELF_BUDGET}"
    finally:
        pool.close()


# --- loading given up


def test_a_model_that_is_released_while_it_loads_stops_loading(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "a=load-for-ever")
    load(pool, "a", "b")
    pid = pool.pid("a")
    pool.release("a")
    assert pool.pid("a") is None
    assert ended(pid)
    said = events(pool, is_ready)
    assert [(type(e), getattr(e, "model", None)) for e in said] == [(Loading, "a"), (Loading, "b"), (Ready, "b")]


def test_it_goes_on_loading_for_others(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "a=load-for-ever")
    load(pool, "a", "a")
    pid = pool.pid("a")
    pool.release("a")
    assert pool.pid("a") == pid
    pool.release("a")
    assert pool.pid("a") is None


def test_a_model_that_is_ready_stays_when_it_is_released(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "answer")
    ready(pool, "a")
    for _ in range(3):
        pool.release("a")
    pool.release("b")
    answer(pool, "a", 1)
    assert loaded(pool, "a") == ["a"]


def test_a_refusal_makes_room_for_the_next(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "a=refuse")
    load(pool, "a", "b")
    assert failure(pool).failure.message == "no such architecture"
    assert until_ready(pool).model == "b"


# --- crashes


def crash(pool: Pool, seq: int) -> list[EngineEvent]:
    pool.ask(question("a", seq))
    return events(pool, lambda e: isinstance(e, Failed) and e.seq is None)


def test_a_model_that_crashes_twice_is_set_aside(make_pool: MakePool) -> None:
    pool = make_pool(Room(9), "a=crash-in-answer")
    for seq in (1, 2):
        ready(pool, "a")
        failed = [(e.seq, e.failure.signal) for e in crash(pool, seq) if isinstance(e, Failed)]
        assert failed == [(seq, "SIGSEGV"), (None, "SIGSEGV")]
    load(pool, "a")
    message = failure(pool).failure.message
    assert message == "a: set aside after it crashed twice; see `promptlab doctor`"
    ready(pool, "b")


def test_set_aside_holds_for_the_way_it_was_loaded(make_pool: MakePool) -> None:
    pool = make_pool(Room(9), "a=crash-in-answer")
    for seq in (1, 2):
        ready(pool, "a")
        crash(pool, seq)
    pool.load(Model("a", None, threads=1), Path("nowhere.gguf"))
    assert until_ready(pool).model == "a"


def test_a_worker_killed_from_outside_has_not_crashed(make_pool: MakePool) -> None:
    pool = make_pool(Room(9), "a=die-in-answer")
    for seq in (1, 2, 3):
        ready(pool, "a")
        crash(pool, seq)
    ready(pool, "a")


def test_a_crash_makes_room_for_the_next(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "a=crash-in-answer")
    ready(pool, "a")
    load(pool, "b")
    crash(pool, 1)
    assert until_ready(pool).model == "b"


def test_safe_mode_is_remembered(make_pool: MakePool) -> None:
    pool = make_pool(Room(1.5), "a=crash-unless-safe")
    ready(pool, "a")
    pool.release("a")
    ready(pool, "b")
    pool.release("b")
    load(pool, "a")
    said = events(pool, is_ready)
    assert [type(e) for e in said] == [Loading, Ready]
    assert isinstance(said[-1], Ready)
    assert said[-1].engine.safe_mode
