"""Which control suits an input, what it shows at first, and what its text means. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from promptlab.core.schema import from_text, takes_text, type_name

if TYPE_CHECKING:
    from promptlab.core.prompt import Input

Kind = Literal["line", "area", "choice", "switch", "number", "json"]

LONG_NAMES = {"text", "document", "article", "passage", "code", "source", "body", "context", "transcript", "essay"}
"""Names that people give to inputs which are pasted rather than typed."""
LONG = 100
"""Characters beyond which a text wants more than a line."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


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
    if input.required:
        return "required"
    if "default" not in input.schema:
        return "optional"
    return "empty" if takes_text(input.schema) else f"default: {shown_default(input)}"


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
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int | float) and value < low:
        return f"wants at least {low}"
    if isinstance(high, int | float) and value > high:
        return f"wants at most {high}"
    return None
