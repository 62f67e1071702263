"""All answers of a run: beside each other where there is room, in rows or one at a time where there is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import Layout, WidgetPlacement
from textual.reactive import var
from textual.timer import Timer
from textual.widget import AwaitMount, Widget

from promptlab.tui.arrangement import Arrangement, Choice, arrange, following
from promptlab.tui.pace import Pace
from promptlab.tui.widgets.names import Name, Names

if TYPE_CHECKING:
    from promptlab.core.record import Cell
    from promptlab.tui.grouping import Group, Key, Letters
    from promptlab.tui.widgets.column import Column


LEAST_S = 0.05
"""The shortest time that a timer is set for: what it costs to set one is not for nothing."""


class _Standing(Layout):
    """Where columns stand follows from the room that there is. A grid whose shape is set then is laid out twice."""

    name = "standing"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> list[WidgetPlacement]:
        assert isinstance(parent, Columns)
        return [WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, column) for column, region in parent.places(size)]


class Columns(Widget):
    """A column for each version of a prompt on each model. What the user has arranged holds for a run of the same."""

    DEFAULT_CSS = """
    Columns {
        width: 1fr;
        height: 1fr;
        overflow: auto;
        & > Names { dock: top; display: none; }
    }
    """

    cells: var[tuple[Cell, ...]] = var((), always_update=True, init=False)
    """What to show, in the order of the jobs."""
    choice: var[Choice] = var("auto", init=False)
    """How the columns are to stand."""
    bare: var[bool] = var(False, init=False)
    """Whether nothing beside them says which prompt was asked."""
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
        self._letters: Letters | None = None
        self._arrangement = Arrangement("columns")
        self._stand: tuple[Arrangement, list[Column]] = (self._arrangement, [])
        """How the columns that are shown stand."""
        self._pace = Pace()
        self._timer: Timer | None = None
        """Runs while it is too early to draw."""
        self.asked_from: Widget | None = None
        """What had the focus when more was asked for: if it still has, the focus goes on to the first that comes."""

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
        letters = self._letters.of(cells) if several and self._letters else ("",) * len(cells)
        self._name_prompt()
        by_key = {column.key: column for column in self._columns}
        for group in self._groups:
            some = tuple(cells[place] for place in group.places)
            by_key[group.key].show(group.name, some, tuple(letters[place] for place in group.places))
        self._tell_names()

    def watch_bare(self) -> None:
        """Name the prompt, or no more."""
        self._name_prompt()

    def _name_prompt(self) -> None:
        """Of several, each column's title has its own."""
        named = self.bare and len({group.key[0] for group in self._groups}) == 1
        for column in self._columns:
            column.named = named

    def _regroup(self, cells: tuple[Cell, ...]) -> None:
        """Make columns for other jobs. One that was there before stays; of the same ones, the arrangement too."""
        # Here because nobody needs it before the first paint.
        from promptlab.tui.grouping import Letters, groups
        from promptlab.tui.widgets.column import Column

        self._groups = groups(cells)
        self._letters = Letters()
        keys = [group.key for group in self._groups]
        there = {column.key: column for column in self._columns}
        if set(keys) == set(there):
            return
        new = [Column(key) for key in keys if key not in there]
        kept = [column for column in self._columns if column.key in keys]
        for column in self._columns:
            if column not in kept:
                column.remove()
        self._columns = _among(kept, new, keys)
        if new or self.front not in kept:  # what has just come is to be seen
            self.zoomed = False
            self.front = new[0] if new and kept else None
        self.hidden &= set(keys)
        mounted = self.mount_all(new)
        self._order()
        self._arrange()
        if new and self.asked_from is not None and self.screen.focused is self.asked_from:
            self.call_next(self._go_on, mounted, new[0], self.asked_from)
        self.asked_from = None

    async def _go_on(self, mounted: AwaitMount, column: Column, before: Widget) -> None:
        """Go to a column that has just come, once it can have the focus, unless somebody is elsewhere by then."""
        await mounted
        if self.screen.focused in (before, None) and column in self.open:  # None: it is no longer shown
            self._go(column, focus=True)

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
        self.choice = following(self.choice, len(self.open), *self._room(self.size))
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

    @property
    def layout(self) -> Layout:
        """By the room that there is."""
        return _Standing()

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

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        """Another room may have room for others."""
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed:
            self._settle()
        return changed

    def _order(self) -> None:
        for before, after in zip(self._columns, self._columns[1:], strict=False):
            self.move_child(after, after=before)

    def _room(self, size: Size) -> tuple[int, int]:
        """Cells for columns, where the content has a size; scroll bars do not count, or they would come and go."""
        height = size.height + self.scrollbar_size_horizontal - bool(self.hidden)
        return size.width + self.scrollbar_size_vertical, height

    def places(self, size: Size) -> list[tuple[Column, Region]]:
        """The columns that are shown in a room below the names, and where."""
        shown, names = self.open, Size(0, int(self._names.display))
        now = arrange(self.choice, len(shown), *self._room(size + names))
        if self.zoomed or now.kind == "tabs":
            front = self._in_front()
            return [(front, size.region)] if front else []
        return [(shown[number], Region(*place)) for number, place in enumerate(now.places(len(shown), *size))]

    @property
    def _alone(self) -> bool:
        """Whether only one is shown."""
        return self.zoomed or self._arrangement.kind == "tabs"

    def _in_front(self) -> Column | None:
        shown = self.open
        return self.front if self.front in shown else next(iter(shown), None)

    def _arrange(self) -> None:
        """Show what is to be shown, where it is to stand."""
        before = self._stand
        self._settle()
        if self._stand != before:
            self._clear_arrangement_cache()
            self.refresh(layout=True)

    def _settle(self) -> None:
        """Follow where the columns stand: the layout has found that out by itself."""
        if not self._columns or not self.size.width:
            return
        shown = self.open
        self._arrangement = arrange(self.choice, len(shown), *self._room(self.size))
        if self._alone and (front := self._in_front()):
            shown = [front]
        for column in self._columns:
            if column.display != (column in shown):
                column.display = column in shown
                column.catch_up()
        self._names.display = (self._alone and len(self.open) > 1) or bool(self.hidden)
        self._tell_names()
        self._stand = (self._arrangement, shown)

    def _tell_names(self) -> None:
        """The names with how they stand, where they are shown."""
        if not self._names.display:
            return
        from promptlab.tui.describe import mark, together

        front = self._in_front()
        self._names.hidden = len(self._columns) - len(self.open)
        self._names.names = tuple(
            Name(Content.assemble(mark(together(column.cells)), " ", column.label), column is front)
            for column in (self.open if self._alone else ())
        )


def _among(kept: list[Column], new: list[Column], keys: Sequence[Key]) -> list[Column]:
    """Columns that have come among those that stay as they stand: each after the one that it follows by the keys."""
    found = list(kept)
    for column in new:
        before = keys[: keys.index(column.key)]
        at = max((number + 1 for number, each in enumerate(found) if each.key in before), default=0)
        found.insert(at, column)
    return found
