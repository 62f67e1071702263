"""Writes plain values as YAML that `core.yamltext` reads back as the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptlab.core.schema import shorten

MAX_KEY = 500
"""Characters of a key: YAML finds no longer one than 1,024."""
_FLOW_WIDTH = 80

_PLAIN_KEY = re.compile(r"[A-Za-z_(][\w?(),.*/' +-]*")
_PLAIN = re.compile(r"[A-Za-z_][\w?(),.;!/'’ +-]*")
_PLAIN_IN_LIST = re.compile(r"[A-Za-z_][\w./'-]*")
_SPECIAL = re.compile(r"(null|true|false|yes|no|on|off|y|n)", re.IGNORECASE)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def write(value: Mapping[str, Any], *, spread: str = "") -> str:
    """Write a mapping, a line per entry; that under the key `spread` as well. Raises ValueError for a key too long."""
    lines: list[str] = []
    for key, each in value.items():
        if key == spread and isinstance(each, Mapping) and each:
            lines += [f"{key}:", *_entries(each, "  ")]
        else:
            lines += _entries({key: each}, "")
    return "".join(f"{line}\n" for line in lines)


def _entries(value: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, each in value.items():
        if len(key) > MAX_KEY:
            raise ValueError(f"the key {shorten(key)!r} is longer than {MAX_KEY} characters")
        yield from _entry(f"{indent}{_scalar(key, _PLAIN_KEY)}:", each, indent + "  ")


def _entry(head: str, value: Any, indent: str) -> Iterator[str]:
    flow = _flow(value)
    if flow is not None and (len(flow) <= _FLOW_WIDTH or not isinstance(value, Mapping | list)):
        yield f"{head} {flow}"
    elif isinstance(value, Mapping):
        yield head
        yield from _entries(value, indent)
    else:
        yield head
        for each in value:
            yield from _entry(f"{indent}-", each, indent + "  ")


def _flow(value: Any) -> str | None:
    """Write a scalar, or what is short enough for one line; None for the rest."""
    if not isinstance(value, Mapping | list):
        return _scalar(value, _PLAIN)
    inside = list(value.values()) if isinstance(value, Mapping) else value
    if any(each and isinstance(each, Mapping | list) for each in inside):
        return None
    written = [_flow(each) if isinstance(each, Mapping | list) else _scalar(each, _PLAIN_IN_LIST) for each in inside]
    if not isinstance(value, Mapping):
        return f"[{', '.join(map(str, written))}]"
    if not all(_PLAIN_IN_LIST.fullmatch(key) for key in value):
        return None
    return f"{{{', '.join(f'{key}: {each}' for key, each in zip(value, written, strict=True))}}}"


def _scalar(value: Any, plain: re.Pattern[str]) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if plain.fullmatch(value) and not value.endswith(" ") and not _SPECIAL.fullmatch(value):
        return str(value)
    return f'"{"".join(map(_character, value))}"'


def _character(character: str) -> str:
    if escape := _ESCAPES.get(character):
        return escape
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
