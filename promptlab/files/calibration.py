"""What was found out about models on this machine, so that it is not tried again each time one is loaded.

A JSON file in the user's cache folder. It holds numbers only, and losing it costs a second at the next load.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptlab.files.paths import cache_dir

MAX_BYTES = 1 << 20
MAX_KEPT = 500


class Calibrations:
    """Findings by a name that says all that they depend on."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_dir() / "calibration.json"

    def get(self, name: str) -> Mapping[str, Any] | None:
        """What is kept under a name; None when nothing is, or the file cannot be read."""
        kept = self._read().get(name)
        return kept if isinstance(kept, dict) else None

    def put(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep it. What cannot be written is found out again next time."""
        kept = {key: value for key, value in self._read().items() if key != name}
        newest = dict([*kept.items(), (name, dict(found))][-MAX_KEPT:])
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".calibration-")
            with os.fdopen(handle, "w") as file:
                json.dump(newest, file, indent=1)
            Path(temporary).replace(self.path)

    def _read(self) -> dict[str, Any]:
        try:
            if self.path.stat().st_size > MAX_BYTES:
                return {}
            kept = json.loads(self.path.read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return kept if isinstance(kept, dict) else {}
