"""Rules that call no rule in a circle are regular, and can be written as a pattern."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from promptlab.core.gbnf.tree import Alt, Call, Chars, Node, Repeat, Seq, Text, calls


@dataclass(frozen=True, slots=True)
class Measure:
    """How large a regular part is with its rules and repetitions written out."""

    size: int
    depth: int


def measures(rules: Mapping[str, Node]) -> dict[str, Measure]:
    """Of the rules that are regular."""
    used = {name: set(calls(node)) for name, node in rules.items()}
    users: dict[str, list[str]] = {name: [] for name in rules}
    for name, each in used.items():
        for callee in each:
            users[callee].append(name)
    left = {name: len(each) for name, each in used.items()}
    waiting = deque(name for name, count in left.items() if not count)
    found: dict[str, Measure] = {}
    while waiting:
        name = waiting.popleft()
        measured = measure(rules[name], found)
        assert measured
        found[name] = measured
        for user in users[name]:
            left[user] -= 1
            if not left[user]:
                waiting.append(user)
    return found


def measure(node: Node, rules: Mapping[str, Measure]) -> Measure | None:
    """Of a part, given that of the regular rules; None where it is not regular."""
    match node:
        case Text(text):
            return Measure(len(text), 1)
        case Call(name):
            inner = rules.get(name)
            return inner and Measure(inner.size, inner.depth + 1)
        case Seq(parts) | Alt(parts):
            found = [measure(part, rules) for part in parts]
            whole = [each for each in found if each]
            if len(whole) < len(found):
                return None
            return Measure(max(sum(m.size for m in whole), 1), max((m.depth for m in whole), default=0) + 1)
        case Repeat(part, low, high):
            inner = measure(part, rules)
            times = max(low if high is None else high, 1)
            return inner and Measure(inner.size * times, inner.depth + 1)
    return Measure(1, 1)


def inlined(node: Node, rules: Mapping[str, Node]) -> Node:
    """The same regular part, with its rules written out."""
    match node:
        case Call(name):
            return inlined(rules[name], rules)
        case Seq(parts):
            return Seq(tuple(inlined(part, rules) for part in parts))
        case Alt(options):
            return Alt(tuple(inlined(option, rules) for option in options))
        case Repeat(part, low, high):
            return Repeat(inlined(part, rules), low, high)
    return node


def pattern(node: Node) -> str:
    """A part without rules, as the automaton's own reader takes it."""
    match node:
        case Chars(ranges):
            return "[" + "".join(f"{_char(low)}-{_char(high)}" for low, high in ranges) + "]"
        case Text(text):
            return "".join(_char(ord(char)) for char in text)
        case Seq(parts):
            return "".join(pattern(part) if not isinstance(part, Alt) else f"(?:{pattern(part)})" for part in parts)
        case Alt(options):
            return "|".join(map(pattern, options))
        case Repeat(part, low, high):
            return f"(?:{pattern(part)}){{{low},{'' if high is None else high}}}"
    raise AssertionError(node)


def _char(code: int) -> str:
    return chr(code) if code < 128 and chr(code).isalnum() else f"\\x{{{code:x}}}"
