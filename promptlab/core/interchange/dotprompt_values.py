"""Values of a dotprompt template, as expressions of ours: how each is read, tested, printed and compared.

Handlebars renders what is missing as nothing, `true` as `true` and a list with commas; to it 0, "", [] and what is
missing are false, and {} is true. Ours follows Python, and takes what is missing for an error. What a value can be is
known from its schema, and each expression is as short as that allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from promptlab.core.interchange.jinjatext import quoted
from promptlab.core.schema import Schema

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"")
_METHODS = frozenset(name for kind in (dict, list, str, int, float, bool) for name in dir(kind))
"""Names that a template finds on a value before its fields."""
_MAPPING = frozenset(dir(dict))
"""Of these, the ones that a mapping has."""
_PRINTED = {"string", "integer", "number"}


@dataclass(frozen=True, slots=True)
class Value:
    """An expression, and what is known of its value."""

    code: str
    schema: Schema = field(default_factory=dict)
    missing: bool = False
    """Whether there may be no such field."""
    null: bool = False
    """Whether it may be none."""
    length_of: Value | None = None
    """What it is the length of, where that may be left out."""

    all_inputs: bool = False
    """Whether it is the mapping of all inputs, of which a field is the input itself."""

    @property
    def kinds(self) -> frozenset[str]:
        """The types that it can have, null aside; none where nothing is known."""
        return kinds(self.schema) - {"null"}

    def sure(self) -> Value:
        """The same where a test has shown that it is there."""
        return replace(self, missing=False, null=False)

    @property
    def atom(self) -> str:
        """The expression, in brackets where something may not follow it."""
        return self.code if _is_atom(self.code) else f"({self.code})"


def _is_atom(code: str) -> bool:
    """Whether no word stands free in an expression, outside brackets."""
    depth = 0
    for character in _STRING.sub('""', code):
        depth += (character in "([{") - (character in ")]}")
        if character == " " and depth == 0:
            return False
    return True


def value(code: str, schema: Any, *, missing: bool = False, null: bool = False) -> Value:
    """A value of a schema; it may be none where the schema says so."""
    schema = schema if isinstance(schema, Mapping) else {}
    return Value(code, schema, missing, null or "null" in kinds(schema))


def literal(constant: Any) -> Value:
    """A constant of the template."""
    if constant is None:
        return Value("none", {"type": "null"}, null=True)
    if isinstance(constant, bool):
        return Value(str(constant).lower(), {"type": "boolean"})
    if isinstance(constant, str):
        return Value(quoted(constant), {"type": "string"})
    return Value(repr(constant), {"type": "number"})


def kinds(schema: Schema) -> frozenset[str]:
    """The types that a schema names, or that its values have; none where it does not say."""
    if isinstance(schema.get("enum"), list):
        return frozenset(_kind(each) for each in schema["enum"])
    if "const" in schema:
        return frozenset([_kind(schema["const"])])
    kind = schema.get("type")
    if kind is None and isinstance(schema.get("properties"), Mapping):
        return frozenset(["object"])
    return frozenset(str(each) for each in kind) if isinstance(kind, list) else frozenset([kind] if kind else [])


def _kind(constant: Any) -> str:
    table = {bool: "boolean", str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return table.get(type(constant), "null")


def member(base: Value, name: str) -> Value | None:
    """A field, an item or the length of a value; None where its schema has no such thing."""
    if name == "length" and (base.kinds & {"array", "string"} or not base.kinds):
        if not base.missing and not base.null:
            return Value(f"{base.atom} | length", {"type": "integer"})
        return Value(f'{base.atom} | default("", true) | length', {"type": "integer"}, length_of=base)
    if name.isdecimal() and (base.kinds == {"array"} or not base.kinds):
        return Value(f"{_there(base)}[{int(name[:9])}]", items(base), missing=True)
    if base.kinds and "object" not in base.kinds:
        return None
    properties = base.schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    others = base.schema.get("additionalProperties", True)
    if name not in properties and others is False:
        return None
    required = base.schema.get("required")
    missing = base.missing or base.null or not (isinstance(required, list) and name in required)
    schema = properties.get(name, others if isinstance(others, Mapping) else {})
    if missing and name in _MAPPING:  # where the field is not, the method would be
        there = f"({base.code} | default({{}}, true))" if base.missing else f"({base.code} or {{}})"
        return value(f"{there if base.missing or base.null else base.atom}.get({quoted(name)})", schema, null=True)
    return value(_field(base, name), schema, missing=missing)


def _there(base: Value) -> str:
    """An expression that a field can be taken of: what is missing has none, and says so."""
    return f"({base.code} | default({{}}))" if base.missing else base.atom


def _field(base: Value, name: str) -> str:
    if _IDENTIFIER.fullmatch(name) and name not in _METHODS:
        return f"{_there(base)}.{name}"
    return f"{_there(base)}[{quoted(name)}]"


def items(base: Value) -> Schema:
    """The schema of what is in a list, or of the values of a mapping."""
    word = "additionalProperties" if base.kinds == {"object"} and not base.schema.get("properties") else "items"
    inside = base.schema.get(word)
    return inside if isinstance(inside, Mapping) else {}


def printed(v: Value) -> tuple[str, str]:
    """Write a value as text. Gives the expression, and in which way it renders differently, if it does."""
    found = v.kinds
    if v.length_of:
        return f'{v.length_of.atom} | length if {_is_there(v.length_of)[0]} else ""', ""
    if found == {"boolean"}:
        return _guarded(v, f"{v.atom} | tojson"), ""
    if found == {"array"}:
        listed = v.atom
        if v.null or v.missing:
            listed = f"({v.code} | default([], true))" if v.missing else f"({v.code} or [])"
        exact = kinds(items(v)) and kinds(items(v)) <= _PRINTED | {"null"}
        return f'{listed} | join(",")', "" if exact else "a list of what is not text may be written differently"
    if found == {"object"}:
        return _guarded(v, f"{v.atom} | tojson"), "a mapping is written as JSON; Handlebars writes [object Object]"
    if found == {"string"} and not v.missing:
        return (f'{v.code} or ""' if v.null else v.code), ""
    if found == {"string"} and v.null:
        return f'{v.atom} | default("", true)', ""
    return _guarded(v, f'{v.atom} | default("")' if v.missing else v.code), ""


def _guarded(v: Value, code: str) -> str:
    """The expression, or nothing where the value is none."""
    if v.missing and "tojson" in code:
        return f'{code} if {v.atom} | default(none) is not none else ""'
    return f'{code} if {v.atom} is not none else ""' if v.null else code


def as_json(v: Value, indent: int) -> tuple[str, str]:
    """Write a value as JSON. Gives the expression, and in which way it renders differently, if it does."""
    base = f"{v.atom} | default(none)" if v.missing else v.atom
    if indent:
        return f"{base} | tojson(indent={indent})", ""
    exact = v.kinds and v.kinds <= _PRINTED | {"boolean"}
    return f"{base} | tojson", "" if exact else "JSON has a space after each comma and colon here"


def truth(v: Value) -> tuple[str, str]:
    """Expressions for whether a value is true to Handlebars, and whether it is not."""
    if v.kinds == {"object"}:
        return _is_there(v)
    if v.missing:
        return f"{v.atom} | default(false)", f"not {v.atom} | default(false)"
    return v.code, f"not {v.atom}"


def truth_or_zero(v: Value) -> tuple[str, str]:
    """The same for `includeZero=true`."""
    if v.kinds and v.kinds <= {"integer", "number"}:
        return _is_there(v)
    code = f"{_operand(v)} or {v.atom} is integer or {v.atom} is float"
    return code, f"not ({code})"


def _is_there(v: Value) -> tuple[str, str]:
    if not v.missing and not v.null:
        return "true", "false"
    code = f"{v.atom} | default(none)" if v.missing else v.atom
    return f"{code} is not none", f"{code} is none"


def listed(v: Value) -> str:
    """Write a value so that a loop can go over it."""
    if v.kinds == {"object"}:
        return f"({v.code} or {{}}) | items" if v.null and not v.missing else f"{v.atom} | items"
    if v.missing:
        return f"{v.atom} | default([], true)"
    return f"{v.code} or []" if v.null else v.code


def equal(left: Value, right: Value) -> tuple[str, str]:
    """Expressions for whether two values are the same to JavaScript's `===`, and whether they are not."""
    for a, b in ((left, right), (right, left)):
        if b.code in ("true", "false", "none"):
            return f"{_operand(a)} is {b.code}", f"{_operand(a)} is not {b.code}"
        if b.code in ("0", "1") and not a.kinds - {"boolean"}:  # to Python, true is 1
            test = f"{a.atom} is boolean"
            return f"{_operand(a)} == {b.code} and not {test}", f"{_operand(a)} != {b.code} or {test}"
    return f"{_operand(left)} == {_operand(right)}", f"{_operand(left)} != {_operand(right)}"


def _operand(v: Value) -> str:
    return f"{v.atom} | default(none)" if v.missing else v.atom
