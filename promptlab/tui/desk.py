"""The lab at work, in a thread of its own, so that the screen never waits for it.

The thread opens the lab, looks around in it, runs what it is asked to run and closes it. What it has to say goes into a
buffer; a nudge without payload says that something is there. Nudges may coalesce, so nothing is lost in a flood.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from promptlab.errors import PromptlabError
from promptlab.tui import show
from promptlab.tui.state import Survey

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.run import Request, Run
    from promptlab.core.events import Event
    from promptlab.core.job import Job

CLOSE_S = 5.0
"""How long to wait for a run to notice that it was cancelled, before the program ends without it."""


@dataclass(frozen=True, slots=True)
class Unopened:
    """There is no lab to work in."""

    error: PromptlabError


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the library holds now."""

    survey: Survey


@dataclass(frozen=True, slots=True)
class Refused:
    """A run did not begin; each line is one reason."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Began:
    """A run begins; its events follow."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """A run is over. With reasons, it broke off."""

    reasons: tuple[str, ...] = ()


Notice: TypeAlias = "Unopened | Surveyed | Refused | Began | Ended | Event"


class Desk:
    """Gives work to the lab's thread, and takes notices from it. One run at a time."""

    def __init__(self, open_lab: Callable[[], AbstractContextManager[Lab]], nudge: Callable[[], object]) -> None:
        self._open_lab = open_lab
        self._nudge = nudge
        self._work: queue.SimpleQueue[Callable[[Lab], None] | None] = queue.SimpleQueue()
        self._notices: deque[Notice] = deque()
        self._run: Run | None = None
        self._cancelled = threading.Event()
        # A daemon: should the lab ever hang, quitting does not.
        self._thread = threading.Thread(target=self._serve, name="lab", daemon=True)

    def start(self) -> None:
        """Open the lab, and look around."""
        self._thread.start()

    def survey(self) -> None:
        """Look again at what the library holds."""
        self._work.put(self._survey)

    def run(self, request: Request) -> None:
        """Prepare and run; `Refused`, or `Began` and all that follows."""
        self._cancelled.clear()
        self._work.put(partial(self._perform, request))

    def cancel(self) -> None:
        """End the run, whether it has begun or not."""
        self._cancelled.set()
        if (run := self._run) is not None:
            run.cancel()

    def take(self) -> list[Notice]:
        """What has been said since the last time."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._notices.popleft())
        return taken

    def close(self, timeout: float = CLOSE_S) -> bool:
        """Cancel the run and close the lab. Says whether that was done in time."""
        self.cancel()
        self._work.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _say(self, notice: Notice) -> None:
        self._notices.append(notice)
        with contextlib.suppress(RuntimeError):  # the screen's event loop has ended
            self._nudge()

    def _serve(self) -> None:
        try:
            with self._open_lab() as lab:
                self._survey(lab)
                while (work := self._work.get()) is not None:
                    work(lab)
        except PromptlabError as error:
            self._say(Unopened(error))
        except Exception as error:
            self._say(Unopened(_defect(error)))

    def _survey(self, lab: Lab) -> None:
        from promptlab.tui.survey import survey  # here because the lab is slow to import

        self._say(Surveyed(survey(lab)))

    def _perform(self, request: Request, lab: Lab) -> None:
        from promptlab.app.run import prepare

        try:
            run = prepare(lab, request)
        except PromptlabError as error:
            self._say(Refused(show.problems(error)))
            return
        except Exception as error:
            self._say(Refused(show.problems(_defect(error))))
            return
        self._run = run
        if self._cancelled.is_set():
            run.cancel()
        self._say(Began(run.jobs))
        self._say(Ended(self._events(run)))
        self._run = None

    def _events(self, run: Run) -> tuple[str, ...]:
        try:
            for event in run.events():
                self._say(event)
        except PromptlabError as error:
            return show.problems(error)
        except Exception as error:
            return show.problems(_defect(error))
        return ()


def _defect(error: Exception) -> PromptlabError:
    message = f"promptlab has a defect: {type(error).__name__}: {error}"
    return PromptlabError(message, hint="`promptlab run --debug` shows where")
