"""All answers of a run: beside each other where there is room, in rows or one at a time where there is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Grid
from textual.content import Content
from textual.reactive import var
from textual.timer import Timer

from promptlab.tui.arrangement import Arrangement, Choice, arrange, following
from promptlab.tui.describe import mark, together
from promptlab.tui.grouping import Group, Letters, groups
from promptlab.tui.pace import Pace
from promptlab.tui.widgets.column import Column
from promptlab.tui.widgets.names import Name, Names

if TYPE_CHECKING:
    from promptlab.core.record import Cell
    from promptlab.tui.grouping import Key


LEAST_S = 0.05
"""The shortest time that a timer is set for: what it costs to set one is not for nothing."""


class Columns(Grid):
    """A column for each version of a prompt on each model. What the user has arranged holds for a run of the same."""

    DEFAULT_CSS = """
    Columns {
        overflow: auto;
        & > Names { dock: top; display: none; }
        & > Names.-shown { display: block; }
    }
    """

    cells: var[tuple[Cell, ...]] = var((), always_update=True, init=False)
    """What to show, in the order of the jobs."""
    choice: var[Choice] = var("auto", init=False)
    """How the columns are to stand."""
    zoomed: var[bool] = var(False, init=False)
    """Whether one column has all the room."""
    hidden: var[frozenset[Key]] = var(frozenset(), init=False)
    """The columns that are not shown. Their runs go on."""
    front: var[Column | None] = var(None, init=False)
    """The column that is shown where only one is."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names = Names()
        self._columns: list[Column] = []
        """As they stand."""
        self._groups: tuple[Group, ...] = ()
        self._jobs: tuple[object, ...] = ()
        self._letters = Letters()
        self._arrangement = Arrangement("columns")
        self._pace = Pace()
        self._timer: Timer | None = None
        """Runs while it is too early to draw."""

    def compose(self) -> ComposeResult:
        """The names, where they are needed, above the columns."""
        yield self._names

    # --- what is shown -----------------------------------------------------------------------------------------------

    @property
    def columns(self) -> list[Column]:
        """All columns, in the order in which they stand; also those that are not shown now."""
        return list(self._columns)

    @property
    def open(self) -> list[Column]:
        """Those that are not hidden."""
        return [column for column in self._columns if column.key not in self.hidden]

    @property
    def current(self) -> Column | None:
        """The column that a command is about: with the focus, or the only one that is shown, or the first."""
        focused = next((column for column in self._columns if column.has_focus_within), None)
        return focused or (self._in_front() if self._alone else next(iter(self.open), None))

    @property
    def arrangement(self) -> Arrangement:
        """How the columns stand now."""
        return self._arrangement

    def watch_cells(self, cells: tuple[Cell, ...]) -> None:
        """Show them: at once where they are others, or have all ended, and else when it is time."""
        jobs = tuple(cell.job for cell in cells)
        others = len(jobs) != len(self._jobs) or any(a is not b for a, b in zip(jobs, self._jobs, strict=True))
        if others:
            self._jobs = jobs
            self._regroup(cells)
        if others or all(cell.record for cell in cells):
            self._show()
        elif self._timer is None:
            self._show_in_time()

    def _show_in_time(self) -> None:
        """Show them now, or when it is time."""
        self._timer = None
        wait = self._pace.wait()
        if wait > 0:
            self._timer = self.set_timer(max(wait, LEAST_S), self._show_in_time)
        else:
            self._show()

    def _show(self) -> None:
        """Hand each column its cells."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._pace.drawn()
        cells = self.cells
        several = len(self._groups) < len(cells)
        letters = self._letters.of(cells) if several else ("",) * len(cells)
        by_key = {column.key: column for column in self._columns}
        for group in self._groups:
            some = tuple(cells[place] for place in group.places)
            by_key[group.key].show(group.name, some, tuple(letters[place] for place in group.places))
        self._tell_names()

    def _regroup(self, cells: tuple[Cell, ...]) -> None:
        """Make columns for other jobs. One that was there before stays; of the same ones, the arrangement too."""
        self._groups = groups(cells)
        self._letters = Letters()
        keys = [group.key for group in self._groups]
        there = {column.key: column for column in self._columns}
        if set(keys) == set(there):
            return
        self.hidden = frozenset()
        self.zoomed = False
        self.front = None
        new = [Column(key) for key in keys if key not in there]
        gone = [column for key, column in there.items() if key not in keys]
        there |= {column.key: column for column in new}
        self._columns = [there[key] for key in keys]
        for column in gone:
            column.remove()
        self.mount_all(new)
        self._order()
        self._arrange()

    # --- what can be done --------------------------------------------------------------------------------------------

    def toggle_zoom(self) -> None:
        """Give the current column all the room; or take it back."""
        if not self.zoomed:
            self.front = self.current
        self.zoomed = not self.zoomed and bool(self._columns)

    def next_choice(self) -> Choice:
        """Let the columns stand in another way; gives which."""
        self.zoomed = False
        self.front = self.current
        self.choice = following(self.choice, len(self.open), *self._room)
        return self.choice

    def hide(self) -> bool:
        """Hide the current column. False where it is the only one."""
        column, shown = self.current, self.open
        if column is None or len(shown) < 2:
            return False
        at = shown.index(column)
        focus = column.has_focus_within
        self.hidden |= {column.key}
        self._go(self.open[min(at, len(shown) - 2)], focus)
        return True

    def show_all(self) -> None:
        """Show every column again."""
        self.hidden = frozenset()

    def move(self, step: int) -> bool:
        """Let the current column change places with its neighbour. False where there is none."""
        column, neighbour = self.current, self._neighbour(step)
        if column is None or neighbour is None:
            return False
        here, there = self._columns.index(column), self._columns.index(neighbour)
        self._columns[here], self._columns[there] = neighbour, column
        self._order()
        self._tell_names()
        column.scroll_visible(animate=False)
        return True

    def go(self, step: int) -> bool:
        """Go to the neighbour of the current column, or from elsewhere to itself. False where there is none."""
        column = self.current
        if column is not None and column.has_focus_within:
            column = self._neighbour(step)
        if column is not None:
            self._go(column, focus=True)
        return column is not None

    def _neighbour(self, step: int) -> Column | None:
        shown, current = self.open, self.current
        if current is None or current not in shown:
            return None
        there = shown.index(current) + step
        return shown[there] if 0 <= there < len(shown) else None

    def _go(self, column: Column, focus: bool) -> None:
        self.front = column
        if focus:
            column.body.focus()

    @on(Names.Chosen)
    def _name_chosen(self, event: Names.Chosen) -> None:
        event.stop()
        self._go(self.open[event.number], focus=True)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Where only one is shown, it is the one that was looked at last."""
        self.front = next((column for column in self._columns if column in event.widget.ancestors), self.front)

    # --- where they stand --------------------------------------------------------------------------------------------

    def watch_choice(self) -> None:
        """Arrange them."""
        self._arrange()

    def watch_zoomed(self) -> None:
        """Show one, or all."""
        self._arrange()

    def watch_hidden(self) -> None:
        """Show those that are left."""
        self._arrange()

    def watch_front(self) -> None:
        """Show it, where only one is shown."""
        self._arrange()

    def on_resize(self, event: events.Resize) -> None:
        """Use the room that there is."""
        self._arrange()

    def _order(self) -> None:
        for before, after in zip(self._columns, self._columns[1:], strict=False):
            self.move_child(after, after=before)

    @property
    def _room(self) -> tuple[int, int]:
        return self.size.width, self.size.height - (1 if self.hidden else 0)

    @property
    def _alone(self) -> bool:
        """Whether only one is shown."""
        return self.zoomed or self._arrangement.kind == "tabs"

    def _in_front(self) -> Column | None:
        shown = self.open
        return self.front if self.front in shown else next(iter(shown), None)

    def _arrange(self) -> None:
        """Show what is to be shown, where it is to stand."""
        if not self._columns or not self.size.width:
            return
        shown = self.open
        self._arrangement = arrange(self.choice, len(shown), *self._room)
        alone = self._in_front() if self._alone else None
        for column in self._columns:
            wanted = column is alone if alone is not None else column in shown
            if column.display != wanted:
                column.display = wanted
                column.catch_up()
        self._names.set_class((alone is not None and len(shown) > 1) or bool(self.hidden), "-shown")
        self._lay_out([alone] if alone is not None else shown)
        self._tell_names()

    def _lay_out(self, shown: list[Column]) -> None:
        now = self._arrangement if len(shown) > 1 else Arrangement("columns")
        self.styles.grid_size_columns = now.beside
        self.styles.grid_columns = "1fr" if now.width is None else str(now.width)
        self.styles.grid_rows = "1fr" if now.height is None else str(now.height)
        for column in shown:
            column.styles.column_span = 1
        if gap := -len(shown) % now.beside:  # the last row is not full: the last column takes the rest
            shown[-1].styles.column_span = 1 + gap

    def _tell_names(self) -> None:
        """The names with how they stand, where they are shown."""
        if not self._names.has_class("-shown"):
            return
        front = self._in_front()
        self._names.hidden = len(self._columns) - len(self.open)
        self._names.names = tuple(
            Name(Content.assemble(mark(together(column.cells)), " ", column.label), column is front)
            for column in (self.open if self._alone else ())
        )
