"""The columns of a run: one panel for each job, side by side where there is room, otherwise one below the other.

While a run goes on, the columns fit a height: of a long text the end is shown, and rows that do not fit are counted.
When it is over they are shown whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from promptlab.core.record import Cell, Step
from promptlab.core.text import sanitize, sanitize_line
from promptlab.views.answer import DOT, failure_line, labels, numbers, output_text
from promptlab.views.distribution import next_choice

MIN_WIDTH = 36
"""Cells that a column needs to stand beside another."""
FRAME = 4
"""Cells of a panel that are not text: two borders, two spaces."""
MIN_ROW = 8
"""Lines below which a row of panels says nothing: borders, a rule, two lines of numbers, three of text."""
STDERR_LINES = 5


@dataclass(frozen=True, slots=True)
class Column:
    """A job as it stands, and its name."""

    label: str
    cell: Cell


def columns(cells: Sequence[Cell]) -> list[Column]:
    """Name the jobs of a run."""
    return [Column(label, cell) for label, cell in zip(labels(cells), cells, strict=True)]


def per_row(count: int, width: int) -> int:
    """How many columns stand side by side, so that each gets `MIN_WIDTH` and rows are about equally full."""
    fit = max(1, (width + 1) // (MIN_WIDTH + 1))
    rows = -(-count // fit)
    return -(-count // rows) if rows else 1


def finished(shown: Sequence[Column], abreast: int) -> int:
    """How many of the columns, from the first, stand in rows that are over."""
    for start in range(0, len(shown), abreast):
        if any(c.cell.record is None for c in shown[start : start + abreast]):
            return start
    return len(shown)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns in rows of `abreast`, within `height` lines if that is given."""

    columns: Sequence[Column]
    abreast: int
    height: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = (options.max_width - (self.abreast - 1)) // self.abreast
        rows = [
            [
                _Draft(console, column, width - FRAME, self.height)
                for column in self.columns[start : start + self.abreast]
            ]
            for start in range(0, len(self.columns), self.abreast)
        ]
        hidden: list[_Draft] = []
        heights: list[int | None] = [None] * len(rows)
        if self.height is not None and sum(map(_natural, rows)) > self.height:
            rows, hidden = _choose(rows, self.height)
            heights = list(share([_natural(row) for row in rows], self.height - bool(hidden)))
        for row, height in zip(rows, heights, strict=True):
            yield _row(row, width, height, self.abreast)
        if hidden:
            yield Text(_more(hidden), style="dim")


class _Draft:
    """A panel before its height is known: wrapped lines and numbers."""

    def __init__(self, console: Console, column: Column, width: int, height: int | None) -> None:
        self.column = column
        text = body(column.cell)
        if height is not None and len(text) > (room := max(width, 20) * height * 2):
            # Only the end will be seen: wrapping a long text ten times a second would cost too much.
            text = text[-room:]
        self.lines = list(text.wrap(console, width, overflow="fold", tab_size=4))
        numbers = pack(_footer(column.cell), width)
        self.numbers = [Text(line, style="dim") for line in (["─" * width, *numbers] if numbers else [])]

    @property
    def busy(self) -> bool:
        return self.column.cell.status in ("running", "loading")

    def panel(self, width: int, height: int, foot: int) -> Panel:
        """Draw it, `foot` lines being kept for the numbers, so that they begin on the same line in a row."""
        room = max(1, height - 2 - foot)
        lines = self.lines
        if len(lines) > room:
            lines = [Text("…", style="dim"), *lines[1 - room :]] if room > 1 else lines[-1:]
        above, below = [Text()] * (room - len(lines)), [Text()] * (foot - len(self.numbers))
        content = Text("\n").join([*lines, *above, *self.numbers, *below])
        content.no_wrap = True
        title = Text(self.column.label, style="bold")
        style = _BORDERS[self.column.cell.status]
        return Panel(content, title=title, title_align="left", width=width, border_style=style)


_BORDERS = {
    "waiting": "dim",
    "loading": "cyan",
    "running": "cyan",
    "done": "green",
    "failed": "red",
    "cancelled": "yellow",
}


def _natural(row: list[_Draft]) -> int:
    return max(len(draft.lines) for draft in row) + max(len(draft.numbers) for draft in row) + 2


def _row(row: list[_Draft], width: int, height: int | None, abreast: int) -> RenderableType:
    height = _natural(row) if height is None else height
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for _ in range(abreast):
        table.add_column(width=width)
    foot = max(len(draft.numbers) for draft in row)
    table.add_row(*(draft.panel(width, height, foot) for draft in row))
    return table


def _choose(rows: list[list[_Draft]], height: int) -> tuple[list[list[_Draft]], list[_Draft]]:
    """Keep as many rows as can say something, those in which something happens first, all in their order."""
    room = max(1, (height - 1) // MIN_ROW)
    if len(rows) <= max(1, height // MIN_ROW):
        return rows, []
    by_interest = sorted(range(len(rows)), key=lambda i: not any(draft.busy for draft in rows[i]))
    kept = set(by_interest[:room])
    return [rows[i] for i in sorted(kept)], [d for i, row in enumerate(rows) if i not in kept for d in row]


def share(wanted: list[int], total: int) -> list[int]:
    """Divide lines among rows: the low ones get what they want, the others the same each."""
    given = [0] * len(wanted)
    left = total
    for done, i in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        given[i] = min(wanted[i], left // (len(wanted) - done))
        left -= given[i]
    return given


def _more(hidden: list[_Draft]) -> str:
    states = [draft.column.cell.status for draft in hidden]
    counts = [f"{states.count(s)} {s}" for s in _BORDERS if s in states]
    return f"… {len(hidden)} more: {', '.join(counts)}"


def body(cell: Cell) -> Text:
    """The text of a column: each step with its name where there are several, then why it failed."""
    blocks: list[Text] = []
    named = len(cell.steps) > 1 or any(s.name != "output" for s in cell.steps)
    for i, step in enumerate(cell.steps):
        if named:
            blocks.append(Text(f"{'' if i == 0 else chr(10)}{sanitize_line(step.name)}", style="bold cyan"))
        if text := _step_text(step, cell, last=i == len(cell.steps) - 1):
            blocks.append(text)
    blocks += _ending(cell)
    return Text("\n").join(blocks or [_before(cell)])


def _step_text(step: Step, cell: Cell, last: bool) -> Text:
    text = sanitize(step.text).strip()
    if text:
        beside = next_choice(step)
        return Text.assemble(text, (f"\n{beside}" if beside else "", "dim"))
    if cell.record is None and last:
        return Text("…", style="dim")
    return Text("(nothing)" if step.finish_reason else "", style="dim")


def _before(cell: Cell) -> Text:
    """What a column says before its first question."""
    if cell.status != "loading":
        return Text("waiting", style="dim")
    if cell.progress >= 1:  # the first time, it takes a few seconds to find out how it runs here
        return Text("warming up", style="dim")
    filled = round(min(max(cell.progress, 0.0), 1.0) * 12)
    bar = ("━" * filled, "cyan"), ("━" * (12 - filled), "dim")
    return Text.assemble(("loading ", "dim"), *bar, (f" {cell.progress:4.0%}", "dim"))


def _ending(cell: Cell) -> list[Text]:
    """A value that the program returned, or what went wrong."""
    record = cell.record
    if record is None:
        return []
    if record.error is None:
        text = output_text(record.output)
        said = record.steps and record.steps[-1].text == text
        return [] if said else [Text("\nreturns", style="bold cyan"), Text(sanitize(text).strip())]
    style = "yellow" if cell.status == "cancelled" else "red"
    lines = [Text(failure_line(record.error), style=style)]
    lines += [Text(sanitize_line(line), style="dim") for line in record.error.stderr[-STDERR_LINES:]]
    return [Text(), *lines] if cell.text.strip() else lines


def _footer(cell: Cell) -> list[str]:
    parts = numbers(cell.steps)
    if cell.engine and cell.engine.safe_mode:
        parts.append("safe mode")
    return parts


def pack(parts: Sequence[str], width: int) -> list[str]:
    """Put parts on lines, with dots between them; a part is never broken unless it is wider than a line."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(DOT) + len(part) <= width:
            lines[-1] += DOT + part
        else:
            lines.append(part)
    return lines
