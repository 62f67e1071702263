"""Rows to a table: aligned text for a pipe, a rich table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from promptlab.core.text import sanitize_line

GAP = "  "
LEAST_LAST = 20
"""Cells of the last column for which spare ones are left out, where it has any use for them."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Headers and rows, all of them text that is safe to show."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    """Columns with numbers."""
    cut_last: bool = False
    """On a terminal, the last column is cut rather than folded."""
    spare: tuple[int, ...] = ()
    """Columns that are left out, the first one first, on a terminal too narrow for all."""


def grid(
    headers: Iterable[str],
    rows: Iterable[Iterable[str]],
    right: Iterable[int] = (),
    *,
    cut_last: bool = False,
    spare: Iterable[int] = (),
) -> Grid:
    """Make a grid; whatever could move a cursor becomes visible."""
    safe = tuple(tuple(sanitize_line(cell) for cell in row) for row in rows)
    return Grid(tuple(headers), safe, frozenset(right), cut_last, tuple(spare))


def as_text(table: Grid) -> str:
    """Columns aligned with spaces, a line for each row; nothing is cut."""
    lines = [table.headers, *table.rows]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(table.headers))]
    return "".join(_line(line, widths, table.right) + "\n" for line in lines)


def _line(cells: tuple[str, ...], widths: list[int], right: frozenset[int]) -> str:
    padded = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (width - cell_len(cell))
        padded.append(space + cell if i in right else cell + space)
    return GAP.join(padded).rstrip()


def as_rich(table: Grid, width: int) -> Table:
    """A table for a terminal of this width: spare columns may go, long cells fold, or the last one is cut."""
    table = _fitting(table, width)
    result = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for i, header in enumerate(table.headers):
        result.add_column(Text(header), justify="right" if i in table.right else "left", overflow="fold")
    for row in table.rows:
        cells = [Text(cell) for cell in row]
        if table.cut_last:
            cells[-1].truncate(max(_left_for_last(table, width), 8), overflow="ellipsis")
        result.add_row(*cells)
    return result


def _left_for_last(table: Grid, width: int) -> int:
    lines = [table.headers, *table.rows]
    others = sum(max(cell_len(line[i]) for line in lines) + len(GAP) for i in range(len(table.headers) - 1))
    return width - others


def _fitting(table: Grid, width: int) -> Grid:
    """Without as many spare columns as it takes to leave room for the last one."""
    wanted = max(cell_len(line[-1]) for line in (table.headers, *table.rows))
    if not table.spare or _left_for_last(table, width) >= min(wanted, LEAST_LAST):
        return table
    gone, *spare = table.spare
    kept = [i for i in range(len(table.headers)) if i != gone]
    rows = [[row[i] for i in kept] for row in table.rows]
    right, left = ([kept.index(i) for i in some if i != gone] for some in (table.right, spare))
    headers = [table.headers[i] for i in kept]
    return _fitting(grid(headers, rows, right, cut_last=table.cut_last, spare=left), width)


def size(number: int | None) -> str:
    """A number of bytes for a reader: `253.1 MB`."""
    if number is None:
        return ""
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
