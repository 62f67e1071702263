"""Where lines of text are broken, counted in cells of the terminal. A text that grows is wrapped on, not again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from rich.cells import cell_len, chop_cells

_WORD = re.compile(r"\s*\S+\s*")


def breaks(text: str, width: int) -> list[int]:
    """Where the lines after the first one begin. Wide words are broken; blanks before a break hang over."""
    if text.isascii() and text.isprintable():
        return _ascii_breaks(text, width)
    return _cell_breaks(text, width)


def _ascii_breaks(text: str, width: int) -> list[int]:
    """Where a character is a cell and only a space is blank, a line at a time."""
    found: list[int] = []
    end = len(text.rstrip(" "))
    start, solid = 0, len(text) - len(text.lstrip(" "))
    while end - start > width:
        if start + width < solid:  # nothing but the blanks that it begins with
            place = start + width
        elif text[start + width] == " ":  # the line is full; the blanks after it hang over
            place = start + width + 1
            while text[place] == " ":
                place += 1
        else:
            place = text.rfind(" ", solid, start + width) + 1 or start + width  # no blank: a long word is broken
        found.append(place)
        start, solid = place, max(solid, place)
    return found


def _cell_breaks(text: str, width: int) -> list[int]:
    """Where characters may be wide, a word at a time."""
    found: list[int] = []
    column = 0
    for match in _WORD.finditer(text):
        start, word = match.start(), match.group()
        solid = word.rstrip()
        length = cell_len(solid)
        if length > width - column and start:
            found.append(start)
            column = 0
        if length > width:
            pieces = chop_cells(solid, width)
            found += accumulate(map(len, pieces[1:-1]), initial=start + len(pieces[0]))
            length = cell_len(pieces[-1])
        column += length + len(word) - len(solid)
    return found


def wrap_on(places: Sequence[int], text: str, width: int) -> list[int]:
    """The breaks of a text that has grown, from those that it had: only its last line can break in another way."""
    if not places:
        return breaks(text, width)
    resume = places[-1]
    return [*places, *(resume + place for place in breaks(text[resume:], width))]
