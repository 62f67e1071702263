"""What holds on every screen."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_program = partial(Command, scope="app", topic="Program")
_screen = partial(Command, scope="app", topic="Screens", footer=False)

COMMANDS: tuple[Command, ...] = (
    _screen("screen.play", "f2", "mode('play')", "Play", "Ask many models, and watch them answer.", title="Go to play"),
    _screen(
        "screen.batch", "f3", "mode('batch')", "Batch", "Compare prompts and models on cases.", title="Go to batch"
    ),
    _screen("screen.history", "f4", "mode('history')", "History", "Search what was run.", title="Go to the history"),
    _screen(
        "screen.models", "f5", "mode('models')", "Models", "Look at models, pull and load them.", title="Go to models"
    ),
    _program("help", "f1,question_mark", "help", "Help", "Show every key."),
    _program("palette", "ctrl+p", "command_palette", "Menu", "Search every command by name.", footer=False),
    _program("theme", "ctrl+g", "change_theme", "Theme", "Choose other colours.", footer=False),
    _program("quit", "ctrl+q", "quit", "Quit", "Leave; what is under way is cancelled."),
)
