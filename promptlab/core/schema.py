"""Types of inputs: the short form to JSON Schema, text from a command line to values, values against a schema.

The short form follows dotprompt's Picoschema (https://google.github.io/dotprompt/reference/picoschema/) for scalars,
`name?` for optional ones, descriptions after a comma, and `(array)`, `(object)`, `(enum)` on names. Whatever else is a
mapping with `type:` is JSON Schema and passes through.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

SCALARS = ("string", "integer", "number", "boolean", "null", "any")
_COMPOUND = ("array", "object", "enum")
_NAME = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<optional>\?)?(?:\(\s*(?P<kind>[a-z]+)\s*(?:,(?P<description>.*))?\))?"
)
"""No two parts of it take the same text: with spaces around the description, a key of 1,000 spaces took 6 s."""


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
    match = _NAME.fullmatch(key)
    if not match:
        raise SchemaError(
            f"{shorten(key)!r} is not a name: use letters, digits and underscores, as in `topic` or `topic?`"
        )
    kind, optional = match["kind"], bool(match["optional"])
    if kind is not None and kind not in _COMPOUND:
        raise SchemaError(f"{shorten(key)!r}: after a name, in brackets, may stand {', '.join(_COMPOUND)}")
    if kind == "array":
        schema: dict[str, Any] = {"type": "array", "items": _read_type(spec)}
    elif kind == "enum":
        schema = _enum(spec)
    elif kind == "object":
        schema = _object(spec)
    else:
        schema = dict(_read_type(spec))
    if description := (match["description"] or "").strip():
        schema["description"] = description
    return Field(match["name"], schema, not optional and "default" not in schema)


def _read_type(spec: Any) -> dict[str, Any]:
    if isinstance(spec, str):
        name, _, description = spec.partition(",")
        name = name.strip()
        if name not in SCALARS:
            raise SchemaError(f"{shorten(name)!r} is not a type: use one of {', '.join(SCALARS)}, or a JSON Schema")
        schema = {} if name == "any" else {"type": name}
        return schema | ({"description": description.strip()} if description.strip() else {})
    if isinstance(spec, Mapping):
        if "type" in spec or "enum" in spec or "anyOf" in spec or "const" in spec:
            return _json_schema(spec)
        return _object(spec)
    raise SchemaError("a type is a word (string, integer, …) or a mapping")


def _json_schema(spec: Mapping[str, Any]) -> dict[str, Any]:
    schema = dict(spec)
    kind = schema.get("type")
    if kind in ("enum", "any"):  # words of the short form, allowed here too
        del schema["type"]
        if kind == "enum" and "enum" not in schema:
            raise SchemaError("an enum needs its values: {type: enum, enum: [a, b]}")
    elif kind is not None and not isinstance(kind, list) and kind not in (*SCALARS, "array", "object"):
        message = f"{shorten(repr(kind))} is not a type: use one of {', '.join((*SCALARS, 'array', 'object'))}"
        raise SchemaError(message, ("type",))
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


def _object(spec: Any) -> dict[str, Any]:
    if not isinstance(spec, Mapping):
        raise SchemaError("an object needs a mapping of its fields")
    fields = []
    for key, value in spec.items():
        try:
            fields.append(read_field(key, value))
        except SchemaError as error:
            raise SchemaError(str(error), (key, *error.path)) from None
    return {
        "type": "object",
        "properties": {f.name: f.schema for f in fields},
        "required": [f.name for f in fields if f.required],
        "additionalProperties": False,
    }


def check_schema(schema: Schema) -> str | None:
    """Say what is wrong with a JSON Schema, or None."""
    import jsonschema  # here because it is slow to import

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
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
        wanted = schema.get("type") or "a value"
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
    """Name a type as a reader would: `string`, `integer`, `"yes" | "no"`, `array of string`."""
    if isinstance(schema.get("enum"), list):
        return " | ".join(json.dumps(v, ensure_ascii=False) for v in schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " | ".join(map(str, kind))
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"array of {type_name(schema['items'])}"
    return str(kind)


def shorten(text: str, limit: int = 60) -> str:
    """Cut a text for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _one_line(text: str) -> str:
    return shorten(" ".join(text.split()), 200)


def read_json(text: str) -> Any:
    """Read JSON from strangers: no NaN, no number too large for a float. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError(f"{shorten(digits)} is too large")
    return number
