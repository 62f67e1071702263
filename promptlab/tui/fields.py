"""Which control suits an input, what it shows at first, and what its text means. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from promptlab.core.schema import from_text, takes_text, type_name

if TYPE_CHECKING:
    from promptlab.core.prompt import Input

Kind = Literal["line", "area", "choice", "switch", "number", "json"]

LONG_NAMES = {"text", "document", "article", "passage", "code", "source", "body", "context", "transcript", "essay"}
"""Names that people give to inputs which are pasted rather than typed."""
LONG = 100
"""Characters beyond which a text wants more than a line."""

VARIES = "each version's own"
"""What is said where versions that are asked together have different defaults."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True)
class Held:
    """What a case puts into a field: as long as nobody types there, a run is given exactly this."""

    draft: Any
    """What the control shows."""
    value: Any
    """What a run is given."""


def kind_of(input: Input) -> Kind:
    """Choose the control for an input."""
    schema = input.schema
    if isinstance(schema.get("enum"), list):
        return "choice"
    if takes_text(schema):
        return "area" if _is_long(input) else "line"
    match schema.get("type"):
        case "boolean":
            return "switch"
        case "integer" | "number":
            return "number"
    return "json"


def _is_long(input: Input) -> bool:
    default = input.default if isinstance(input.default, str) else ""
    limit = input.schema.get("maxLength")
    return (
        "\n" in default
        or len(default) > LONG
        or input.schema.get("format") in ("textarea", "multiline", "markdown")
        or (isinstance(limit, int) and limit > LONG)
        or input.name.lower() in LONG_NAMES
    )


def shown_default(input: Input) -> str:
    """The default as it stands in a text control; empty where there is none."""
    if "default" not in input.schema:
        return ""
    if takes_text(input.schema) and isinstance(input.default, str):
        return input.default
    return json.dumps(input.default, ensure_ascii=False)


def placeholder(input: Input) -> str:
    """What an empty control says: what then happens."""
    if input.varies:
        return VARIES
    if "default" in input.schema:
        return "empty" if takes_text(input.schema) else f"default: {shown_default(input)}"
    how = _how(input.schema) if kind_of(input) == "json" else ""
    return ("required" if input.required else "optional") + (f" · {how}" if how else "")


def _how(schema: Mapping[str, Any]) -> str:
    """How to type what is neither a text nor a number."""
    kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
    if "string" in kinds:
        return 'JSON: "a text"' + (", or null" if "null" in kinds else "")
    return 'JSON: ["a", "b"]' if "array" in kinds else 'JSON: {"a": 1}' if "object" in kinds else "JSON"


def bounds(schema: Mapping[str, Any]) -> str:
    """The range of a number, in a few words; empty where there is none."""
    low, high = (each if _is_number(each) else None for each in (schema.get("minimum"), schema.get("maximum")))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"from {low}" if low is not None else f"up to {high}" if high is not None else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_given(input: Input, text: str) -> bool:
    """Whether a control with this text gives a value, or leaves it to the prompt.

    Nothing typed is nothing given, except where a default text was cleared: that asks for the empty text.
    """
    if text:
        return text != shown_default(input)
    return takes_text(input.schema) and "default" in input.schema and input.default != ""


def complaint(input: Input, text: str) -> str | None:
    """Say why the text cannot be of the input's type, or None. Only what is quick and safe to see as one types:
    the lab checks the rest, where a pattern that never ends can be killed.
    """
    if not text.strip():
        return None
    try:
        value = from_text(text, input.schema)
    except ValueError as error:
        return str(error)
    kinds = _TYPES.get(str(input.schema.get("type")))
    whole = input.schema.get("type") == "integer" and isinstance(value, float) and value.is_integer()
    if kinds and not whole and (not isinstance(value, kinds) or isinstance(value, bool)):
        return f"wants {type_name(input.schema)}"
    return _range(input.schema, value)


def _range(schema: Mapping[str, Any], value: Any) -> str | None:
    if not _is_number(value):
        return None
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int | float) and value < low:
        return f"wants at least {low}"
    if isinstance(high, int | float) and value > high:
        return f"wants at most {high}"
    return None


def draft_of(input: Input, kind: Kind, value: Any, *, typed: bool = False) -> Any:
    """How a control shows a value; None where it cannot. A `typed` value is text that the input's type reads."""
    as_typed = typed and isinstance(value, str)
    match kind:
        case "switch":
            return {"true": True, "false": False}.get(value.strip()) if as_typed else _only(value, bool)
        case "choice":
            return _position(input.schema["enum"], _read(input, value) if as_typed else value)
    if value is None and not input.required:
        return ""
    return value if as_typed or (isinstance(value, str) and takes_text(input.schema)) else _json(value)


def fits(input: Input, draft: Any) -> bool:
    """Whether a control of this input can show what was once typed."""
    match kind_of(input):
        case "switch":
            return isinstance(draft, bool)
        case "choice":
            return isinstance(draft, int) and not isinstance(draft, bool) and 0 <= draft < len(input.schema["enum"])
    return isinstance(draft, str)


def _only(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None


def _position(values: list[Any], value: Any) -> int | None:
    # 1, 1.0 and true are equal in Python, and three choices in a list.
    same = (at for at, each in enumerate(values) if each == value and isinstance(each, bool) == isinstance(value, bool))
    return next(same, None)


def _read(input: Input, text: str) -> Any:
    try:
        return from_text(text, input.schema)
    except ValueError:
        return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
