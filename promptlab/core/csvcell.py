"""Cells of CSV that no spreadsheet takes for a formula."""

from __future__ import annotations

import re

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What spreadsheets take for the beginning of a formula."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def harmless(text: str) -> str:
    """A cell of CSV that no spreadsheet runs, and that UTF-8 can say: one that it would run has a ' before it."""
    text = _SURROGATE.sub("\ufffd", text)
    return f"'{text}" if text.startswith(FORMULA) else text
