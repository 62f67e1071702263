"""Every key of the interface, in one table: it feeds the bindings, the command palette and the help screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that a key does."""

    id: str
    """Names it for ever: a keymap refers to it."""
    keys: str
    """Separated by commas."""
    action: str
    label: str
    """In the footer; one or two words."""
    help: str
    """In the palette and the help screen; one sentence."""
    topic: str
    """The help screen's heading."""
    footer: bool = True
    """Whether the footer shows it."""
    scope: Literal["app", "play"] = "play"
    """Where it holds."""
    group: str = ""
    """Neighbours with the same group share one label in the footer."""
    title: str = ""
    """In the palette, where the label is too short to stand alone."""

    @property
    def name(self) -> str:
        """What the palette calls it."""
        return self.title or self.label


COMMANDS: tuple[Command, ...] = (
    Command("run", "ctrl+r", "run", "Run", "Run the prompt on every ticked model; so does Enter in an input.", "Run"),
    Command("cancel", "escape", "cancel", "Cancel", "Stop the run and keep what has been said so far.", "Run"),
    Command(
        "samples.fewer",
        "f3",
        "samples(-1)",
        "Fewer samples",
        "One sample fewer from each model.",
        "Run",
        group="Samples",
    ),
    Command(
        "samples.more", "f4", "samples(1)", "More samples", "One sample more from each model.", "Run", group="Samples"
    ),
    Command("pane.next", "f6", "pane(1)", "Pane", "Go to the next pane.", "Move", title="Next pane"),
    # Many terminals send shift+f6 as f18.
    Command("pane.previous", "shift+f6,f18", "pane(-1)", "Pane before", "Go to the pane before.", "Move", footer=False),
    Command("sidebar", "ctrl+b", "sidebar", "Sidebar", "Show or hide prompts, inputs and models.", "View"),
    Command("zoom", "ctrl+o", "zoom", "Zoom", "Give one column all the room, or go back to all of them.", "View"),
    Command("reload", "f5", "reload", "Reload", "Read prompts and models from disk again.", "View", footer=False),
    Command("help", "f1,question_mark", "help", "Help", "Show every key.", "Program", scope="app"),
    Command("quit", "ctrl+q", "quit", "Quit", "Leave; a run that is under way is cancelled.", "Program", scope="app"),
    Command("palette", "ctrl+p", "command_palette", "Menu", "Search every command by name.", "Program", False, "app"),
)

EVERYWHERE: tuple[tuple[str, str], ...] = (
    ("tab shift+tab", "Go to the next field, or the one before."),
    ("↑ ↓ pgup pgdn", "Move in a list; scroll an answer."),
    ("space", "Tick a model; turn a switch."),
    ("enter", "Take what is marked; in an input, run."),
)
"""Keys that belong to widgets: for the help screen."""


def bindings(scope: Literal["app", "play"]) -> list[BindingType]:
    """The bindings of a scope. Those with modifiers and function keys win over the widget that has the focus."""
    return [_binding(command) for command in COMMANDS if command.scope == scope]


def by_topic() -> Iterable[tuple[str, tuple[Command, ...]]]:
    """The table in chapters, for the help screen."""
    return [(topic, tuple(commands)) for topic, commands in groupby(COMMANDS, key=lambda c: c.topic)]


def shown_keys(command: Command) -> str:
    """How the help screen writes a command's keys."""
    keys = [k for k in command.keys.split(",") if k != "f18"]
    return ", ".join("?" if k == "question_mark" else "esc" if k == "escape" else k for k in keys)


_GROUPS = {name: Binding.Group(name) for name in {c.group for c in COMMANDS if c.group}}


def _binding(command: Command) -> Binding:
    return Binding(
        command.keys,
        command.action,
        command.label,
        show=command.footer,
        # Escape stays with the widget that has the focus: it closes a select's list before it cancels a run.
        priority=command.id not in ("cancel", "help"),
        tooltip=command.help,
        id=command.id,
        group=_GROUPS.get(command.group),
    )
