"""Score: how likely texts are to models, as an answer to a prompt or by themselves. Nothing is drawn.

A text is scored as it is, right after what the model reads up to where its answer begins. That the answer would end
there is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.loading import missing
from promptlab.app.run import POLL_S, complete_inputs, write
from promptlab.core.chat import Segment
from promptlab.core.events import EngineEvent, Failed, Failure, Measured, Ready, Vocabulary
from promptlab.core.job import Model
from promptlab.core.likelihood import Likelihood, likelihoods
from promptlab.core.program import Ask, Message
from promptlab.core.schema import shorten
from promptlab.engine.backend import Measurement
from promptlab.errors import EngineError, PromptlabError, UsageError
from promptlab.files.gguf import check_header
from promptlab.files.models import present, select_models


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
    models = select_models(lab.models, names)
    if gone := [model for model in models if present(model) is None]:
        raise missing(gone)
    return _Session(lab, subject, models).results()


def _checked(texts: Sequence[str]) -> tuple[str, ...]:
    if not texts:
        raise UsageError("there is no text to score", hint="Give one with --text")
    for i, text in enumerate(texts):
        if not text:
            raise UsageError("a text to score is empty")
        if text in texts[:i]:
            raise UsageError(f"the text {shorten(repr(text))} is given twice")
    return tuple(texts)


class _Session:
    """Models while they score. Each is let go as soon as it is done, so that another may get its memory."""

    def __init__(self, lab: Lab, subject: Subject, models: Sequence[Model]) -> None:
        self._lab = lab
        self._subject = subject
        self._models = {model.name: model for model in models}
        self._held: set[str] = set()
        self._running: dict[int, str] = {}
        """The sequence of each model that is at work."""
        self._found: dict[str, tuple[Likelihood, ...]] = {}

    def results(self) -> list[Likelihood]:
        """Do it, and give what came of it in the order of the models."""
        try:
            for model in self._models.values():
                self._load(model)
            while len(self._found) < len(self._models):
                if event := self._lab.backend.next_event(POLL_S):
                    self._take(event)
        finally:  # only where it broke off is anything left to be done
            for seq, name in self._running.items():
                self._lab.backend.cancel(name, seq)
            for name in sorted(self._held):
                self._lab.backend.release(name)
        return [each for name in self._models for each in self._found[name]]

    def _load(self, model: Model) -> None:
        path = present(model)
        try:
            if path is None:
                raise EngineError(f"{model.name}: its file has gone from the model store")
            check_header(path)
        except PromptlabError as error:
            self._fail(model.name, Failure.of(error))
        else:
            self._held.add(model.name)
            self._lab.backend.load(model, path)

    def _take(self, event: EngineEvent) -> None:
        match event:
            case Ready(model=name) if name in self._held and name not in self._running.values():
                self._measure(self._models[name], event.vocabulary)
            case Measured(seq=seq, scores=scores) if name := self._running.pop(seq, ""):
                self._end(name, likelihoods(name, self._subject.texts, scores))
            case Failed(seq=int(seq), failure=failure) if name := self._running.pop(seq, ""):
                self._fail(name, failure)
            case Failed(model=name, seq=None, failure=failure) if name in self._held:
                self._fail(name, failure)

    def _measure(self, model: Model, vocabulary: Vocabulary) -> None:
        try:
            segments = self._before(model, vocabulary)
        except PromptlabError as error:
            self._fail(model.name, Failure.of(error))
            return
        seq = next(self._lab.sequences)
        self._running[seq] = model.name
        self._lab.backend.measure(Measurement(model.name, seq, segments, self._subject.texts))

    def _before(self, model: Model, vocabulary: Vocabulary) -> tuple[Segment, ...]:
        """What stands before the texts: for texts by themselves only the token that begins a text, where there is one.

        Raises RenderError and EngineError.
        """
        if self._subject.messages:
            return write(self._lab.sandbox, model, vocabulary, self._subject.messages).segments
        return (Segment(vocabulary.bos, control=True),) if vocabulary.bos else ()

    def _fail(self, name: str, failure: Failure) -> None:
        self._end(name, tuple(Likelihood(name, text, error=failure) for text in self._subject.texts))

    def _end(self, name: str, found: tuple[Likelihood, ...]) -> None:
        self._found[name] = found
        if name in self._held:
            self._held.remove(name)
            self._lab.backend.release(name)
