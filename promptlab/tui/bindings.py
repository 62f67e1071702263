"""From the tables of commands to bindings, to the palette and to the help screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from textual.binding import Binding, BindingType
from textual.dom import DOMNode

from promptlab.tui.command import PARTS, Command, Scope
from promptlab.tui.commands import (
    batch,
    closer,
    history,
    models,
    play_answers,
    play_ask,
    play_closer,
    play_models,
    play_prompts,
    play_run,
    program,
    widgets,
    windows,
)

_TABLES = (
    play_run,
    play_closer,
    play_answers,
    play_prompts,
    play_ask,
    play_models,
    closer,
    batch,
    history,
    models,
    widgets,
    windows,
    program,
)
"""In the order in which the last line and the help show them."""

COMMANDS: tuple[Command, ...] = tuple(command for table in _TABLES for command in table.COMMANDS)

EVERYWHERE: tuple[tuple[str, str], ...] = (
    ("tab shift+tab", "Go to the next field, or the one before."),
    ("↑ ↓ pgup pgdn", "Move in a list; scroll an answer."),
    ("space", "Tick a box, or clear it."),
    ("enter", "Take what is marked; in an input, run."),
)
"""Keys that belong to widgets: for the help screen."""

_SHOWN = {
    **{"question_mark": "?", "escape": "esc", "slash": "/", "left_square_bracket": "[", "right_square_bracket": "]"},
    **{"less_than_sign": "<", "greater_than_sign": ">", "full_stop": ".", "comma": ",", "plus": "+", "minus": "-"},
}
_SENT_TOO = ("f18",)
"""What terminals send for keys that have another name."""


def of(*scopes: Scope) -> tuple[Command, ...]:
    """The commands that hold in some scopes."""
    return tuple(command for command in COMMANDS if command.scope in scopes)


def bindings(scope: Scope) -> list[BindingType]:
    """The bindings of a scope."""
    return [_binding(command) for command in of(scope)]


def around(scope: Scope) -> tuple[Command, ...]:
    """All that holds on a screen or in a window, whatever has the focus there."""
    return of(scope, *PARTS.get(scope, ()), "app")


def relabel(node: DOMNode, id: str, label: str) -> None:
    """Let the last line say otherwise what a key of a node does: where it pauses and goes on, for one."""
    keys = node._bindings.key_to_bindings
    for key, some in keys.items():
        keys[key] = [replace(each, description=label) if each.id == id else each for each in some]


def help_binding(action: str) -> Binding:
    """The key of the help, in windows, which Textual lets no key of the program reach that could be typed."""
    return _binding(_BY_ID["help"]._replace(action=action))


def by_topic(commands: Sequence[Command]) -> Iterable[tuple[str, tuple[Command, ...]]]:
    """Commands in chapters, for the help screen; each chapter where its first command stands."""
    chapters: dict[str, list[Command]] = {}
    for command in commands:
        chapters.setdefault(command.topic, []).append(command)
    return [(topic, tuple(some)) for topic, some in chapters.items()]


def shown_keys(command: Command, keymap: Mapping[str, str] = MappingProxyType({})) -> str:
    """How the help screen writes a command's keys, as the user has set them in `keymap`."""
    return ", ".join(_shown(command, keymap))


def shown_key(id: str, keymap: Mapping[str, str] = MappingProxyType({})) -> str:
    """The key by which hints name the command of an id: its first, as the user has set them in `keymap`."""
    return _shown(_BY_ID[id], keymap)[0]


def all_keys(id: str, keymap: Mapping[str, str] = MappingProxyType({})) -> str:
    """All keys of the command of an id, where a hint had better name each: a browser keeps some for itself."""
    return " or ".join(_shown(_BY_ID[id], keymap))


_BY_ID = {command.id: command for command in COMMANDS}


def _shown(command: Command, keymap: Mapping[str, str]) -> list[str]:
    keys = keymap.get(command.id, command.keys).split(",")
    return [_SHOWN.get(key, key) for key in keys if key not in _SENT_TOO] or keys


_GROUPS = {name: Binding.Group(name) for name in {c.group for c in COMMANDS if c.group}}


def _binding(command: Command) -> Binding:
    return Binding(
        command.keys,
        command.action,
        command.label,
        show=command.footer,
        priority=command.wins,
        tooltip=command.help,
        id=command.id,
        group=_GROUPS.get(command.group),
    )
