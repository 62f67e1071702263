"""The lab at work, in threads of its own, so that the screen never waits for it.

There are a few lanes: threads that each have a lab over the same library, and that share one engine. A task is a
function of a lab that a lane runs; what it says on its way, and what comes of it, goes into a buffer that the screen's
thread takes when it has time. A nudge without payload says that something is there; nudges may coalesce, so nothing is
lost in a flood.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from promptlab.errors import PromptlabError
from promptlab.tui import show

if TYPE_CHECKING:
    from promptlab.app.lab import Lab, Labs

T = TypeVar("T")

CLOSE_S = 5.0
"""How long to wait for the lanes to notice that all is over, before the program ends without them."""

Lane = Literal["look", "slow", "play", "closer", "batch", "replay", "models"]
"""`look`: what is quick and asks no model. `slow`: what asks none either, but takes long where there is much of it, as
reports, exports and logs do: typing and saving do not wait for that. `play`: what one person waits for. `closer`: what
tokens stand for, which may have to load a model, while a run goes on. `batch`: comparisons, and `replay`: answers asked
again, which take long. `models`: pulling, hashing, and measuring models."""

Work = Callable[["Lab", "Task[T]"], T]
"""What a task does, in its lane's thread. Raises PromptlabError."""


class Owner(Protocol):
    """What a task is done for; it may be gone before that is done."""

    @property
    def is_open(self) -> bool:
        """Whether it is still there to hear anything."""


class Task(Generic[T]):
    """Something that a lane has been asked to do."""

    def __init__(
        self,
        desk: Desk,
        work: Work[T],
        items: Callable[[Sequence[Any]], None] | None,
        done: Callable[[T], None] | None,
        failed: Callable[[tuple[str, ...]], None] | None,
        owner: Owner | None = None,
    ) -> None:
        self._desk = desk
        self._work = work
        self._items = items
        self._done = done
        self._failed = failed
        self._owner = owner
        self._lock = threading.Lock()
        self._said: deque[Any] = deque()
        self._outcome: _Outcome | None = None
        self._cancel: Callable[[], object] | None = None
        self.cancelled = False
        """Somebody wants it to end. What it says and what comes of it is still heard."""
        self.dropped = False
        """Nobody listens any more."""
        self.over = False
        """Its outcome has been told."""

    def cancel(self) -> None:
        """Ask it to end soon."""
        with self._lock:
            self.cancelled = True
            cancel = self._cancel
        if cancel is not None:
            cancel()

    def drop(self) -> None:
        """Ask it to end soon, and hear nothing of it any more."""
        self.dropped = True
        self.cancel()

    # --- in the lane's thread ----------------------------------------------------------------------------------------

    def say(self, item: object) -> None:
        """Tell something on the way."""
        self._said.append(item)
        self._desk.tell(self)

    def on_cancel(self, cancel: Callable[[], object]) -> None:
        """What ends it from now on; called at once where it was asked for before."""
        with self._lock:
            self._cancel = cancel
            late = self.cancelled
        if late:
            cancel()

    def perform(self, lab: Lab) -> None:
        """Do it."""
        if self.dropped:
            return
        try:
            self._outcome = _Outcome(self._work(lab, self))
        except PromptlabError as error:
            self._outcome = _Outcome(None, error)
        except Exception as error:
            self._outcome = _Outcome(None, _defect(error))
        finally:
            with self._lock:
                self._cancel = None
        self._desk.tell(self)

    # --- in the screen's thread --------------------------------------------------------------------------------------

    def _unheard(self) -> bool:
        """Whether nobody listens any more, or there is nothing left to hear."""
        return self.dropped or self.over or not (self._owner is None or self._owner.is_open)

    def deliver(self) -> None:
        """Hand over what has been said since the last time, and then what came of it."""
        if self._unheard():
            return
        outcome = self._outcome  # before the items, so that none comes after it
        said = _take(self._said)
        if said and self._items is not None:
            self._items(said)
        if outcome is None or self._unheard():  # what it said may have made its hearer drop it
            return
        self.over = True
        if outcome.error is None:
            if self._done is not None:
                self._done(outcome.value)
        else:
            (self._failed or self._desk.complain)(show.problems(outcome.error))


class _Outcome(NamedTuple):
    value: Any
    error: PromptlabError | None = None


class Desk:
    """Gives tasks to the lanes."""

    def __init__(
        self,
        open_labs: Callable[[], Labs],
        nudge: Callable[[], object],
        unopened: Callable[[PromptlabError], None],
        complain: Callable[[tuple[str, ...]], None],
    ) -> None:
        """`nudge` is called from any thread; `unopened` (there is no library to work in) and `complain` (a task that
        nobody else listens to has failed) from `deliver`.
        """
        self._open_labs = open_labs
        self._nudge = nudge
        self._unopened = unopened
        self.complain = complain
        self._labs: Labs | None = None
        self._opening = threading.Lock()
        self._lanes: dict[Lane, _Lane] = {}
        self._told: deque[Task[Any]] = deque()
        self._keyed: dict[str, Task[Any]] = {}
        self._closed = False
        self.failure: PromptlabError | None = None
        self._nudged = False
        """Somebody has said that something is there, and nobody has looked since."""

    def do(
        self,
        work: Work[T],
        *,
        done: Callable[[T], None] | None = None,
        failed: Callable[[tuple[str, ...]], None] | None = None,
        items: Callable[[Sequence[Any]], None] | None = None,
        lane: Lane = "look",
        key: str = "",
        owner: Owner | None = None,
    ) -> Task[T]:
        """Let a lane do something; the handlers are called in the screen's thread.

        `items` hears what the task says, several at a time; `done` what came of it, or `failed` why nothing did, line
        by line. A task with a `key` takes the place of an earlier one with the same, of which nothing more is heard.
        Whoever closes while something is done for it alone is its `owner`: once that is closed, no handler is called.
        """
        task: Task[T] = Task(self, work, items, done, failed, owner)
        if key:
            if (earlier := self._keyed.get(key)) is not None:
                earlier.drop()
            self._keyed[key] = task
        if self._closed:
            task.drop()
            return task
        if lane not in self._lanes:
            self._lanes[lane] = _Lane(lane, self)
        self._lanes[lane].put(task)
        return task

    def deliver(self) -> None:
        """Hand over what has been said. In the screen's thread."""
        self._nudged = False  # before the look, so that whatever comes meanwhile is looked at, too
        for task in dict.fromkeys(_take(self._told)):
            task.deliver()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            self._unopened(failure)

    def cancel(self) -> None:
        """Ask everything that is under way to end soon."""
        for lane in self._lanes.values():
            lane.cancel()

    def close(self, timeout: float = CLOSE_S) -> bool:
        """Cancel everything, close the labs and end the engine. Says whether that was done in time.

        A lane that did not end in time is not waited for again.
        """
        self._closed = True
        self.cancel()
        lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            lane.end()
        deadline = time.monotonic() + timeout
        ended = [lane.join(max(deadline - time.monotonic(), 0)) for lane in lanes]
        if self._labs is not None:
            self._labs.close()
            self._labs = None
        return all(ended)

    # --- for tasks and lanes -----------------------------------------------------------------------------------------

    def tell(self, task: Task[Any]) -> None:
        """A task has something to hand over. From any thread."""
        self._told.append(task)
        self.nudge()

    def fail(self, error: Exception) -> None:
        """There is no lab to work in. From any thread."""
        self.failure = error if isinstance(error, PromptlabError) else _defect(error)
        self.nudge()

    def nudge(self) -> None:
        """Say that something is there. From any thread.

        Once until somebody looks: each time wakes the screen's thread, which costs more than most of what is said.
        """
        if self._nudged:
            return
        self._nudged = True
        with contextlib.suppress(RuntimeError):  # the screen's event loop has ended
            self._nudge()

    def labs(self) -> Labs:
        """The labs, opened by whichever lane comes first."""
        with self._opening:
            if self._labs is None:
                self._labs = self._open_labs()
            return self._labs


class _Lane:
    """A thread with a lab of its own."""

    def __init__(self, name: str, desk: Desk) -> None:
        self._desk = desk
        self._tasks: queue.SimpleQueue[Task[Any] | None] = queue.SimpleQueue()
        self._live: dict[Task[Any], None] = {}
        """Tasks that have not ended; some have not begun."""
        # A daemon: should the lab ever hang, quitting does not.
        self._thread = threading.Thread(target=self._serve, name=f"lab: {name}", daemon=True)
        self._thread.start()

    def put(self, task: Task[Any]) -> None:
        self._live[task] = None
        self._tasks.put(task)

    def cancel(self) -> None:
        for task in list(self._live):
            task.cancel()

    def end(self) -> None:
        for task in list(self._live):
            task.drop()
        self._tasks.put(None)

    def join(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        try:
            with self._desk.labs().open() as lab:
                while (task := self._tasks.get()) is not None:
                    task.perform(lab)
                    self._live.pop(task, None)
        except Exception as error:
            self._desk.fail(error)


def _take(buffer: deque[T]) -> list[T]:
    taken: list[T] = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(buffer.popleft())
    return taken


def _defect(error: Exception) -> PromptlabError:
    message = f"promptlab has a defect: {type(error).__name__}: {error}"
    return PromptlabError(message, hint="`promptlab run --debug` shows where")
