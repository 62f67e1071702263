"""What the screens show: frozen values, made in the lab's thread and handed down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from promptlab.app.models import Entry
    from promptlab.core.prompt import Prompt


class PromptRow(NamedTuple):
    """A prompt in the list."""

    name: str
    description: str = ""
    prompt: Prompt | None = None
    """None when its file cannot be read."""
    problem: str = ""
    """Why not."""


class Survey(NamedTuple):
    """What a library holds, and which models can be asked."""

    root: Path
    prompts: tuple[PromptRow, ...] = ()
    models: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()
    """Why prompts or models could not be listed at all."""

    @property
    def missing(self) -> tuple[Entry, ...]:
        """The default models that could be pulled."""
        return tuple(model for model in self.models if model.default and not model.present and not model.server)

    @property
    def askable(self) -> int:
        """How many models can be asked now."""
        return sum(model.askable for model in self.models)

    @property
    def on_disk(self) -> int:
        """How many of them have their file here."""
        return sum(model.present for model in self.models)
