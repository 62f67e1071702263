"""All answers of a run: beside each other where there is room, below each other where there is not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from textual import events
from textual.containers import Grid
from textual.reactive import var

from promptlab.tui.describe import labels
from promptlab.tui.widgets.column import Column

if TYPE_CHECKING:
    from promptlab.core.record import Cell

MIN_WIDTH = 36
"""Cells that a column needs beside others."""
MIN_HEIGHT = 10
"""Lines that a column needs above others; with more rows than fit, the whole scrolls."""


def layout(count: int, width: int, height: int) -> tuple[int, int | None]:
    """How many columns stand in a row, and the height of a row where they do not share what there is."""
    fitting = max(1, min(count, width // MIN_WIDTH))
    rows = math.ceil(count / fitting)
    beside = math.ceil(count / rows)
    return beside, MIN_HEIGHT if rows * MIN_HEIGHT > height else None


class Columns(Grid):
    """A column for each cell. Another run is another set of columns."""

    cells: var[tuple[Cell, ...]] = var((), always_update=True, init=False)
    """What to show, in the order of the jobs."""
    zoomed: var[int | None] = var(None, init=False)
    """The one column that has all the room."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._columns: list[Column] = []
        self._jobs: tuple[object, ...] = ()

    @property
    def columns(self) -> list[Column]:
        """The columns, in order."""
        return list(self._columns)

    def watch_cells(self, cells: tuple[Cell, ...]) -> None:
        """Hand each column its cell."""
        jobs = tuple(cell.job for cell in cells)
        if len(jobs) != len(self._jobs) or any(a is not b for a, b in zip(jobs, self._jobs, strict=True)):
            self._jobs = jobs
            self._rebuild(cells)
        for column, cell in zip(self._columns, cells, strict=True):
            if column.is_mounted:
                column.cell = cell
            else:
                column.set_reactive(Column.cell, cell)

    def _rebuild(self, cells: tuple[Cell, ...]) -> None:
        self.remove_children()
        names = labels(cell.job for cell in cells)
        self._columns = [Column(cell, name) for cell, name in zip(cells, names, strict=True)]
        self.zoomed = None
        self.mount_all(self._columns)
        self._arrange()

    def toggle_zoom(self) -> None:
        """Give the column with the focus, or the first, all the room; or take it back."""
        if self.zoomed is not None or not self._columns:
            self.zoomed = None
            return
        self.zoomed = next((n for n, c in enumerate(self._columns) if c.has_focus_within), 0)

    def watch_zoomed(self) -> None:
        """Show one, or all."""
        for number, column in enumerate(self._columns):
            column.display = self.zoomed in (None, number)
        self._arrange()

    def on_resize(self, event: events.Resize) -> None:
        """Use the room that there is."""
        self._arrange()

    def _arrange(self) -> None:
        count = 1 if self.zoomed is not None else len(self._columns)
        if not count or not self.size.width:
            return
        beside, fixed = layout(count, self.size.width, self.size.height)
        self.styles.grid_size_columns = beside
        self.styles.grid_rows = "1fr" if fixed is None else str(fixed)
