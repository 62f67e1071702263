"""One job's answer as it comes: header, text, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from promptlab.tui.describe import answer, flow, script, status, title, took
from promptlab.tui.widgets.transcript import Paragraph, Transcript

if TYPE_CHECKING:
    from promptlab.core.record import Cell

STATUSES = ("waiting", "loading", "running", "done", "failed", "cancelled")


class Column(Vertical):
    """Shows a cell."""

    DEFAULT_CSS = """
    Column {
        & > Transcript { height: 1fr; padding: 0 0 0 1; }
        & > .took { height: auto; padding: 0 1; color: $text-muted; border-top: solid $border-blurred; }
    }
    """

    cell: var[Cell | None] = var(None, always_update=True, init=False)
    """What to show."""

    def __init__(self, cell: Cell, label: Content) -> None:
        super().__init__()
        self._label = label
        self.body = Transcript()
        self.took = Static(classes="took")
        self._took_lines = 0
        self._cell: Cell | None = None
        self.set_reactive(Column.cell, cell)

    def compose(self) -> ComposeResult:
        """The text, and below it what it took."""
        yield self.body
        yield self.took

    def on_mount(self) -> None:
        """Show the first cell."""
        self.watch_cell(self.cell)

    @property
    def shown(self) -> str:
        """The text of the last step that is on the screen."""
        if self._cell is None:
            return ""
        start, end = answer(self._cell)
        return "\n".join(paragraph.text for paragraph in self.body.paragraphs[start:end])

    def watch_cell(self, cell: Cell | None) -> None:
        """Show what has changed."""
        if cell is None or cell is self._cell:
            return
        old, self._cell = self._cell, cell
        if old is None or old.status != cell.status:
            self.border_title = title(cell, self._label)
            for name in STATUSES:
                self.set_class(cell.status == name, f"-{name}")
        self.body.show([Paragraph(text, style) for text, style in script(cell)])
        self._show_took(cell)

    def on_resize(self) -> None:
        """Break the numbers where they fit."""
        if self.cell is not None:
            self._show_took(self.cell)

    def _show_took(self, cell: Cell) -> None:
        numbers = flow([status(cell), *took(cell)], self.took.content_size.width or 32)
        lines = numbers.plain.count("\n") + 1
        self.took.update(numbers, layout=lines != self._took_lines)
        self._took_lines = lines
