"""Text for a display: nothing in it moves a cursor, rings a bell, fills a clipboard or reverses what is read."""

from __future__ import annotations

import re
import unicodedata

VIRAMA = 9
"""The class of signs that take a vowel away, in Unicode's tables."""

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\x80-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u2028\u2029\ud800-\udfff\ufeff"  # separators that break lines, lone surrogates, the byte order mark
    "\U000e0000-\U000e007f]"  # tags: letters that nobody sees, and that a model reads
)
_TONES = "\U0001f3fb-\U0001f3ff"
_JOINERS = re.compile(f"[\u200d{_TONES}]")
_EMOJI = f"[\u2190-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff][\ufe0f{_TONES}]?"
_JOINED = re.compile(f"({_EMOJI}(?:\u200d{_EMOJI}){{0,3}})|{_JOINERS.pattern}")
"""An emoji with all that is joined to it, at most so much as there is a picture for; or else what joins."""


def sanitize(text: str) -> str:
    """Make control characters visible. Records keep the text as it was; only what is shown goes through here.

    C0 controls and DEL become their Unicode pictures (␛ for escape), everything else `<U+202E>`. A carriage return
    before a newline is dropped. What joins characters stays between emoji: elsewhere it is counted as making one of
    two, which no terminal draws so, and a line of such would reach into what stands beside it.
    """
    if joins(text):
        text = _JOINED.sub(_join, text)
    return _UNSAFE.sub(_picture, text.replace("\r\n", "\n"))


def joins(text: str) -> bool:
    """Whether there is something in a text that is made visible, or not, by what stands around it."""
    return not text.isascii() and _JOINERS.search(text) is not None


def sanitize_line(text: str) -> str:
    """The same for one line: newlines and tabs become visible too."""
    return sanitize(text.replace("\t", " ")).replace("\n", "␊")


def _join(match: re.Match[str]) -> str:
    if match[1] is not None:
        return match[1]
    before = match.string[max(match.start() - 1, 0) : match.start()]
    if match[0] == "\u200d" and before and unicodedata.combining(before) == VIRAMA:
        return ""  # as scripts of India write it; a terminal joins nothing there
    return f"<U+{ord(match[0]):04X}>"


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"
