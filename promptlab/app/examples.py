"""Keep an answer as a worked example in its prompt: few-shot, as the field says.

The file is changed whole or not at all, and only once the prompt has been checked, and rendered, as it would then be.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from promptlab.app.lab import Lab
from promptlab.app.new import free_path
from promptlab.app.run import complete_inputs
from promptlab.core.formats import parse_file
from promptlab.core.prompt import Prompt
from promptlab.core.record import Record
from promptlab.errors import Problem, RenderError, SourceError, UsageError
from promptlab.files.changing import change


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example, ready to be written into its prompt."""

    prompt: str
    """Its name."""
    file: str
    """Its path below prompts/."""
    old: str
    """What the file says."""
    new: str
    changes: tuple[str, ...]
    """The hunks of a unified diff."""


def draft_example(lab: Lab, record: Record) -> Example:
    """Put the first question of a record and its answer into the working copy of its prompt; nothing is written yet.

    Raises UsageError, with one line that says why not; NotFound, SourceError and RenderError.
    """
    if record.error is not None or not record.steps:
        raise UsageError("only an answer that is there can be an example")
    question, answer = _spoken(record)
    prompt = lab.library.load(record.prompt.name)
    free_path(lab, prompt.file)
    new = lab.sandbox.add_example(prompt.file, prompt.source, question, answer)
    try:
        new.encode()
    except UnicodeEncodeError:
        raise UsageError("the question or the answer is no Unicode text") from None
    _check(lab, prompt.file, new)
    _prove_example(lab, record, prompt, new, (question.strip(), answer.strip()))
    changes = tuple(lab.sandbox.diff(prompt.file, prompt.source, new))
    return Example(prompt.name, prompt.file, prompt.source, new, changes)


def write_example(lab: Lab, example: Example) -> str:
    """Write it. Gives the file's path from the working folder. Raises UsageError and StoreError."""
    path = free_path(lab, example.file)
    label = os.path.relpath(path)
    if not lab.library.disk.holds(path):
        raise UsageError(f"{label} is a link that leads out of the library")
    change(path, label, example.old, example.new)
    return label


def _spoken(record: Record) -> tuple[str, str]:
    """What the user said first, and what the assistant answered, begun answers included. Raises UsageError."""
    step = record.steps[0]
    if "." in step.name:
        raise UsageError(f"the first question is asked by the prompt that {record.prompt.name} calls")
    *before, last = step.messages
    begun = last.content if last.role == "assistant" else ""
    asked = before[-1] if last.role == "assistant" and before else last
    if asked.role != "user":
        raise UsageError("the first question does not end with what the user says, so it is no question and answer")
    return asked.content, begun + step.text


def _check(lab: Lab, file: str, text: str) -> None:
    """Raises SourceError with what the checker finds wrong."""
    if wrong := [each for each in lab.library.check_text(file, text) if each.severity == "error"]:
        raise SourceError(Problem(each.file, each.line, each.column, each.message) for each in wrong[:1])


def _prove_example(lab: Lab, record: Record, prompt: Prompt, new: str, pair: tuple[str, str]) -> None:
    """See that the prompt asks what it asked, with the example before its question. Raises UsageError."""
    inputs = complete_inputs(lab, prompt, record.inputs)
    then = parse_file(new, prompt.file).with_partials(prompt.partials)
    asked, asks = (lab.sandbox.step(each, inputs, ()).messages for each in (prompt, then))
    users = [number for number, message in enumerate(asked) if message.role == "user"]
    said = [(message.role, message.content) for message in asked]
    shown = [("user", pair[0]), ("assistant", pair[1])]
    if any(said[at : at + 2] == shown for at in users):
        raise UsageError(f"{prompt.file} has this example already")
    at = users[-1] if users else 0
    if [(message.role, message.content) for message in asks] != [*said[:at], *shown, *said[at:]]:
        raise RenderError(f"{prompt.file}: it is not clear where an example would stand; write it by hand")
