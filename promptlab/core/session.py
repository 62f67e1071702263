"""What stood on the screen when the program was last left: what a person would have to type again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_DRAFT = 100_000
"""Characters of a draft that are kept."""
MAX_DRAFTS = 400_000
"""Characters of all drafts together."""

Draft = str | bool | int
"""What stands in a field: a text, a switch, or which of some choices."""


@dataclass(frozen=True, slots=True)
class Session:
    """Where somebody has left off in a library."""

    prompt: str | None = None
    """The prompt that is chosen."""
    drafts: Mapping[str, Mapping[str, Draft]] = field(default_factory=dict)
    """What was typed for each prompt, by the names of its inputs."""
    ticked: Mapping[str, bool] = field(default_factory=dict)
    """The models that were ticked or cleared, and which of both."""
    samples: int = 1


def slim(session: Session) -> Session:
    """As much of it as is kept: short texts, and the chosen prompt's before those of others."""
    left = MAX_DRAFTS
    kept: dict[str, dict[str, Draft]] = {}
    for name in sorted(session.drafts, key=lambda name: name != session.prompt):
        drafts = {key: draft for key, draft in session.drafts[name].items() if _length(draft) <= MAX_DRAFT}
        left -= sum(map(_length, drafts.values())) + len(name)
        if left < 0:
            break
        kept[name] = drafts
    return Session(session.prompt, kept, session.ticked, session.samples)


def _length(draft: Draft) -> int:
    return len(draft) if isinstance(draft, str) else 1
