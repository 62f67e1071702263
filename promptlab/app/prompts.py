"""Prompts: list, look at, and show the messages that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.loading import refuse_servers
from promptlab.app.models import one_model
from promptlab.app.run import POLL_S, complete_inputs, write
from promptlab.core import schema
from promptlab.core.events import Failed, Ready, Vocabulary
from promptlab.core.job import Model
from promptlab.core.program import Ask, Message, Transcript
from promptlab.core.prompt import Input, Prompt
from promptlab.core.schema import shorten
from promptlab.errors import EngineError, ModelMissing, PromptlabError, UsageError
from promptlab.files.folder import Folder
from promptlab.files.gguf import check_header
from promptlab.files.library import Entry
from promptlab.files.models import present
from promptlab.files.paths import find_library, working_folder
from promptlab.files.versions import Logged as Logged


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt as a list shows it."""

    name: str
    description: str
    inputs: tuple[str, ...]
    problem: str | None
    """Why its file cannot be read; None when it can."""


@dataclass(frozen=True, slots=True)
class InputRow:
    """One value that a prompt takes."""

    name: str
    type: str
    required: bool
    default: Any
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PromptPage:
    """Everything about a prompt."""

    name: str
    label: str
    hash: str
    commit: str | None
    dirty: bool | None
    inputs: tuple[InputRow, ...]
    source: str
    signature: str
    description: str
    options: Mapping[str, Any]
    partials: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rendered:
    """The messages of a program's first question; with a model also exactly what it reads."""

    messages: tuple[Message, ...]
    text: str | None = None
    tokens: tuple[int, ...] | None = None


def entries(lab: Lab) -> list[Entry]:
    """All prompts as they are, for a form to be made of; a file that cannot be read is an entry with a problem.

    Whoever fills a form runs next, so the sandbox gets ready meanwhile.
    """
    lab.sandbox.warm()
    return lab.library.entries()


def list_prompts(lab: Lab) -> list[PromptRow]:
    """All prompts of the library; one that cannot be read is in the list with its problem."""
    return [
        PromptRow(e.name, e.description, tuple(i.name for i in e.prompt.inputs) if e.prompt else (), e.problem or None)
        for e in lab.library.entries()
    ]


def show_prompt(lab: Lab, name: str) -> PromptPage:
    """One prompt. Raises NotFound and SourceError."""
    prompt = lab.library.load(name)
    return PromptPage(
        name=prompt.name,
        label=prompt.label,
        hash=prompt.hash,
        commit=prompt.commit,
        dirty=prompt.dirty,
        inputs=tuple(map(_input, prompt.inputs)),
        source=prompt.source,
        signature=prompt.signature,
        description=prompt.description,
        options=prompt.options,
        partials=prompt.partials,
    )


def render_prompt(lab: Lab, name: str, given: Mapping[str, Any], model: str | None = None) -> Rendered:
    """Write the messages of a program's first question; with a model, load it and write what it would read.

    Takes the engine's events while it waits for the model: not for use while a run goes on.
    Raises UsageError, RenderError and EngineError.
    """
    return render_prompts(lab, [lab.library.load(name)], given, model)[0]


def render_prompts(
    lab: Lab, prompts: Sequence[Prompt], given: Mapping[str, Any], model: str | None = None
) -> list[Rendered]:
    """The same for several prompts with the same values. Raises UsageError, RenderError and EngineError."""
    inputs = [complete_inputs(lab, prompt, given, prompts) for prompt in prompts]
    steps = [lab.sandbox.step(prompt, values, ()) for prompt, values in zip(prompts, inputs, strict=True)]
    if model is None:
        return [Rendered(step.messages) for step in steps]
    chosen, path = _on_disk(lab, model)
    vocabulary = _load(lab, chosen, path)
    return [_as_read(lab, chosen, vocabulary, step) for step in steps]


def _as_read(lab: Lab, model: Model, vocabulary: Vocabulary, step: Ask | Transcript) -> Rendered:
    if not isinstance(step, Ask):
        return Rendered(step.messages)
    formatted = write(lab.sandbox, model, vocabulary, step.messages)
    return Rendered(step.messages, formatted.text, lab.backend.tokenize(model.name, formatted.segments))


def log_prompt(lab: Lab, name: str) -> list[Logged]:
    """The versions of a prompt, the newest first. Raises NotFound, and UsageError where they cannot be counted."""
    if "@" in name:
        raise UsageError(f"{shorten(name)}: a log is of all versions; name the prompt without @")
    return lab.library.log(name)


def prompt_names(library: Path | None) -> list[str]:
    """Names for shell completion: opens no history and loads nothing. Empty when something is wrong."""
    try:
        return Folder(find_library(working_folder(), library)).names()
    except PromptlabError:
        return []


def _on_disk(lab: Lab, name: str) -> tuple[Model, Path]:
    model = one_model(lab, name)
    refuse_servers([model], "showing what a model reads")
    if (path := present(model)) is None:
        raise ModelMissing(
            f"model is not on disk: {model.name}", hint=f"Fetch it with `promptlab models pull {model.name}`"
        )
    return model, path


def _load(lab: Lab, model: Model, path: Path) -> Vocabulary:
    check_header(path)
    lab.backend.load(model, path)
    while True:
        match lab.backend.next_event(POLL_S):
            case Ready(model=name, vocabulary=vocabulary) if name == model.name:
                return vocabulary
            case Failed(model=name, seq=None, failure=failure) if name == model.name:
                raise EngineError(failure.message)


def _input(input: Input) -> InputRow:
    kind = schema.type_name(input.schema)
    return InputRow(input.name, kind, input.required, input.default, input.description, input.schema)
