"""How far a comparison has come, and how long the rest will take: on a terminal always, otherwise now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from promptlab.cli.output import console, say
from promptlab.core.pace import Count, duration

EVERY_S = 10.0
"""Between two lines where standard error is not a terminal."""


class Pace:
    """Counts on standard error. A context: what it drew on a terminal is gone when it ends."""

    def __init__(self, what: str, total: int) -> None:
        """`what` is counted: `answers`."""
        self._what = what
        self._note = ""
        self._said = time.monotonic()
        self._count = Count(total, self._said)
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
        if self._count.done == self._count.free and not free:
            self._note = ""
        self._count.one(free=free)
        self._show()

    def at(self, done: int, total: int) -> None:
        """So many are done."""
        self._count.done, self._count.total = done, total
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

        count = self._count
        parts = [f"{count.done:,} of {count.total:,} {self._what}"]
        if count.free:
            parts.append(f"{count.free:,} from the history")
        if (left := count.left(time.monotonic())) is not None and count.done < count.total:
            parts.append(f"about {duration(left)} left")
        return " · ".join([*parts, sanitize_line(self._note)] if self._note else parts)
