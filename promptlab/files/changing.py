"""Changing a file that is there: what somebody else has written to it meanwhile is never lost."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from promptlab.errors import StoreError, UsageError
from promptlab.files.writing import replace_file

BOM = "\ufeff"


def change(path: Path, label: str, old: str, new: str) -> None:
    """Put a text in the place of the one that was read from a file; a link stays one. `label` is what errors call it.

    Raises UsageError when the file may not be written or says something else by now, and StoreError.
    """
    real = Path(os.path.realpath(path))
    try:
        data = real.read_bytes()
    except OSError as error:
        raise StoreError(f"{label} cannot be read: {error.strerror}") from None
    mark = BOM if data.startswith(codecs.BOM_UTF8) and not old.startswith(BOM) else ""
    if data != (mark + old).encode("utf-8", "surrogatepass"):
        raise UsageError(f"{label} has been changed meanwhile; try again")
    if not os.access(real, os.W_OK):
        raise UsageError(f"{label} is read-only")
    replace_file(real, mark + new)
