"""Types: the short form to JSON Schema, text from a command line to values, values against a schema.

The short form is dotprompt's Picoschema (https://google.github.io/dotprompt/reference/picoschema/): words for scalars,
a description after a comma, `name?`, and `(array)`, `(object)`, `(enum)` on names. `picoschema` reads a whole schema as
dotprompt does; the cases that dotprompt publishes are in tests/core/picoschema.yaml. `read_field` reads one input of a
prompt, with three rules of its own: a name is one that a template can use, whatever is a mapping with `type:` is JSON
Schema at any depth, and an input that may be left out has the schema of one that may not, so that forms stay simple.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

Schema = Mapping[str, Any]

SCALARS = ("string", "integer", "number", "boolean", "null", "any")
_COMPOUND = ("array", "object", "enum")
_WILDCARD = "(*)"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_DEPTH = 50
"""Levels of a schema in the short form; more than any YAML that we read can have."""


class SchemaError(ValueError):
    """A type that cannot be read; the message says which and why. `path` leads from the entry to the place."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Field:
    """One named value with its type, as the short form or JSON Schema declares it."""

    name: str
    schema: Schema
    required: bool
    """False when the name ends in `?` or there is a default."""


def read_field(key: str, spec: Any) -> Field:
    """Read one entry, such as `claim: string, the statement to judge` or `n?: integer`.

    Raises SchemaError.
    """
    if key == _WILDCARD:
        raise SchemaError("inputs are named: (*) can stand only among the fields of an object")
    name, optional, schema = _field(key, spec, _INPUTS, 0)
    return Field(name, schema, not optional and "default" not in schema)


def picoschema(spec: Any, named: Mapping[str, Schema] | None = None) -> dict[str, Any]:
    """Read a whole schema as dotprompt does: the short form, or JSON Schema, which passes through.

    A mapping is JSON Schema when its `type` is a type's word, or when it has `properties`, or something else that no
    field can be; inside the short form everything is the short form. `named` are schemas that a word may stand for;
    prompts have none. Raises SchemaError with the way to the place.
    """
    if isinstance(spec, Mapping) and is_json_schema(spec):
        known = isinstance(spec.get("type"), list) or spec.get("type") in _TYPES
        return _json_schema(spec if known or "properties" not in spec else {**spec, "type": "object"})
    return _read_type(spec, _Rules(named=named or {}), 0)


_TYPES = (*SCALARS, "array", "object")


@dataclass(frozen=True, slots=True)
class _Rules:
    """What differs between an input of a prompt and a schema of dotprompt's."""

    inputs: bool = False
    named: Mapping[str, Schema] = field(default_factory=dict)


_INPUTS = _Rules(inputs=True)


def is_json_schema(spec: Mapping[str, Any]) -> bool:
    """Whether a whole schema is JSON Schema, and not the short form."""
    kind = spec.get("type")
    return (
        isinstance(kind, list)
        or (isinstance(kind, str) and kind in _TYPES)
        or isinstance(spec.get("properties"), Mapping)
        or any(isinstance(spec.get(word), list) for word in ("enum", "anyOf", "oneOf", "allOf"))
        or str(spec.get("$ref", "")).startswith("#")
    )


def _field(key: str, spec: Any, rules: _Rules, depth: int) -> tuple[str, bool, dict[str, Any]]:
    """Read one entry: its name, whether it may be left out, and its schema."""
    name, optional, kind, description = _split_key(key, rules)
    if kind == "array":
        schema: dict[str, Any] = {"type": "array", "items": _read_type(spec, rules, depth + 1)}
    elif kind == "enum":
        schema = _enum(spec)
    elif kind == "object":
        schema = _object(spec, rules, depth + 1)
    else:
        schema = dict(_read_type(spec, rules, depth + 1))
    return name, optional, schema | ({"description": description} if description else {})


def _split_key(key: str, rules: _Rules) -> tuple[str, bool, str | None, str]:
    """Cut `tags?(array, what it is about)` into name, mark, kind and description, in linear time."""
    name, bracket, rest = key.partition("(")
    name = name if rules.inputs else name.strip()
    optional = name.endswith("?")
    name = name.removesuffix("?")
    closed = not bracket or rest.endswith(")")
    if not closed or not (_IDENTIFIER.fullmatch(name) if rules.inputs else name and ")" not in name):
        hint = "use letters, digits and underscores, as in `topic` or `topic?`"
        raise SchemaError(f"{shorten(key)!r} is not a name: {hint}")
    if not bracket:
        return name, optional, None, ""
    kind, _, description = rest.removesuffix(")").partition(",")
    if kind.strip() not in _COMPOUND:
        raise SchemaError(f"{shorten(key)!r}: after a name, in brackets, may stand {', '.join(_COMPOUND)}")
    return name, optional, kind.strip(), description.strip()


def _read_type(spec: Any, rules: _Rules, depth: int) -> dict[str, Any]:
    if isinstance(spec, str):
        return _word(spec, rules)
    if not isinstance(spec, Mapping):
        raise SchemaError("a type is a word (string, integer, …) or a mapping")
    if rules.inputs and (not _SCHEMA_WORDS.isdisjoint(spec) or _NOTES.issuperset(spec)) and spec:
        return _json_schema(spec)
    return _object(spec, rules, depth)


_SCHEMA_WORDS = frozenset({"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"})
"""What makes the type of an input JSON Schema."""
_NOTES = frozenset({"default", "description", "title", "examples"})
"""What a type of anything can hold besides."""


def _word(spec: str, rules: _Rules) -> dict[str, Any]:
    name, _, description = spec.partition(",")
    name = name.strip()
    if name in SCALARS:
        schema = {} if name == "any" else {"type": name}
    elif name in rules.named:
        schema = dict(rules.named[name])
    else:
        other = "or a JSON Schema" if rules.inputs else "or fields; named schemas are not supported"
        raise SchemaError(f"{shorten(name)!r} is not a type: use one of {', '.join(SCALARS)}, {other}")
    return schema | ({"description": description.strip()} if description.strip() else {})


def _json_schema(spec: Mapping[str, Any]) -> dict[str, Any]:
    schema = dict(spec)
    kind = schema.get("type")
    if kind in ("enum", "any"):  # words of the short form, allowed here too
        del schema["type"]
        if kind == "enum" and "enum" not in schema:
            raise SchemaError("an enum needs its values: {type: enum, enum: [a, b]}")
    elif kind is not None and not isinstance(kind, list) and kind not in _TYPES:
        raise SchemaError(f"{shorten(repr(kind))} is not a type: use one of {', '.join(_TYPES)}", ("type",))
    if "enum" in schema:
        try:
            _enum(schema["enum"])
        except SchemaError as error:
            raise SchemaError(str(error), ("enum",)) from None
    return schema


def _enum(spec: Any) -> dict[str, Any]:
    if not isinstance(spec, list) or not spec:
        raise SchemaError("an enum needs a list of values")
    return {"enum": list(spec)}


def _object(spec: Any, rules: _Rules, depth: int) -> dict[str, Any]:
    if not isinstance(spec, Mapping):
        raise SchemaError("an object needs a mapping of its fields")
    if depth > MAX_DEPTH:  # whatever is nested passes here
        raise SchemaError(f"is nested deeper than {MAX_DEPTH} levels")
    properties: dict[str, Any] = {}
    required: list[str] = []
    others: Any = False
    for key, value in spec.items():
        try:
            if key == _WILDCARD:
                others = _read_type(value, rules, depth + 1)
                continue
            name, optional, schema = _field(key, value, rules, depth)
            if name in properties:
                raise SchemaError(f"the field {shorten(name)!r} is declared twice")
        except SchemaError as error:
            raise SchemaError(str(error), (key, *error.path)) from None
        properties[name] = _nullable(schema) if optional else schema
        if not optional and not (rules.inputs and "default" in schema):
            required.append(name)
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": others}
    return schema if required else {key: value for key, value in schema.items() if key != "required"}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """A field that may be left out may also be null: models like to say so."""
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        schema = {**schema, "type": [kind, "null"]}
    elif isinstance(kind, list) and "null" not in kind:
        schema = {**schema, "type": [*kind, "null"]}
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema = {**schema, "enum": [*schema["enum"], None]}
    return schema


def check_schema(schema: Schema) -> str | None:
    """Say what is wrong with a JSON Schema, or None."""
    # Most schemas differ in their words only, and checking one is slow.
    words = [key for key in ("description", "default") if isinstance(schema.get(key), str)]
    try:
        text = json.dumps({k: v for k, v in schema.items() if k not in words})
    except (TypeError, ValueError, RecursionError):
        return "not a JSON Schema: it is not plain data"
    return _check_schema(text)


@lru_cache(maxsize=1024)
def _check_schema(text: str) -> str | None:
    import jsonschema  # here because it is slow to import

    try:
        jsonschema.Draft202012Validator.check_schema(json.loads(text))
    except jsonschema.SchemaError as error:
        return f"not a JSON Schema: {_one_line(error.message)}"
    return None


def check(value: Any, schema: Schema) -> str | None:
    """Say why `value` does not fit `schema`, or None. References to other documents are not followed."""
    import jsonschema  # here because it is slow to import
    import referencing.exceptions

    validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
    try:
        errors = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
    except referencing.exceptions.Unresolvable as error:
        return f"its schema refers to something that is not in it: {_one_line(str(error))}"
    except MemoryError:
        raise
    except Exception as error:  # whatever a stranger's schema provokes: a loop of references, one to what is no schema
        return f"its schema cannot be applied: {_one_line(str(error))}"
    if not errors:
        return None
    first = errors[0]
    where = "".join(f"[{p!r}]" for p in first.absolute_path)
    return f"{where + ': ' if where else ''}{_one_line(first.message)}"


def from_text(text: str, schema: Schema) -> Any:
    """Read a value that was typed: text where the type is a string, JSON otherwise.

    Raises ValueError with the reason.
    """
    if takes_text(schema):
        return text
    try:
        return read_json(text)
    except ValueError:
        wanted = "true or false" if schema.get("type") == "boolean" else schema.get("type") or "a value"
        if isinstance(schema.get("enum"), list):
            wanted = "one of " + ", ".join(json.dumps(v, ensure_ascii=False) for v in schema["enum"])
        raise ValueError(f"wants {wanted}, as JSON; got {shorten(text)!r}") from None


def takes_text(schema: Schema) -> bool:
    """Whether a value of this type is typed as it is, without JSON quotes."""
    kind = schema.get("type")
    if isinstance(schema.get("enum"), list):
        return all(isinstance(v, str) for v in schema["enum"])
    return kind == "string" or (kind is None and "anyOf" not in schema)


def type_name(schema: Schema) -> str:
    """Name a type as a reader would: `string`, `"yes" | "no"`, `array of string`, `{name: string, age?: integer}`.

    `string?` may be null. What is long or deep is cut with `…`.
    """
    return _type_name(schema, 0)


def _type_name(schema: Any, depth: int) -> str:
    if not isinstance(schema, Mapping):
        return "any"
    if depth > _SHOWN_DEPTH:
        return "…"
    if isinstance(schema.get("enum"), list):
        return " | ".join(json.dumps(v, ensure_ascii=False) for v in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    kind = schema.get("type", "any")
    kinds = kind if isinstance(kind, list) else [kind]
    plain = [k for k in kinds if k != "null"]
    if len(plain) == 1 and len(kinds) == 2:
        name = _kind_name(plain[0], schema, depth)
        return f"({name})?" if " " in name and not name.startswith("{") else f"{name}?"
    if kind == "any" and (unions := _union(schema)):
        return " | ".join(_type_name(each, depth + 1) for each in unions)
    return " | ".join(_kind_name(k, schema, depth) for k in kinds) or "any"


_SHOWN_DEPTH = 4
_SHOWN_FIELDS = 100
"""Characters of an object's fields."""


def _union(schema: Schema) -> list[Any]:
    return next((schema[word] for word in ("anyOf", "oneOf") if isinstance(schema.get(word), list)), [])


def _kind_name(kind: Any, schema: Schema, depth: int) -> str:
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"array of {_type_name(schema['items'], depth + 1)}"
    if kind == "object" and (fields := _fields(schema, depth)):
        return f"{{{fields}}}"
    return str(kind)


def _fields(schema: Schema, depth: int) -> str:
    text = ""
    for each in _field_names(schema, depth):
        if text and len(text) + len(each) > _SHOWN_FIELDS:
            return f"{text}, …"
        text += f", {each}" if text else each
    return text


def _field_names(schema: Schema, depth: int) -> Iterator[str]:
    properties, required = schema.get("properties"), schema.get("required")
    for name, each in properties.items() if isinstance(properties, Mapping) else ():
        if isinstance(required, list) and name in required:
            yield f"{name}: {_type_name(each, depth + 1)}"
        else:
            yield f"{name}?: {_type_name(_without_null(each), depth + 1)}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield f"{_WILDCARD}: {_type_name(schema['additionalProperties'], depth + 1)}"


def _without_null(schema: Any) -> Any:
    """What may be left out may also be null; to say so once is enough."""
    if isinstance(schema, Mapping):
        lists = {word: schema[word] for word in ("type", "enum") if isinstance(schema.get(word), list)}
        return {**schema, **{word: [v for v in values if v not in (None, "null")] for word, values in lists.items()}}
    return schema


def shorten(text: str, limit: int = 60) -> str:
    """Cut a text for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _one_line(text: str) -> str:
    return shorten(" ".join(text.split()), 200)


def read_json(text: str) -> Any:
    """Read JSON from strangers: no NaN, no number too large for a float. Raises ValueError."""
    try:
        return STRICT.decode(text)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError(f"{shorten(digits)} is too large")
    return number


STRICT = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
"""Reads no NaN, and no number too large for a float: what is none raises ValueError."""
