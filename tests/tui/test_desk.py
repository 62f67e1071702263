"""The lanes: what is said arrives, in order, and only at those who still listen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest

from promptlab.app.lab import Lab, Labs
from promptlab.errors import NotFound, PromptlabError, RenderError
from promptlab.tui.desk import Desk, Task

PATIENCE_S = 30.0


class FakeLabs:
    """Opens a lab that is nothing but the name of its thread."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.left: list[str] = []
        self.closed = 0

    @contextmanager
    def open(self) -> Iterator[Lab]:
        name = threading.current_thread().name
        self.opened.append(name)
        yield cast("Lab", name)
        self.left.append(name)

    def close(self) -> None:
        self.closed += 1


class Screen:
    """The screen's thread: delivers when it is nudged, and notes what it hears."""

    def __init__(self, open_labs: Callable[[], Any] | None = None) -> None:
        self.labs = FakeLabs()
        self.nudged = threading.Event()
        self.heard: list[Any] = []
        self.desk = Desk(open_labs or self._labs, self.nudged.set, self._note("unopened"), self._note("complained"))

    def _labs(self) -> Labs:
        return cast("Labs", self.labs)

    def _note(self, kind: str) -> Callable[[Any], None]:
        return lambda what: self.heard.append((kind, what))

    def do(self, work: Callable[[Any, Task[Any]], Any], **how: Any) -> Task[Any]:
        handlers = {name: self._note(name) for name in ("items", "done", "failed")}
        return self.desk.do(work, **{**handlers, **how})

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.nudged.wait(deadline - time.monotonic()), self.heard
            self.nudged.clear()
            self.desk.deliver()

    def of(self, kind: str) -> list[Any]:
        return [what for each, what in self.heard if each == kind]


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.desk.close()


def test_the_outcome_comes_after_everything_that_was_said(screen: Screen) -> None:
    def work(lab: object, task: Task[str]) -> str:
        for number in range(1000):
            task.say(number)
        return "end"

    task = screen.do(work)
    screen.until(lambda: task.over)
    assert [item for some in screen.of("items") for item in some] == list(range(1000))
    assert screen.heard[-1] == ("done", "end")
    assert screen.of("done") == ["end"]
    screen.desk.deliver()
    assert screen.heard[-1] == ("done", "end")


def test_lanes_go_on_side_by_side_and_each_has_a_lab_of_its_own(screen: Screen) -> None:
    meet = threading.Barrier(2)
    for lane in ("play", "batch"):
        screen.do(lambda lab, task: (meet.wait(PATIENCE_S), lab)[1], lane=lane)  # only together do they get past it
    screen.until(lambda: len(screen.of("done")) == 2)
    assert sorted(screen.of("done")) == ["lab: batch", "lab: play"]


def test_within_a_lane_one_comes_after_the_other(screen: Screen) -> None:
    for number in range(5):
        screen.do(partial(lambda number, lab, task: number, number), key=str(number))
    screen.until(lambda: len(screen.of("done")) == 5)
    assert screen.of("done") == [0, 1, 2, 3, 4]
    assert screen.labs.opened == ["lab: look"]


def test_a_key_takes_the_place_of_the_one_before(screen: Screen) -> None:
    gate = threading.Event()
    begun: list[int] = []

    def search(number: int, task: Task[int]) -> int:
        begun.append(number)
        task.on_cancel(gate.set)
        gate.wait(PATIENCE_S)
        task.say(number)
        return number

    first = screen.do(lambda lab, task: search(1, task), key="search")
    deadline = time.monotonic() + PATIENCE_S
    while not begun:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    screen.do(lambda lab, task: search(2, task), key="search")
    screen.do(lambda lab, task: search(3, task), key="search")
    other = screen.do(lambda lab, task: "other", key="survey")
    screen.until(lambda: other.over)
    assert first.dropped
    assert begun == [1, 3]  # the second was dropped before it began
    assert screen.heard == [("items", [3]), ("done", 3), ("done", "other")]


def test_who_is_dropped_while_it_is_heard_says_no_more(screen: Screen) -> None:
    tasks: list[Task[Any]] = []
    gate = threading.Event()

    def work(lab: object, task: Task[None]) -> None:
        gate.wait(PATIENCE_S)
        task.say(1)

    tasks.append(screen.do(work, items=lambda said: tasks[0].drop()))
    gate.set()
    after = screen.do(lambda lab, task: "after")
    screen.until(lambda: after.over)
    assert screen.heard == [("done", "after")]


def test_cancelling_before_it_begins_is_told_when_it_does(screen: Screen) -> None:
    gate, cancelled = threading.Event(), threading.Event()
    screen.do(lambda lab, task: gate.wait(PATIENCE_S), done=None)

    def work(lab: object, task: Task[bool]) -> bool:
        task.on_cancel(cancelled.set)
        return cancelled.is_set()

    task = screen.do(work)
    task.cancel()
    gate.set()
    screen.until(lambda: task.over)
    assert screen.of("done") == [True]


def test_cancelling_ends_what_goes_on_and_what_it_said_is_heard(screen: Screen) -> None:
    cancelled = threading.Event()

    def work(lab: object, task: Task[str]) -> str:
        task.on_cancel(cancelled.set)
        task.say("begun")
        cancelled.wait(PATIENCE_S)
        return "kept"

    task = screen.do(work)
    screen.until(lambda: screen.of("items"))
    screen.desk.cancel()
    screen.until(lambda: task.over)
    assert screen.of("done") == ["kept"]
    task.cancel()  # over; nothing is called any more


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (NotFound("no such prompt: x\nnor y", hint="Try z"), ("no such prompt: x", "nor y", "Try z")),
        (RenderError("too long"), ("too long",)),
        (KeyError("k"), ("promptlab has a defect: KeyError: 'k'", "`promptlab run --debug` shows where")),
    ],
)
def test_failures_are_told_in_lines(screen: Screen, error: Exception, lines: tuple[str, ...]) -> None:
    def work(lab: object, task: Task[None]) -> None:
        task.say("before")
        raise error

    task = screen.do(work)
    silent = screen.do(work, failed=None)
    screen.until(lambda: task.over and silent.over)
    assert screen.of("failed") == [lines]
    assert screen.of("complained") == [lines]
    assert screen.of("items") == [["before"], ["before"]]
    assert screen.of("done") == []


@pytest.mark.parametrize("error", [NotFound("no library"), ZeroDivisionError("oops")])
def test_without_a_lab_it_is_said_why(error: Exception) -> None:
    def fail() -> Labs:
        raise error

    screen = Screen(fail)
    screen.do(lambda lab, task: None)
    screen.until(lambda: screen.of("unopened"))
    (told,) = screen.of("unopened")
    assert isinstance(told, PromptlabError)
    assert str(error) in str(told)
    assert screen.desk.close()
    assert screen.of("unopened") == [told]


def test_closing_cancels_leaves_the_labs_and_hears_no_more(screen: Screen) -> None:
    cancelled = threading.Event()

    def work(lab: object, task: Task[None]) -> None:
        task.on_cancel(cancelled.set)
        task.say("begun")
        cancelled.wait(PATIENCE_S)

    screen.do(work, lane="play")
    screen.do(lambda lab, task: "never", lane="play")
    screen.until(lambda: screen.of("items"))
    assert screen.desk.close()
    assert cancelled.is_set()
    assert screen.labs.left == ["lab: play"]
    assert screen.labs.closed == 1
    late = screen.do(lambda lab, task: "late", lane="play")
    assert late.dropped
    screen.desk.deliver()
    assert screen.of("done") == []
    assert screen.desk.close()
    assert screen.labs.closed == 1


def test_what_hangs_does_not_keep_the_program(screen: Screen) -> None:
    gate, begun = threading.Event(), threading.Barrier(3)

    def hang(lab: object, task: Task[None]) -> None:
        begun.wait(PATIENCE_S)
        gate.wait(PATIENCE_S)

    screen.do(hang, lane="play")
    screen.do(hang, lane="batch")
    begun.wait(PATIENCE_S)
    assert not screen.desk.close(timeout=0.01)
    assert screen.labs.closed == 1
    gate.set()
    assert screen.desk.close()  # it is not waited for again


def test_a_nudge_that_comes_too_late_harms_nobody() -> None:
    def nudge() -> None:
        raise RuntimeError("the loop is closed")

    desk = Desk(lambda: cast("Labs", FakeLabs()), nudge, lambda error: None, lambda reasons: None)
    done: list[str] = []
    task = desk.do(lambda lab, task: "x", done=done.append)
    assert desk.close()
    assert task.dropped
    desk.deliver()
    assert done == []
