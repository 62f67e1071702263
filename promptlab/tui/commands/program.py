"""What holds on every screen."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_program = partial(Command, scope="app", topic="Program")
_screen = partial(Command, scope="app", topic="Screens", footer=False)

COMMANDS: tuple[Command, ...] = (
    _screen("screen.play", "f2", "mode('play')", "Play", "Ask many models, and watch them answer.", title="Go to play"),
    _program("help", "f1,question_mark", "help", "Help", "Show every key."),
    _program("palette", "ctrl+p", "command_palette", "Menu", "Search every command by name.", footer=False),
    _program("quit", "ctrl+q", "quit", "Quit", "Leave; what is under way is cancelled."),
)
