"""Score: how likely texts are to models, as an answer to a prompt or by themselves. Nothing is drawn.

A text is scored as it is, right after what the model reads up to where its answer begins. That the answer would end
there is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.loading import absent, missing, refuse_servers
from promptlab.app.measure import Measuring
from promptlab.app.run import complete_inputs
from promptlab.core.events import Failure
from promptlab.core.likelihood import Likelihood, likelihoods
from promptlab.core.program import Ask, Message
from promptlab.core.schema import shorten
from promptlab.core.verdict import Want
from promptlab.errors import UsageError
from promptlab.files.models import answering


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be scored."""

    texts: tuple[str, ...]
    messages: tuple[Message, ...] = ()
    """The conversation before the texts; none for texts by themselves."""
    origin: str = ""
    """Where the text comes from, in words; empty where it was given."""


def by_themselves(texts: Sequence[str]) -> Subject:
    """Texts with nothing before them. Raises UsageError."""
    return Subject(_checked(texts))


def as_answers(lab: Lab, name: str, given: Mapping[str, Any], texts: Sequence[str]) -> Subject:
    """Texts as answers to the first question of a prompt; without any, the choices that it gives.

    Raises UsageError and RenderError.
    """
    prompt = lab.library.load(name)
    ask = lab.sandbox.step(prompt, complete_inputs(lab, prompt, given), ())
    if not isinstance(ask, Ask):
        raise UsageError(f"{prompt.name} asks nothing with these values, so no text can be an answer to it")
    if not texts and ask.constraint is not None and ask.constraint.kind == "choices":
        return Subject(_checked(ask.constraint.value), ask.messages, f"the choices of {prompt.label}")
    return Subject(_checked(texts), ask.messages)


def as_recorded(lab: Lab, id: str) -> Subject:
    """The last answer of a record, after what it was an answer to. Raises NotFound, UsageError and StoreError."""
    record = lab.store.get(id)
    if not record.steps or not record.steps[-1].text:
        raise UsageError(f"the record {record.id} holds no answer that could be scored")
    step = record.steps[-1]
    return Subject((step.text,), step.messages, f"the answer of {record.model.name} to {record.prompt.label}")


def score(lab: Lab, subject: Subject, names: Sequence[str]) -> list[Likelihood]:
    """Score texts under the models named, or the default ones: model by model, and text by text.

    A model that fails is a value with an error; the others go on. Takes the engine's events: not for use while a run
    goes on. Raises NotFound, ModelMissing and SourceError.
    """
    models = answering(lab.models, names)
    files = [model for model in models if model.server is None]
    if names or not files:
        refuse_servers(models, "scoring a text")
    models = files
    if gone := absent(models):
        raise missing(gone)
    wants = [Want(model.name, subject.messages, subject.texts) for model in models]
    found: dict[str, tuple[Likelihood, ...]] = {}
    for want, scores in Measuring(lab, wants, {model.name: model for model in models}).results():
        if isinstance(scores, tuple):
            found[want.model] = likelihoods(want.model, subject.texts, scores)
            continue
        assert isinstance(scores, Failure)  # vectors were not asked for
        found[want.model] = tuple(Likelihood(want.model, text, error=scores) for text in subject.texts)
    return [each for model in models for each in found[model.name]]


def _checked(texts: Sequence[str]) -> tuple[str, ...]:
    if not texts:
        raise UsageError("there is no text to score", hint="Give one with --text")
    for i, text in enumerate(texts):
        if not text:
            raise UsageError("a text to score is empty")
        if text in texts[:i]:
            raise UsageError(f"the text {shorten(repr(text))} is given twice")
    return tuple(texts)
