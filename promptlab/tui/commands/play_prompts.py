"""The play screen: prompts, their versions and their source."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_shown = partial(Command, scope="play", topic="Prompts")
_prompts = partial(_shown, footer=False)

COMMANDS: tuple[Command, ...] = (
    _shown("prompts.filter", "slash", "filter", "Filter", "Find a prompt by a part of its name or description."),
    _shown("prompts.versions", "v", "versions", "Versions", "Choose which versions to run, from the prompt's log."),
    _shown("prompts.edit", "e", "edit", "Edit", "Show the prompt's source in place of answers, and edit it."),
    _prompts(
        "prompts.open", "o", "open", "Open", "Open the prompt's file in $VISUAL or $EDITOR.", title="Open in editor"
    ),
    _prompts("prompts.save", "ctrl+s", "save", "Save", "Save the source that is being edited.", title="Save source"),
)
