"""The play screen: looking closer at answers, and going on from them."""

from __future__ import annotations

from promptlab.tui.command import Command

COMMANDS: tuple[Command, ...] = ()
