"""What a grammar is made of, and sets of characters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LAST = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]
"""Code points, first and last of each stretch: in order, apart from each other, without halves of characters."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of a set."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Text:
    """These characters, at least one."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """Whatever a rule stands for."""

    name: str


@dataclass(frozen=True, slots=True)
class Seq:
    """Parts that follow each other; none is the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of several."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, so many times."""

    part: Node
    low: int
    high: int | None
    """None without a limit."""


Node = Chars | Text | Call | Seq | Alt | Repeat
EMPTY = Seq(())


def seq(parts: Sequence[Node]) -> Node:
    """Parts that follow each other."""
    return parts[0] if len(parts) == 1 else Seq(tuple(parts))


def alt(options: Sequence[Node]) -> Node:
    """One of several."""
    return options[0] if len(options) == 1 else Alt(tuple(options))


def calls(node: Node) -> Iterator[str]:
    """Names of the rules that a node uses, as often as it does."""
    match node:
        case Call(name):
            yield name
        case Seq(parts) | Alt(parts):
            for part in parts:
                yield from calls(part)
        case Repeat(part):
            yield from calls(part)


def complement(ranges: Ranges) -> Ranges:
    """All characters but these."""
    found = []
    start = 0
    for low, high in (*ranges, (LAST + 1, LAST + 1)):
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    return normal(found)


def normal(ranges: Sequence[tuple[int, int]]) -> Ranges:
    """Put ranges in order, join those that touch, and leave out the halves of characters, which are in no text."""
    whole = [(low, min(high, 0xD7FF)) for low, high in ranges] + [(max(low, 0xE000), high) for low, high in ranges]
    joined: list[tuple[int, int]] = []
    for low, high in sorted((low, high) for low, high in whole if low <= high):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return tuple(joined)


ANY = Chars(normal([(0, LAST)]))
