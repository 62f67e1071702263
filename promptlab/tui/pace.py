"""How often something that streams is drawn: as often as the machine can afford."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.08
"""Of a core, that drawing may take. Where it is dear, such as many columns on a slow machine, it is done less often."""
SLOWEST_S = 0.25
"""It is drawn at least so often."""


class Pace:
    """Says when it is time to draw again, by what this thread has used since it was drawn last."""

    def __init__(self, now: Callable[[], float] = time.monotonic, used: Callable[[], float] = time.thread_time) -> None:
        self._now = now
        self._used = used
        self._drawn = -SLOWEST_S
        self._before = 0.0

    def wait(self) -> float:
        """Seconds until it is time; not above 0 where that is now."""
        cost = self._used() - self._before
        return self._drawn + min(cost / SHARE, SLOWEST_S) - self._now()

    def drawn(self) -> None:
        """It is being drawn now."""
        self._drawn, self._before = self._now(), self._used()
