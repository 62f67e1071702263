"""Reads the text of a GBNF grammar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from promptlab.core.gbnf.tree import ANY, EMPTY, LAST, Call, Chars, Node, Repeat, Text, alt, complement, normal, seq

ROOT = "root"
MAX_DEPTH = 60
"""Groups and repetitions in each other."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_COUNT = re.compile(r"[0-9]+")
_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", **{c: c for c in '\\"[]-'}}
_TIMES: Mapping[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(slots=True)
class Reader:
    """A text that is being read."""

    text: str
    at: int = 0
    rules: dict[str, Node] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    """Where each rule begins."""
    calls: list[tuple[str, int]] = field(default_factory=list)

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        """Raise ValueError with a place: where the reader stands, or another one."""
        before = self.text[: self.at if at is None else at]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ValueError(f"grammar, line {line}, column {column}: {what}")

    def read(self) -> None:
        """Read all rules."""
        self._space(lines=True)
        while self.at < len(self.text):
            self._rule()
            self._space(lines=True)

    @property
    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _space(self, lines: bool) -> None:
        match = (_SPACE_LINES if lines else _SPACE).match(self.text, self.at)
        assert match
        self.at = match.end()

    def _rule(self) -> None:
        place = self.at
        name = _NAME.match(self.text, place)
        if name is None:
            more = "; an alternative goes on where its | ends the line before, or in parentheses"
            self.fail(f"here a rule begins, with its name{more if self._next == '|' else ''}")
        self.at = name.end()
        self._space(lines=False)
        if not self.text.startswith("::=", self.at):
            self.fail(f"after the name of a rule stands ::=, as in `{ROOT} ::= …`")
        if name[0] in self.rules:
            self.fail(f"the rule {shown(name[0])} is defined twice", place)
        self.at += 3
        self._space(lines=True)
        self.rules[name[0]] = self._options(0)
        self.places[name[0]] = place
        if self._next not in ("", "\r", "\n"):
            self.fail(f"{self._next!r} cannot stand here")

    def _options(self, depth: int) -> Node:
        options = [self._sequence(depth)]
        while self._next == "|":
            self.at += 1
            self._space(lines=True)
            options.append(self._sequence(depth))
        return alt(options)

    def _sequence(self, depth: int) -> Node:
        parts: list[Node] = []
        repeated = 0
        while self._next and self._next not in "|)\r\n":
            if self._next in "*+?{":
                repeated += 1
                self._repeat(parts, depth + repeated)
            else:
                repeated = 0
                parts.append(self._item(depth))
            self._space(lines=depth > 0)
        return seq(parts)

    def _repeat(self, parts: list[Node], depth: int) -> None:
        if not parts:
            self.fail("there is nothing before it that could be repeated")
        if depth > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} groups and repetitions in each other")
        begin = self.at
        sign = self._next
        self.at += 1
        low, high = _TIMES[sign] if sign in _TIMES else self._counts(begin)
        parts[-1] = EMPTY if high == 0 else Repeat(parts[-1], low, high)

    def _counts(self, begin: int) -> tuple[int, int | None]:
        low = self._count()
        high: int | None = low
        if self._next == ",":
            self.at += 1
            self._space(lines=True)
            high = None if self._next == "}" else self._count()
        if self._next != "}":
            self.fail("expected } here: a repetition is {m}, {m,} or {m,n}")
        self.at += 1
        if high is not None and high < low:
            self.fail(f"from {low} to {high} times is never", begin)
        return low, high

    def _count(self) -> int:
        self._space(lines=True)
        digits = _COUNT.match(self.text, self.at)
        if digits is None:
            self.fail("expected a number here: a repetition is {m}, {m,} or {m,n}")
        if len(digits[0]) > 9:
            self.fail("this number is too large")
        self.at = digits.end()
        self._space(lines=True)
        return int(digits[0])

    def _item(self, depth: int) -> Node:
        sign = self._next
        if name := _NAME.match(self.text, self.at):
            self.calls.append((name[0], self.at))
            self.at = name.end()
            return Call(name[0])
        if sign in "<!":
            self.fail("tokens such as <think> cannot be used: an answer is a text")
        if sign not in '"[(.':
            self.fail(f"{sign!r} cannot stand here")
        begin = self.at
        self.at += 1
        if sign == '"':
            return self._literal(begin)
        if sign == "[":
            return self._class(begin)
        return ANY if sign == "." else self._group(begin, depth)

    def _group(self, begin: int, depth: int) -> Node:
        if depth >= MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} groups and repetitions in each other", begin)
        self._space(lines=True)
        node = self._options(depth + 1)
        if self._next != ")":
            self.fail("this ( is not closed", begin)
        self.at += 1
        return node

    def _literal(self, begin: int) -> Node:
        found: list[str] = []
        while self._next != '"':
            if not self._next:
                self.fail("this text is not closed", begin)
            found.append(self._char())
        self.at += 1
        return Text("".join(found)) if found else EMPTY

    def _class(self, begin: int) -> Node:
        negated = self._next == "^"
        self.at += negated
        found: list[tuple[int, int]] = []
        while self._next != "]":
            if not self._next:
                self.fail("this [ is not closed", begin)
            start = self.at
            low = high = self._char()
            if self._next == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._char()
            if high < low:
                self.fail("a range goes from the lower character to the higher one", start)
            found.append((ord(low), ord(high)))
        self.at += 1
        ranges = complement(normal(found)) if negated and found else normal(found)
        if not ranges:
            self.fail("this class holds no character", begin)
        return Chars(ranges)

    def _char(self) -> str:
        begin = self.at
        char = self._next
        self.at += 1
        if char == "\\":
            char = self._escape(begin)
        if "\ud800" <= char <= "\udfff":
            self.fail("half a character (a surrogate) cannot be in an answer", begin)
        return char

    def _escape(self, begin: int) -> str:
        sign = self._next
        self.at += 1
        if sign in _HEX:
            digits = self.text[self.at : self.at + _HEX[sign]]
            if not re.fullmatch(f"[0-9A-Fa-f]{{{_HEX[sign]}}}", digits):
                self.fail(f"after \\{sign} stand {_HEX[sign]} digits out of 0-9 and a-f", begin)
            self.at += len(digits)
            if int(digits, 16) > LAST:
                self.fail("there is no such character", begin)
            return chr(int(digits, 16))
        if not sign or sign not in _ESCAPES:
            self.fail(r'after \ stands one of n r t " \ [ ] -, or x, u or U with digits', begin)
        return _ESCAPES[sign]


def shown(name: str) -> str:
    """A name in a message."""
    return repr(name if len(name) <= 40 else name[:39] + "…")
