"""Rules that only repeat themselves, written as repetitions: what holds answers to a grammar follows these better."""

from __future__ import annotations

from collections.abc import Mapping

from promptlab.core.gbnf.tree import Alt, Call, Node, Repeat, Seq, alt, calls, seq

MAX_OPTIONS = 64

Parts = tuple[Node, ...]


def with_loops(rules: Mapping[str, Node]) -> dict[str, Node]:
    """The same rules; `r ::= a r | b` becomes `r ::= a* b`, and `r ::= r a | b` becomes `r ::= b a*`."""
    return {name: _as_loop(name, node) for name, node in rules.items()}


def _as_loop(name: str, node: Node) -> Node:
    if name not in calls(node):
        return node
    options = _options(node)
    if options is None:
        return node
    own = Call(name)
    others = [seq(parts) for parts in options if not _uses(name, parts)]
    again = [parts for parts in options if _uses(name, parts) and parts != (own,)]
    if all(parts[-1] == own and not _uses(name, parts[:-1]) for parts in again):
        return seq([Repeat(alt([seq(parts[:-1]) for parts in again]), 0, None), alt(others)]) if again else alt(others)
    if all(parts[0] == own and not _uses(name, parts[1:]) for parts in again):
        return seq([alt(others), Repeat(alt([seq(parts[1:]) for parts in again]), 0, None)])
    return node


def _uses(name: str, parts: Parts) -> bool:
    return any(name in calls(part) for part in parts)


def _options(node: Node) -> list[Parts] | None:
    """What a rule may be, with the groups at the end of each written out; None where that is too much."""
    match node:
        case Alt(options):
            found = [_options(option) for option in options]
            whole = [parts for each in found if each is not None for parts in each]
            return whole if None not in found and len(whole) <= MAX_OPTIONS else None
        case Repeat(part, 0, 1):
            inner = _options(part)
            return None if inner is None else [*inner, ()]
        case Seq(parts):
            ends = _options(parts[-1]) if parts else [()]
            return None if ends is None else [(*parts[:-1], *end) for end in ends]
    return [(node,)]
