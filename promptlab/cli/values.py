"""What is typed after --var, --text and -o."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from promptlab.errors import InputError, OptionError, UsageError

if TYPE_CHECKING:
    from promptlab.app.run import Typed

MAX_BYTES = 8 * 1024 * 1024
"""Of a text that is given; far more than any prompt may render to."""


def read_vars(pairs: Iterable[str]) -> dict[str, Typed]:
    """Read `name=value`, `name=@FILE`, `name=-` (standard input); `name=@@text` is the text `@text`.

    Raises InputError.
    """
    from promptlab.app.run import Typed
    from promptlab.core.typed import pairs as split

    values: dict[str, Typed] = {}
    stdin_for = None
    for name, text in split(pairs, "--var", InputError):
        if text == "-":
            if stdin_for:
                raise InputError(f"standard input can be read only once, and {stdin_for} has it")
            stdin_for = name
        values[name] = Typed(_text(f"the variable {name!r}", text))
    return values


def read_texts(texts: Sequence[str]) -> list[str]:
    """Read `text`, `@FILE`, `-` (standard input); `@@text` is the text `@text`. Raises InputError."""
    if texts.count("-") > 1:
        raise InputError("--text: standard input can be read only once")
    return [_text("--text", text) for text in texts]


def read_options(pairs: Iterable[str], seed: int | None) -> dict[str, Any]:
    """Read `name=value`; a value is JSON where it can be read as that, otherwise text. Raises OptionError."""
    from promptlab.core.typed import json_or_text
    from promptlab.core.typed import pairs as split

    options = {name: json_or_text(text) for name, text in split(pairs, "-o", OptionError)}
    if seed is not None:
        if "seed" in options:
            raise OptionError("the seed is given twice: by --seed and by -o seed=")
        options["seed"] = seed
    return options


def read_names(texts: Iterable[str], option: str) -> tuple[str, ...]:
    """Read names that may stand in one word with commas between. Raises UsageError."""
    names = [name.strip() for text in texts for name in text.split(",")]
    if not all(names):
        raise UsageError(f"{option}: a name is empty")
    return tuple(dict.fromkeys(names))


def _text(what: str, text: str) -> str:
    if text == "-":
        return _decode(what, "standard input", sys.stdin.buffer.read(MAX_BYTES + 1))
    if text.startswith("@@"):
        return _typed(what, text[1:])
    if not text.startswith("@"):
        return _typed(what, text)
    file = text[1:]
    if not file:
        raise InputError(f"{what}: a file name is missing after @", hint="A text that begins with @ is written @@")
    try:
        with open(file, "rb") as stream:  # noqa: PTH123  (what was typed, byte for byte)
            return _decode(what, file, stream.read(MAX_BYTES + 1))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "A text that begins with @ is written @@"
        raise InputError(f"{what}: {file} cannot be read: {reason}", hint=hint) from None


def _typed(what: str, text: str) -> str:
    try:
        text.encode()  # Python hands on bytes that are no text as lone surrogates
    except UnicodeEncodeError:
        raise InputError(f"{what}: what was typed is not UTF-8 text") from None
    return text


def _decode(what: str, source: str, data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise InputError(f"{what}: {source} is larger than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: {source} is not UTF-8 text (byte {error.start})") from None
