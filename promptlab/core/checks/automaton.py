"""Searching for a regular expression, in a time that is bounded whatever pattern and text are.

`re` tries one way through a pattern after the other, and for `(a+)+$`, or for `\\s+$` on a million blanks, that takes
for ever. Here all ways are followed at once: a pattern, as Python's own parser reads it, becomes states, and each set
of states that is reached is worked out once (https://swtch.com/~rsc/regexp/regexp1.html). What no such machine can do
is refused: looking ahead and behind, references to groups, atomic groups. Single characters are matched by `re`
itself, so `\\w`, classes and `(?i)` mean what they mean in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any

from promptlab.core.checks.kinds import Budget
from promptlab.core.pattern import parse

MAX_STATES = 2000
MAX_COPIES = 20_000
"""Parts of a pattern with its repetitions written out."""
MAX_DEPTH = 60
"""Groups in groups."""
MISS = 20
"""Work for a set of states that is new."""

# What holds between two characters.
FIRST, LINE_FIRST, LAST, END, LINE_END, EDGE, NO_EDGE = (1 << n for n in range(7))
"""`END` is `$`: the end of the text, or the newline before it. `EDGE` is a word boundary."""

_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE | re.VERBOSE | re.UNICODE
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
_REFUSED = {
    "ASSERT": "cannot look ahead or behind",
    "ASSERT_NOT": "cannot look ahead or behind",
    "GROUPREF": "cannot refer back to a group",
    "GROUPREF_EXISTS": "cannot refer back to a group",
    "POSSESSIVE_REPEAT": "cannot have possessive repetitions such as a*+",
    "ATOMIC_GROUP": "cannot have atomic groups (?>...)",
}
_LARGE = "regex is too large: with its repetitions written out it has more than"
_FOUND = -1


@dataclass(frozen=True, slots=True)
class Automaton:
    """The states of a pattern."""

    leaves: tuple[re.Pattern[str], ...]
    """Patterns of one character."""
    reads: tuple[tuple[int, int] | None, ...]
    """For each state the leaf that it reads, and where that leads."""
    free: tuple[tuple[tuple[int, int], ...], ...]
    """… and where nothing leads: what has to hold there, and the state."""
    start: int
    looks: int
    """All that has to hold somewhere."""


ACCEPT = 0
"""The state in which a pattern has been found."""


def search(pattern: str, text: str, budget: Budget) -> bool:
    """Whether a pattern is found somewhere in a text. Raises ValueError for a pattern that cannot be followed, and
    Unscored where it takes too much work."""
    automaton = build(pattern)
    budget.spend(len(text) // 16)
    return _Search(automaton, budget).run(text)


@lru_cache(maxsize=256)
def build(pattern: str) -> Automaton:
    """Make the states of a pattern. Raises ValueError saying why there are none."""
    tree = parse(pattern)
    if tree.state.flags & ~_FLAGS:
        raise ValueError("regex can have no flags but i, m, s, u and x")
    builder = _Builder()
    start = builder.sequence(tree, tree.state.flags, ACCEPT, 0)
    free = tuple(map(tuple, builder.free))
    looks = 0
    for edges in free:
        for look, _ in edges:
            looks |= look
    return Automaton(tuple(builder.leaves), tuple(builder.reads), free, start, looks)


class _Builder:
    """Makes states from the end of a pattern to its beginning, so that what follows is always known."""

    def __init__(self) -> None:
        self.leaves: list[re.Pattern[str]] = []
        self.numbers: dict[tuple[str, int], int] = {}
        """The number of each leaf: it is often the same character that is read."""
        self.reads: list[tuple[int, int] | None] = []
        self.free: list[list[tuple[int, int]]] = []
        self.copies = 0
        self.state()  # ACCEPT

    def state(self, *after: int, look: int = 0) -> int:
        if len(self.reads) >= MAX_STATES:
            raise ValueError(f"{_LARGE} {MAX_STATES:,} states")
        self.reads.append(None)
        self.free.append([(look, each) for each in after])
        return len(self.reads) - 1

    def sequence(self, items: Iterable[Any], flags: int, after: int, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ValueError(f"regex has more than {MAX_DEPTH} groups in each other")
        for op, value in reversed(list(items)):
            after = self.item(str(op), value, flags, after, depth)
        return after

    def item(self, op: str, value: Any, flags: int, after: int, depth: int) -> int:
        self.copies += 1
        if self.copies > MAX_COPIES:
            raise ValueError(f"{_LARGE} {MAX_COPIES:,} parts")
        match op:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                return self.leaf(_one(op, value), flags, after)
            case "BRANCH":
                return self.state(*(self.sequence(each, flags, after, depth + 1) for each in value[1]))
            case "SUBPATTERN":
                _, added, removed, inner = value
                if added & ~_FLAGS:
                    raise ValueError("regex can have no flags but i, m, s, u and x")
                return self.sequence(inner, (flags | added) & ~removed, after, depth + 1)
            case "MAX_REPEAT" | "MIN_REPEAT":  # lazy or not, they are found in the same texts
                low, high, inner = value
                return self.repeat(low, high, inner, flags, after, depth + 1)
            case "AT":
                return self.state(after, look=_look(str(value), flags))
        raise ValueError(f"regex {_REFUSED.get(op, f'has something that cannot be followed ({op.lower()})')}")

    def leaf(self, one: str, flags: int, after: int) -> int:
        flags &= re.IGNORECASE | re.DOTALL
        key = (one, flags)
        if key not in self.numbers:
            self.numbers[key] = len(self.leaves)
            self.leaves.append(re.compile(one, flags))
        made = self.state()
        self.reads[made] = (self.numbers[key], after)
        return made

    def repeat(self, low: int, high: Any, inner: Any, flags: int, after: int, depth: int) -> int:
        unlimited = str(high) == "MAXREPEAT"
        start = after
        if unlimited:
            start = self.state(after)
            self.free[start].append((0, self.sequence(inner, flags, start, depth)))
        for _ in range(0 if unlimited else high - low):
            start = self.state(after, self.copy(inner, flags, start, depth))
        for _ in range(low):
            start = self.copy(inner, flags, start, depth)
        return start

    def copy(self, inner: Any, flags: int, after: int, depth: int) -> int:
        self.copies += 1  # a part can be empty, and stand there four thousand million times
        if self.copies > MAX_COPIES:
            raise ValueError(f"{_LARGE} {MAX_COPIES:,} parts")
        return self.sequence(inner, flags, after, depth)


def _one(op: str, value: Any) -> str:
    """Write a pattern of one character again, every character spelled out."""
    match op:
        case "LITERAL":
            return _char(value)
        case "NOT_LITERAL":
            return f"[^{_char(value)}]"
        case "ANY":
            return "."
    return "[" + "".join(_member(str(kind), each) for kind, each in value) + "]"


def _member(op: str, value: Any) -> str:
    match op:
        case "NEGATE":
            return "^"
        case "RANGE":
            return f"{_char(value[0])}-{_char(value[1])}"
        case "CATEGORY":
            return _CATEGORIES[str(value)]
    return _char(value)


def _char(code: int) -> str:
    return f"\\U{code:08x}"


def _look(where: str, flags: int) -> int:
    lines = bool(flags & re.MULTILINE)
    return {
        "AT_BEGINNING": LINE_FIRST if lines else FIRST,
        "AT_BEGINNING_STRING": FIRST,
        "AT_END": LINE_END if lines else END,
        "AT_END_STRING": LAST,
        "AT_BOUNDARY": EDGE,
        "AT_NON_BOUNDARY": NO_EDGE,
    }[where]


class _Search:
    """One text, followed. Sets of states get numbers; a row says where each character leads from a set."""

    def __init__(self, automaton: Automaton, budget: Budget) -> None:
        self.automaton = automaton
        self.budget = budget
        self.numbers: dict[tuple[int, ...], int] = {}
        self.sets: list[tuple[int, ...]] = []
        self.rows: list[dict[tuple[str, int], int]] = []
        self.taken: dict[str, frozenset[int]] = {}
        """For each character the leaves that take it."""

    def run(self, text: str) -> bool:
        at = self._number(())
        looks = _looks(text, self.automaton.looks) if self.automaton.looks else repeat(0, len(text))
        for char, look in zip(text, looks, strict=True):
            to = self.rows[at].get((char, look))
            if to is None:
                to = self.rows[at][char, look] = self._move(at, char, look)
            if to == _FOUND:
                return True
            at = to
        return ACCEPT in self._spread(at, _looks_at_end(text) & self.automaton.looks)

    def _number(self, states: tuple[int, ...]) -> int:
        if states not in self.numbers:
            self.numbers[states] = len(self.sets)
            self.sets.append(states)
            self.rows.append({})
        return self.numbers[states]

    def _move(self, at: int, char: str, look: int) -> int:
        here = self._spread(at, look)
        if ACCEPT in here:
            return _FOUND
        if char not in self.taken:
            leaves = self.automaton.leaves
            self.budget.spend(len(leaves))
            self.taken[char] = frozenset(i for i, leaf in enumerate(leaves) if leaf.match(char))
        takes = self.taken[char]
        read = (self.automaton.reads[state] for state in here)
        return self._number(tuple(sorted({each[1] for each in read if each and each[0] in takes})))

    def _spread(self, at: int, look: int) -> set[int]:
        """All states that are reached here without a character. A pattern can begin everywhere."""
        here = {*self.sets[at], self.automaton.start}
        waiting = list(here)
        while waiting:
            for needed, state in self.automaton.free[waiting.pop()]:
                if needed & look == needed and state not in here:
                    here.add(state)
                    waiting.append(state)
        self.budget.spend(MISS + len(here))
        return here


def _looks(text: str, used: int) -> list[int]:
    """What holds before each character, as far as it is used."""
    looks = [0] * len(text)
    if used & (EDGE | NO_EDGE):
        words = [_in_word(char) for char in text]
        looks = [NO_EDGE if a == b else EDGE for a, b in zip([False, *words], words, strict=False)]
    for newline in re.finditer("\n", text) if used & (LINE_FIRST | LINE_END | END) else ():
        at = newline.start()
        looks[at] |= LINE_END
        if newline.end() < len(text):
            looks[at + 1] |= LINE_FIRST
        else:
            looks[at] |= END
    if text:
        looks[0] |= FIRST | LINE_FIRST
    return [look & used for look in looks]


def _looks_at_end(text: str) -> int:
    """What holds after the last character."""
    holds = LAST | END | LINE_END | (EDGE if _in_word(text[-1:]) else NO_EDGE)
    if not text:
        holds |= FIRST | LINE_FIRST
    return holds | (LINE_FIRST if text.endswith("\n") else 0)


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"
