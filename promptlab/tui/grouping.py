"""Which answers stand in one column: the samples of one version of a prompt on one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from textual.content import Content

from promptlab.tui import show

if TYPE_CHECKING:
    from promptlab.core.job import Job
    from promptlab.core.record import Cell, Record

Key: TypeAlias = tuple[str, str, int]
"""Names a column in this run and the next: prompt, model, and which one of those that have both in common."""


class Group(NamedTuple):
    """What one column shows."""

    key: Key
    name: Content
    """What tells it from the others; safe to show."""
    places: tuple[int, ...]
    """Of its cells, among all."""


def groups(cells: Sequence[Cell]) -> tuple[Group, ...]:
    """Put the samples of one prompt on one model together. Where one comes twice, it is another column's."""
    found: list[list[int]] = []
    for place, cell in enumerate(cells):
        fitting = (group for group in found if _belongs(cell.job, [cells[i].job for i in group]))
        group = next(fitting, None)
        if group is None:
            found.append([place])
        else:
            group.append(place)
    first = [cells[group[0]].job for group in found]
    prompts = len({job.prompt.label for job in first}) > 1
    counts: dict[tuple[str, str], int] = {}
    made = []
    for job, group in zip(first, found, strict=True):
        pair = (job.prompt.label, job.model.name)
        counts[pair] = counts.get(pair, 0) + 1
        made.append(Group((*pair, counts[pair]), _name(job, prompts, counts[pair]), tuple(group)))
    return tuple(made)


def _belongs(job: Job, others: Sequence[Job]) -> bool:
    first = others[0]
    return (
        job.prompt.label == first.prompt.label
        and job.prompt.hash == first.prompt.hash
        and job.model.name == first.model.name
        and job.case == first.case
        and job.inputs == first.inputs
        and job.overrides == first.overrides
        and all(job.sample != other.sample for other in others)
    )


def _name(job: Job, prompts: bool, number: int) -> Content:
    # What differs stands first: a narrow column cuts the rest off.
    parts = [show.line(job.prompt.label)] if prompts else []
    parts.append(show.line(job.model.title or job.model.name, "bold"))
    return show.join([*parts, Content(f"#{number}" if number > 1 else "")], " ")


class Letters:
    """A letter for everything that was said: answers that say the same share one, and no others do. What was looked at
    is kept.
    """

    NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    def __init__(self) -> None:
        self._forms: dict[str, str] = {}
        """By the record's id."""

    def of(self, cells: Sequence[Cell]) -> tuple[str, ...]:
        """For each cell its letter, in the order of the cells; empty where there is no answer, or none yet."""
        letters: dict[str, str] = {}
        found = []
        for cell in cells:
            if cell.record is None or cell.record.error:
                found.append("")
                continue
            form = self._form(cell.record)
            if form not in letters:
                letters[form] = self._name(len(letters))
            found.append(letters[form])
        return tuple(found)

    def _name(self, number: int) -> str:
        """A to z, then A2 to z2, and so on."""
        round, place = divmod(number, len(self.NAMES))
        return self.NAMES[place] + (str(round + 1) if round else "")

    def _form(self, record: Record) -> str:
        from promptlab.core.agreement import same_form  # here, because nobody says anything before the first picture

        if record.id not in self._forms:
            self._forms[record.id] = same_form(record.output)
        return self._forms[record.id]
