"""From GBNF to llguidance's notation, so that both mean the same.

What llguidance follows is made of lexemes, which are regular, and of rules over them. It is fast where lexemes are
long, but always takes the longest one: `[a-z]* "end"` would never see its end. So a grammar whose rules do not call
each other in circles becomes a single lexeme, which is exact. Of another one the lexemes are made as long as they can
be, and any that could swallow the beginning of what may follow a lexeme beside it is taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from promptlab.core.gbnf.grammar import parse
from promptlab.core.gbnf.lexemes import in_the_way
from promptlab.core.gbnf.loops import with_loops
from promptlab.core.gbnf.reader import ROOT
from promptlab.core.gbnf.regular import Measure, inlined, measure, measures, pattern
from promptlab.core.gbnf.survey import LEXEME, survey
from promptlab.core.gbnf.tree import EMPTY, Alt, Call, Chars, Node, Repeat, Seq, Text, calls

MAX_LEXEME = 20_000
"""Characters of a lexeme, with repetitions and rules written out."""
MAX_LEXEMES = 60_000
"""… of all lexemes together."""
MAX_DEPTH = 60
"""Of a lexeme: its reader takes 250 levels, and one here makes up to three there."""


@lru_cache(maxsize=16)
def translate(text: str) -> str:
    """Write a grammar for llguidance. Raises ValueError where it is wrong, or too much to follow."""
    rules = with_loops(parse(text).rules)
    apart: set[Node] = set()
    while True:
        shapes = _Shapes(rules, apart)
        rules_left = shapes.all()
        lexemes = [inlined(node, rules) for node in shapes.lexemes]
        if sum(each.size for node in shapes.lexemes if (each := measure(node, shapes.measures))) > MAX_LEXEMES:
            raise ValueError(f"grammar is too large: more than {MAX_LEXEMES:,} characters with its rules written out")
        wrong = in_the_way(lexemes, survey(rules_left, lexemes))
        if not wrong:
            return _written(rules_left, lexemes)
        every = list(shapes.lexemes)
        apart = apart | {every[i] for i in wrong}


class _Shapes:
    """The rules as they are followed: trees in which a lexeme is a call of the rule `@0`, `@1`, …."""

    def __init__(self, rules: Mapping[str, Node], apart: set[Node]) -> None:
        self.rules = rules
        self.apart = apart
        """Regular parts that must not be one lexeme."""
        self.measures = measures(rules)
        self.lexemes: dict[Node, int] = {}

    def all(self) -> dict[str, Node]:
        """The rules that are not written into lexemes, and are needed."""
        found: dict[str, Node] = {}
        waiting = [ROOT]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self._shape(self.rules[name])
                waiting += [each for each in calls(found[name]) if not each.startswith(LEXEME)]
        return found

    def _small(self, node: Node) -> Measure | None:
        """The measure of a node that can be a lexeme, or a part of one."""
        found = measure(node, self.measures)
        return found if found and found.size <= MAX_LEXEME and found.depth <= MAX_DEPTH else None

    def _lexeme(self, node: Node) -> Call:
        return Call(f"{LEXEME}{self.lexemes.setdefault(node, len(self.lexemes))}")

    def _shape(self, node: Node) -> Node:
        if node == EMPTY:
            return node
        whole = self._small(node) is not None
        if isinstance(node, Chars) or (whole and node not in self.apart):
            return self._lexeme(node)
        match node:
            case Text(text):
                return Seq(tuple(self._lexeme(Text(char)) for char in text))
            case Call(name):
                return self._shape(self.rules[name]) if whole else node
            case Repeat(part, low, high):
                return Repeat(self._shape(part), low, high)
            case Seq(parts):
                return Seq(tuple(map(self._shape, parts if whole else self._grouped(parts, Seq))))
            case Alt(options):
                return Alt(tuple(map(self._shape, options if whole else self._grouped(options, Alt))))
        raise AssertionError(node)

    def _grouped(self, parts: Sequence[Node], kind: type[Seq | Alt]) -> list[Node]:
        """Regular parts that stand side by side become one."""
        groups: list[list[Node]] = []
        room = 0
        for part in parts:
            small = self._small(part)
            if small and small.depth < MAX_DEPTH and small.size < room:
                groups[-1].append(part)
                room -= small.size
            else:
                groups.append([part])
                room = MAX_LEXEME - small.size if small and small.depth < MAX_DEPTH else 0
        return [group[0] if len(group) == 1 else kind(tuple(group)) for group in groups]


def _written(rules: Mapping[str, Node], lexemes: Sequence[Node]) -> str:
    names = {name: f"r{i}" for i, name in enumerate(rules)} | {f"{LEXEME}{i}": f"T{i}" for i in range(len(lexemes))}
    lines = [f"start: {names[ROOT]}"]
    lines += [f"{names[name]}: {_rule(node, names)}" for name, node in rules.items()]
    lines += [f"T{i}: /{pattern(node)}/" for i, node in enumerate(lexemes)]
    return "\n".join(lines) + "\n"


def _rule(node: Node, names: Mapping[str, str]) -> str:
    match node:
        case Call(name):
            return names[name]
        case Seq(parts):
            return " ".join(_rule(part, names) for part in parts) or '""'
        case Alt(options):
            return f"({' | '.join(_rule(option, names) for option in options)})"
        case Repeat(part, low, high):
            return f"({_rule(part, names)}){{{low},{'' if high is None else high}}}"
    raise AssertionError(node)
