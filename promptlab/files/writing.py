"""Files that are written whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

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


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """A text to write, which takes the place of the file at `path` once it is whole, with the rights that one has.

    A link there is replaced, not followed; folders above it are made. Line breaks are written as they come, and what
    is no Unicode as `?`. Raises UsageError when something else is in the way, StoreError when it cannot be written.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("x", encoding="utf-8", errors="replace", newline="") as stream:
                yield stream
            if not path.is_symlink():
                with suppress(FileNotFoundError):
                    shutil.copymode(path, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{path.parent} is in the way: it is not a folder") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None


def replace_file(path: Path, text: str) -> None:
    """Put a text in the place of the file at `path`, as `replacing` does. Raises UsageError and StoreError."""
    with replacing(path) as stream:
        stream.write(text)
