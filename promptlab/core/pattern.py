"""From Python's patterns to those of the automaton that follows an answer, so that both mean the same.

The two look alike and differ in much: `[[a]`, `[a&&b]`, `a*+`, `{,3}`, `\\Z`, `\\w`. So a pattern is read by Python's
own parser, as when the whole answer is checked in the end, and written again with every character spelled out.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable
from typing import Any

# Not public, and the only way to know what Python takes a pattern to be; the same in Python 3.11 to 3.14.
_parser: Any = importlib.import_module("re._parser")

MAX_SIZE = 20_000
"""Characters of a pattern with its repetitions written out, unlimited ones once. Those of `a{20000}` take 0.5 s and 100
MB to follow; from about 500,000 on the automaton gives up, after 2 s."""
MAX_DEPTH = 60
"""Groups in groups: the automaton's own reader takes 250 of its levels, and one here makes up to three there."""

_CATEGORIES = {
    "CATEGORY_DIGIT": r"\p{Nd}",
    "CATEGORY_NOT_DIGIT": r"\P{Nd}",
    "CATEGORY_SPACE": r"[\s\x1c-\x1f]",
    "CATEGORY_NOT_SPACE": r"[^\s\x1c-\x1f]",
    "CATEGORY_WORD": r"[\p{L}\p{N}_]",
    "CATEGORY_NOT_WORD": r"[^\p{L}\p{N}_]",
}
_FLAGS = re.IGNORECASE | re.DOTALL | re.MULTILINE | re.VERBOSE | re.UNICODE
_BEGINNINGS = frozenset({"AT_BEGINNING", "AT_BEGINNING_STRING"})
_ENDS = frozenset({"AT_END", "AT_END_STRING"})


def translate(pattern: str) -> str:
    """Write a pattern for the automaton; as there, it is the whole text that must match.

    Raises ValueError when it asks for what an automaton cannot do, or is too large.
    """
    tree = parse(pattern)
    flags = tree.state.flags
    if flags & ~_FLAGS:
        raise ValueError("regex can have no flags but i, m, s, u and x")
    if _size(tree, 0) > MAX_SIZE:
        raise ValueError(f"regex is too large: more than {MAX_SIZE:,} characters when its repetitions are written out")
    return _sequence(tree, flags, first=True, last=True)


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches the whole of a text. Some patterns take for ever: do it where it can be killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.fullmatch(pattern, text) is not None


def literal(text: str) -> str:
    """A pattern that matches this text and nothing else."""
    return "".join(_char(ord(c)) for c in text)


def parse(pattern: str) -> Any:
    """Python's own reading of a pattern. Raises ValueError when it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read in another way
            return _parser.parse(pattern)
    except RecursionError:
        raise ValueError(f"regex has more than {MAX_DEPTH} groups in each other") from None
    except (re.error, OverflowError) as error:
        raise ValueError(f"regex is not a pattern: {error}") from None


def _char(code: int) -> str:
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError("half a character (a surrogate) cannot be in an answer")
    return chr(code) if code < 128 and chr(code).isalnum() else f"\\x{{{code:x}}}"


def _size(items: Iterable[Any], depth: int) -> int:
    if depth > MAX_DEPTH:
        raise ValueError(f"regex has more than {MAX_DEPTH} groups in each other")
    total = 0
    for op, value in items:
        match str(op):
            case "BRANCH":
                total += sum(_size(branch, depth + 1) for branch in value[1])
            case "SUBPATTERN":
                total += _size(value[3], depth + 1)
            case "MAX_REPEAT" | "MIN_REPEAT":
                low, high, inner = value
                total += max(low if high == _parser.MAXREPEAT else high, 1) * _size(inner, depth + 1)
            case _:
                total += 1
    return max(total, 1)


def _sequence(items: Iterable[Any], flags: int, *, first: bool, last: bool) -> str:
    """Write what follows each other; `first` and `last` say whether the text begins before it and ends after it."""
    sequence = list(items)
    solid = [i for i, (op, _) in enumerate(sequence) if str(op) != "AT"]
    begin, end = (solid[0], solid[-1]) if solid else (len(sequence), -1)
    return "".join(
        _item(str(op), value, flags, first=first and i <= begin, last=last and i >= end)
        for i, (op, value) in enumerate(sequence)
    )


def _item(op: str, value: Any, flags: int, *, first: bool, last: bool) -> str:
    match op:
        case "LITERAL":
            return _folded(_char(value), flags)
        case "NOT_LITERAL":
            return _folded(f"[^{_char(value)}]", flags)
        case "ANY":
            return "(?s:.)" if flags & re.DOTALL else "[^\\n]"
        case "IN":
            return _folded(_class(value), flags)
        case "BRANCH":
            return "(?:" + "|".join(_sequence(b, flags, first=first, last=last) for b in value[1]) + ")"
        case "SUBPATTERN":
            _, added, removed, inner = value
            if added & ~_FLAGS:
                raise ValueError("regex can have no flags but i, m, s, u and x")
            return f"(?:{_sequence(inner, (flags | added) & ~removed, first=first, last=last)})"
        case "MAX_REPEAT" | "MIN_REPEAT":  # lazy or not, the whole texts that match are the same
            low, high, inner = value
            most = "" if high == _parser.MAXREPEAT else high
            return f"(?:{_sequence(inner, flags, first=False, last=False)}){{{low},{most}}}"
        case "AT":
            return _anchor(str(value), first=first, last=last)
    raise ValueError(_REFUSED.get(op, f"regex has something that cannot be followed ({op.lower()})"))


_REFUSED = {
    "ASSERT": "regex cannot look ahead or behind",
    "ASSERT_NOT": "regex cannot look ahead or behind",
    "GROUPREF": "regex cannot refer back to a group",
    "GROUPREF_EXISTS": "regex cannot refer back to a group",
    "POSSESSIVE_REPEAT": "regex cannot have possessive repetitions such as a*+",
    "ATOMIC_GROUP": "regex cannot have atomic groups (?>...)",
}


def _anchor(where: str, *, first: bool, last: bool) -> str:
    if (where in _BEGINNINGS and first) or (where in _ENDS and last):
        return ""  # it is the whole answer that must match
    if where in _BEGINNINGS | _ENDS:
        raise ValueError("regex can have ^ only at its beginning and $ only at its end")
    raise ValueError(r"regex cannot have word boundaries (\b, \B)")


def _folded(text: str, flags: int) -> str:
    return f"(?i:{text})" if flags & re.IGNORECASE else text


def _class(items: Iterable[Any]) -> str:
    return "[" + "".join(_member(str(op), value) for op, value in items) + "]"


def _member(op: str, value: Any) -> str:
    match op:
        case "NEGATE":
            return "^"
        case "LITERAL":
            return _char(value)
        case "RANGE":
            low, high = value
            # The halves of characters in the middle of a range are in no text.
            ends = [(low, min(high, 0xD7FF)), (max(low, 0xE000), high)] if low < 0xE000 and high > 0xD7FF else [value]
            return "".join(f"{_char(a)}-{_char(b)}" for a, b in ends if a <= b)
        case "CATEGORY":
            return _CATEGORIES[str(value)]
    raise ValueError(f"regex has something that cannot be followed ({op.lower()})")


def shortest(pattern: str) -> str:
    """A short text that matches a pattern: for engines without a model. Raises ValueError where none is found."""
    text = _example(parse(pattern))
    if not re.fullmatch(pattern, text):
        raise ValueError(f"no example is known for the regex {pattern!r}")
    return text


def _example(items: Iterable[Any]) -> str:
    return "".join(_example_item(str(op), value) for op, value in items)


def _example_item(op: str, value: Any) -> str:
    match op:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return "b" if value == ord("a") else "a"
        case "ANY":
            return "a"
        case "IN":
            return _example_of(list(value))
        case "BRANCH":
            return min((_example(b) for b in value[1]), key=len)
        case "SUBPATTERN":
            return _example(value[3])
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _example(value[2]) * int(value[0])
    return ""


def _example_of(items: list[tuple[Any, Any]]) -> str:
    named = [v if str(op) == "LITERAL" else v[0] for op, v in items if str(op) in ("LITERAL", "RANGE")]
    unlike = str(items[0][0]) == "NEGATE"
    codes = [*named, *map(ord, "a0 _-.A"), *range(33, 127)]
    return next((chr(c) for c in codes if unlike != any(_holds(str(op), v, chr(c)) for op, v in items)), "")


def _holds(op: str, value: Any, char: str) -> bool:
    if op == "CATEGORY":
        kind = str(value).removeprefix("CATEGORY_")
        holds = {"DIGIT": char.isdecimal(), "SPACE": char.isspace(), "WORD": char.isalnum() or char == "_"}
        return holds[kind.removeprefix("NOT_")] != kind.startswith("NOT_")
    if op == "RANGE":
        return bool(value[0] <= ord(char) <= value[1])
    return op == "LITERAL" and ord(char) == value
