"""The answers of one prompt on one model as they come: header, text, how the samples differ, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from promptlab.tui.describe import flow, status, strip, title, took
from promptlab.tui.script import Script, Writer
from promptlab.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from promptlab.core.record import Cell
    from promptlab.tui.grouping import Key

STATUSES = ("waiting", "loading", "running", "done", "failed", "cancelled")
LOW = 14
"""Below so many lines, the numbers have to do with one."""


class Column(Vertical):
    """Shows one of its cells at a time; they are samples of the same."""

    DEFAULT_CSS = """
    Column {
        & > Transcript { height: 1fr; margin: 0 0 0 1; }
        & > .strip { height: 1; padding: 0 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .took { height: auto; padding: 0 1; color: $text-muted; border-top: solid $border-blurred; }
        &.-low > .took { max-height: 1; border-top: none; }
        &.-samples > .strip { display: block; }
    }
    """

    cells: var[tuple[Cell, ...]] = var((), always_update=True, init=False)
    """One for each sample."""
    letters: var[tuple[str, ...]] = var((), init=False)
    """For each cell, what stands for what it says; those that say the same have the same."""
    sample: var[int] = var(0, init=False)
    """The cell that is shown, counted from 0."""
    unfolded: var[bool] = var(False, init=False)
    """Whether each step is shown whole, with its prompt."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.key = key
        self.label = Content("")
        """The name, safe to show."""
        self.body = Transcript()
        self.took = Static(classes="took")
        self.strip = Static(classes="strip")
        self._writer = Writer()
        self._script = Script()
        self._drawn: Cell | None = None
        self._head: tuple[object, ...] = ()
        self._took = ""
        self._ready = False
        """There is something to draw on."""

    def compose(self) -> ComposeResult:
        """The text, and below it how the samples differ, and what it took."""
        yield self.body
        yield self.strip
        yield self.took

    @property
    def cell(self) -> Cell | None:
        """The sample that is shown."""
        return self.cells[self.sample] if self.cells else None

    @property
    def shown(self) -> str:
        """The text of the last step that is on the screen."""
        start, end = self._script.answer
        return "\n".join(paragraph.text for paragraph in self.body.paragraphs[start:end])

    def show(self, label: Content, cells: tuple[Cell, ...], letters: tuple[str, ...]) -> None:
        """Show other samples, or the same ones as they stand now."""
        if self.cells and (len(cells) != len(self.cells) or cells[0].job is not self.cells[0].job):
            self.body.restart()
        self.label = label
        self.set_reactive(Column.letters, letters)
        self.set_reactive(Column.sample, min(self.sample, len(cells) - 1))
        self.cells = cells

    def turn(self, step: int) -> None:
        """Show the next sample, or the one before; after the last comes the first."""
        if self.cells:
            self.sample = (self.sample + step) % len(self.cells)

    def on_mount(self) -> None:
        """Show the first cells."""
        self._ready = True
        self.catch_up()

    def watch_cells(self) -> None:
        """Show what has changed."""
        self.catch_up()

    def watch_sample(self) -> None:
        """Show another one, from its end."""
        self._writer = Writer()
        self.body.restart()
        self.catch_up()

    def watch_unfolded(self) -> None:
        """Show more, or less."""
        self._drawn = None
        self.catch_up()

    def catch_up(self) -> None:
        """Show what has changed since it was last drawn. While it is hidden, nothing is."""
        cell = self.cell
        if cell is None or not self.display or not self._ready:
            return
        self._show_head(cell)
        if cell is self._drawn:
            return
        self._drawn = cell
        self._script = self._writer.write(cell, self.unfolded)
        self.body.show(self._script.paragraphs, growing=cell.record is None)
        self._show_took(cell)

    def on_resize(self) -> None:
        """Break the numbers where they fit."""
        self.set_class(self.size.height < LOW, "-low")
        if self.cell is not None:
            self._show_took(self.cell)

    def _show_head(self, cell: Cell) -> None:
        """The header, the frame and the strip change seldom."""
        head = (cell.status, self.sample, self.letters, *(each.status for each in self.cells), self.label.plain)
        if head == self._head:
            return
        self._head = head
        self.border_title = title(self.cells, self.sample, self.label)
        for name in STATUSES:
            self.set_class(cell.status == name, f"-{name}")
        self.set_class(len(self.cells) > 1, "-samples")
        if len(self.cells) > 1:
            self.strip.update(strip(self.cells, self.letters, self.sample), layout=False)

    def _show_took(self, cell: Cell) -> None:
        numbers = flow([status(cell), *took(cell)], self.took.content_size.width or 32)
        if numbers.plain != self._took:
            self.took.update(numbers, layout=numbers.plain.count("\n") != self._took.count("\n"))
            self._took = numbers.plain
