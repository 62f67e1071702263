"""The play screen: the models that are asked."""

from __future__ import annotations

from promptlab.tui.command import Command

COMMANDS: tuple[Command, ...] = (
    Command(
        "play.pull",
        "p",
        "pull",
        "Pull",
        "Fetch the marked model, or the default ones that are missing.",
        "Models",
        title="Pull models",
    ),
)
