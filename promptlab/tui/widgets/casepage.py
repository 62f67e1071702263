"""One case of a comparison: what each column said to it, side by side, with what the checks found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import HorizontalScroll, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.batch_words import became, case_lines, clusters, slot_lines

if TYPE_CHECKING:
    from promptlab.core.agreement import Split
    from promptlab.core.baseline import Change
    from promptlab.core.case import Case
    from promptlab.core.matrix import Slot

MAX_COLUMNS = 40
"""That are shown beside each other; the marked one is always among them."""
MAX_SAID = 24_000
"""Characters after which a column's further samples are only counted: to lay them out takes the screen's time."""
MIN_WIDTH = 34


class AnswerPane(VerticalScroll):
    """What one column said: every sample."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column = column
        self._text = Static()
        self._shown: tuple[str, tuple[Slot, ...], Change | None] = ("", (), None)

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._text

    def show(self, title: Content, slots: Sequence[Slot], change: Change | None) -> None:
        """Show other samples, below what became of them since a baseline; as many as can be read here.

        While a comparison runs, this is called for all columns with every answer to the case.
        """
        shown = (title.plain, tuple(slots), change)
        if shown == self._shown:
            return
        self._shown = shown
        self.border_title = title
        parts, left = became(change), MAX_SAID
        for sample, slot in enumerate(slots):
            parts += [Content("")] if parts else []
            if left <= 0:
                more = len(slots) - sample
                samples = "sample" if more == 1 else "samples"
                parts.append(show.line(f"… and {more} {samples} more: a written report has all of them", show.DIM))
                break
            lines = slot_lines(slot, sample, len(slots))
            left -= sum(len(line.plain) for line in lines)
            parts += lines
        self._text.update(show.lines(parts))


class CasePage(Vertical):
    """The case above, the columns below."""

    DEFAULT_CSS = """
    CasePage {
        & > VerticalScroll { height: auto; max-height: 35%; padding: 0 2; }
        & > VerticalScroll > Static { height: auto; }
        & > HorizontalScroll { height: 1fr; scrollbar-size-horizontal: 1; }
        & AnswerPane { height: 1fr; padding: 0 1; border: round $border-blurred; border-title-color: $text; }
        & AnswerPane:focus { border: round $accent; }
        & AnswerPane > Static { height: auto; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._about = Static()
        self._panes: list[AnswerPane] = []

    def compose(self) -> ComposeResult:
        """Nothing is in it yet."""
        with VerticalScroll(can_focus=False):
            yield self._about
        yield HorizontalScroll(can_focus=False)

    def on_resize(self) -> None:
        """Share the room that there is."""
        for pane in self._panes:
            pane.styles.width = max(MIN_WIDTH, self.size.width // len(self._panes))

    @property
    def panes(self) -> tuple[AnswerPane, ...]:
        """One for each column."""
        return tuple(self._panes)

    @property
    def column(self) -> int | None:
        """The column that has the focus."""
        return next((pane.column for pane in self._panes if pane.has_focus_within), None)

    def lay(self, columns: Sequence[int], marked: int | None) -> None:
        """Make a pane for each of some columns, and give the marked one the focus."""
        shown = list(columns[:MAX_COLUMNS])
        if marked is not None and marked not in shown:
            shown = [marked, *shown[:-1]]
        if [pane.column for pane in self._panes] != shown:
            row = self.query_one(HorizontalScroll)
            row.remove_children()
            self._panes = [AnswerPane(column) for column in shown]
            row.mount_all(self._panes)
            self.on_resize()
        pane = next((pane for pane in self._panes if pane.column == marked), None)
        if pane is not None:
            self.call_after_refresh(pane.focus)

    def fill(
        self, case: Case, cells: Sequence[Sequence[Slot]], changes: Sequence[Change | None], names: Sequence[str]
    ) -> None:
        """Show a case: the samples of each pane's column, and what became of them since a baseline."""
        self._about.update(show.lines(case_lines(case)))
        for pane, slots, change in zip(self._panes, cells, changes, strict=True):
            pane.show(show.line(names[pane.column], "bold"), slots, change)

    def agree(self, case: Case, split: Split | None, names: Sequence[str]) -> None:
        """Say who says the same."""
        self._about.update(show.lines([*case_lines(case), *clusters(split, names)]))
