"""The models screen."""

from __future__ import annotations

from promptlab.tui.command import Command

COMMANDS: tuple[Command, ...] = ()
