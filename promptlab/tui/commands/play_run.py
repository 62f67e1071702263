"""The play screen: running, and moving about."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_run = partial(Command, scope="play", topic="Run")
_move = partial(Command, scope="play", topic="Move")
_view = partial(Command, scope="play", topic="View")
_samples = partial(_run, group="Samples", footer=False)

COMMANDS: tuple[Command, ...] = (
    _run("run", "ctrl+r", "run", "Run", "Run the prompt on every ticked model; so does Enter in an input."),
    _run("cancel", "escape", "cancel", "Cancel", "Stop the run and keep what has been said so far."),
    _samples("samples.fewer", "f7", "samples(-1)", "Fewer samples", "One sample fewer from each model."),
    _samples("samples.more", "f8", "samples(1)", "More samples", "One sample more from each model."),
    _move("pane.next", "f6", "pane(1)", "Pane", "Go to the next pane.", title="Next pane"),
    # Many terminals send shift+f6 as f18.
    _move("pane.previous", "shift+f6,f18", "pane(-1)", "Pane before", "Go to the pane before.", footer=False),
    _view("sidebar", "ctrl+b", "sidebar", "Sidebar", "Show or hide prompts, inputs and models."),
    _view("zoom", "ctrl+o", "zoom", "Zoom", "Give one column all the room, or go back to all of them.", footer=False),
    _view("reload", "ctrl+l", "reload", "Reload", "Read prompts and models from disk again.", footer=False),
)
