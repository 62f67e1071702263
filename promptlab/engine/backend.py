"""What every engine can do: load models, take questions, say events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from promptlab.core.chat import Segment, template_hash
from promptlab.core.constraint import Constraint
from promptlab.core.events import Engine, EngineEvent
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.core.tape import Message


@dataclass(frozen=True, slots=True)
class Question:
    """One sequence to be generated."""

    model: str
    seq: int
    """Names it in every event; unique for as long as the engine lives."""
    segments: tuple[Segment, ...]
    """What the model reads; nothing where a server writes that by itself, out of `messages`."""
    options: Options
    seed: int
    top: int = 1
    """How many of the most likely tokens to report with each token drawn."""
    constraint: Constraint | None = None
    """What the answer must be; None for any text."""
    interactive: bool = True
    """Somebody waits for it: it starts before work that is not, whenever that was asked for."""
    messages: tuple[Message, ...] = ()
    """The conversation, for a server that knows its model's chat template; none where `segments` are all of it."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Texts whose probability after a prompt is wanted, or what they mean as vectors; nothing is generated."""

    model: str
    seq: int
    """As of a question."""
    segments: tuple[Segment, ...]
    """The prompt; it may be empty."""
    texts: tuple[str, ...]
    """Each stands right after the prompt, independent of the others."""
    interactive: bool = True
    embed: bool = False
    """Whether their vectors are wanted instead: of a model that was loaded for that, and without a prompt."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a model will be once it is loaded, as far as the keys of records need it."""

    engine: Engine
    template_hash: str | None
    """Of the chat template in its file."""

    @classmethod
    def of(cls, engine: Engine, template: str | None) -> Expected:
        """What it is, by the chat template in its file."""
        return cls(engine, template_hash(template) if template else None)

    def template_for(self, model: Model) -> str | None:
        """The hash of the chat template that is used: what models.yaml says goes before what is in the file."""
        return template_hash(model.chat_template) if model.chat_template else self.template_hash


class Backend(Protocol):
    """An engine. `load`, `ask` and `cancel` return at once; what comes of them is told by `next_event`.

    A `path` is the file of a model's weights; of a model that a server has, it is an empty one, and nobody looks at it.

    For each model loaded: `Loading` any number of times, then `Ready`, or `Failed` without a sequence. For each
    question to a model that is ready: `Started`, any number of `Token`, then `Answered`; or `Failed`. For each
    measurement: `Measured` (or `Embedded`), or `Failed`. When a model's process dies, each of its sequences gets its
    `Failed`, and then the model; it can be loaded again.

    Whoever loads a model holds it until `release`, or until the model fails. One that is held stays in memory, between
    two questions too, and for its sake another may have to wait with its loading. So whoever waits for a model must not
    hold others that have nothing left to do.
    """

    def load(self, model: Model, path: Path) -> None:
        """Load a model as soon as there is memory for it, or say `Ready` again if it is loaded; and hold it."""

    def expected(self, model: Model, path: Path) -> Expected | None:
        """What a model will be when it is loaded; None when that is not known before."""
        ...

    def release(self, model: str) -> None:
        """Hold a model no more, once for each `load`. Nobody's model may be taken out of memory, and loading it ends.

        Ignored when nobody holds it, so there is no harm in releasing one that has failed.
        """

    def ask(self, question: Question) -> None:
        """Generate a sequence. The model must be ready."""

    def measure(self, measurement: Measurement) -> None:
        """Score texts. The model must be ready."""

    def cancel(self, model: str, seq: int) -> None:
        """End a sequence early: its `Answered` says so, or a measurement's `Failed`. Unknown ones are ignored."""

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """The token ids that a model would read. The model must be ready. Raises EngineError."""
        ...

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        """What tokens stand for, those of control tokens included. The model must be ready. Raises EngineError.

        Bytes, because a token may be a part of a character.
        """
        ...

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event; None when there is none for `timeout` seconds."""
        ...

    def unload(self, model: str) -> bool:
        """Take a model out of memory that nobody holds. False where somebody does, or where it is not there."""
        ...

    def residents(self) -> Mapping[str, int | None]:
        """The models that are in memory, or on their way there: bytes of each one's process, the pages of its file
        included; None where that cannot be told.
        """
        ...

    def room(self) -> int:
        """Bytes of memory that more models could take."""
        ...

    def close(self) -> None:
        """End every model."""
