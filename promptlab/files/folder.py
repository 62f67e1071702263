"""The folder prompts/ on the disk: read only from inside it, whatever a stranger has put there."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from promptlab.core.formats import SUFFIXES, is_partial
from promptlab.core.prompt import NAME, SUFFIX
from promptlab.errors import Problem, SourceError

MAX_BYTES = 1024 * 1024
MAX_FILES = 20_000


class Folder:
    """The folder prompts/ of a library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "prompts"

    def names(self) -> list[str]:
        """All prompts, sorted; partials (files whose name begins with `_`) are not among them. Raises SourceError."""
        found: set[str] = set()
        for file in self._walk():
            if name := name_of(file):
                found.add(name)
            if len(found) > MAX_FILES:
                raise SourceError([Problem(str(self.path), 0, 0, f"holds more than {MAX_FILES:,} prompts")])
        return sorted(found)

    def misnamed(self) -> list[str]:
        """Paths of files that look like prompts, but are called what no prompt can be called. Raises SourceError."""
        looks = (f for f in self._walk() if f.endswith(SUFFIXES) and not is_partial(f))
        return sorted(f for f in looks if name_of(f) is None)

    def partials(self) -> list[str]:
        """Paths of the files whose name begins with `_` and that hold templates, sorted. Raises SourceError."""
        return sorted(f for f in self._walk() if is_partial(f) and f.endswith(SUFFIX))

    def read(self, relative: str) -> str | None:
        """Read a file; None when there is none. Raises SourceError when it is no text file inside the library."""
        try:
            data = self._bytes(relative)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            if not (self.path / relative).is_symlink():
                return None
            raise SourceError([Problem(relative, 0, 0, "is a link that leads nowhere")]) from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            circle = error.errno == errno.ELOOP
            reason = "is a link that leads in a circle" if circle else f"cannot be read: {error.strerror}"
            raise SourceError([Problem(relative, 0, 0, reason)]) from None
        if data is None:
            raise SourceError([Problem(relative, 0, 0, "is not a regular file inside the library")])
        if len(data) > MAX_BYTES:
            raise SourceError([Problem(relative, 0, 0, f"is larger than {MAX_BYTES:,} bytes")])
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
            raise SourceError([Problem(relative, line, column, "is not UTF-8 text")]) from None

    def _bytes(self, relative: str) -> bytes | None:
        """The beginning of a file, as much as may be read; None when it is no regular file inside the library."""
        # Texts rather than pathlib: with 1,000 prompts it took most of the time of a list.
        path = os.path.join(self.path, relative)  # noqa: PTH118
        os.lstat(path)  # most paths that are asked for do not exist, and finding out is fast
        real = os.path.realpath(path)
        if not _is_below(real, self.inside()):
            return None
        # Opened without waiting, so that a pipe in a stranger's library cannot hold us; then only a file is read.
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return file.read(MAX_BYTES + 1)

    def inside(self) -> str:
        """Where the folder really is. Raises SourceError when that is outside the library."""
        real = os.path.realpath(self.path)
        if not _is_below(real, os.path.realpath(self.root)):
            raise SourceError([Problem(str(self.path), 0, 0, "is a link that leads out of the library")])
        return real

    def holds(self, path: Path) -> bool:
        """Whether something lies, or would lie, inside the folder once links are followed."""
        return _is_below(os.path.realpath(path), self.inside())

    def _walk(self) -> Iterator[str]:
        """Paths of all files, below the folder."""
        self.inside()  # else a link to / would be walked
        for folder, folders, files in os.walk(self.path):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            below = os.path.relpath(folder, self.path).replace(os.sep, "/")
            yield from (file if below == "." else f"{below}/{file}" for file in sorted(files))


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def name_of(file: str) -> str | None:
    """The name of the prompt that a file holds, by its path below prompts/; None where it holds none."""
    suffix = next((s for s in SUFFIXES if file.endswith(s)), None)
    if suffix is None or is_partial(file):
        return None
    name = file.removesuffix(suffix)
    return name if NAME.fullmatch(name) else None
