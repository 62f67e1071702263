"""What the history screen asks of the lab. Runs in the lab's thread, where imports may be slow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptlab.app.history import Exported, Found
    from promptlab.app.lab import Lab
    from promptlab.app.reopen import Opened
    from promptlab.app.run import Run
    from promptlab.core.record import Record
    from promptlab.core.search import Hit
    from promptlab.tui.desk import Task

FIRST = 40
"""Runs that a search shows at once."""


def find_runs(line: str, first: int, lab: Lab, task: Task[Found]) -> Found:
    """Search for what a line says."""
    from promptlab.app.history import look
    from promptlab.core.search import read_search

    return look(lab, read_search(line), first)


def find_more(found: Found, ids: Sequence[str], lab: Lab, task: Task[tuple[Hit, ...]]) -> tuple[Hit, ...]:
    """Look at more of what was found."""
    from promptlab.app.history import look_on

    return look_on(lab, found.wanted, ids)


def record_of(id: str, lab: Lab, task: Task[Record]) -> Record:
    """Read a record."""
    from promptlab.app.runs import show_run

    return show_run(lab, id)


def reopen_run(id: str, lab: Lab, task: Task[Opened]) -> Opened:
    """A record with the others of its run, as cells."""
    from promptlab.app.reopen import reopen

    return reopen(lab, id)


def reopen_runs(ids: Sequence[str], lab: Lab, task: Task[Opened]) -> Opened:
    """Records as cells."""
    from promptlab.app.reopen import reopen_all

    return reopen_all(lab, ids)


def again_run(ids: Sequence[str], lab: Lab) -> Run:
    """The same asked once more."""
    from promptlab.app.reopen import again

    return again(lab, ids)


def replay_runs(ids: Sequence[str], lab: Lab, task: Task[None]) -> None:
    """Ask again; each verdict is told as soon as it is there."""
    from promptlab.app.replay import replay

    for verdict in replay(lab, ids, lambda: task.cancelled):
        task.say(verdict)


def pin_runs(ids: Sequence[str], lab: Lab, task: Task[bool]) -> bool:
    """Pin or unpin; says whether they are pinned now."""
    from promptlab.app.history import pin

    return pin(lab, ids)


def count_pinned(ids: Sequence[str], lab: Lab, task: Task[int]) -> int:
    """How many are pinned."""
    from promptlab.app.history import pinned

    return pinned(lab, ids)


def delete_runs(ids: Sequence[str], lab: Lab, task: Task[int]) -> int:
    """Delete for good; says how many there were."""
    from promptlab.app.history import delete

    return delete(lab, ids)


def export_runs(ids: Sequence[str], name: str, lab: Lab, task: Task[Exported]) -> Exported:
    """Write to a file that is not there yet."""
    from promptlab.app.history import export_new

    return export_new(lab, ids, name)
