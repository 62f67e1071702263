"""What users set for themselves: colours and keys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from promptlab.core import yamltext
from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError

MAX_KEYS = 10
"""Keys of one command."""
_MODIFIER = re.compile(r"(?:ctrl|shift|alt|super|hyper|meta)\+")


@dataclass(frozen=True, slots=True)
class Bound:
    """A command, as far as its keys go."""

    scope: str
    """The screen where it holds; `app` means everywhere."""
    keys: tuple[str, ...]
    """Those that it has unless they are set otherwise."""
    always: bool
    """It holds while something is typed, too, so a key that could be typed will not do."""
    within: tuple[str, ...] = ()
    """The screens that have it, where it holds in a part of a screen only."""


@dataclass(frozen=True, slots=True)
class Keyboard:
    """What can be pressed, and what for."""

    commands: Mapping[str, Bound]
    """By id."""
    names: Collection[str]
    """Of the keys whose names are longer than a character."""
    normal: Callable[[str], str]
    """From a key as people write it to its one name."""
    typed: Callable[[str], bool]
    """Whether a field of text takes a key for itself."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was set; everything else is as it comes."""

    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    """By the id of a command: its keys, separated by commas."""


def read_settings(text: str, *, file: str, keyboard: Keyboard, themes: Collection[str]) -> Settings:
    """Read a settings.yaml. Raises SourceError with every problem found."""
    document = yamltext.read(text, file=file)
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise SourceError([document.problem((), "settings are a mapping of `theme` and `keys`")])
    reader = _Reader(document, keyboard)
    for name in value.keys() - {"theme", "keys"}:
        reader.complain((name,), f"there is no setting {shorten(name)!r}; there are theme and keys")
    theme = reader.theme(value.get("theme"), themes)
    keys = reader.keys(value.get("keys"))
    if reader.problems:
        raise SourceError(sorted(reader.problems, key=lambda p: (p.line, p.column)))
    return Settings(theme, {id: ",".join(each) for id, each in keys.items()})


class _Reader:
    """Goes through a document, and keeps what is wrong in it."""

    def __init__(self, document: yamltext.Document, keyboard: Keyboard) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._keyboard = keyboard

    def complain(self, path: yamltext.Path, message: str) -> None:
        self.problems.append(self._document.problem(path, message))

    def theme(self, value: Any, themes: Collection[str]) -> str:
        if value is None:
            return ""
        if value not in [*themes]:
            self.complain(("theme",), f"there is no theme {shorten(str(value))!r}; there are {', '.join(themes)}")
            return ""
        return str(value)

    def keys(self, value: Any) -> dict[str, tuple[str, ...]]:
        """Every command's own keys that can be read."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.complain(("keys",), "keys are a mapping from the id of a command to its keys")
            return {}
        found = {id: keys for id, text in value.items() if (keys := self._command(id, text))}
        self._check_taken(found)
        return found

    def _command(self, id: str, text: Any) -> tuple[str, ...]:
        path = ("keys", id)
        command = self._keyboard.commands.get(id)
        if command is None:
            near = difflib.get_close_matches(id[:100], self._keyboard.commands, 1)
            hint = f"did you mean {near[0]}?" if near else "docs/keys.md lists them"
            self.complain(path, f"there is no command {shorten(id)!r}; {hint}")
            return ()
        if not isinstance(text, str | int) or isinstance(text, bool) or not str(text).strip():
            self.complain(path, f"the keys of {id} are a text, such as {','.join(command.keys)}")
            return ()
        keys = tuple(self._keyboard.normal(key.strip()) for key in str(text).split(",")[: MAX_KEYS + 1])
        if reason := self._reason(keys, command):
            self.complain(path, reason)
            return ()
        return keys

    def _reason(self, keys: tuple[str, ...], command: Bound) -> str:
        if len(keys) > MAX_KEYS:
            return f"a command has at most {MAX_KEYS} keys"
        if len(set(keys)) < len(keys):
            return "a key stands here twice"
        for key in keys:
            name = _MODIFIER.sub("", key)
            if not (len(name) == 1 and name.isprintable()) and name not in self._keyboard.names:
                return f"there is no key {shorten(key)!r}; a comma is called comma"
            if command.always and self._keyboard.typed(key):
                return f"{shorten(key)} can be typed, and this command holds while you type: take ctrl+… or f1 to f24"
        return ""

    def _check_taken(self, found: Mapping[str, tuple[str, ...]]) -> None:
        """No key may mean two things on the same screen."""
        commands = self._keyboard.commands
        now = {id: found.get(id, command.keys) for id, command in commands.items()}
        told: set[frozenset[str]] = set()
        for id, keys in found.items():
            for other, theirs in now.items():
                pair = frozenset((id, other))
                both = set(keys) & set(theirs)
                if other == id or not both or pair in told or not _meet(commands[id], commands[other]):
                    continue
                told.add(pair)
                self.complain(("keys", id), f"{min(both)} is a key of {other} already")


def _meet(one: Bound, other: Bound) -> bool:
    """Whether a key of both could be pressed for either. A part of a screen goes before its screen, but for what holds
    while something is typed.
    """
    if one.scope == other.scope or "app" in (one.scope, other.scope):
        return True
    return (one.always and one.scope in other.within) or (other.always and other.scope in one.within)
