"""What people type where a program wants names and values: `name=value`, and names in a row."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any

from promptlab.core.schema import shorten
from promptlab.errors import UsageError


def words(text: str, what: str) -> list[str]:
    """The words of a line, as a shell takes them: quotes hold words together. Raises UsageError."""
    try:
        return shlex.split(text)
    except ValueError:
        raise UsageError(f"{what}: a quotation mark is not closed") from None


def pairs(texts: Iterable[str], what: str, error: type[UsageError] = UsageError) -> list[tuple[str, str]]:
    """Read `name=value`, each name once. Raises the error."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise error(f"{what} wants NAME=VALUE; got {shorten(text)!r}")
        if name in found:
            raise error(f"{what}: {shorten(name)!r} is given twice")
        found[name] = value
    return list(found.items())


def json_or_text(text: str) -> Any:
    """A value: JSON where it can be read as that, otherwise text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
