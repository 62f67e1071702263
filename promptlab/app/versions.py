"""The versions of a prompt to choose from: the working copy, those that are counted, and the tags."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptlab.app.diff import Changed, diff_sources
from promptlab.app.lab import Lab
from promptlab.core.prompt import Input, Prompt
from promptlab.errors import PromptlabError
from promptlab.files.versions import Logged, Tag

MAX_SHOWN = 128 * 1024
"""Characters of a source that a preview shows."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version, as a list shows it."""

    label: str
    """What a run asks for: `explain`, `explain@3`, `explain@v1.0`."""
    date: str = ""
    """ISO 8601."""
    subject: str = ""
    """Of the commit that made it."""
    hash: str = ""
    """The version's identity."""
    tags: tuple[str, ...] = ()
    """Of that commit."""
    dirty: bool | None = None
    """Of a working copy, whether it differs from what is checked out; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The versions of a prompt, and why there are not more."""

    versions: tuple[Version, ...]
    """The working copy, then the newest first, then tags on other commits."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """A version to look at."""

    label: str
    source: str
    """As much as is shown."""
    changes: tuple[Changed, ...] = ()
    """What the working copy has changed since, in it and in what it uses."""
    problem: str = ""
    """Why it cannot be compared with the working copy."""


def list_versions(lab: Lab, name: str) -> Listing:
    """What can be chosen. Without git that is the working copy alone, and a line that says so."""
    here = _working_copy(lab, name)
    try:
        logged, tags = lab.library.log(name), lab.library.tags()
    except PromptlabError as error:
        return Listing((here,), error.message)
    counted = [_counted(name, each, tags) for each in logged]
    commits = {each.commit for each in logged}
    tagged = [Version(f"{name}@{tag.name}", tag.date, tag.subject) for tag in tags if tag.commit not in commits]
    return Listing((here, *counted, *tagged))


def load_versions(lab: Lab, labels: Sequence[str]) -> tuple[Prompt, ...]:
    """Read versions by their labels. Raises NotFound, UsageError, SourceError and StoreError."""
    return tuple(lab.library.load(label) for label in labels)


def preview_version(lab: Lab, name: str, label: str) -> Preview:
    """A version's source, and what is different now. Raises as `load_versions` does."""
    prompt = lab.library.load(label)
    shown = prompt.source[:MAX_SHOWN].replace("\r\n", "\n")
    if label == name:
        return Preview(label, shown)
    try:
        return Preview(label, shown, diff_sources(lab, label, name).changes)
    except PromptlabError as error:
        return Preview(label, shown, problem=error.message.partition("\n")[0])


def united(prompts: Sequence[Prompt], labels: Sequence[str]) -> Prompt:
    """The first of several versions, with the inputs of all of them: what a form asks for to run them all."""
    inputs: dict[str, list[Input]] = {}
    for each in (each for prompt in prompts for each in prompt.inputs):
        inputs.setdefault(each.name, []).append(each)
    return replace(prompts[0], inputs=tuple(map(_for_all, inputs.values())), label=", ".join(labels))


def _for_all(same: Sequence[Input]) -> Input:
    """What to ask for an input of several versions: as the first has it, with a default only if all have it."""
    first = same[0]
    if all(_default(each) == _default(first) for each in same):
        return first
    schema = {key: value for key, value in first.schema.items() if key != "default"}
    if schema.get("type") == "boolean":
        schema.setdefault("enum", [True, False])  # to choose from, or not: yes and no are not all that can be said
    required = any(each.required for each in same)
    return replace(first, schema=schema, required=required, varies=not required)


def _default(input: Input) -> tuple[bool, str]:
    """What is comparable of a default: 1, 1.0 and true are equal in Python."""
    return "default" in input.schema, json.dumps(input.default)


def _working_copy(lab: Lab, name: str) -> Version:
    try:
        prompt = lab.library.load(name)
    except PromptlabError:
        return Version(name)
    return Version(name, hash=prompt.hash, subject=prompt.label if prompt.label != name else "", dirty=prompt.dirty)


def _counted(name: str, logged: Logged, tags: Sequence[Tag]) -> Version:
    mine = tuple(tag.name for tag in tags if tag.commit == logged.commit)
    return Version(f"{name}@{logged.number}", logged.date, logged.subject, logged.hash, mine)
