"""Values of a Nunjucks template, as expressions of ours: how each is printed, and what is done where it may be missing.

To Nunjucks what is missing is nothing; ours takes it for an error. What a value can be is known from the tests of the
config (`seen`), and each expression is as short as that allows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from promptlab.core.interchange.jinjatext import quoted

MAX_SEEN = 100
"""Values that are looked at."""
ATOM, FILTERED, LOOSE = 2, 1, 0
"""A name, a call or something in brackets; something with a filter; something with operators."""
_METHODS = frozenset(dir(dict))
"""Names that Jinja finds on a mapping before its fields."""


@dataclass(frozen=True, slots=True)
class Value:
    """An expression, and what is known of its value."""

    code: str
    seen: tuple[Any, ...] | None = None
    """What it was in the tests; None where nobody knows."""
    missing: bool = False
    """Whether there may be no such value."""
    blank: bool = False
    """Whether it is an input that is an empty text where promptfoo has no value."""
    rank: int = ATOM
    """What may follow it without brackets around it."""
    kind: str = ""
    """`text`, `number`, `truth` or `list`, where the expression itself says so."""

    @property
    def atom(self) -> str:
        """The expression, such that anything may follow it."""
        return self.code if self.rank == ATOM else f"({self.code})"

    @property
    def operand(self) -> str:
        """The expression, such that it may stand between operators, and a filter may follow it."""
        return self.code if self.rank >= FILTERED else f"({self.code})"

    def sure(self) -> Value:
        """The same, an empty text where it may be missing."""
        return replace(self, code=f'{self.operand}|default("")', rank=FILTERED, missing=False) if self.missing else self

    def types(self) -> set[str]:
        """What it can be: `text`, `number`, `truth`, `list`, `mapping`, `none`; `any` where nobody knows."""
        if self.kind:
            return {self.kind}
        return {"any"} if self.seen is None else {_type(each) for each in self.seen}

    @property
    def is_text(self) -> bool:
        """Whether it is surely a text."""
        return self.types() == {"text"}


def _type(value: Any) -> str:
    match value:
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case dict():
            return "mapping"
    return "none"


def field(value: Value, name: str) -> Value:
    """`value.name`."""
    if name == "length" and not _has_field(value, name):
        # A text, a list, or nothing: of the latter Nunjucks knows no length either.
        return Value(f"{value.sure().operand}|length", kind="number", rank=FILTERED)
    base = replace(value, code=f"({value.operand}|default({{}}))", rank=ATOM) if value.missing else value
    dotted = name.isidentifier() and name.isascii() and name not in _METHODS and not name.startswith("_")
    code = f"{base.atom}.{name}" if dotted else f"{base.atom}[{quoted(name)}]"
    return _inside(value, code, name)


def item(value: Value, key: Value, literal: Any = None) -> Value:
    """`value[key]`; `literal` is the key where it is written out."""
    base = replace(value, code=f"({value.operand}|default({{}}))", rank=ATOM) if value.missing else value
    return _inside(value, f"{base.atom}[{key.sure().code}]", literal)


def _inside(value: Value, code: str, key: Any) -> Value:
    if value.seen is None or not isinstance(key, str | int):
        return Value(code, missing=True)
    found = [each[key] for each in value.seen if _has(each, key)]
    sure = bool(found) and len(found) == len(value.seen) < MAX_SEEN and not value.missing
    return Value(code, tuple(found), missing=not sure)


def _has(value: Any, key: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(key, int) and 0 <= key < len(value)
    return isinstance(value, dict) and key in value


def _has_field(value: Value, name: str) -> bool:
    return any(isinstance(each, dict) and name in each for each in value.seen or ())


def elements(value: Value) -> Value:
    """What a loop over a value goes through, without code: it gets a name."""
    if value.seen is None:
        return Value("")
    return Value("", tuple(one for each in value.seen if isinstance(each, list) for one in each)[:MAX_SEEN])


def pairs(value: Value) -> str:
    """What a loop with two names goes through: of a mapping its entries, of a list what is in it."""
    code = value.sure()
    types = value.types()
    if types == {"mapping"} and not value.missing:
        return f"{value.atom}.items()"
    if types == {"list"}:
        return code.code
    return f"{code.atom}.items() if {code.operand} is mapping else {code.operand}"


def printed(value: Value) -> str:
    """An expression that is written as JavaScript writes it."""
    code, types = value.sure(), value.types()
    if types == {"truth"} or types == {"mapping"}:
        return f"{code.operand}|tojson"
    if types == {"list"} and _are_plain(value.seen or ()):
        return f'{code.operand}|join(",")'
    if "mapping" in types or "list" in types:
        return f"{code.operand} if {code.operand} is string else {code.operand}|tojson"
    if "truth" in types:
        return f"{code.operand}|tojson if {code.operand} is boolean else {code.operand}"
    if "none" in types:
        return f'{code.operand} if {code.operand} is not none else ""'
    return code.code


def _are_plain(values: Iterable[Any]) -> bool:
    return all(isinstance(each, str | int) and not isinstance(each, bool) for one in values for each in one)


def type_name(value: Any) -> str:
    """The type of an input that has had this value, in the words of JSON Schema."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "integer"
    names = {"text": "string", "number": "number", "truth": "boolean", "list": "array", "mapping": "object"}
    return names.get(_type(value), "any")


def declared(types: Collection[str], *, optional: bool) -> str | Mapping[str, Any]:
    """How an input of these types is declared: what may be left out is an empty text then, which is nothing at all."""
    kinds = set(types) - ({"integer"} if "number" in types else set())
    kind = kinds.pop() if len(kinds) == 1 else "any"
    if optional:
        return {"type": kind if kind == "string" else "any", "default": ""}
    return {"type": kind} if kind in ("array", "object") else kind
