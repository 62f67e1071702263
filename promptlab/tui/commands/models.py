"""The models screen."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_model = partial(Command, scope="models", topic="Model")
_view = partial(Command, scope="models", topic="View")

COMMANDS: tuple[Command, ...] = (
    _model("models.pull", "p", "pull", "Pull", "Fetch the marked model, or the default ones that are missing."),
    _model("models.verify", "v", "verify", "Verify", "Hash the model's file again, and compare."),
    _model("models.load", "l", "load", "Load", "Keep the model in memory; others may have to wait for room."),
    _model("models.unload", "u", "unload", "Unload", "Take the model out of memory, unless a run needs it."),
    _model("models.bench", "b", "bench", "Bench", "Measure how fast the model is here, while nothing else runs."),
    _model("models.copy", "y", "copy_hash", "Copy hash", "Copy the SHA-256 of the model's file.", footer=False),
    _model("models.cancel", "escape", "cancel", "Cancel", "End the pull, the hashing or the measuring that goes on."),
    _view("models.template", "t", "template", "Template", "Show the whole chat template, or its beginning."),
    _view("models.pane", "f6,shift+f6,f18", "pane", "Pane", "Go to the details, or back to the list.", footer=False),
    _view("models.reload", "ctrl+l", "reload", "Reload", "Read models.yaml from disk again.", footer=False),
)
