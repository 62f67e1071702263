"""The real process: what is imported before the first paint."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pydantic", "jsonschema", "llama_cpp", "numpy", "jinja2", "yaml", "sqlite3")


def test_nothing_heavy_is_imported_before_the_first_paint() -> None:
    code = f"import sys, promptlab.tui.app; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
