"""New files, whole or not at all; nothing that is there is overwritten."""

from __future__ import annotations

from pathlib import Path

from promptlab.errors import StoreError, UsageError


def write_new(path: Path, text: str) -> bool:
    """Write a file and the folders above it; False when there is one already, which stays as it is.

    Raises UsageError when something else is in the way, StoreError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except BaseException:  # half a file would be taken for a whole one the next time
                path.unlink(missing_ok=True)
                raise
    except (FileExistsError, NotADirectoryError):
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent} is in the way: it is not a folder") from None
        return False
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None
    return True
