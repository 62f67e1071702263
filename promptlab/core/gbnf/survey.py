"""Which lexemes may follow each other. Sets of lexemes are numbers, bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptlab.core.gbnf.reader import ROOT
from promptlab.core.gbnf.tree import Alt, Call, Chars, Node, Repeat, Seq, Text

LEXEME = "@"
"""How the name of a lexeme begins; none of a rule does."""
MAX_ROUNDS = 200
"""Over all rules. Each adds to the sets what the one before has found; usually five are enough."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Sets of lexemes."""

    first: int
    """Those with which a text may begin."""
    after: Sequence[int]
    """For each lexeme those that may follow it."""


def survey(rules: Mapping[str, Node], lexemes: Sequence[Node]) -> Survey:
    """Look at rules as they are followed. Raises ValueError where that takes too long."""
    surveyor = _Surveyor(rules, [_may_be_empty(node) for node in lexemes])
    surveyor.settle()
    return Survey(surveyor.first[ROOT], surveyor.after)


def members(numbers: int) -> list[int]:
    """The numbers in a set."""
    found = []
    while numbers:
        lowest = numbers & -numbers
        found.append(lowest.bit_length() - 1)
        numbers ^= lowest
    return found


def _may_be_empty(node: Node) -> bool:
    match node:
        case Chars() | Text() | Call():
            return False
        case Seq(parts):
            return all(map(_may_be_empty, parts))
        case Alt(options):
            return any(map(_may_be_empty, options))
        case Repeat(part, low):
            return low == 0 or _may_be_empty(part)


class _Surveyor:
    def __init__(self, rules: Mapping[str, Node], empty: Sequence[bool]) -> None:
        self.rules = rules
        self.first = dict.fromkeys(rules, 0) | {f"{LEXEME}{i}": 1 << i for i in range(len(empty))}
        """The lexemes that each rule may begin with."""
        self.empty = dict.fromkeys(rules, False) | {f"{LEXEME}{i}": each for i, each in enumerate(empty)}
        """Whether it may be nothing at all."""
        self.after = [0] * len(empty)
        self.after_rule = dict.fromkeys(rules, 0)

    def settle(self) -> None:
        """Go over all rules until nothing is new."""
        rules = list(self.rules.items())
        for _ in range(MAX_ROUNDS):
            before = (dict(self.first), dict(self.empty), list(self.after), dict(self.after_rule))
            rules.reverse()  # some things are found against the order of the rules, and some along it
            for name, node in rules:
                first, empty = self._walk(node, self.after_rule[name])
                self.first[name] |= first
                self.empty[name] = self.empty[name] or empty
            if before == (self.first, self.empty, self.after, self.after_rule):
                return
        raise ValueError("grammar is too complex to be followed: its rules call each other in too many ways")

    def _walk(self, node: Node, after: int) -> tuple[int, bool]:
        """Note what follows each part of a node that `after` follows. Returns what it begins with."""
        match node:
            case Call(name):
                if name.startswith(LEXEME):
                    self.after[int(name[1:])] |= after
                else:
                    self.after_rule[name] |= after
                return self.first[name], self.empty[name]
            case Seq(parts):
                return self._walk_sequence(parts, after)
            case Alt(options):
                found = [self._walk(option, after) for option in options]
                first = 0
                for each, _ in found:
                    first |= each
                return first, any(empty for _, empty in found)
            case Repeat(part, low, high):
                first, empty = self._walk(part, after)
                if high is None or high > 1:
                    self._walk(part, after | first)
                return first, empty or low == 0
        raise AssertionError(node)

    def _walk_sequence(self, parts: Sequence[Node], after: int) -> tuple[int, bool]:
        begins, nothing = 0, True
        for part in reversed(parts):
            first, empty = self._walk(part, after)
            begins = first | begins if empty else first
            after = first | after if empty else first
            nothing = nothing and empty
        return begins, nothing
