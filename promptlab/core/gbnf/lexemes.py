"""Lexemes that are in the way of others.

Of the lexemes that may begin at a place, the longest is taken, and what reads them never goes back. That is right
where no lexeme that has come to its end, followed by the first byte of what may come next, could be the beginning of
a longer one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from promptlab.core.gbnf.match import Automaton
from promptlab.core.gbnf.survey import Survey, members
from promptlab.core.gbnf.tree import Node, Ranges

MAX_WORK = 500_000
"""Pairs of steps that are looked at."""

Edge = tuple[Ranges, int, int]
"""Characters, their first bytes as a set, and the state where they lead."""


def in_the_way(lexemes: Sequence[Node], found: Survey) -> set[int]:
    """The lexemes that go on where another, or themselves, should have ended. Raises ValueError if that is hard."""
    return _Pairs(lexemes, found).look()


class _Pairs:
    """All pairs of lexemes that may be read at once, from the same place on."""

    def __init__(self, lexemes: Sequence[Node], found: Survey) -> None:
        self.found = found
        self.walks = [_Walk(node) for node in lexemes]
        self.follows = [self._begins(after) for after in found.after]
        self.seen: set[tuple[int, int]] = set()
        self.waiting: list[tuple[int, int]] = []
        self.wrong: set[int] = set()
        self.work = 0

    def look(self) -> set[int]:
        self._add(self.found.first, self.found.first)
        while self.waiting:
            i, j = self.waiting.pop()
            if self._same(i, j):
                self._add(self.found.after[i], self.found.after[j])
        return self.wrong

    def _begins(self, lexemes: int) -> int:
        """The bytes with which any of these begins."""
        bytes_ = 0
        for i in members(lexemes):
            bytes_ |= self.walks[i].begins
        return bytes_

    def _add(self, some: int, others: int) -> None:
        beside = members(others)
        for i in members(some):
            self._count(len(beside))
            for j in beside:
                pair = (i, j) if i <= j else (j, i)
                if pair not in self.seen and self.walks[i].begins & self.walks[j].begins:
                    self.seen.add(pair)
                    self.waiting.append(pair)

    def _same(self, i: int, j: int) -> bool:
        """Whether a text may be both. Notes which of the two goes on where the other may end and something follow."""
        one, other = self.walks[i], self.walks[j]
        same = False
        for at, by in self._together(one, other):
            same = same or (one.ends(at) and other.ends(by))
            if one.ends(at) and other.goes_on(by) & self.follows[i]:
                self.wrong.add(j)
            if other.ends(by) and one.goes_on(at) & self.follows[j]:
                self.wrong.add(i)
        return same

    def _together(self, one: _Walk, other: _Walk) -> Iterator[tuple[int, int]]:
        """Where the same text may lead in both; not the beginnings."""
        waiting = [(one.start, other.start)]
        reached = set(waiting)
        while waiting:
            at, by = waiting.pop()
            edges, others = one.edges(at), other.edges(by)
            self._count(len(edges) * len(others))
            for ranges, first_bytes, to in edges:
                for other_ranges, other_bytes, other_to in others:
                    pair = (to, other_to)
                    if pair not in reached and first_bytes & other_bytes and _overlap(ranges, other_ranges):
                        reached.add(pair)
                        waiting.append(pair)
                        yield pair

    def _count(self, work: int) -> None:
        self.work += work
        if self.work > MAX_WORK:
            raise ValueError("grammar is too complex to be followed: its parts are too much alike")


class _Walk:
    """A lexeme's automaton, with the steps that need no character taken."""

    def __init__(self, node: Node) -> None:
        self._automaton = Automaton({"": node})
        self._edges: dict[int, list[Edge]] = {}
        self._ends: dict[int, bool] = {}
        self._bytes: dict[int, int] = {}
        self.start = self._automaton.first[""]
        self.begins = self.goes_on(self.start)
        """The bytes with which it begins."""

    def edges(self, state: int) -> list[Edge]:
        """Where characters lead from a state."""
        if state not in self._edges:
            self._look(state)
        return self._edges[state]

    def ends(self, state: int) -> bool:
        """Whether it may end there."""
        if state not in self._edges:
            self._look(state)
        return self._ends[state]

    def goes_on(self, state: int) -> int:
        """The bytes with which it may go on there."""
        if state not in self._edges:
            self._look(state)
        return self._bytes[state]

    def _look(self, state: int) -> None:
        reached = {state}
        waiting = [state]
        while waiting:
            new = set(self._automaton.free[waiting.pop()]) - reached
            reached |= new
            waiting += new
        found = dict.fromkeys(edge for each in sorted(reached) for edge in self._automaton.on[each])
        self._edges[state] = [(ranges, first_bytes(ranges), to) for ranges, to in found]
        self._ends[state] = not reached.isdisjoint(self._automaton.last)
        self._bytes[state] = 0
        for _, bytes_, _ in self._edges[state]:
            self._bytes[state] |= bytes_


def _overlap(one: Ranges, other: Ranges) -> bool:
    i = j = 0
    while i < len(one) and j < len(other):
        if one[i][1] < other[j][0]:
            i += 1
        elif other[j][1] < one[i][0]:
            j += 1
        else:
            return True
    return False


def first_bytes(ranges: Ranges) -> int:
    """The first bytes that characters have in UTF-8, as a set: a number with a bit for each."""
    found = 0
    for low, high in ranges:
        one, other = chr(low).encode()[0], chr(high).encode()[0]
        found |= (1 << other + 1) - (1 << one)
    return found
