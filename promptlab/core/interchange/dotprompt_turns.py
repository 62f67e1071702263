"""Turns: dotprompt marks where one begins, we put each in a block of its own.

A marker holds until the next one, wherever it stands; a block of ours lies within the blocks around it. So a marker
inside `{{#if}}` or `{{#each}}` has a counterpart only where each part of that block begins with one, and where nothing
after the block goes on with what was begun in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from promptlab.core.interchange.handlebars_tree import BLANK, Place
from promptlab.core.interchange.jinjatext import JinjaText

Kind = Literal["lost", "changed"]
Report = Callable[[Kind, Place, str], None]
"""Called for each construct that renders differently, or not at all."""


@dataclass(frozen=True, slots=True)
class Say:
    """Text, as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """An expression that is printed."""

    code: str
    optional: bool = False
    """Whether it may be nothing, because its value may be left out."""


@dataclass(frozen=True, slots=True)
class Note:
    """A comment."""

    text: str


@dataclass(frozen=True, slots=True)
class Single:
    """A tag without an end that renders as something: an include."""

    code: str
    alone: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """A tag without an end that renders as nothing."""

    code: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A marker: from here on somebody else speaks."""

    role: str
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Fork:
    """A tag with an end and parts: if, for, with."""

    parts: tuple[Part, ...]
    end: str
    alone: bool
    """Whether its tags stand on lines of their own."""

    @property
    def always(self) -> bool:
        """Whether one of its parts is taken, whatever happens."""
        return self.parts[-1][0] == "else" or self.end == "endwith"


Part = tuple[str, tuple["Item", ...]]
"""A tag, and what follows it."""
Item = Say | Code | Note | Single | Setting | Turn | Fork

UNFIT = (
    "this marker stands in a block, and what is before or after the block would belong to its turn: begin each part "
    "of the block with a marker, and put one after the block"
)


def has_turns(items: Iterable[Item]) -> bool:
    """Whether a marker stands anywhere in these."""
    return any(isinstance(i, Turn) or (isinstance(i, Fork) and any(has_turns(p) for _, p in i.parts)) for i in items)


def write_plain(items: Iterable[Item], jinja: JinjaText) -> None:
    """Write what has no markers."""
    for item in items:
        match item:
            case Say(text=text):
                jinja.text(text)
            case Code(code=code):
                jinja.code(code)
            case Note(text=text) | Turn(text=text):
                jinja.note(text)
            case Single(code, alone):
                jinja.tag(code, newline=alone and jinja.at_start)
            case Setting(code):
                jinja.tag(code, newline=jinja.at_start)
            case Fork(parts, end, alone):
                for tag, inside in parts:
                    jinja.tag(tag, newline=alone and jinja.at_start)
                    write_plain(inside, jinja)
                jinja.tag(end, newline=alone and jinja.at_start)


class TurnWriter:
    """Writes items in blocks for the roles, and reports the markers that have no counterpart."""

    def __init__(self, jinja: JinjaText, report: Report) -> None:
        self.jinja = jinja
        self.report = report
        self.marker: Place = (0, 0)
        """Where the turn begins that is being written."""
        self.last: frozenset[str] = frozenset()
        """The roles that may have spoken last."""

    def write(self, items: Iterable[Item]) -> None:
        """Write a whole template; what stands before the first marker is the user's."""
        self._sequence(list(items), "user", in_loop=False)

    def _sequence(self, items: list[Item], role: str, *, in_loop: bool) -> str:
        """Write items in a row; gives the role that speaks at their end."""
        spoken: list[Item] = []
        for index, item in enumerate(items):
            if isinstance(item, Turn):
                self._speak(spoken, role)
                spoken, role, self.marker = [], item.role, item.place
            elif not isinstance(item, Fork) or not has_turns([item]):
                spoken.append(item)
            elif _fits(item, items[index + 1 :], role, fresh=not in_loop and is_blank(spoken)):
                self._speak(spoken, role)
                spoken = []
                role = self._fork(item, role, in_loop=in_loop)
            else:
                self._report(item)
                spoken.append(item)  # written as plain items, in which markers are comments
        self._speak(spoken, role)
        return role

    def _fork(self, fork: Fork, role: str, *, in_loop: bool) -> str:
        before, last, role_after = self.last, frozenset[str](), role
        for tag, inside in fork.parts:
            self.last = before
            self.jinja.tag(tag, newline=True)
            role_after = self._sequence(list(inside), role, in_loop=in_loop or fork.end == "endfor")
            last |= self.last
        self.jinja.tag(fork.end, newline=True)
        self.last = last if fork.always else last | before
        return role_after

    def _report(self, fork: Fork) -> None:
        for _, inside in fork.parts:
            for item in inside:
                if isinstance(item, Turn):
                    self.report("lost", item.place, UNFIT)
                elif isinstance(item, Fork):
                    self._report(item)

    def _speak(self, items: list[Item], role: str) -> None:
        if is_blank(items):
            write_plain((item for item in items if isinstance(item, Note | Setting)), self.jinja)
            return
        items = _trimmed(items)
        if len(items) == 1 and isinstance(items[0], Fork) and items[0].end == "endif" and _is_sure_within(items[0]):
            self._speak_within(items[0], role)
            return
        if not _is_sure(items):
            self.report("changed", self.marker, "this turn may have no text, and is said all the same")
        self.last = frozenset([role])
        lines = any(map(_has_lines, items))
        self.jinja.tag(role, newline=lines)
        write_plain(items, self.jinja)
        if lines and not self.jinja.at_start:
            self.jinja.text("\n")  # roles' texts are stripped
        self.jinja.tag(f"end{role}", newline=True)

    def _speak_within(self, fork: Fork, role: str) -> None:
        """A turn that is all in an `if`: Handlebars leaves it out where nothing is said."""
        before = self.last
        for tag, inside in fork.parts:
            self.jinja.tag(tag, newline=True)
            self._speak(list(inside), role)
        self.jinja.tag(fork.end, newline=True)
        self.last = frozenset([role]) if fork.always else before | {role}


def _fits(fork: Fork, following: list[Item], role: str, *, fresh: bool) -> bool:
    """Whether the markers in a block have a counterpart."""
    if not all(is_blank(_before_turn(inside)) for _, inside in fork.parts):
        return False
    if is_blank(_before_turn(following)):
        return True
    # Something follows that has no marker of its own. It must find nobody in the middle of a turn.
    return fresh and all(_ends_fresh(inside, role) for _, inside in fork.parts)


def _before_turn(items: Iterable[Item]) -> Iterator[Item]:
    for item in items:
        if has_turns([item]):
            return
        yield item


def _ends_fresh(items: tuple[Item, ...], role: str) -> bool:
    """Whether items end with a marker of a role and nothing after it, or are nothing."""
    kept = [item for item in items if not is_blank([item])]
    return not kept or (isinstance(kept[-1], Turn) and kept[-1].role == role)


def is_blank(items: Iterable[Item]) -> bool:
    """Whether items render as nothing but white space, whatever the values."""
    return all(
        isinstance(item, Note | Setting)
        or (isinstance(item, Say) and not item.text.strip(BLANK))
        or (isinstance(item, Fork) and all(is_blank(inside) for _, inside in item.parts))
        for item in items
    )


def _is_sure(items: Iterable[Item]) -> bool:
    """Whether items render as more than white space, as long as no required value is blank."""
    return any(
        (isinstance(item, Say) and item.text.strip(BLANK))
        or (isinstance(item, Code) and not item.optional)
        or isinstance(item, Single)
        or (isinstance(item, Fork) and item.always and _is_sure_within(item))
        for item in items
    )


def _is_sure_within(fork: Fork) -> bool:
    return all(_is_sure(inside) for _, inside in fork.parts)


def _has_lines(item: Item) -> bool:
    match item:
        case Say(text):
            return "\n" in text
        case Fork(parts, _, alone):
            return alone or any(_has_lines(each) for _, inside in parts for each in inside)
    return False


def _trimmed(items: list[Item]) -> list[Item]:
    """Items without the white space around them, which our language takes off a turn's text anyway."""
    items = list(items)
    while items and isinstance(items[0], Say):
        text = items[0].text.lstrip()
        items[:1] = [Say(text)] if text else []
        if text:
            break
    while items and isinstance(items[-1], Say):
        text = items[-1].text.rstrip()
        items[-1:] = [Say(text)] if text else []
        if text:
            break
    return items
