"""Whether a text fits a grammar: an Earley recogniser, independent of what held the text to it.

Each rule is a small automaton, and what is followed are pairs of a state and a frame: where the rule was called from,
shared by all who call it at the same place. A call with nothing after it keeps the frame of its caller, so that
right recursion costs no more than a loop.
"""

from __future__ import annotations

from bisect import bisect
from collections import deque
from collections.abc import Mapping
from functools import lru_cache

from promptlab.core.gbnf.grammar import parse
from promptlab.core.gbnf.reader import ROOT
from promptlab.core.gbnf.tree import LAST, Alt, Call, Chars, Node, Ranges, Repeat, Seq, Text

MAX_WORK = 1_000_000
"""Steps for one text: 1 to 2 s. An ordinary grammar takes 5 to 20 for a character."""

Item = tuple[int, int]
"""A state and a frame."""


def misfit(grammar: str, text: str) -> str | None:
    """Say why a text does not fit a grammar, or None. Raises ValueError when that takes too much work to tell."""
    at = _Reading(_automaton(grammar)).follow(text)
    if at is None:
        return None
    return "ends too early for its grammar" if at == len(text) else f"leaves its grammar at character {at + 1}"


@lru_cache(maxsize=64)
def _automaton(grammar: str) -> Automaton:
    return Automaton(parse(grammar).rules)


class Automaton:
    """The states of a grammar's rules. Nothing leads into the first state of a rule, and nothing out of its last."""

    def __init__(self, rules: Mapping[str, Node]) -> None:
        self.on: list[list[tuple[Ranges, int]]] = []
        """For each state where a character leads."""
        self.free: list[list[int]] = []
        """… and where nothing leads."""
        self.calls: list[list[tuple[int, int]]] = []
        """… and where a rule leads: its first state, and where to go on after it."""
        self.first = {name: self._state() for name in rules}
        self.last: set[int] = set()
        for name, node in rules.items():
            end = self._state()
            self.last.add(end)
            self._build(node, self.first[name], end)

    def _state(self) -> int:
        self.on.append([])
        self.free.append([])
        self.calls.append([])
        return len(self.on) - 1

    def _build(self, node: Node, start: int, end: int) -> None:
        match node:
            case Chars(ranges):
                self.on[start].append((ranges, end))
            case Text(text):
                for char in text[:-1]:
                    middle = self._state()
                    self.on[start].append((((ord(char), ord(char)),), middle))
                    start = middle
                self.on[start].append((((ord(text[-1]), ord(text[-1])),), end))
            case Call(name):
                self.calls[start].append((self.first[name], end))
            case Alt(options):
                for option in options:
                    self._build(option, start, end)
            case Seq(parts):
                for part in parts[:-1]:
                    middle = self._state()
                    self._build(part, start, middle)
                    start = middle
                if parts:
                    self._build(parts[-1], start, end)
                else:
                    self.free[start].append(end)
            case Repeat():
                self._repeat(node, start, end)

    def _repeat(self, node: Repeat, start: int, end: int) -> None:
        times = node.low if node.high is None else node.high
        for i in range(times):
            if i >= node.low:
                self.free[start].append(end)
            after = end if i == times - 1 and node.high is not None else self._state()
            self._build(node.part, start, after)
            start = after
        if node.high is None:
            around, back = self._state(), self._state()
            self.free[start].append(around)
            self._build(node.part, around, back)
            self.free[back].append(around)
            self.free[around].append(end)


class _Reading:
    """One text, read along an automaton."""

    def __init__(self, automaton: Automaton) -> None:
        self.automaton = automaton
        self.returns: list[dict[Item, None]] = [{}]
        """For each frame who waits for its end. The first one is that of the whole text."""
        self.work = 0

    def follow(self, text: str) -> int | None:
        """How far a text fits; None when it does as a whole."""
        items: list[Item] = [(self.automaton.first[ROOT], 0)]
        for at, char in enumerate(text):
            reached, _ = self._spread(items)
            items = self._step(reached, ord(char))
            if not items:
                return at
        return None if self._spread(items)[1] else len(text)

    def _step(self, items: list[Item], code: int) -> list[Item]:
        found: dict[Item, None] = {}
        for state, frame in items:
            edges = self.automaton.on[state]
            self.work += len(edges)
            for ranges, target in edges:
                low, high = ranges[bisect(ranges, (code, LAST)) - 1]
                if low <= code <= high:
                    found[target, frame] = None
        return list(found)

    def _spread(self, items: list[Item]) -> tuple[list[Item], bool]:
        """All items that can be reached without a character; and whether the text may end here."""
        here = _Here(self, items)
        here.run()
        return here.reading, here.complete


class _Here:
    """One place in a text."""

    def __init__(self, whole: _Reading, items: list[Item]) -> None:
        self.whole = whole
        self.seen = set(items)
        self.waiting = deque(items)
        self.reading: list[Item] = []
        """Items that wait for a character."""
        self.complete = False
        self.frames: dict[int, int] = {}
        """Frames of rules that begin here, by their first state."""
        self.ended: set[int] = set()
        """Frames that have ended here."""

    def run(self) -> None:
        automaton = self.whole.automaton
        while self.waiting:
            item = state, frame = self.waiting.popleft()
            self._count()
            if state in automaton.last:
                self._end(frame)
            if automaton.on[state]:
                self.reading.append(item)
            for target in automaton.free[state]:
                self._add((target, frame))
            for first, after in automaton.calls[state]:
                self._call(first, after, frame)

    def _call(self, first: int, after: int, frame: int) -> None:
        if after in self.whole.automaton.last:  # nothing comes after it
            self._add((first, frame))
            return
        returns = self.whole.returns
        if first not in self.frames:
            self.frames[first] = len(returns)
            returns.append({})
        new = self.frames[first]
        returns[new][after, frame] = None
        if new in self.ended:
            self._add((after, frame))
        self._add((first, new))

    def _end(self, frame: int) -> None:
        self.complete = self.complete or frame == 0
        self.ended.add(frame)
        for item in list(self.whole.returns[frame]):
            self._count()
            self._add(item)

    def _add(self, item: Item) -> None:
        if item not in self.seen:
            self.seen.add(item)
            self.waiting.append(item)

    def _count(self) -> None:
        self.whole.work += 1
        if self.whole.work > MAX_WORK:
            raise ValueError("is too long for its grammar: it takes too much work to check")
