"""A small answer that fits a constraint: what an engine without a model says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from promptlab.core import pattern
from promptlab.core.constraint import Constraint
from promptlab.core.gbnf.grammar import parse


def example(constraint: Constraint, seed: int) -> str:
    """One of the choices, by seed; the least that a schema asks for; a short text that a pattern or a grammar takes.

    Schemas are followed as far as everyday ones go: not through `not`, `if`, or several patterns at once. Raises
    ValueError when no text that a pattern matches is found.
    """
    match constraint.kind:
        case "choices":
            return str(constraint.value[seed % len(constraint.value)])
        case "regex":
            return pattern.shortest(constraint.value)
        case "grammar":
            return parse(constraint.value).shortest
        case "schema":
            return json.dumps(_least(constraint.value, constraint.value), ensure_ascii=False)


def _least(schema: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(schema, Mapping):  # `true`
        return None
    if "$ref" in schema:
        return _least(_referred(schema["$ref"], root), root)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            parts = schema[key] if key == "allOf" else schema[key][:1]
            rest = {k: v for k, v in schema.items() if k != key}
            return _least(_merged([rest, *parts]), root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    return _of_type(schema, root)


def _merged(schemas: list[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for schema in schemas:
        both = {
            "properties": {**merged.get("properties", {}), **schema.get("properties", {})},
            "required": [*merged.get("required", []), *schema.get("required", [])],
        }
        merged |= {**schema, **{k: v for k, v in both.items() if v}}
    return merged


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    place: Any = root
    for key in filter(None, reference.removeprefix("#").split("/")):
        place = place[key]
    return place


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "null")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: _least(properties.get(name, True), root) for name in schema.get("required", ())}
        case "array":
            first = schema.get("prefixItems", [])
            rest = [schema.get("items", True)] * max(schema.get("minItems", 0) - len(first), 0)
            return [_least(item, root) for item in [*first, *rest]][: schema.get("minItems", 0)]
        case "string":
            return pattern.shortest(schema["pattern"]) if "pattern" in schema else "x" * schema.get("minLength", 0)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
    return None


def _number(schema: Mapping[str, Any]) -> Any:
    step = schema.get("multipleOf", 1)
    lows = [schema[k] + more for k, more in (("minimum", 0), ("exclusiveMinimum", step)) if k in schema]
    highs = [schema[k] - less for k, less in (("maximum", 0), ("exclusiveMaximum", step)) if k in schema]
    if lows:
        return -(-max(lows) // step) * step
    return min([0, *(high // step * step for high in highs)])
