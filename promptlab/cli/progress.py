"""How far a pull has come, on standard error: a bar on a terminal, otherwise a plain line every tenth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from promptlab.app.models import Progress, Tell
from promptlab.cli.output import console, say

_WORDS = {"wait": "waiting for another pull", "download": "downloading", "unzip": "unpacking", "verify": "checking"}


@contextmanager
def progress() -> Iterator[Tell]:
    """Give a function that shows each `Progress` it is told."""
    if not sys.stderr.isatty():
        yield _Lines().tell
        return
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    # One line at any width: what is being done gives way, the numbers do not.
    bars = Bars(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        BarColumn(bar_width=12, table_column=Column(width=12)),
        DownloadColumn(table_column=Column(no_wrap=True, min_width=17)),
        TransferSpeedColumn(table_column=Column(no_wrap=True, min_width=10)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        console=console(stderr=True),
        transient=True,
        expand=True,
    )
    shown: list[tuple[tuple[str, str, str], TaskID]] = []

    def tell(at: Progress) -> None:
        key = (at.model, at.phase, at.source)
        if not shown or shown[0][0] != key:  # one bar at a time: what was before is over
            if shown:
                bars.remove_task(shown.pop()[1])
            shown.append((key, bars.add_task(describe(at), total=at.total)))
        bars.update(shown[0][1], completed=at.done, total=at.total)

    with bars:
        yield tell


class _Lines:
    """A line when something begins, and for each further tenth of a download, which is what takes long."""

    def __init__(self) -> None:
        self._said: tuple[str, str, str, int] | None = None

    def tell(self, at: Progress) -> None:
        tenth = at.done * 10 // at.total if at.total and at.phase == "download" else 0
        now = (at.model, at.phase, at.source, tenth)
        if now != self._said:
            self._said = now
            say(f"{describe(at)} {f'{tenth * 10} %' if tenth else ''}".rstrip())


def describe(at: Progress) -> str:
    """What is being done, in a few words."""
    from promptlab.core.text import sanitize_line

    part = at.source.rpartition("/")[2]
    return sanitize_line(f"{at.model}: {_WORDS[at.phase]} {part}").rstrip()
