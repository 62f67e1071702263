"""What the closer views ask of the lab. Runs in the lab's threads, where imports may be slow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from promptlab.core import subject as core
from promptlab.core.subject import Agreement, Difference, Subject
from promptlab.core.tokens import Pieces
from promptlab.tui import closely
from promptlab.tui.widgets.transcript import Paragraph

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.run import Run
    from promptlab.core.events import Engine
    from promptlab.core.record import ModelRef, Record, Step
    from promptlab.tui.desk import Task


def read_tokens(model: ModelRef, engine: Engine | None, steps: Sequence[Step], lab: Lab, task: Task[Pieces]) -> Pieces:
    """What the tokens of some steps stand for."""
    from promptlab.app.tokens import read_pieces

    return read_pieces(lab, model, engine, steps, task.say, lambda: task.cancelled)


def find_difference(
    both: tuple[Subject, Subject], pieces: Mapping[str, Pieces | str], lab: Lab, task: Task[Difference]
) -> Difference:
    """In what two answers differ."""
    return core.difference(*both, pieces)


def find_agreement(subjects: Sequence[Subject], lab: Lab, task: Task[Agreement]) -> Agreement:
    """Who says the same."""
    return core.agreement(subjects)


def tell_seen(
    subject: Subject, pieces: Pieces | str | None, width: int, lab: Lab, task: Task[tuple[Paragraph, ...]]
) -> tuple[Paragraph, ...]:
    """All that a model was given."""
    from promptlab.app.branch import descent

    return closely.saw(subject, pieces, descent(lab, subject.record) if subject.record else None, width)


def branch_run(record: Record, step: int, token: int, id: int, pieces: Pieces, lab: Lab) -> Run:
    """An answer that goes on from another token."""
    from promptlab.app.branch import branch

    return branch(lab, record, step, token, id, pieces)
