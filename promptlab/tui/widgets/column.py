"""The answers of one prompt on one model as they come: header, text, how the samples differ, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import Layout, WidgetPlacement
from textual.reactive import var
from textual.widget import Widget

from promptlab.tui import show
from promptlab.tui.describe import status, title, took
from promptlab.tui.script import Script, Writer
from promptlab.tui.widgets.samples import Samples
from promptlab.tui.widgets.took import Took
from promptlab.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from promptlab.core.record import Cell
    from promptlab.tui.grouping import Key

STATUSES = ("waiting", "loading", "running", "done", "failed", "cancelled")
LOW = 14
"""Below so many lines, the numbers have to do with one."""


class _Stack(Layout):
    """The text above, and below it what else is said of the answer, in as many lines as that needs."""

    name = "stack"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> list[WidgetPlacement]:
        assert isinstance(parent, Column)
        width, bottom = size
        placements = []
        # Nothing may be noted here: for a size that was there before, Textual takes what was arranged then.
        numbers = parent.took.lines(width, bottom < LOW)
        for widget, lines in ((parent.took, numbers), (parent.strip, int(parent.strip.display))):
            if lines := min(lines, bottom):
                bottom -= lines
                placements.append(_placed(widget, Region(0, bottom, width, lines)))
        return [_placed(parent.body, Region(1, 0, max(0, width - 1), bottom)), *reversed(placements)]


def _placed(widget: Widget, region: Region) -> WidgetPlacement:
    return WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, widget)


class Column(Widget):
    """Shows one of its cells at a time; they are samples of the same."""

    DEFAULT_CSS = """
    Column {
        overflow: hidden hidden;
        & > Samples { display: none; }
        &.-samples > Samples { display: block; }
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
    named: var[bool] = var(False, init=False)
    """Whether the frame names the prompt, where nothing else on the screen does."""

    def __init__(self, key: Key) -> None:
        super().__init__()
        self.key = key
        self.label = Content("")
        """The name, safe to show."""
        self.body = Transcript()
        self.took = Took()
        self.strip = Samples()
        self._writer = Writer()
        self._script = Script()
        self._drawn: Cell | None = None
        self._head: tuple[object, ...] = ()
        self._ready = False
        """There is something to draw on."""

    @property
    def layout(self) -> Layout:
        """The text has the room that the rest leaves."""
        return _Stack()

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

    def watch_named(self) -> None:
        """Name it, or no more."""
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
        self._clear_arrangement_cache()  # in another width, it may take other lines than what was said there before
        self.took.tell([status(cell), *took(cell)])

    def _show_head(self, cell: Cell) -> None:
        """The header, the frame and the strip change seldom."""
        prompt = cell.job.prompt.label if self.named else ""
        head = (cell.status, self.sample, self.letters, *(each.status for each in self.cells), self.label.plain, prompt)
        if head == self._head:
            return
        self._head = head
        self.border_title = title(self.cells, self.sample, self.label)
        self.border_subtitle = show.line(prompt)
        for name in STATUSES:
            self.set_class(cell.status == name, f"-{name}")
        self.set_class(len(self.cells) > 1, "-samples")
        if len(self.cells) > 1:
            self.strip.tell(self.cells, self.letters, self.sample)
