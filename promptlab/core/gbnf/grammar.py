"""A whole grammar: rules that are all there, all end, and are not too large."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from promptlab.core.gbnf.reader import ROOT, Reader, shown
from promptlab.core.gbnf.tree import Alt, Call, Chars, Node, Ranges, Repeat, Seq, Text, calls

MAX_CHARS = 64 * 1024
MAX_SIZE = 20_000
"""Characters and names of a grammar with its repetitions written out, unlimited ones once."""
MAX_SHORTEST = 10_000
"""Characters of the shortest text that fits."""
MAX_WORK = 2_000_000


@dataclass(frozen=True, slots=True)
class Grammar:
    """Rules by name, in the order of the text; those that `root` does not need are left out."""

    rules: Mapping[str, Node]
    shortest: str
    """A shortest text that fits."""


@lru_cache(maxsize=64)
def parse(text: str) -> Grammar:
    """Read a grammar. Raises ValueError with the reason, and with its line and column where it has one."""
    if not text.strip():
        raise ValueError("grammar is empty")
    if len(text) > MAX_CHARS:
        raise ValueError(f"grammar is larger than {MAX_CHARS:,} characters")
    reader = Reader(text)
    reader.read()
    for name, at in reader.calls:
        if name not in reader.rules:
            reader.fail(f"there is no rule {shown(name)}", at)
    if ROOT not in reader.rules:
        raise ValueError(f"grammar has no rule `{ROOT}`, with which every answer begins")
    rules = _needed(reader.rules)
    if sum(map(_size, rules.values())) > MAX_SIZE:
        raise ValueError(f"grammar is too large: more than {MAX_SIZE:,} symbols when its repetitions are written out")
    shortest = _Shortest(rules).find()
    for name in rules:
        if name not in shortest:
            reader.fail(
                f"the rule {shown(name)} never ends, or not within {MAX_SHORTEST:,} characters", reader.places[name]
            )
    return Grammar(rules, shortest[ROOT])


def _needed(rules: Mapping[str, Node]) -> dict[str, Node]:
    found = {ROOT}
    waiting = [ROOT]
    while waiting:
        new = set(calls(rules[waiting.pop()])) - found
        found |= new
        waiting += new
    return {name: node for name, node in rules.items() if name in found}


def _size(node: Node) -> int:
    match node:
        case Text(text):
            return len(text)
        case Seq(parts) | Alt(parts):
            return sum(map(_size, parts)) + 1
        case Repeat(part, low, high):
            return max(low if high is None else high, 1) * (_size(part) + 1)
    return 1


class _Shortest:
    """Finds a shortest text for each rule; rules that never end, or only after very many characters, get none."""

    def __init__(self, rules: Mapping[str, Node]) -> None:
        self.rules = rules
        self.found: dict[str, str] = {}
        self.work = 0

    def find(self) -> dict[str, str]:
        users: dict[str, set[str]] = {name: set() for name in self.rules}
        for name, node in self.rules.items():
            for used in calls(node):
                users[used].add(name)
        waiting = deque(self.rules)
        queued = set(waiting)
        while waiting:
            name = waiting.popleft()
            queued.discard(name)
            text = self._of(self.rules[name])
            if text is not None and (name not in self.found or len(text) < len(self.found[name])):
                self.found[name] = text
                waiting += users[name] - queued
                queued |= users[name]
        return self.found

    def _of(self, node: Node) -> str | None:
        self.work += 1
        if self.work > MAX_WORK:
            raise ValueError("grammar is too complex")
        match node:
            case Chars(ranges):
                return _nice(ranges)
            case Text(text):
                return text
            case Call(name):
                return self.found.get(name)
            case Alt(options):
                return min((t for o in options if (t := self._of(o)) is not None), key=len, default=None)
            case Repeat(part, low):
                return self._joined([self._of(part)] * low) if low else ""
            case Seq(parts):
                return self._joined([self._of(part) for part in parts])

    def _joined(self, texts: list[str | None]) -> str | None:
        whole = [text for text in texts if text is not None]
        if len(whole) < len(texts) or sum(map(len, whole)) > MAX_SHORTEST:
            return None
        self.work += sum(map(len, whole)) // 16
        return "".join(whole)


def _nice(ranges: Ranges) -> str:
    """A character of a class that is good to read, where there is one."""
    return next((c for c in "a0A _-.x" if any(low <= ord(c) <= high for low, high in ranges)), chr(ranges[0][0]))
