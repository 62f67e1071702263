"""One thing that a key does."""

from __future__ import annotations

from typing import Literal, NamedTuple

Screenful = Literal["play", "batch", "history", "models", "closer"]
"""The screens."""
Windowed = Literal["versions", "cases", "keep", "example", "turn", "unsaved", "sure", "choice", "name", "help"]
"""The windows over a screen."""
Part = Literal["prompts", "filter", "ticks", "source", "field", "tokens", "alternatives"]
"""Parts of a screen, which have keys of their own while they have the focus."""
Scope = Literal["app", Screenful, Windowed, Part]
"""Where a command holds: everywhere, on one screen, in one window, or in one part of a screen."""

PARTS: dict[str, tuple[Part, ...]] = {
    "play": ("prompts", "filter", "field", "ticks", "source"),
    "batch": ("ticks",),
    "closer": ("tokens", "alternatives"),
}
"""Which parts a screen has."""


class Command(NamedTuple):
    """One thing that a key does."""

    id: str
    """Names it for ever: a keymap refers to it. Begins with its scope, but for those that are older than scopes."""
    keys: str
    """Separated by commas. A key that could be typed holds only where no field of text has the focus."""
    action: str
    label: str
    """In the footer; one or two words."""
    help: str
    """In the palette and the help screen; one sentence."""
    topic: str
    """The help screen's heading."""
    footer: bool = True
    """Whether the footer shows it."""
    scope: Scope = "play"
    group: str = ""
    """Neighbours with the same group share one label in the footer."""
    title: str = ""
    """In the palette, where the label is too short to stand alone."""

    @property
    def name(self) -> str:
        """What the palette calls it."""
        return self.title or self.label

    @property
    def wins(self) -> bool:
        """Whether it goes before what the widget with the focus makes of its keys."""
        # Escape stays with the widget: it closes a select's list before it cancels a run.
        return all(map(always, self.keys.split(",")))


def always(key: str) -> bool:
    """Whether a key can hold while something is typed: no field of text takes it."""
    return key.startswith("ctrl+") or (key[-1:].isdigit() and "f" in key)
