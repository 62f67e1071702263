"""A comparison in GitHub's Markdown: the tables, and what failed, in full."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from promptlab.core.baseline import Regressions
from promptlab.core.compare import Comparison, Result
from promptlab.core.schema import shorten
from promptlab.core.text import sanitize, sanitize_line
from promptlab.views.answer import failure_line, output_text
from promptlab.views.comparison import NO_CASE, column_names, counted
from promptlab.views.sections import Layout, Section, comparison_page, regressions_page
from promptlab.views.table import Grid

MAX_CASES = 200
"""Up to so many, the matrix has every case; of more, those that tell something."""
MAX_FAILURES = 20
MAX_OUTPUT = 2_000
"""Characters of an answer that failed."""

MAX_REASON = 300

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$&#]")
_TICKS = re.compile("`+")
_MENTION = re.compile(r"(?<![A-Za-z0-9])@")


def write_markdown(comparison: Comparison, regressions: Regressions | None = None) -> str:
    """Write it as a document: what became of a baseline, then the summary, then the rest."""
    page = comparison_page(comparison, Layout(all_cases=len(comparison.cases) <= MAX_CASES))
    blocks = ["# Comparison"]
    baseline = reversed(regressions_page(regressions)) if regressions else ()
    for section in (*baseline, *page.summary, *page.details):
        blocks += _section(section)
    blocks += _failures(comparison)
    return "\n\n".join(blocks) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(section.title)}"
    yield from map(as_markdown, section.grids)
    yield from map(escape, section.notes)


def as_markdown(table: Grid) -> str:
    """A table."""
    rules = ["---:" if i in table.right else ":---" for i in range(len(table.headers))]
    return "\n".join(map(_line, (map(escape, table.headers), rules, *(map(escape, row) for row in table.rows))))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """A line of text in which Markdown sees nothing but text, and GitHub nobody to notify."""
    return _MENTION.sub("@&#8203;", _SPECIAL.sub(r"\\\g<0>", sanitize_line(text)))


def fenced(text: str) -> str:
    """A block of text, safe to show."""
    return fence(sanitize(text))


def fence(text: str) -> str:
    """A block of text as it is: between lines of more backticks than stand together in it."""
    line = "`" * max([3, *(len(run) + 1 for run in _TICKS.findall(text))])
    return f"{line}\n{text}\n{line}"


def _failures(comparison: Comparison) -> Iterator[str]:
    """What failed: why, and what was said."""
    failed = [each for each in comparison.results if each.state in ("fail", "error")]
    if failed:
        yield "## What failed"
    names = column_names(comparison)
    for each in failed[:MAX_FAILURES]:
        yield from _failure(comparison, each, names[each.column])
    if len(failed) > MAX_FAILURES:
        yield f"and {counted(len(failed) - MAX_FAILURES, 'answer')} more."


def _failure(comparison: Comparison, result: Result, column: str) -> Iterator[str]:
    case = comparison.cases[result.case].id or NO_CASE
    yield f"### {escape(f'{case}, {column}, sample {result.sample + 1}')}"
    if result.record.error:
        yield f"Error: {escape(failure_line(result.record.error))}"
        return
    failed = (each for each in result.verdict.checks if each.outcome == "fail")
    yield from (f"Failed {escape(each.type)}: {escape(shorten(each.reason, MAX_REASON))}" for each in failed)
    text = output_text(result.record.output)
    yield fenced(text[:MAX_OUTPUT] + ("…" if len(text) > MAX_OUTPUT else ""))
