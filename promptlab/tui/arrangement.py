"""Where columns stand: beside each other, in rows, or one at a time."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Kind = Literal["columns", "grid", "tabs"]
Choice = Literal["auto", "columns", "grid", "tabs"]

MIN_WIDTH = 36
"""Cells that a column needs beside others."""
MIN_HEIGHT = 10
"""Lines that a column needs above others."""

KINDS: tuple[Kind, ...] = ("columns", "grid", "tabs")


class Place(NamedTuple):
    """Where a column stands, in cells."""

    x: int
    y: int
    width: int
    height: int


class Arrangement(NamedTuple):
    """How columns share the room."""

    kind: Kind
    beside: int = 1
    """Columns in a row."""
    width: int | None = None
    """Of a column, where they do not share what there is; then the whole scrolls."""
    height: int | None = None
    """Of a row, where they do not share what there is; then the whole scrolls."""

    def places(self, count: int, width: int, height: int) -> list[Place]:
        """Where so many columns stand in a room; where the last row is not full, its last column takes the rest."""
        beside = min(self.beside, count) or 1
        rows = math.ceil(count / beside)
        across = [column * self.width if self.width else column * width // beside for column in range(beside + 1)]
        down = [row * self.height if self.height else row * height // rows for row in range(rows + 1)]
        found = []
        for number in range(count):
            row, column = divmod(number, beside)
            right = across[-1 if number == count - 1 else column + 1]
            found.append(Place(across[column], down[row], right - across[column], down[row + 1] - down[row]))
        return found


def arrange(choice: Choice, count: int, width: int, height: int) -> Arrangement:
    """How so many columns stand in a room; chosen by hand, or by what fits."""
    kind = automatic(count, width, height) if choice == "auto" else choice
    if kind == "tabs":
        return Arrangement("tabs")
    if kind == "columns":
        return Arrangement("columns", max(1, count), None if count < 2 or count * MIN_WIDTH <= width else MIN_WIDTH)
    rows = _rows(count, width)
    fixed = MIN_HEIGHT if rows * MIN_HEIGHT > height else None
    return Arrangement("grid", math.ceil(count / rows), None, fixed)


def automatic(count: int, width: int, height: int) -> Kind:
    """Beside each other while they fit, then in rows, then one at a time."""
    if count < 2 or count * MIN_WIDTH <= width:
        return "columns"
    return "grid" if _rows(count, width) * MIN_HEIGHT <= height else "tabs"


def _rows(count: int, width: int) -> int:
    """At least two, and as few as there can be."""
    fitting = max(1, width // MIN_WIDTH)
    return max(2, math.ceil(count / fitting)) if count > 1 else 1


def following(choice: Choice, count: int, width: int, height: int) -> Choice:
    """The next choice; none that would change nothing."""
    shown = automatic(count, width, height)
    choices: list[Choice] = ["auto", *(kind for kind in KINDS if kind != shown)]
    return choices[(choices.index(choice) + 1) % len(choices)] if choice in choices else choices[1]
