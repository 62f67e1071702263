"""How far something long has come, and how long the rest of it will take. Whoever asks says what time it is."""

from __future__ import annotations


class Count:
    """Counts what is done."""

    def __init__(self, total: int, began: float) -> None:
        """`began`: when, in seconds of whichever clock is asked later."""
        self.done = 0
        self.total = total
        self.free = 0
        """Of what is done, what took no time: it says nothing about how long the others will take."""
        self._began = began

    def one(self, *, free: bool = False) -> None:
        """One more is done."""
        self.done += 1
        self.free += free

    def rate(self, now: float) -> float | None:
        """How many are done in a second; None before anything is known about that."""
        paid = self.done - self.free
        return paid / (now - self._began) if paid and now > self._began else None

    def left(self, now: float) -> float | None:
        """Seconds that the rest will take, if it goes on like this; None before anything is known about that."""
        paid = self.done - self.free
        return (now - self._began) / paid * (self.total - self.done) if paid else None


def duration(seconds: float) -> str:
    """A time for a reader: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
