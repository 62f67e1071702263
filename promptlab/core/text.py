"""Text for a display: nothing in it moves a cursor, rings a bell, fills a clipboard or reverses what is read."""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\x80-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u2028\u2029\ud800-\udfff\ufeff]"  # separators that break lines, lone surrogates, the byte order mark
)


def sanitize(text: str) -> str:
    """Make control characters visible. Records keep the text as it was; only what is shown goes through here.

    C0 controls and DEL become their Unicode pictures (␛ for escape), everything else `<U+202E>`. A carriage return
    before a newline is dropped.
    """
    return _UNSAFE.sub(_picture, text.replace("\r\n", "\n"))


def sanitize_line(text: str) -> str:
    """The same for one line: newlines and tabs become visible too."""
    return sanitize(text.replace("\t", " ")).replace("\n", "␊")


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"
