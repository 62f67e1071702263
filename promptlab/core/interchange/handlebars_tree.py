"""The tree of a Handlebars template: what `core.handlebars` reads and `core.dotbody` writes as Jinja."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError

SPACE = "\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What JavaScript takes for white space, as part of a character class."""
BLANK = SPACE.replace("\u2000-\u200a", "".join(map(chr, range(0x2000, 0x200B))))
"""The same, character by character."""

Place = tuple[int, int]
"""Line and column, from 1."""


class Strip(NamedTuple):
    """Whether a tag takes the white space before it, and after it."""

    before: bool
    after: bool


NO_STRIP = Strip(False, False)


@dataclass(frozen=True, slots=True)
class Path:
    """A way to a value: `a.b`, `this`, `../a`, `@index`."""

    parts: tuple[str, ...]
    text: str
    place: Place
    up: int = 0
    """How many `../` it begins with."""
    data: bool = False
    """Whether it begins with `@`."""
    scoped: bool = False
    """Whether it begins with `this` or a dot, so that it names no helper."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, true, false, null or undefined."""

    value: Any
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    """A name and what follows it: a helper and its arguments, or just a value."""

    name: Expr
    params: tuple[Expr, ...]
    hash: Mapping[str, Expr]
    text: str
    """As it stands in the template; of a statement, the whole tag."""
    place: Place


Expr = Path | Literal | Call


@dataclass(slots=True)
class Text:
    """What stands between tags."""

    original: str
    value: str = ""
    """What is left of it after white space was taken."""
    taken_left: bool = False
    taken_right: bool = False

    def __post_init__(self) -> None:
        self.value = self.original


@dataclass(slots=True)
class Output:
    """`{{name}}`, or a helper that writes something."""

    call: Call
    strip: Strip


@dataclass(slots=True)
class Comment:
    """`{{! … }}`."""

    text: str
    strip: Strip


@dataclass(slots=True)
class Partial:
    """`{{> name key=value}}`."""

    call: Call
    strip: Strip
    alone: bool = False
    """Whether it stands on a line of its own."""
    indented: bool = False
    """Whether that line is indented: Handlebars then indents all lines of the partial."""


@dataclass(slots=True)
class Odd:
    """A tag that no dotprompt template uses: a decorator."""

    text: str
    place: Place
    strip: Strip


@dataclass(slots=True)
class Program:
    """Nodes in a row."""

    nodes: list[Node] = field(default_factory=list)
    chained: bool = False
    """Whether this is what `{{else if}}` makes: one block, without an end of its own."""


@dataclass(slots=True)
class Block:
    """`{{#name}} … {{else}} … {{/name}}`."""

    call: Call
    kind: str
    """`block`; or `decorator`, `partial block` or `raw block`, of which dotprompt uses none."""
    names: tuple[str, ...]
    """What stands in `as |a b|`."""
    open_strip: Strip
    body: Program | None
    inverse: Program | None = None
    inverse_strip: Strip = NO_STRIP
    close_strip: Strip = NO_STRIP
    alone: bool = False
    """Whether its first tag stands on a line of its own."""


Node = Text | Output | Comment | Partial | Odd | Block


def shown(text: str) -> str:
    """A piece of a template as a message shows it: short, and on one line."""
    line = " ".join(text.split())
    return shorten(line if line.isprintable() else repr(line))


class Source:
    """A file's text, with places and errors."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        starts = [0]
        while (newline := text.find("\n", starts[-1])) >= 0:
            starts.append(newline + 1)
        self._starts = starts

    def place(self, offset: int) -> Place:
        """The line and column of an offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def error(self, message: str, at: int | Place) -> SourceError:
        """Say what is wrong at an offset or a place."""
        place = self.place(at) if isinstance(at, int) else at
        return SourceError([Problem(self.file, *place, message)])
