"""The pool with workers that have no model: what it does when they answer, crash, talk nonsense or vanish."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import Answered, EngineEvent, Failed, Loading, Ready, Started, Token
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.engine.backend import Expected, Question
from promptlab.engine.pool import Pool, default_threads
from promptlab.errors import EngineError

SCRIPT = str(Path(__file__).with_name("scripted_worker.py"))
WAIT_S = 30.0


@pytest.fixture
def make_pool() -> Iterator[Callable[[str], Pool]]:
    pools: list[Pool] = []

    def make(what: str) -> Pool:
        pools.append(Pool([sys.executable, SCRIPT, what]))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def load(pool: Pool, *names: str) -> None:
    for name in names:
        pool.load(Model(name, None), Path("nowhere.gguf"))


def events(pool: Pool, until: Callable[[EngineEvent], bool]) -> list[EngineEvent]:
    seen: list[EngineEvent] = []
    while not seen or not until(seen[-1]):
        event = pool.next_event(WAIT_S)
        assert event is not None, f"nothing came after {seen}"
        seen.append(event)
    return seen


def is_ready(event: EngineEvent) -> bool:
    return isinstance(event, Ready)


def question(model: str, seq: int) -> Question:
    return Question(model, seq, (Segment("hello", False),), Options(), seed=1)


def test_a_question_is_answered(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    events(pool, is_ready)
    pool.ask(question("a", 5))
    seen = events(pool, lambda e: isinstance(e, Answered))
    assert [type(e) for e in seen] == [Started, Token, Answered]
    assert isinstance(seen[-1], Answered)
    assert (seen[-1].seq, seen[-1].text) == (5, "a 5")


def test_a_constraint_that_is_no_json_fails_its_question_only(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    events(pool, is_ready)
    endless: list[object] = []
    endless.append(endless)
    for seq, value in enumerate([{"const": object()}, {"enum": endless}]):
        pool.ask(dataclasses.replace(question("a", seq), constraint=Constraint("schema", value)))
        failed = pool.next_event(WAIT_S)
        assert isinstance(failed, Failed)
        assert (failed.seq, failed.failure.message) == (seq, "the constraint cannot be written as JSON")
    pool.ask(question("a", 5))
    assert isinstance(events(pool, lambda e: isinstance(e, Answered))[-1], Answered)


def test_two_models_take_turns_and_both_answer(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a", "b")
    events(pool, is_ready)
    events(pool, is_ready)
    for seq, model in enumerate("abababab"):
        pool.ask(question(model, seq))
    answers = [e for _ in range(8) for e in events(pool, lambda e: isinstance(e, Answered)) if isinstance(e, Answered)]
    assert sorted((e.seq, e.text) for e in answers) == [(seq, f"{m} {seq}") for seq, m in enumerate("abababab")]


def test_loading_a_loaded_model_says_ready_again(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    first = events(pool, is_ready)[-1]
    pid = pool.pid("a")
    load(pool, "a")
    assert events(pool, is_ready) == [first]
    assert pool.pid("a") == pid


def test_a_changed_entry_is_loaded_anew(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    events(pool, is_ready)
    pid = pool.pid("a")
    assert pid is not None
    pool.load(Model("a", None, context=512), Path("nowhere.gguf"))
    events(pool, is_ready)
    assert pool.pid("a") not in (None, pid)
    assert not psutil.pid_exists(pid)


def test_what_nobody_heard_of_an_earlier_loading_is_forgotten(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    assert pool.tokenize("a", []) == ()  # so it is ready, and its Ready waits
    load(pool, "a")
    assert [type(e) for e in events(pool, is_ready)] == [Ready]
    assert pool.next_event(0.05) is None


def test_a_death_that_nobody_heard_of_does_not_fail_the_next_loading(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    events(pool, is_ready)
    psutil.Process(pool.pid("a")).kill()
    deadline = time.monotonic() + WAIT_S
    while pool.pid("a") is not None:
        assert time.monotonic() < deadline
    load(pool, "a")
    assert [type(e) for e in events(pool, is_ready)] == [Loading, Ready]


def test_a_crash_while_loading_leads_to_safe_mode(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("crash-unless-safe")
    load(pool, "a")
    seen = events(pool, is_ready)
    assert [type(e) for e in seen] == [Loading, Loading, Ready]
    assert isinstance(seen[-1], Ready)
    assert seen[-1].engine.safe_mode


def test_a_crash_in_safe_mode_too_is_a_failure_with_signal_and_last_words(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("crash-always")
    load(pool, "a")
    event = events(pool, lambda e: isinstance(e, Failed))[-1]
    assert isinstance(event, Failed)
    assert (event.model, event.seq, event.failure.signal) == ("a", None, "SIGSEGV")
    assert event.failure.stderr == ("last words",)
    assert "safe mode" in event.failure.message


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("exit-3", "exit code 3"),
        ("garbage", "SIGKILL"),
        ("unknown-event", "SIGKILL"),
        ("killed-while-loading", "for want of memory"),
    ],
)
def test_a_worker_that_ends_or_talks_nonsense_is_a_failure(
    make_pool: Callable[[str], Pool], what: str, message: str
) -> None:
    pool = make_pool(what)
    load(pool, "a")
    event = events(pool, lambda e: isinstance(e, Failed))[-1]
    assert isinstance(event, Failed)
    assert message in event.failure.message
    assert pool.pid("a") is None


def test_a_death_in_mid_answer_fails_its_sequences_then_the_model_and_no_other(
    make_pool: Callable[[str], Pool],
) -> None:
    pool = make_pool("die-in-answer")
    load(pool, "a", "b")
    events(pool, is_ready)
    events(pool, is_ready)
    pool.ask(question("a", 1))
    pool.ask(question("a", 2))
    failures = [e for e in events(pool, lambda e: isinstance(e, Failed) and e.seq is None) if isinstance(e, Failed)]
    assert sorted(e.seq or 0 for e in failures) == [0, 1, 2]
    assert {e.failure.signal for e in failures} == {"SIGKILL"}
    assert {e.model for e in failures} == {"a"}
    assert pool.pid("b") is not None


def test_a_question_to_a_dead_model_fails_at_once(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("exit-3")
    load(pool, "a")
    events(pool, lambda e: isinstance(e, Failed))
    pool.ask(question("a", 9))
    event = pool.next_event(WAIT_S)
    assert isinstance(event, Failed)
    assert event.seq == 9


def test_a_model_can_be_loaded_again_after_its_death(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("die-in-answer")
    load(pool, "a")
    events(pool, is_ready)
    pool.ask(question("a", 1))
    events(pool, lambda e: isinstance(e, Failed) and e.seq is None)
    load(pool, "a")
    assert events(pool, is_ready)


def test_tokenize(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    events(pool, is_ready)
    assert pool.tokenize("a", [Segment("four", True), Segment("seventy", False)]) == (4, 7)
    with pytest.raises(EngineError, match="not loaded"):
        pool.tokenize("b", [])


def test_pieces(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a")
    events(pool, is_ready)
    assert pool.pieces("a", [7, 200, 7]) == (b"\x07", b"\xc8", b"\x07")
    with pytest.raises(EngineError, match="a has no token 999"):
        pool.pieces("a", [7, 999])
    with pytest.raises(EngineError, match="not loaded"):
        pool.pieces("b", [])


def test_a_command_that_does_not_exist_is_a_failure() -> None:
    pool = Pool(["/nonexistent/worker"])
    load(pool, "a")
    event = pool.next_event(WAIT_S)
    assert isinstance(event, Failed)
    assert "cannot be started" in event.failure.message
    pool.close()


def test_close_leaves_no_process(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("answer")
    load(pool, "a", "b")
    events(pool, is_ready)
    events(pool, is_ready)
    pids = [pool.pid("a"), pool.pid("b")]
    pool.close()
    assert all(pid is not None and not psutil.pid_exists(pid) for pid in pids)


class Kept(dict[str, Mapping[str, Any]]):
    """What is known, in memory."""

    def put(self, name: str, found: Mapping[str, Any]) -> None:
        self[name] = found


def test_a_model_measures_in_a_turn_of_its_own_and_only_once(tmp_path: Path) -> None:
    gate = tmp_path / "model.gguf"
    os.mkfifo(gate)
    kept = Kept()
    pool = Pool([sys.executable, SCRIPT, "a=answer,b=measure"], known=kept)
    try:
        load(pool, "a")
        events(pool, is_ready)
        pool.load(Model("b", None), gate)
        with gate.open("w"):  # opens when the other end is opened: it has its turn now
            pool.ask(question("a", 1))
            assert [type(e) for e in iter(lambda: pool.next_event(0.3), None)] == [Loading]
        said = events(pool, is_ready)
        said += [] if any(isinstance(e, Answered) for e in said) else events(pool, lambda e: isinstance(e, Answered))
        tunings = {name.split()[0]: found.get("tuning") for name, found in kept.items()}
        assert tunings == {"a": None, "b": {"threads": 2}}
        pool.release("b")
        pool.load(Model("b", None, context=99), gate)
        events(pool, is_ready)
        pool.forget(Model("b", None), gate)
        assert [found for name, found in kept.items() if name.startswith("b ")] == [{}, {}]
    finally:
        pool.close()


def test_what_a_model_was_is_what_it_is_expected_to_be(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.touch()
    model, kept = Model("m", None), Kept()
    assert Pool().expected(model, path) is None
    pool = Pool([sys.executable, SCRIPT, "answer"], known=kept)
    try:
        assert pool.expected(model, path) is None
        pool.load(model, path)
        ready = events(pool, is_ready)[-1]
        assert isinstance(ready, Ready)
        assert pool.expected(model, path) == Expected(ready.engine, None)
        for change in ({"context": 99}, {"threads": 7}, {"mode": "fast"}):
            assert pool.expected(dataclasses.replace(model, **change), path) is None
        (name,) = kept
        for spoilt in (
            {"ready": 3},
            {"ready": {"context": model.context}},
            {"ready": {"context": 4096, "expected": 1}},
        ):
            kept[name] = spoilt
            assert pool.expected(model, path) is None
    finally:
        pool.close()


def test_nobody_measures_where_nothing_is_kept(make_pool: Callable[[str], Pool]) -> None:
    pool = make_pool("measure")
    load(pool, "m")
    events(pool, is_ready)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity mask")
def test_threads_follow_the_affinity_mask() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert default_threads() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert default_threads() == len(before)
