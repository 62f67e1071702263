"""The batch screen: which cells the table shows, in which order, and what is said of the marked one."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.batch_words import became, case_lines, checks, clusters, viewed
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of
from promptlab.tui.screens.batch_state import BatchState
from promptlab.tui.widgets.askline import AskLine
from promptlab.tui.widgets.matrix import MatrixTable

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.core.agreement import Split
    from promptlab.core.compare import Result
    from promptlab.core.matrix import Order, View

ORDERS: tuple[tuple[Order, str], ...] = (
    ("file", ""),
    ("worst", "worst first"),
    ("split", "most different first"),
    ("column", "by the marked column"),
    ("name", "by name"),
)
SORT_S = 1.0
"""Between two looks at which cases a filter shows, while answers come."""


class BatchTable(BatchState):
    """Filtering, sorting and marking."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._view: View | None = None
        """None while there is no matrix."""
        self._columns_like = ""
        self._sorting: Timer | None = None
        """Runs until cases are looked through again."""

    @property
    def names(self) -> tuple[str, ...]:
        """What columns are called."""
        from promptlab.views.comparison import names_of

        return names_of(self.matrix.columns) if self.matrix else ()

    def laid_out(self) -> None:
        """Show another matrix, with all that is in it."""
        from promptlab.core.matrix import View

        assert self.matrix is not None
        self._columns_like = ""
        self._view = View(tuple(range(len(self.matrix.columns))))
        table = self.query_one(MatrixTable)
        table.fill(self.matrix)
        self.sift()
        table.mark(0, 0)

    def changed(self, cases: Set[int]) -> None:
        """Draw what can be seen of what has changed."""
        table = self.query_one(MatrixTable)
        table.summaries = self.summaries
        table.touch(cases)
        view = self._view
        if view is not None and (view.failing or view.splitting or view.worse or view.order not in ("file", "name")):
            if not self.active:
                self.sift()
            elif self._sorting is None:
                self._sorting = self.set_timer(SORT_S, self._sort)
        if table.case in cases:
            self.peek()

    def _sort(self) -> None:
        self._sorting = None
        self.sift()

    # --- what is shown -----------------------------------------------------------------------------------------------

    def sift(self) -> None:
        """Look through the cases for those to show."""
        from promptlab.core.matrix import arrange

        if self.matrix is None or self._view is None:
            return
        table = self.query_one(MatrixTable)
        table.shown = self._view.columns
        table.rows = arrange(self.matrix, self._view)
        words = {
            "failing": "failing" if self._view.failing else "",
            "splitting": "differing" if self._view.splitting else "",
            "worse": "worse" if self._view.worse else "",
            "text": f"with “{self._view.text}”" if self._view.text else "",
            "columns": f"columns with “{self._columns_like}”" if self._columns_like else "",
            "order": dict(ORDERS)[self._view.order],
        }
        table.border_subtitle = viewed(len(table.rows), len(self.matrix.cases), words)
        self.peek()

    def look(self, view: View) -> None:
        """Show something else of the matrix."""
        self._view = view
        self.sift()

    def action_failing(self) -> None:
        """Only what fails, or everything."""
        if self._view:
            self.look(replace(self._view, failing=not self._view.failing))

    def action_splitting(self) -> None:
        """Only where columns differ, or everything."""
        if self._view is None or self.matrix is None:
            return
        if len(self.matrix.columns) < 2 and not self._view.splitting:
            self.notify("One column alone cannot differ: compare several.", severity="warning", markup=False)
            return
        self.look(replace(self._view, splitting=not self._view.splitting))

    def action_worse(self) -> None:
        """Only what got worse than the baseline, or everything."""
        if self._view is None or self.matrix is None:
            return
        if not self.matrix.changes and not self._view.worse:
            said = f"Nothing to hold it against: {key_of(self, 'batch.baseline')} chooses a baseline."
            self.notify(said, severity="warning", markup=False)
            return
        self.look(replace(self._view, worse=not self._view.worse))

    def action_order(self) -> None:
        """The next order."""
        if self._view:
            orders = [order for order, _ in ORDERS]
            after = orders[(orders.index(self._view.order) + 1) % len(orders)]
            self.look(replace(self._view, order=after, column=self.query_one(MatrixTable).column or 0))

    def action_filter(self, what: str) -> None:
        """Ask for a text that cases or columns have."""
        if self._view is None:
            return
        text = self._view.text if what == "cases" else self._columns_like
        self.query_one(AskLine).ask(what, "Cases with" if what == "cases" else "Columns with", text)

    @on(AskLine.Changed)
    def _filtered(self, event: AskLine.Changed) -> None:
        if self._view is None:
            return
        if event.what == "cases":
            self.look(replace(self._view, text=event.text.strip()))
        elif event.what == "columns":
            self._filter_columns(event.text.strip())

    def _filter_columns(self, text: str) -> None:
        assert self.matrix is not None
        assert self._view is not None
        wanted = text.casefold()
        found = tuple(i for i, column in enumerate(self.matrix.columns) if wanted in column.name.casefold())
        self._columns_like = text if found else ""
        self.look(replace(self._view, columns=found or tuple(range(len(self.matrix.columns)))))

    # --- the marked cell ---------------------------------------------------------------------------------------------

    @on(MatrixTable.Moved)
    def _moved(self) -> None:
        self.peek()

    def peek(self) -> None:
        """Say who says the same to the marked case, and what came of the marked cell."""
        table = self.query_one(MatrixTable)
        if self.matrix is None or table.case is None or table.column is None:
            self.query_one("#batch-peek", Static).update(Content(""))
            return
        work = partial(_split, self.matrix.cases[table.case].id, self.results_of(table.case))
        self.desk.do(work, done=partial(self._peeked, table.case, table.column), key="batch.peek")

    def results_of(self, case: int) -> tuple[Result, ...]:
        """What columns that are shown have answered to a case."""
        assert self.matrix is not None
        columns = self._view.columns if self._view else ()
        slots = [slot for column in columns for slot in self.matrix.cell(column, case)]
        return tuple(slot.result for slot in slots if slot.result is not None)

    def _peeked(self, case: int, column: int, split: Split | None) -> None:
        if self.matrix is None or case >= len(self.matrix.cases):
            return
        names, change = self.names, self.matrix.changes.get((column, case))
        name = show.line(names[column], "bold")
        since = [show.join([name, each]) for each in became(change)]
        found = [each for slot in self.matrix.cell(column, case) if slot.result for each in checks(slot.result)]
        parts = [*case_lines(self.matrix.cases[case]), *since, Content(""), *clusters(split, names), Content("")]
        parts += [name, *found] if found else []
        self.query_one("#batch-peek", Static).update(show.lines(parts))


def _split(case: str, results: Sequence[Result], lab: Lab, task: Task[Split | None]) -> Split | None:
    from promptlab.core.agreement import Said, split

    said = [Said(each.column, each.sample, each.record.output) for each in results if each.record.error is None]
    return split(case, said) if said else None
