"""A comparison as a page: its tables below titles, as many as say something, for a terminal and for a pipe.

The summary comes last there, as the end of an output is what stays in sight; a document begins with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from promptlab.core.baseline import Changes, Regressions, changes, version_pairs
from promptlab.core.compare import Comparison
from promptlab.core.text import sanitize_line
from promptlab.views.changes import changes_grid, changes_notes
from promptlab.views.comparison import (
    CASE_WIDTH,
    NARROW_CASE,
    UNICODE,
    Marks,
    agreement_grid,
    bias_line,
    column_names,
    columns_grid,
    headline,
    letters,
    likeness_grid,
    matrix_grid,
    matrix_notes,
    metrics_grid,
    pairs_grid,
    pairs_notes,
    splits_grid,
    unscored_notes,
    variants_lines,
)
from promptlab.views.table import GAP, LEAST_LAST, Grid, as_rich, as_text

MAX_VERSIONS = 4
"""Pairs of versions of which the cases are shown that changed; of more, only how many did."""
STYLES = {"better": "green", "worse": "red", "no longer holds": "red", "cannot tell": "dim"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How much is shown, and how."""

    width: int | None = None
    """Of the terminal; None in a pipe, where lines are as long as they are."""
    marks: Marks = UNICODE
    all_cases: bool = False
    """Every case and every pair, however many there are."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table below a title, and what is to be said about it. Nothing in it is text that could harm a terminal."""

    title: str
    grids: tuple[Grid, ...] = ()
    """One table; several where it is too wide for the terminal."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """All that a comparison has to say."""

    details: tuple[Section, ...]
    """Case by case, and who agrees with whom."""
    summary: tuple[Section, ...]
    """The columns, and which is better."""


def comparison_page(comparison: Comparison, layout: Layout | None = None) -> Page:
    """Put together the tables that say something."""
    layout = layout or Layout()
    names = column_names(comparison)
    keys = () if _fit(comparison, names, layout) else letters(len(names))
    short = keys or names
    details = (
        _legend(keys, names),
        _matrix(comparison, short, layout),
        *_versions(comparison, layout),
        _splits(comparison, short),
        _agreement(comparison, short, layout),
        _likeness(comparison, short, layout),
        _metrics(comparison, short, layout),
    )
    summary = (_columns(comparison, keys, layout), _pairs(comparison, short, layout))
    return Page(tuple(filter(None, details)), tuple(filter(None, summary)))


def picture(comparison: Comparison, width: int, found: Regressions | None = None) -> tuple[Section, ...]:
    """What many columns come to together, for a place where cases and agreement are drawn in other ways.

    With `found`, also what became of a baseline.
    """
    layout = Layout(width, all_cases=True)
    names = column_names(comparison)
    fit = all(width_of(each) <= width for each in (splits_grid(comparison, names), pairs_grid(comparison, names)))
    keys = () if fit else letters(len(names))
    short = keys or names
    sections = (
        _columns(comparison, keys, layout),
        _pairs(comparison, short, layout),
        *(regressions_page(found, layout) if found else ()),
        _splits(comparison, short),
        _likeness(comparison, short, layout),
        _metrics(comparison, short, layout),
    )
    return tuple(filter(None, sections))


def regressions_page(found: Regressions, layout: Layout | None = None) -> tuple[Section, ...]:
    """What became of a baseline: each column that it has, and at the end whether any got worse."""
    layout = layout or Layout()
    notes = [f"Not in the baseline: {', '.join(found.new)}."] if found.new else []
    notes += [f"Only in the baseline: {', '.join(found.gone)}."] if found.gone else []
    columns = (_changes(f"{each.now.name} since the baseline", each, layout) for each in found.columns)
    return (*columns, Section(regressions_line(found), (), tuple(map(sanitize_line, notes))))


def regressions_line(found: Regressions) -> str:
    """Whether anything got worse than a baseline."""
    worse = [each.now.name for each in found.columns if each.worse]
    names = sanitize_line(", ".join(worse))
    return f"Worse than the baseline: {names}" if worse else "Nothing is worse than the baseline"


# --- its sections ----------------------------------------------------------------------------------------------------


def _fit(comparison: Comparison, names: Sequence[str], layout: Layout) -> bool:
    """Whether the tables that name columns fit when they do so in full."""
    if layout.width is None:
        return True
    named = [
        fitting(pairs_grid(comparison, names, everything=layout.all_cases), layout.width),
        matrix_grid(comparison, names, all_cases=layout.all_cases, one_by_one=False, case_width=NARROW_CASE),
        agreement_grid(comparison, names),
        splits_grid(comparison, names),
    ]
    return all(width_of(each) <= layout.width for each in named)


def _legend(keys: Sequence[str], names: Sequence[str]) -> Section | None:
    lines = tuple(f"{key}  {name}" for key, name in zip(keys, names, strict=True)) if keys else ()
    return Section("Columns", (), lines) if lines else None


def _matrix(comparison: Comparison, names: Sequence[str], layout: Layout) -> Section | None:
    if all(each.state == "unscored" for each in comparison.results):
        return None
    tries = [
        matrix_grid(
            comparison, names, all_cases=layout.all_cases, marks=layout.marks, one_by_one=one_by_one, case_width=width
        )
        for one_by_one, width in ((True, CASE_WIDTH), (True, NARROW_CASE), (False, NARROW_CASE))
    ]
    fit = [each for each in tries if layout.width is None or width_of(each) <= layout.width]
    found = fit[0] if fit else min(tries, key=width_of)
    return Section("Case by case", blocks(found, layout.width), matrix_notes(comparison, found, layout.marks))


def _versions(comparison: Comparison, layout: Layout) -> Iterator[Section]:
    """What changed between versions of a prompt."""
    pairs = version_pairs(comparison)
    for pair in pairs:
        found = changes(comparison, pair)
        if found.rates.cases:
            title = f"{found.now.label} against {found.then.label} on {found.now.model}"
            section = _changes(title, found, layout)
            yield section if len(pairs) <= MAX_VERSIONS else Section(section.title, (), section.notes[-1:])


def _changes(title: str, found: Changes, layout: Layout) -> Section:
    table = changes_grid(found, everything=layout.all_cases)
    notes = changes_notes(found, everything=layout.all_cases)
    return Section(sanitize_line(title), (table,) if table.rows else (), tuple(map(sanitize_line, notes)))


def _splits(comparison: Comparison, names: Sequence[str]) -> Section | None:
    found = splits_grid(comparison, names)
    if not found.rows:
        return None
    if not _ever_agree(comparison):
        return Section("Where columns split", (), ("No two columns ever say the same, in these words.",))
    note = "AGREE is how probable it is that an answer of one column says the same as one of another."
    return Section("Where columns split most", (found,), (note,))


def _ever_agree(comparison: Comparison) -> bool:
    return any(share for i, row in enumerate(comparison.agreement) for share in row[:i])


def _agreement(comparison: Comparison, names: Sequence[str], layout: Layout) -> Section | None:
    if not _ever_agree(comparison):
        return None
    several = any(row[i] is not None for i, row in enumerate(comparison.agreement))
    note = ("On the diagonal: two samples of one column.",) if several else ()
    title = "How often two columns say the same, in percent"
    return Section(title, blocks(agreement_grid(comparison, names), layout.width), note)


def _likeness(comparison: Comparison, names: Sequence[str], layout: Layout) -> Section | None:
    bias = bias_line(comparison)
    found = likeness_grid(comparison, names)
    if not found.rows:
        return Section("The judge", (), (bias,)) if bias else None
    title = "How surprised each model is by the answers of each column, in bits for each byte"
    return Section(title, blocks(found, layout.width), (bias,) if bias else ())


def _metrics(comparison: Comparison, names: Sequence[str], layout: Layout) -> Section | None:
    found = metrics_grid(comparison, names)
    return Section("Mean scores by metric", blocks(found, layout.width)) if found.rows else None


def _columns(comparison: Comparison, keys: Sequence[str], layout: Layout) -> Section:
    found = fitting(columns_grid(comparison, keys), layout.width)
    notes = ["In brackets: the interval that holds the true pass rate 95 times of 100."]
    if all(each.pass_rate is None for each in comparison.summaries):
        notes = ["Nothing was scored."]
    notes += unscored_notes(comparison)
    notes += variants_lines(comparison)
    if "SECONDS" in found.headers:
        notes.append("TOKENS and SECONDS are those of an answer, on average.")
    return Section(headline(comparison), (found,), tuple(notes))


def _pairs(comparison: Comparison, names: Sequence[str], layout: Layout) -> Section | None:
    if not any(pair.rates.cases for pair in comparison.pairs):
        return None
    found = fitting(pairs_grid(comparison, names, everything=layout.all_cases), layout.width)
    notes = list(pairs_notes(comparison, everything=layout.all_cases))
    if "SCORE" in found.headers:
        notes.append("SCORE is the difference of the mean scores: a sign-flip test says whether it is better or worse.")
    return Section("Which is better", (found,) if found.rows else (), tuple(notes))


# --- drawing ---------------------------------------------------------------------------------------------------------


def width_of(table: Grid) -> int:
    """The cells that a table takes on a line; of a last column that can be cut, as many as it needs."""
    lines = [table.headers, *table.rows]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(table.headers))]
    if table.cut_last:
        widths[-1] = min(widths[-1], LEAST_LAST)
    return sum(widths) + len(GAP) * (len(widths) - 1)


def fitting(table: Grid, width: int | None) -> Grid:
    """A table without as many spare columns as it takes to fit."""
    if width is None or not table.spare or width_of(table) <= width:
        return table
    gone, *left = table.spare
    kept = [i for i in range(len(table.headers)) if i != gone]
    return fitting(replace(_part(table, kept), spare=tuple(kept.index(i) for i in left)), width)


def blocks(table: Grid, width: int | None) -> tuple[Grid, ...]:
    """A table in as many parts as it takes for each to fit. All of them have the first column."""
    if width is None or width_of(table) <= width:
        return (table,)
    parts, start = [], 1
    while start < len(table.headers):
        end = start + 1
        while end < len(table.headers) and width_of(_part(table, [0, *range(start, end + 1)])) <= width:
            end += 1
        parts.append(_part(table, [0, *range(start, end)]))
        start = end
    return tuple(parts)


def _part(table: Grid, kept: Sequence[int]) -> Grid:
    """Some of the columns."""
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    right = frozenset(kept.index(i) for i in table.right if i in kept)
    return Grid(tuple(table.headers[i] for i in kept), rows, right, table.cut_last)


def as_lines(found: Iterable[Section]) -> str:
    """Sections as text for a pipe; nothing is cut."""
    return "\n".join("".join(_lines(each)) for each in found)


def _lines(section: Section) -> Iterator[str]:
    yield section.title + "\n"
    yield "\n".join(as_text(each) for each in section.grids)
    yield from (note + "\n" for note in section.notes)


def as_group(found: Sequence[Section], layout: Layout) -> Group:
    """Sections for a terminal."""
    drawn: list[RenderableType] = []
    for section in found:
        drawn += [Text(), *_drawn(section, layout)]
    return Group(*drawn[1:])


def _drawn(section: Section, layout: Layout) -> Iterator[RenderableType]:
    yield Text(section.title, style="bold")
    for i, each in enumerate(section.grids):
        if i:
            yield Text()
        yield _coloured(as_rich(each, layout.width or 80), layout.marks)
    for note in section.notes:
        yield Text(note, style="dim")


def _coloured(table: Table, marks: Marks) -> Table:
    """Verdicts and marks in colour; the first column, which holds names, stays as it is."""
    drawn = {marks.passed: "green", marks.failed: "red", marks.error: "yellow"}
    for column in list(table.columns)[1:]:
        for cell in column.cells:
            if isinstance(cell, Text):
                _colour(cell, drawn)
    return table


def _colour(cell: Text, marks: dict[str, str]) -> None:
    if style := STYLES.get(cell.plain.rpartition(" ")[2] if cell.plain not in STYLES else cell.plain):
        cell.stylize(style)
    elif cell.plain and set(cell.plain) <= {*marks, UNICODE.unscored}:
        for i, mark in enumerate(cell.plain):
            cell.stylize(marks.get(mark, ""), i, i + 1)
