"""What changed between two texts, as a unified diff.

Texts can be made such that this takes for ever: do it where it can be killed (promptlab.sandbox).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

CONTEXT = 3
"""Lines around each change."""


def unified(old: str, new: str) -> list[str]:
    """Hunks of a unified diff without the lines that name files; empty when the texts are equal."""
    lines = difflib.unified_diff(_lines(old), _lines(new), lineterm="", n=CONTEXT)
    return list(lines)[2:]


def _lines(text: str) -> Sequence[str]:
    # Not splitlines: what a reader sees as one line is one, whatever else Unicode calls a line's end.
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else [*lines[:-1], lines[-1] + "\n\\ No newline at end of file"]
