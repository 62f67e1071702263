"""JSON for standard output."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, is_dataclass
from typing import Any

# What json.dumps leaves as it is, and a terminal or a line-based reader would obey: DEL, C1, bidirectional controls,
# line separators, the byte order mark; and lone surrogates, which UTF-8 cannot say.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff\ufeff]")


def dumps(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Write a value, or frozen dataclasses, as JSON that says exactly the same and is harmless in a terminal."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=_plain, allow_nan=False)
    return _UNSAFE.sub(lambda m: f"\\u{ord(m.group()):04x}", text)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
