"""A look at the beginning of a file before any C code parses it: is this a GGUF file at all?"""

from __future__ import annotations

import struct
from pathlib import Path

from promptlab.errors import EngineError

MAX_TENSORS = 1_000_000
MAX_KEYS = 1_000_000
_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of keys
_OTHERS = (
    (b"<!doctype html", "it is a web page"),
    (b"<html", "it is a web page"),
    (b"<?xml", "it is an XML file, perhaps a server's error message"),
    (b"{", "it looks like JSON, perhaps a server's error message"),
    (b"pk\x03\x04", "it is a zip file"),
    (b"\x1f\x8b", "it is a gzip file"),
    (b"version http", "it is a Git LFS pointer, not the file that it stands for"),
    (b"lmgg", "it is a model file of a kind older than GGUF"),
    (b"tjgg", "it is a model file of a kind older than GGUF"),
)


def check_header(path: Path) -> None:
    """Make sure that a file begins like a GGUF file of version 2 or 3.

    Raises EngineError with one line that says what is wrong.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {error.strerror}") from None
    if reason := _reason(start):
        hint = "`promptlab models verify` compares it with its hash"
        raise EngineError(f"{path}: is not a usable GGUF file: {reason}", hint=hint)


def _reason(start: bytes) -> str | None:
    if not start:
        return "it is empty"
    if start[:4] != b"GGUF"[: len(start)]:
        return _kind(start)
    if len(start) < _HEADER.size:
        return f"it ends after {len(start)} bytes"
    _, version, tensors, keys = _HEADER.unpack_from(start)
    if version not in (2, 3):
        return f"its version is {version}; only 2 and 3 can be read"
    if tensors > MAX_TENSORS or keys > MAX_KEYS:
        return f"it claims {tensors:,} tensors and {keys:,} keys"
    return None


def _kind(start: bytes) -> str:
    text = start.lstrip().lower()
    known = next((kind for magic, kind in _OTHERS if text.startswith(magic)), None)
    return known or f"it begins with {start[:4]!r}, not with 'GGUF'"
