"""The play screen: prompts, their versions and their source."""

from __future__ import annotations

from promptlab.tui.command import Command

COMMANDS: tuple[Command, ...] = ()
