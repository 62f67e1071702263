"""The samples of a column on one line: which one is shown, and how they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from promptlab.tui.describe import strip

if TYPE_CHECKING:
    from promptlab.core.record import Cell


class Samples(Widget):
    """As many as have room, around the one that is shown."""

    DEFAULT_CSS = """
    Samples { padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._cells: tuple[Cell, ...] = ()
        self._letters: tuple[str, ...] = ()
        self._shown = 0

    def tell(self, cells: tuple[Cell, ...], letters: tuple[str, ...], shown: int) -> None:
        """Show these; a letter stands for what a sample says."""
        self._cells, self._letters, self._shown = cells, letters, shown
        self.refresh()

    def render(self) -> Content:
        """The line."""
        if not self._cells:
            return Content("")
        return strip(self._cells, self._letters, self._shown, self.size.width)
