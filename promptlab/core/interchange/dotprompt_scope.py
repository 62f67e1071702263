"""What names mean at one place of a dotprompt template, and which expressions of ours read them.

Handlebars looks names up in the innermost `{{#each}}` or `{{#with}}`, and only there. So each path is written out in
full here: `{{name}}` in `{{#each users}}` is `user.name` in `{% for user in users %}`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from promptlab.core.interchange import dotprompt_values as values
from promptlab.core.interchange.dotprompt_values import Value
from promptlab.core.interchange.handlebars_tree import Call, Expr, Literal, Path, Place, shown
from promptlab.core.interchange.jinjatext import quoted
from promptlab.core.prompt import RESERVED

WORDS = RESERVED | {"recursive"}
"""Names that a template cannot use; `recursive` ends the list of a loop."""
BLOCKS = ("if", "unless", "each", "with", "ifEquals", "unlessEquals")
HELPERS = (*BLOCKS, "role", "history", "json", "media", "section", "lookup", "log")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Unmapped(Exception):
    """Something has no counterpart; says where and why."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


@dataclass(slots=True)
class Loop:
    """A loop that is being written."""

    key: str
    """The name of `@key`; empty in a list, where it is the index."""
    alias: str = ""
    """A name for its `loop`, once a loop inside it has asked for one."""
    used: set[str] = field(default_factory=set)
    """Which of `@key` and `@index` are used."""


@dataclass(slots=True)
class Scope:
    """What names mean at one place."""

    value: Value | None = None
    """What `this` is; None at the top, where it is all inputs."""
    outer: Scope | None = None
    loop: Loop | None = None
    """The loop whose item this is."""
    names: Mapping[str, Value] = field(default_factory=dict)
    """What `as |a b|` has named."""
    index: str = ""
    """What it has named the index of its list."""

    def outwards(self) -> Iterator[Scope]:
        """This one and those around it."""
        here: Scope | None = self
        while here:
            yield here
            here = here.outer


@dataclass(slots=True)
class Use:
    """How a name is used that is not declared."""

    place: Place
    """Where it stands first."""
    kind: str = ""
    """`list` or `fields` where loops or paths use it as such."""


@dataclass(slots=True)
class Inputs:
    """What a template can take its values from."""

    declared: dict[str, Value]
    """By the names that the template uses."""
    partial: bool = False
    """Whether it is a partial, whose values are those of whoever includes it."""
    undeclared: dict[str, Use] = field(default_factory=dict)
    """Names that are used and not declared."""


def is_name(text: str) -> bool:
    """Whether a template of ours can use this as the name of an input."""
    return bool(_IDENTIFIER.fullmatch(text)) and text not in WORDS


def helper(call: Call, scope: Scope) -> str | None:
    """The helper that a call names: empty where it is none that there is, None where it is a value and no helper."""
    name = call.name
    if isinstance(name, Path) and not (name.data or name.scoped or name.up) and len(name.parts) == 1:
        word = name.parts[0]
        if word in HELPERS and not any(word in each.names or word == each.index for each in scope.outwards()):
            return word
    return "" if call.params or call.hash else None


class Names:
    """Reads expressions of one template."""

    def __init__(self, inputs: Inputs, taken: Collection[str]) -> None:
        self.inputs = inputs
        self.taken = {*taken, *(v.code for v in inputs.declared.values()), *WORDS}

    def new(self, wish: str) -> str:
        """A name that nothing else has; give it back with `free`."""
        name, number = wish, 1
        while name in self.taken:
            number += 1
            name = f"{wish}{number}"
        self.taken.add(name)
        return name

    def free(self, *names: str) -> None:
        """Let names be used again."""
        self.taken.difference_update(names)

    def value(self, expr: Expr, scope: Scope) -> Value:
        """The value of an expression. Raises Unmapped."""
        match expr:
            case Literal():
                return values.literal(expr.value)
            case Path():
                return self._path(expr, scope)
        if helper(expr, scope) == "lookup" and len(expr.params) == 2:
            base, key = (self.value(each, scope) for each in expr.params)
            return Value(f"{base.sure().atom}[{key.code}]", values.items(base), missing=True)
        if helper(expr, scope) is not None:
            raise Unmapped(f"{shown(expr.text)}: there is no such helper for values", expr.place)
        return self.value(expr.name, scope)

    def _path(self, path: Path, scope: Scope) -> Value:
        if path.data:
            return self._data(path, scope)
        found, rest = self._begin(path, scope)
        if found.all_inputs and rest:
            found, rest = self._input(rest[0], path.place), rest[1:]
        if rest and (use := self.inputs.undeclared.get(found.code)):
            use.kind = use.kind or ("list" if rest[0] == "length" or rest[0].isdecimal() else "fields")
        for part in rest:
            inside = values.member(found, part)
            if inside is None:
                message = f"{shown(path.text)}: {shown(part)!r} is not a field there, by its schema"
                raise Unmapped(message, path.place)
            found = inside
        return found

    def _begin(self, path: Path, scope: Scope) -> tuple[Value, tuple[str, ...]]:
        """The value that a path begins with, and the rest of it."""
        if not path.up and not path.scoped and path.parts and (named := self._named(path, scope)):
            return named, path.parts[1:]
        around = list(scope.outwards())
        if path.up >= len(around):
            raise Unmapped(f"{shown(path.text)} leads out of the template", path.place)
        here = around[path.up].value
        if here is not None:
            return here, path.parts
        if path.parts:
            return self._input(path.parts[0], path.place), path.parts[1:]
        return self._all_inputs(path), ()

    def _named(self, path: Path, scope: Scope) -> Value | None:
        loops = 0
        for each in scope.outwards():
            if path.parts[0] in each.names:
                return each.names[path.parts[0]]
            if path.parts[0] == each.index:
                return self._data(Path(("index",), path.text, path.place, loops, True), scope)
            loops += each.loop is not None
        return None

    def _input(self, name: str, place: Place) -> Value:
        if name in self.inputs.declared:
            return self.inputs.declared[name]
        if not self.inputs.partial:
            self.inputs.undeclared.setdefault(name, Use(place))
            return Value(name)
        if is_name(name):
            return Value(name, missing=True, null=True)
        raise Unmapped(f"{shown(name)!r} cannot be a name here", place)

    def _all_inputs(self, path: Path) -> Value:
        declared = self.inputs.declared
        if not declared:
            raise Unmapped(f"{shown(path.text)} is all inputs, and none is declared", path.place)
        pairs = ", ".join(f"{quoted(name)}: {v.code}" for name, v in declared.items())
        properties = {name: v.schema for name, v in declared.items()}
        wanted = {"type": "object", "properties": properties, "required": list(declared)}
        return Value(f"{{{pairs}}}", wanted, all_inputs=True)

    def _data(self, path: Path, scope: Scope) -> Value:
        """`@index` and the like, which belong to loops, and `@root`."""
        name, rest = path.parts[0] if path.parts else "", path.parts[1:]
        if name == "root" and not path.up:
            return self._path(Path(rest, path.text, path.place), Scope())
        if name not in ("index", "first", "last", "key") or rest:
            message = f"{shown(path.text)} is known only to the app around a prompt: make it an input"
            raise Unmapped(message, path.place)
        loops = [each.loop for each in scope.outwards() if each.loop]
        if path.up >= len(loops):
            raise Unmapped(f"{shown(path.text)} stands outside any {{{{#each}}}}", path.place)
        loop = loops[path.up]
        loop.used |= {name} & {"key", "index"}
        if name == "key" and loop.key:
            return Value(loop.key, {"type": "string"})
        if path.up and not loop.alias:
            loop.alias = self.new("outer")
        word = name if name in ("first", "last") else "index0"
        return Value(f"{loop.alias if path.up else 'loop'}.{word}", {"type": "boolean" if word == name else "integer"})
