"""Going on from answers: from another token in one, or with a further turn of the conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptlab.app.lab import Lab
from promptlab.app.run import TOP, Run
from promptlab.app.tokens import the_model
from promptlab.core import conversation
from promptlab.core.conversation import Origin, origin_of
from promptlab.core.job import Job
from promptlab.core.prompt import Prompt
from promptlab.core.record import Record
from promptlab.core.tokens import Pieces, begun
from promptlab.errors import PromptlabError, UsageError


def branch(lab: Lab, record: Record, step: int, token: int, id: int, pieces: Pieces) -> Run:
    """Go on from an answer up to a token, with another token in its place, on the same model.

    What the answer had to be (choices, a schema, a grammar) is not asked of the rest of one, and later steps of a
    program are not run. Raises UsageError where no text can begin so, ModelMissing, RenderError and StoreError.
    """
    try:
        text = begun(record.steps[step], token, id, pieces)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return _run(lab, [(record, *conversation.branch(record, step, token, id, text))])


def next_turns(lab: Lab, records: Sequence[Record], text: str) -> Run:
    """Say something more after the answer of each record, on its own model.

    Raises UsageError, ModelMissing, RenderError and StoreError.
    """
    if not text.strip():
        raise UsageError("there is nothing to say: the turn is empty")
    if refused := next((each for each in records if each.error is not None or not each.steps), None):
        raise UsageError(f"{refused.model.name}: there is no finished answer to go on from")
    return _run(lab, [(record, *conversation.next_turn(record, text)) for record in records])


def _run(lab: Lab, rows: Sequence[tuple[Record, Prompt, Mapping[str, str]]]) -> Run:
    jobs: list[Job] = []
    for record, prompt, inputs in rows:
        job = Job(len(jobs), prompt, inputs, the_model(lab, record.model, record.engine), sample=0)
        if any(each.model.name == job.model.name and each.model != job.model for each in jobs):
            raise UsageError(
                f"{job.model.name} was not the same model for all of these answers; go on from them one by one"
            )
        job.options()
        lab.sandbox.step(prompt, inputs, ())
        jobs.append(job)
    _ = lab.store  # a history that cannot be opened is said now, not after the answers
    return Run(lab, jobs, log=True, top=TOP)


@dataclass(frozen=True, slots=True)
class Descent:
    """What a record goes on from."""

    origin: Origin
    parent: Record | None
    """None where the history does not have it any more."""
    other_tokens: int | None = None
    """Of a branch: the first token, of all that was read, that is not the one that the answer before had there. A text
    is cut into tokens again, and not always in the same places."""


def descent(lab: Lab, record: Record) -> Descent | None:
    """Look up what a record goes on from; None where it does not."""
    origin = origin_of(record.prompt)
    if origin is None:
        return None
    try:
        parent = lab.store.get(origin.record)
    except PromptlabError:
        return Descent(origin, None)
    return Descent(origin, parent, _other_tokens(record, parent, origin))


def _other_tokens(record: Record, parent: Record, origin: Origin) -> int | None:
    """Where a branch read other tokens than the answer that it begins with was made of."""
    if origin.token is None or origin.id is None or not record.steps or not 0 <= origin.step < len(parent.steps):
        return None
    step = parent.steps[origin.step]
    wanted = (*step.prompt_ids, *(each.id for each in step.tokens[: origin.token]), origin.id)
    read = record.steps[0].prompt_ids
    pairs = enumerate(zip(wanted, read, strict=False))
    different = next((i for i, (a, b) in pairs if a != b), min(len(wanted), len(read)))
    return None if different == len(wanted) == len(read) else different
