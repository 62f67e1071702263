"""How far a comparison has come, and how long the rest will take: on a terminal always, otherwise now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from promptlab.cli.output import console, say

EVERY_S = 10.0
"""Between two lines where standard error is not a terminal."""


class Pace:
    """Counts on standard error. A context: what it drew on a terminal is gone when it ends."""

    def __init__(self, what: str, total: int) -> None:
        """`what` is counted: `answers`."""
        self.done = 0
        self._what = what
        self._total = total
        self._free = 0
        """Of what is done, what took no time."""
        self._note = ""
        self._began = self._said = time.monotonic()
        self._status = console(stderr=True).status("") if sys.stderr.isatty() else None

    def __enter__(self) -> Pace:
        if self._status:
            self._show()
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def note(self, text: str) -> None:
        """Tell what is going on."""
        self._note = text
        self._show()

    def count(self, *, free: bool = False) -> None:
        """One more is done; `free` when it took no time, and says nothing about how long the others will take."""
        if self.done == self._free and not free:
            self._note = ""
        self.done += 1
        self._free += free
        self._show()

    def at(self, done: int, total: int) -> None:
        """So many are done."""
        self.done, self._total = done, total
        self._show()

    def _show(self) -> None:
        if self._status:
            from rich.text import Text

            self._status.update(Text(self.line()))
        elif (now := time.monotonic()) - self._said >= EVERY_S:
            self._said = now
            say(self.line())

    def line(self) -> str:
        """All that there is to say, in a line."""
        from promptlab.core.text import sanitize_line

        parts = [f"{self.done:,} of {self._total:,} {self._what}"]
        if self._free:
            parts.append(f"{self._free:,} from the history")
        if (left := self.left()) is not None and self.done < self._total:
            parts.append(f"about {duration(left)} left")
        return " · ".join([*parts, sanitize_line(self._note)] if self._note else parts)

    def left(self) -> float | None:
        """Seconds that the rest will take, if it goes on like this; None before anything is known about that."""
        paid = self.done - self._free
        return (time.monotonic() - self._began) / paid * (self._total - self.done) if paid else None


def duration(seconds: float) -> str:
    """A time for a reader: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
