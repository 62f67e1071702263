"""What is being done with models, and how they stand: frozen values for the screens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from promptlab.app.holding import Held, Holdings
    from promptlab.app.models import Verified
    from promptlab.core.bench import Benched

What = Literal["pull", "verify", "bench"]


@dataclass(frozen=True, slots=True)
class Doing:
    """Something that takes long, and how far it has come."""

    what: What
    names: tuple[str, ...]
    """The models that it is done with, one after another."""
    name: str
    """The one that it is done with now."""
    phase: str = ""
    """What of it, in a word or two."""
    source: str = ""
    """What is being read, in somebody else's words."""
    done: int = 0
    total: int | None = None
    """None where that is not known."""

    @property
    def fraction(self) -> float | None:
        """How far it has come with this model, where that is known."""
        return min(self.done / self.total, 1.0) if self.total else None


@dataclass(frozen=True, slots=True)
class ModelNews:
    """Everything about models but what models.yaml says."""

    doing: Doing | None = None
    holdings: Holdings | None = None
    """What is in memory; None until the engine has been asked."""
    asked: frozenset[str] = frozenset()
    """Models that are to be loaded, and of which the engine has not said anything yet."""
    pulled: frozenset[str] = frozenset()
    """Models that were fetched since the program began."""
    verified: Mapping[str, Verified] = field(default_factory=dict)
    """By model, what hashing its file has shown."""
    benched: Mapping[str, Benched] = field(default_factory=dict)
    """By model, what was measured."""

    def held(self, name: str) -> Held | None:
        """How a model stands in memory."""
        if self.holdings is None:
            return None
        return next((held for held in self.holdings.models if held.name == name), None)
