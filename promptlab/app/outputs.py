"""Files that a comparison is written to: whether there can be one at a place, and writing it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from promptlab.errors import UsageError
from promptlab.files.writing import replace_file


def refuse_places(paths: Iterable[Path]) -> None:
    """Say before anything runs that there can be no file there. Raises UsageError."""
    for path in paths:
        above = next((each for each in path.absolute().parents if each.exists()), None)
        if path.is_dir() or (above is not None and not above.is_dir()):
            raise UsageError(f"{path} cannot be written: {path if path.is_dir() else above} is in the way")


def write(path: Path, text: str) -> None:
    """Write a file, whole or not at all; what stood there is replaced. Raises UsageError and StoreError."""
    replace_file(path, text)
