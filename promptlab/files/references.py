"""`file://` in case files: text, and data, from inside the library only, whatever a stranger has put there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

from promptlab.core.casefile import MAX_VALUE, Unfit, read_document, read_json
from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError

SCHEME = "file://"
MAX_TOTAL = 64 * 1024 * 1024
"""Bytes of all files together that one case file refers to."""
_CODE = frozenset({".py", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".rb"})
"""What promptfoo would run."""


class References:
    """What one case file refers to, each file read once."""

    def __init__(self, file: Path, label: str, root: Path) -> None:
        self.folder = file.parent
        self.root = root
        self.label = Path(label).parent
        self.room = MAX_TOTAL
        self._texts: dict[str, str] = {}
        self._parsed: dict[str, Any] = {}

    def resolve(self, value: Any, *, parse: bool = False) -> Any:
        """The text that `file://PATH` leads to; with `parse` data where it is JSON or YAML. Anything else is itself.

        Raises Unfit when it leads to nothing that may be read, SourceError when what is there cannot be parsed.
        """
        if not isinstance(value, str) or not value.startswith(SCHEME):
            return value
        name = value.removeprefix(SCHEME)
        if not parse:
            return self._text(name)
        if name not in self._parsed:
            self._parsed[name] = self._parse(name)
        return self._parsed[name]

    def _text(self, name: str) -> str:
        if name not in self._texts:
            said = shorten(SCHEME + name)
            if Path(name.rpartition("/")[2].partition(":")[0]).suffix in _CODE:
                raise Unfit(f"{said} is code, and case files run none")
            if not name or Path(name).is_absolute():
                raise Unfit(f"{said}: after file:// comes a path from the folder of this file")
            try:
                text = _read(self.folder / name, self.root, MAX_VALUE)
            except _Unreadable as error:
                place = f", in line {error.line}" if error.line else ""
                raise Unfit(f"{said} {error}{place}") from None
            self.room -= len(text)
            if self.room < 0:
                raise Unfit(f"up to here, the files that are referred to have more than {MAX_TOTAL:,} bytes")
            self._texts[name] = text
        return self._texts[name]

    def _parse(self, name: str) -> Any:
        text = self._text(name)
        label = os.path.normpath(self.label / name)
        if name.endswith(".json"):
            return read_json(text, label)
        if not name.endswith((".yaml", ".yml")):
            return text.removesuffix("\n").removesuffix("\r")  # an editor's last line break is not what is expected
        return read_document(text, label).value


def read_inside(path: Path, root: Path, limit: int, label: str) -> str:
    """Read a text file that lies below `root` once links are followed. Raises SourceError, which calls it `label`."""
    try:
        return _read(path, root, limit)
    except _Unreadable as error:
        raise SourceError([Problem(label, error.line, error.column, str(error))]) from None


class _Unreadable(Exception):
    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        super().__init__(reason)
        self.line = line
        self.column = column


def _read(path: Path, root: Path, limit: int) -> str:
    try:
        data = _bytes(path, root, limit)
    except FileNotFoundError:
        raise _Unreadable("is not there") from None
    except ValueError:  # a path with a NUL in it
        raise _Unreadable("cannot be the name of a file") from None
    except OSError as error:
        reason = (
            "is a link that leads in a circle" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        )
        raise _Unreadable(reason) from None
    if len(data) > limit:
        raise _Unreadable(f"is larger than {limit:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        begin = data.rfind(b"\n", 0, error.start) + 1
        line = data.count(b"\n", 0, begin) + 1
        raise _Unreadable("is not UTF-8 text", line, error.start - begin + 1) from None


def _bytes(path: Path, root: Path, limit: int) -> bytes:
    """The beginning of a file, a byte more than it may have. Raises _Unreadable when it is none inside the root."""
    real = os.path.realpath(path)
    if not Path(real).is_relative_to(os.path.realpath(root)):
        raise _Unreadable("is outside the library")
    # Opened without waiting, so that a pipe in a stranger's library cannot hold us; then only a file is read.
    number = os.open(real, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _Unreadable("is not a regular file")
    with os.fdopen(number, "rb") as file:
        return file.read(limit + 1)
