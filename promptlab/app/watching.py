"""Tell whoever shows a library that its files have changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from promptlab.files.watching import changes


class Watch:
    """A thread that looks for changes, until it is stopped."""

    def __init__(self, root: Path, changed: Callable[[], object]) -> None:
        """`changed` is called in that thread."""
        self._root = root
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; it may take a moment, for which nobody has to wait."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for its end; whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _look(self) -> None:
        for _ in changes(self._root, self._stop):
            if self._stop.is_set():
                return
            self._changed()
