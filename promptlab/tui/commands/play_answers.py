"""The play screen: the columns of answers."""

from __future__ import annotations

from promptlab.tui.command import Command

COMMANDS: tuple[Command, ...] = ()
