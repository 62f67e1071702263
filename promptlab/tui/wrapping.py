"""Where lines of text are broken, counted in cells of the terminal. A text that grows is wrapped on, not again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from rich.cells import cell_len, chop_cells

_WORD = re.compile(r"\s*\S+\s*")


def breaks(text: str, width: int) -> list[int]:
    """Where the lines after the first one begin. Wide words are broken; blanks before a break hang over."""
    if len(text) <= width and text.isascii():
        return []
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
