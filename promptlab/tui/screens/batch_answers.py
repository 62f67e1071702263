"""The batch screen: looking into a case, the picture of all columns, writing a report and copying it."""

from __future__ import annotations

from collections.abc import Set
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.timer import Timer

from promptlab.core.text import sanitize
from promptlab.tui import show
from promptlab.tui.batch_words import heat
from promptlab.tui.copying import copy
from promptlab.tui.desk import Task
from promptlab.tui.program import program
from promptlab.tui.screens.batch_baseline import BatchBaseline, comparison_of, name_of
from promptlab.tui.screens.batch_table import _split
from promptlab.tui.widgets.askline import AskLine
from promptlab.tui.widgets.casepage import CasePage
from promptlab.tui.widgets.matrix import MatrixTable
from promptlab.tui.widgets.picture import Picture

if TYPE_CHECKING:
    from rich.console import RenderableType

    from promptlab.app.lab import Lab
    from promptlab.core.agreement import Split
    from promptlab.core.baseline import Regressions
    from promptlab.core.compare import Comparison
    from promptlab.core.matrix import Matrix
    from promptlab.core.record import Cell

MAX_IN_PLAY = 24
"""Answers that are shown in the columns of play; of more, only the first sample of each column."""
FRAME = 8
"""Cells of the screen's width that the picture keeps from its tables: borders, padding, a scroll bar."""
REDRAW_S = 2.0
"""Between two pictures, while answers come."""
TABLES = 72
"""Cells that the tables of the picture take at least."""


class BatchAnswers(BatchBaseline):
    """What stands behind the marks."""

    _drawn_width = 0
    """What the picture's tables were made for."""
    _drawing: Task[tuple[Content, RenderableType]] | None = None
    """Makes it."""
    _redrawing: Timer | None = None
    """Runs until the picture is made again."""

    def changed(self, cases: Set[int]) -> None:
        """Show what has changed, in the case that is open too."""
        super().changed(cases)
        if self.page == "case" and self.query_one(MatrixTable).case in cases:
            self.open_case(arrange=False)
        elif self.page == "picture" and not self.active:
            self.draw_picture()
        elif self.page == "picture" and self._redrawing is None:
            self._redrawing = self.set_timer(REDRAW_S, self._redraw)

    # --- a case ------------------------------------------------------------------------------------------------------

    @on(MatrixTable.Opened)
    def _opened(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Show what every column said to the marked case."""
        if self.query_one(MatrixTable).case is not None:
            self.page = "case"
            self.open_case()

    def open_case(self, *, arrange: bool = True) -> None:
        """Show the marked case."""
        table, page = self.query_one(MatrixTable), self.query_one(CasePage)
        if self.matrix is None or table.case is None:
            return
        if arrange:
            page.lay(table.shown, table.column)
        case, names = table.case, self.names
        cells = [self.matrix.cell(pane.column, case) for pane in page.panes]
        changes = [self.matrix.changes.get((pane.column, case)) for pane in page.panes]
        page.fill(self.matrix.cases[case], cells, changes, names)
        work = partial(_split, self.matrix.cases[case].id, self.results_of(case))
        self.desk.do(work, done=partial(self._agreed, case), lane="slow", key="batch.case")

    def _agreed(self, case: int, split: Split | None) -> None:
        if self.matrix is not None and case == self.query_one(MatrixTable).case:
            self.query_one(CasePage).agree(self.matrix.cases[case], split, self.names)

    def action_beside(self, step: int) -> None:
        """Go to the case before, or the next one."""
        table = self.query_one(MatrixTable)
        if self.page == "case" and (column := self.query_one(CasePage).column) is not None:
            table.mark(table.case, column)
        table.action_move(step, 0)
        if self.page == "case":
            self.open_case()

    # --- elsewhere ---------------------------------------------------------------------------------------------------

    def cells(self) -> tuple[Cell, ...]:
        """The answers to the marked case, as other screens show them: those of the marked column first."""
        from promptlab.core.events import Finished
        from promptlab.core.record import Cell, fold

        table = self.query_one(MatrixTable)
        if self.laid is None or table.case is None:
            return ()
        results = sorted(self.results_of(table.case), key=lambda each: each.column != self.column)
        if len(results) > MAX_IN_PLAY:
            results = [each for each in results if each.sample == 0]
        jobs = self.laid.jobs
        pairs = [(jobs[each.column, each.case, each.sample], each.record) for each in results]
        return tuple(fold(Cell(job), Finished(job.id, record)) for job, record in pairs)

    @property
    def column(self) -> int | None:
        """The column that is marked, or has the focus."""
        inside = self.query_one(CasePage).column if self.page == "case" else None
        return self.query_one(MatrixTable).column if inside is None else inside

    def action_play(self) -> None:
        """Show the answers to the marked case in play."""
        cells, play = self.cells(), program(self).play
        if not cells:
            self.notify("Nobody has answered this case yet.", severity="warning", markup=False)
        elif play.is_free() and play.show_cells(cells):
            play.appear()

    def action_closer(self) -> None:
        """Look closer at the marked answer."""
        from promptlab.tui.screens.closer import CloserScreen

        if cells := self.cells():
            self.app.push_screen(CloserScreen(cells, 0, "difference" if len(cells) > 1 else "tokens"))
        else:
            self.notify("Nobody has answered this case yet.", severity="warning", markup=False)

    # --- the picture -------------------------------------------------------------------------------------------------

    def action_picture(self) -> None:
        """Show who agrees with whom, or the table again."""
        if self.page == "picture":
            self.page = "table"
            return
        self.page = "picture"
        self.draw_picture()

    def _redraw(self) -> None:
        self._redrawing = None
        if self._drawing is not None and not self._drawing.over:  # of many answers, that takes long
            self._redrawing = self.set_timer(REDRAW_S, self._redraw)
        elif self.page == "picture":
            self.draw_picture()

    @on(Picture.Widened)
    def _widened(self) -> None:
        if self.page == "picture" and self._table_width != self._drawn_width:
            self.draw_picture()

    @property
    def _table_width(self) -> int:
        return max(self.app.size.width - FRAME, TABLES)

    def draw_picture(self) -> None:
        """Sum up what there is, and show it."""
        if self.matrix is None:
            return
        width = self._drawn_width = self._table_width
        work = partial(_drawn, self.found, self.matrix, self.held, width)
        self._drawing = self.desk.do(work, done=self._show_picture, lane="slow", key="batch.picture")

    def _show_picture(self, parts: tuple[Content, RenderableType]) -> None:
        self.query_one(Picture).show(*parts)

    # --- writing -----------------------------------------------------------------------------------------------------

    def action_write(self) -> None:
        """Ask for the names of files."""
        if self.matrix is None or self.asked is None:
            return
        label = "Write (.html .json .jsonl .csv .md .junit.xml)"
        self.query_one(AskLine).ask("write", label, f"{name_of(self.asked)}.html")

    @on(AskLine.Given)
    def _given(self, event: AskLine.Given) -> None:
        self.query_one(AskLine).close()
        self.settle_focus()
        if event.what == "write" and self.matrix is not None and self.asked is not None:
            work = partial(_write, event.text, self.found, self.matrix, self.held, self.asked.prompts)
            self.desk.do(work, done=self._written, lane="slow")

    def _written(self, names: tuple[str, ...]) -> None:
        self.notify(sanitize(f"Written{self._so_far}: {', '.join(names)}"), markup=False)

    @property
    def _so_far(self) -> str:
        return "" if self.phase == "done" else ", of what there is so far"

    def action_copy(self) -> None:
        """Copy the comparison as Markdown."""
        if self.matrix is not None:
            work = partial(_markdown, self.found, self.matrix, self.held)
            self.desk.do(work, done=self._copied, lane="slow", key="copy")

    def _copied(self, text: str) -> None:
        copy(self, f"the comparison as Markdown{self._so_far}", text)

    def settle_focus(self) -> None:
        """Put the focus where the page that is shown wants it."""


def _drawn(
    found: Comparison | None,
    matrix: Matrix,
    held: Regressions | None,
    width: int,
    lab: Lab,
    task: Task[tuple[Content, RenderableType]],
) -> tuple[Content, RenderableType]:
    from promptlab.views.comparison import column_names, letters
    from promptlab.views.sections import Layout, as_group, picture

    comparison = comparison_of(found, matrix)
    names = column_names(comparison)
    tables = as_group(picture(comparison, width, held), Layout(width, all_cases=True))
    return heat(comparison, names, letters(len(names))), tables


def _markdown(found: Comparison | None, matrix: Matrix, held: Regressions | None, lab: Lab, task: Task[str]) -> str:
    from promptlab.views.exports import export

    return export(comparison_of(found, matrix), "md", regressions=held)


def _write(
    text: str,
    found: Comparison | None,
    matrix: Matrix,
    held: Regressions | None,
    prompts: tuple[str, ...],
    lab: Lab,
    task: Task[tuple[str, ...]],
) -> tuple[str, ...]:
    """Write files whose names were typed; nothing is written unless all can be. Raises UsageError and StoreError."""
    from datetime import datetime
    from pathlib import Path

    from promptlab.app.outputs import refuse_places, write
    from promptlab.core.typed import words
    from promptlab.errors import UsageError
    from promptlab.views.exports import format_of
    from promptlab.views.outputs import document

    formats = {Path(name).expanduser(): format_of(Path(name)) for name in words(text, "the names of files")}
    if not formats:
        raise UsageError("No name was typed: nothing is written.")
    refuse_places(formats)
    comparison, now = comparison_of(found, matrix), datetime.now().astimezone()
    for path, kind in formats.items():
        write(path, document(comparison, kind, prompts, now, held))
    return tuple(show.path(path.absolute()) for path in formats)
