"""The play screen: the models that are asked."""

from __future__ import annotations

from promptlab.tui.command import Command

COMMANDS: tuple[Command, ...] = ()
