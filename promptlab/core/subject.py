"""An answer that is looked at closer: one of a run that may still go on, or one of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlab.core.agreement import Said, Split, agreement_matrix, split
from promptlab.core.chat import template_hash
from promptlab.core.conversation import origin_of
from promptlab.core.events import Engine
from promptlab.core.record import Cell, ModelRef, Record, Status, Step
from promptlab.core.tokens import Parting, Pieces, part
from promptlab.core.words import Stretch, compare_words


@dataclass(frozen=True, slots=True)
class Subject:
    """An answer, as far as it has come."""

    label: str
    """Of the prompt's version."""
    prompt: str
    """The version's hash."""
    title: str
    """What a reader calls the model."""
    model: ModelRef
    engine: Engine | None
    sample: int
    inputs: Mapping[str, Any]
    steps: tuple[Step, ...]
    status: Status
    record: Record | None
    """None while it is being written."""

    @property
    def column(self) -> tuple[str, str]:
        """What samples of one column have in common."""
        return self.prompt, self.model.name

    @property
    def weights(self) -> str:
        """What tells models apart, and their tokens."""
        return self.model.sha256 or self.model.name

    @property
    def text(self) -> str:
        """The answer: the text of the last step, and of a branch what it began with, too."""
        said = self.steps[-1].text if self.steps else ""
        output = self.record.output if self.record else None
        return output if isinstance(output, str) and output.endswith(said) else said

    @property
    def is_begun(self) -> bool:
        """Whether its last answer goes on from a text that it was given."""
        return bool(self.steps) and self.steps[-1].messages[-1].role == "assistant"


def of_cell(cell: Cell) -> Subject:
    """Look at a cell."""
    job = cell.job
    template = template_hash(cell.template) if cell.template else None
    return Subject(
        label=job.prompt.label,
        prompt=job.prompt.hash,
        title=job.model.title or job.model.name,
        model=cell.record.model if cell.record else ModelRef(job.model.name, job.model.sha256, template),
        engine=cell.engine or (cell.record.engine if cell.record else None),
        sample=job.sample,
        inputs=job.inputs,
        steps=cell.steps,
        status=cell.status,
        record=cell.record,
    )


def of_record(record: Record) -> Subject:
    """Look at a record."""
    status: Status = "done"
    if record.error is not None:
        status = "cancelled" if record.error.type == "Cancelled" else "failed"
    return Subject(
        label=record.prompt.label,
        prompt=record.prompt.hash,
        title=record.model.name,
        model=record.model,
        engine=record.engine,
        sample=record.sample,
        inputs=record.inputs,
        steps=record.steps,
        status=status,
        record=record,
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """Who says the same, of some answers."""

    split: Split
    columns: tuple[tuple[str, str], ...]
    """Label and model of each column."""
    matrix: tuple[tuple[float | None, ...], ...]
    """How probable it is that an answer of one column says the same as one of another."""
    left_out: int
    """Answers that are not finished, or failed."""
    inputs: int
    """How many different values they were given: with more than one they answer different questions. Answers that go on
    from another one have inputs of their own, which are not counted.
    """
    going_on: int = 0
    """Answers that go on from another one."""


def agreement(subjects: Sequence[Subject]) -> Agreement:
    """Put the answers together that say the same."""
    finished = [(each, each.record) for each in subjects if each.record is not None and each.record.error is None]
    keys = list(dict.fromkeys(each.column for each, _ in finished))
    names = {each.column: (each.label, each.title) for each, _ in finished}
    counts = dict.fromkeys(keys, 0)
    answers: list[Said] = []
    for each, record in finished:
        answers.append(Said(keys.index(each.column), counts[each.column], record.output))
        counts[each.column] += 1
    found = split("", answers)
    prompts = {record.prompt.hash: record.prompt for _, record in finished}
    first = {hash for hash, prompt in prompts.items() if origin_of(prompt) is None}
    own = [each for each, record in finished if record.prompt.hash in first]
    inputs = len({repr(sorted(each.inputs.items())) for each in own})
    matrix = agreement_matrix(len(keys), [found])
    columns = tuple(names[key] for key in keys)
    return Agreement(found, columns, matrix, len(subjects) - len(finished), inputs, len(finished) - len(own))


@dataclass(frozen=True, slots=True)
class Difference:
    """Two answers, compared."""

    stretches: tuple[Stretch, ...] | None
    """None where they have too little in common to be marked."""
    parting: Parting | None
    """Where their tokens part."""
    note: str
    """Why no such token can be named; empty where one is, and where they are the same."""
    same: str = ""
    """How exactly they are the same, where they are."""


def difference(a: Subject, b: Subject, pieces: Mapping[str, Pieces | str]) -> Difference:
    """Compare the last answers of two subjects. `pieces`, by the weights, may be why there are none."""
    marked = compare_words(a.text, b.text)
    if not (a.steps and b.steps and a.steps[-1].tokens and b.steps[-1].tokens):
        return Difference(marked, None, "one of the answers has no tokens that could be compared")
    found = [pieces.get(each.weights, "its tokens have not been read") for each in (a, b)]
    if unread := [f"{each.title}: {p}" for each, p in zip((a, b), found, strict=True) if isinstance(p, str)]:
        return Difference(marked, None, f"the tokens cannot be compared: {unread[0]}")
    both = tuple(each for each in found if isinstance(each, Pieces))
    if a.is_begun != b.is_begun:
        return Difference(
            marked, None, "one of them goes on from a text that it was given, so they begin in other places"
        )
    parting = part(a.steps[-1], b.steps[-1], (both[0], both[1]), same_model=a.weights == b.weights)
    if parting is None:
        same = "token for token" if a.weights == b.weights else "letter for letter"
        return Difference(marked, None, "", same)
    return Difference(marked, parting, "")
