"""The matrix of a comparison: a row for each case, a column for each prompt on a model, a mark for each sample.

It draws its lines itself, and only those that can be seen: ten thousand cells cost no more than a hundred.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from promptlab.core.text import sanitize_line

if TYPE_CHECKING:
    from promptlab.core.compare import Column, Summary
    from promptlab.core.matrix import Matrix, Slot

MARKS = {
    "pass": "✓",
    "fail": "✗",
    "unscored": "?",
    "error": "!",
    "waiting": "·",
    "running": "●",
    "answered": "○",
}
"""A shape for each state, because colours alone say nothing to many people and terminals."""
CACHED = "↺"
BECAME = {"broken": "▼", "worse": "▽", "better": "▲"}
"""What became of a cell since a baseline: it held, and no longer does; fewer of its samples pass, or more."""
LEGEND = "✓ pass  ✗ fail  ? unscored  ! error  · waiting  ● running  ○ unjudged  ↺ kept"

MAX_MARKS = 8
"""Samples of a cell that are drawn one by one; of more, only how many passed."""
RATE_WIDTH = 13
"""Of `100% (44-100)`."""
MAX_NAME = 26
LEAST_CASE, MOST_CASE = 12, 40


class MatrixTable(ScrollView, can_focus=True):
    """Shows a matrix, and which cell is marked."""

    DEFAULT_CSS = """
    MatrixTable {
        & > .matrix--pass { color: $text-success; }
        & > .matrix--fail { color: $text-error; }
        & > .matrix--error { color: $text-warning; text-style: bold; }
        & > .matrix--unscored { color: $foreground 65%; }
        & > .matrix--waiting { color: $foreground 40%; }
        & > .matrix--running { color: $text-accent; }
        & > .matrix--answered { color: $foreground; }
        & > .matrix--faint { color: $foreground 70%; }
        & > .matrix--head { text-style: bold; }
        & > .matrix--marked { background: $block-cursor-background; text-style: bold; }
        & > .matrix--blurred { background: $block-cursor-blurred-background; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"matrix--{state}" for state in MARKS),
        *("matrix--faint", "matrix--head", "matrix--marked", "matrix--blurred"),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", "Up", show=False),
        Binding("down", "move(1, 0)", "Down", show=False),
        Binding("left", "move(0, -1)", "Left", show=False),
        Binding("right", "move(0, 1)", "Right", show=False),
        Binding("pageup", "leap(-1)", "Page up", show=False),
        Binding("pagedown", "leap(1)", "Page down", show=False),
        Binding("home", "end(-1)", "First", show=False),
        Binding("end", "end(1)", "Last", show=False),
    ]

    rows: var[tuple[int, ...]] = var((), init=False)
    """The cases that are shown, in order."""
    shown: var[tuple[int, ...]] = var((), init=False)
    """The columns that are shown."""
    summaries: var[Mapping[int, Summary]] = var(dict[int, "Summary"], init=False)
    """What columns come to so far."""

    class Moved(Message):
        """Another cell is marked."""

    class Opened(Message):
        """A cell was clicked that is marked already."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.matrix: Matrix | None = None
        self.case: int | None = None
        """The case that is marked."""
        self.column: int | None = None
        """The column that is marked."""
        self._first = 0
        """The first of the shown columns that can be seen."""
        self._names: tuple[tuple[str, ...], ...] = ()
        self._longest = LEAST_CASE
        self._case_width = LEAST_CASE
        self._width = RATE_WIDTH
        """Of a column, the gap before it included."""
        self._fit = 1
        """Columns that can be seen at once."""
        self._styles_now: dict[str, Style] = {}

    # --- what is shown -----------------------------------------------------------------------------------------------

    def fill(self, matrix: Matrix) -> None:
        """Show another matrix; its rows come next."""
        self.matrix = matrix
        self._names = _heads(matrix.columns)
        self._longest = min(max((cell_len(_label(case.id)) for case in matrix.cases), default=0), MOST_CASE)
        self.case = self.column = None
        self._first = 0
        self.set_reactive(MatrixTable.summaries, {})

    def touch(self, cases: Iterable[int]) -> None:
        """Some cases have changed: draw them, where they can be seen."""
        changed = set(cases)
        for place, case in enumerate(self._visible()):
            if case in changed:
                self.refresh(Region(0, self.head + place, self.size.width, 1))

    def watch_rows(self) -> None:
        """Show other cases; the one that is marked stays so where it is among them."""
        if self.case not in self.rows:
            self.case = self.rows[0] if self.rows else None
        self._measure()
        self._follow()

    def watch_shown(self) -> None:
        """Show other columns."""
        if self.column not in self.shown:
            self.column = self.shown[0] if self.shown else None
        self._first = 0
        self._measure()
        self._follow()

    def watch_summaries(self) -> None:
        """Show what they come to."""
        self.refresh(Region(0, 0, self.size.width, self.head))

    def on_resize(self, event: events.Resize) -> None:
        """Use the room that there is."""
        self._measure()
        self._follow()

    @property
    def head(self) -> int:
        """Lines above the rows, which stay where they are."""
        return max(map(len, self._names), default=1) + 2

    def _measure(self) -> None:
        """Share the room that there is."""
        self.virtual_size = Size(max(self.scrollable_content_region.width, 1), len(self.rows) + self.head)
        width, samples = self.size.width, self.matrix.samples if self.matrix else 1
        self._case_width = max(LEAST_CASE, min(self._longest, width // 3))
        room = width - self._case_width - 1
        # Of many samples `12/16` and what else there is of them; then what was kept, what became of it, and brackets.
        marks = samples if samples <= MAX_MARKS else 2 * len(f"{samples}") + 4
        least = max(RATE_WIDTH + 2, marks + 7)
        longest = max((cell_len(line) for names in self._names for line in names), default=0) + 2
        self._width = max(least, min(longest, MAX_NAME, room // max(len(self.shown), 1)))
        self._fit = max(1, room // self._width)
        self.refresh()

    def _visible(self) -> Sequence[int]:
        top = round(self.scroll_y)
        return self.rows[top : top + max(self.size.height - self.head, 0)]

    # --- the mark ----------------------------------------------------------------------------------------------------

    def mark(self, case: int | None, column: int | None) -> None:
        """Mark a cell."""
        if case not in self.rows or column not in self.shown:
            return
        before = (self.case, self.column)
        if before == (case, column):
            return
        self.case, self.column = case, column
        if column != before[1]:
            self.refresh(Region(0, 0, self.size.width, self.head))
        self.touch([each for each in (before[0], case) if each is not None])
        self._follow()
        self.post_message(self.Moved())

    def action_move(self, down: int, right: int) -> None:
        """Mark a cell beside the one that is marked."""
        if self.case is None or self.column is None:
            return
        row, column = self.rows.index(self.case) + down, self.shown.index(self.column) + right
        self.mark(self.rows[max(0, min(row, len(self.rows) - 1))], self.shown[max(0, min(column, len(self.shown) - 1))])

    def action_leap(self, pages: int) -> None:
        """Move by what fits on the screen."""
        self.action_move(pages * max(self.size.height - self.head - 1, 1), 0)

    def action_end(self, side: int) -> None:
        """Go to the first case, or the last."""
        self.action_move(side * len(self.rows), 0)

    def on_focus(self) -> None:
        """The mark is drawn another way."""
        self.refresh()

    def on_blur(self) -> None:
        """The mark is drawn another way."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Mark a cell; open it at the second click."""
        offset = event.get_content_offset(self)
        if offset is None or self.matrix is None:
            return
        place, width = self._first + (offset.x - self._case_width - 1) // self._width, offset.y - self.head
        row = round(self.scroll_y) + width
        if width < 0 or not 0 <= row < len(self.rows):
            return
        column = self.shown[place] if offset.x > self._case_width and place < len(self.shown) else self.column
        again = (self.rows[row], column) == (self.case, self.column)
        self.mark(self.rows[row], column)
        if again:
            self.post_message(self.Opened())

    def _follow(self) -> None:
        """Keep the marked cell where it can be seen."""
        height = self.size.height - self.head
        if self.case is not None and height > 0:
            row, top = self.rows.index(self.case), round(self.scroll_y)
            if not top <= row < top + height:
                self.scroll_to(y=row if row < top else row - height + 1, animate=False)
        if self.column in self.shown:
            place, fit = self.shown.index(self.column), self._fit
            first = self._first
            if not first <= place < first + fit:
                first = place if place < first else place - fit + 1
            first = max(0, min(first, len(self.shown) - fit))
            if first != self._first:
                self._first = first
                self.refresh()

    # --- drawing -----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of what can be seen."""
        width = self.size.width
        if self.matrix is None:
            return Strip.blank(width, self.rich_style)
        row = y - self.head + round(self.scroll_y)
        if y < self.head:
            segments = self._head_line(y)
        elif row < len(self.rows):
            segments = self._row(self.rows[row])
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width).apply_style(self.rich_style)

    def notify_style_update(self) -> None:
        """Colours have changed."""
        self._styles_now.clear()
        super().notify_style_update()

    def _style(self, name: str) -> Style:
        if name not in self._styles_now:
            mark = name in ("marked", "blurred")  # which lies over the others
            self._styles_now[name] = self.get_component_rich_style(f"matrix--{name}", partial=mark)
        return self._styles_now[name]

    def _on_screen(self) -> Sequence[int]:
        return self.shown[self._first : self._first + self._fit]

    def _head_line(self, y: int) -> list[Segment]:
        assert self.matrix is not None
        names, head = self.head - 2, self._style("head")
        more = f"{self._first} ◂" if self._first else ""
        left = (["CASE" + f"  {more}"] + [""] * (names - 1) + ["pass rate", "answered"])[y]
        line = [Segment(_cut(left, self._case_width + 1), self._style("faint"))]
        for column in self._on_screen():
            style = head if column == self.column else self._style("faint" if y == self.head - 1 else "answered")
            line.append(Segment(_cut("  " + self._head_text(column, y), self._width), style))
        hidden = len(self.shown) - self._first - self._fit
        if y == 0 and hidden > 0:
            line.append(Segment(f" ▸ {hidden}", self._style("faint")))
        return line

    def _head_text(self, column: int, y: int) -> str:
        assert self.matrix is not None
        if y < self.head - 2:
            return self._names[column][y] if y < len(self._names[column]) else ""
        if y == self.head - 1:
            errors = self.matrix.errors[column]
            total = len(self.matrix.cases) * self.matrix.samples
            return f"{self.matrix.answered[column]:,}/{total:,}" + (f" {errors:,}!" if errors else "")
        from promptlab.views.comparison import with_interval  # here because it is slow to import

        summary = self.summaries.get(column)
        return with_interval(summary.pass_rate, summary.interval) if summary else "-"

    def _row(self, case: int) -> list[Segment]:
        assert self.matrix is not None
        marked = case == self.case
        cursor = self._style("marked" if self.has_focus else "blurred")
        label = _label(self.matrix.cases[case].id)
        line = [Segment(_cut(label, self._case_width + 1), cursor if marked else None)]
        for column in self._on_screen():
            here = marked and column == self.column
            drawn = self._cell(column, case)
            length = sum(segment.cell_length for segment in drawn)
            # Brackets, so that the mark can be seen without colours.
            line += [Segment(" "), Segment("[" if here else " "), *drawn, Segment("]" if here else " ")]
            line.append(Segment(" " * (self._width - length - 3)))
            if here:
                line[-len(drawn) - 3 : -1] = Segment.apply_style(line[-len(drawn) - 3 : -1], post_style=cursor)
        return line

    def _cell(self, column: int, case: int) -> list[Segment]:
        assert self.matrix is not None
        slots, change = self.matrix.cell(column, case), self.matrix.changes.get((column, case))
        drawn = [Segment(MARKS[slot.state], self._style(slot.state)) for slot in slots]
        if len(slots) > MAX_MARKS:
            drawn = self._count(slots)
        if all(slot.cached for slot in slots):
            drawn.append(Segment(f" {CACHED}", self._style("faint")))
        if change is not None and change.kind in BECAME:
            drawn.append(Segment(f" {BECAME[change.kind]}", self._style("pass" if change.kind == "better" else "fail")))
        return drawn

    def _count(self, slots: Sequence[Slot]) -> list[Segment]:
        states = [slot.state for slot in slots]
        scored = states.count("pass") + states.count("fail")
        state = "waiting" if not scored else "pass" if states.count("pass") == scored else "fail"
        others = [MARKS[each] for each in ("error", "unscored", "answered", "running", "waiting") if each in states]
        text = f"{states.count('pass')}/{scored}" if scored else ""
        return [Segment(text, self._style(state)), Segment("".join(others), self._style("faint"))]


def _heads(columns: Sequence[Column]) -> tuple[tuple[str, ...], ...]:
    """The names of columns, in lines: the model, and the prompt where there are several."""
    prompts = len({column.prompt for column in columns}) > 1
    return tuple((sanitize_line(c.model), *([sanitize_line(c.prompt)] if prompts else [])) for c in columns)


def _label(id: str) -> str:
    return sanitize_line(id) or "(no case)"


def _cut(text: str, width: int) -> str:
    """A text of exactly so many cells."""
    if cell_len(text) > width:
        text = set_cell_size(text, max(width - 1, 0)) + "…"
    return set_cell_size(text, width)
