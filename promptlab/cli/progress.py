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

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
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
