"""Checks of JSON: `is-json` and `contains-json`, with a JSON Schema or without.

Answer and schema may both be a stranger's, and neither may make a check go on for ever. So reading, searching and
comparing with a schema are counted as work; patterns in schemas are those of `automaton`; nothing is fetched.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from promptlab.core import schema as schemas
from promptlab.core.case import Assertion
from promptlab.core.checks import automaton
from promptlab.core.checks.kinds import Budget, Finding, Kind, Subject, Unscored, exactly, got, one_line, quoted

MAX_DEPTH = 100
"""Levels of JSON; Python would read about 900, and `jsonschema` needs some six calls a level."""
MAX_SCHEMA = 100_000
"""Characters of a schema, as JSON."""
BEHIND = 10_000
"""Characters left behind while JSON is looked for: an error counts the lines in all of them."""
MISS = 5
"""Work for a place where JSON may begin, and does not."""
CALL = 20
"""Work for one keyword on one value."""

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_OBJECT = re.compile(r'\{(?=\s*["}])')
_OBJECT_OR_ARRAY = re.compile(r'\{(?=\s*["}])|\[(?=\s*[\]\[{"\-0-9tfn])')
_HAS_SCHEMAS = ("properties", "$defs", "definitions", "dependentSchemas", "patternProperties")
_DATA = frozenset({"const", "enum", "default", "examples"})
_QUADRATIC = ("unevaluatedProperties", "unevaluatedItems")


def read(text: str) -> Any:
    """Read JSON, strictly: no NaN, no number beyond a float, not too deep. Raises ValueError with the reason."""
    check_depth(text)
    return schemas.read_json(text)


def check_depth(text: str) -> None:
    """Raises ValueError where brackets are nested too deeply, whether they are closed or not."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match.group() in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        elif match.group() in ("]", "}"):
            depth -= 1


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same JSON: 1 and 1.0 are, 1 and true are not, and keys have no order."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


# --- the checks ------------------------------------------------------------------------------------------------------


def _is_json(on: Subject) -> Finding:
    output = on.record.output
    try:
        value = read(output) if isinstance(output, str) else output
    except ValueError as error:
        return exactly(False, f"is not JSON: {error}: {quoted(on.text)}")
    schema = _schema(on.assertion.value)
    if schema is None:
        return exactly(True, "is JSON")
    reason = misfit(value, schema, Budget())
    return exactly(not reason, f"does not fit its schema: {reason}" if reason else "is JSON that fits its schema")


def _contains_json(on: Subject) -> Finding:
    """Look for objects, as promptfoo does; with a schema, for arrays too. What lies inside an object is not tried."""
    schema = _schema(on.assertion.value)
    opening = _OBJECT if schema is None else _OBJECT_OR_ARRAY
    text, budget = on.text, Budget()
    first: str | None = None
    at = 0
    while match := opening.search(text, at):
        start = match.start()
        if start > BEHIND:
            text, start = text[start:], 0
        try:
            value, end = _decode(text, start, budget)
        except ValueError:
            at = start + 1
            continue
        reason = None if schema is None else misfit(value, schema, budget)
        if reason is None:
            return exactly(True, f"contains JSON{' that fits its schema' if schema is not None else ''}")
        first = first or reason
        at = end if isinstance(value, dict) else start + 1
    return exactly(
        False, f"contains JSON that does not fit: {first}" if first else f"contains no JSON: {quoted(on.text)}"
    )


def _decode(text: str, start: int, budget: Budget) -> tuple[Any, int]:
    """Read the value that begins here, and where it ends. Raises ValueError, and Unscored when the work is used up."""
    try:
        value, end = schemas.STRICT.raw_decode(text, start)
    except json.JSONDecodeError as error:
        budget.spend(MISS + (error.pos - start) // 20)
        raise
    except (ValueError, RecursionError):
        budget.spend(MISS + (len(text) - start) // 20)  # nobody says how far it came
        raise ValueError from None
    budget.spend(1 + (end - start) // 20)
    check_depth(text[start:end])
    return value, end


# --- schemas ---------------------------------------------------------------------------------------------------------


def _schema(value: Any) -> Any:
    """The schema of an assertion; None without one. Raises Unscored when it is none."""
    schema, reason = _read_schema(value)
    if reason:
        raise Unscored(reason)
    return schema


def _problem(assertion: Assertion) -> str | None:
    return _read_schema(assertion.value)[1]


def _read_schema(value: Any) -> tuple[Any, str | None]:
    """The schema that a value says, None for none, and what is wrong with it."""
    if value is None or value == "":
        return None, None
    if isinstance(value, str):
        try:
            value = read(value[: MAX_SCHEMA + 1])
        except ValueError as error:
            return None, f"wants a JSON Schema as its value, as a mapping or as JSON: {error}"
    if isinstance(value, bool):
        return value, None
    if not isinstance(value, dict):
        return None, f"wants a JSON Schema as its value; got {got(value)}"
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None, "wants a JSON Schema as its value: plain data, and not nested without end"
    return value, _schema_problem(text)


@lru_cache(maxsize=256)
def _schema_problem(text: str) -> str | None:
    """What is wrong with a schema that is plain data."""
    if len(text) > MAX_SCHEMA:
        return f"has a schema of more than {MAX_SCHEMA:,} characters"
    schema = json.loads(text)
    try:
        check_depth(text)
        patterns = (_patterns_problem(each) for _, each in _subschemas(schema))
        if reason := next(filter(None, patterns), None):
            return reason
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of patterns that a later Python may read in another way
            reason = schemas.check_schema(schema)
        return f"has a value that is {reason}" if reason else _refused(schema)
    except ValueError as error:
        return f"has a schema that is {error}"
    except RecursionError:
        return "has a schema that is nested too deeply"


def _refused(schema: dict[str, Any]) -> str | None:
    """What of a schema cannot be applied here, or would be passed over in silence."""
    import jsonschema  # here because it is slow to import
    import referencing.exceptions
    from referencing.jsonschema import DRAFT202012

    if schema and not any(word in jsonschema.Draft202012Validator.VALIDATORS or word[0:1] == "$" for word in schema):
        return f"has a schema that demands nothing: {got(next(iter(schema)))} is no word of JSON Schema"
    resolver = referencing.Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for depth, each in _subschemas(schema):
        if word := next((word for word in _QUADRATIC if word in each), None):
            return f"has a schema with {word}, which is not supported here; additionalProperties and items are"
        if depth and "$schema" in each:
            return "has a schema with $schema inside it, which can stand only at its top"
        for word in ("$ref", "$dynamicRef"):
            try:
                if isinstance(each.get(word), str) and "$id" not in schema:
                    resolver.lookup(each[word])
            except (referencing.exceptions.Unresolvable, ValueError):
                return f"has a schema that refers to {got(each[word])}, which is not in it; nothing is ever fetched"
    return None


def _patterns_problem(schema: Mapping[str, Any]) -> str | None:
    patterns = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
    named = schema.get("patternProperties")
    for pattern in (*patterns, *(named if isinstance(named, dict) else ())):
        try:
            automaton.build(pattern)
        except ValueError as error:
            return f"has a schema with the pattern {quoted(pattern)}: {error}"
    return None


def _subschemas(schema: Any, depth: int = 0) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every schema in a schema, itself included."""
    if isinstance(schema, list):
        for each in schema:
            yield from _subschemas(each, depth)
    if not isinstance(schema, dict):
        return
    yield depth, schema
    for word, value in schema.items():
        if word in _DATA:
            continue
        if word in _HAS_SCHEMAS and isinstance(value, dict):
            for each in value.values():
                yield from _subschemas(each, depth + 1)
        else:
            yield from _subschemas(value, depth + 1)


def misfit(value: Any, schema: Any, budget: Budget) -> str | None:
    """Why a value does not fit a schema, or None. Raises Unscored when that cannot be told."""
    import jsonschema  # here because it is slow to import
    import referencing
    import referencing.exceptions

    if isinstance(schema, dict):  # another draft's name would bring in another validator, which counts nothing
        schema = {word: each for word, each in schema.items() if word != "$schema"}
    counted = {word: _counted(check, budget) for word, check in jsonschema.Draft202012Validator.VALIDATORS.items()}
    counted |= {word: _counted(check, budget) for word, check in _own(budget).items()}
    extend: Any = jsonschema.validators.extend
    validator = extend(jsonschema.Draft202012Validator, counted)
    try:
        errors = list(islice(validator(schema, registry=referencing.Registry()).iter_errors(value), 1))
    except Unscored:
        raise
    except referencing.exceptions.Unresolvable:
        raise Unscored("its schema refers to something that is not in it") from None
    except Exception as error:  # whatever a stranger's schema provokes, such as a loop of references
        raise Unscored(f"its schema cannot be applied: {type(error).__name__}") from None
    for first in errors:
        where = "".join(f"[{part!r}]" for part in first.absolute_path)
        return one_line(f"{where + ': ' if where else ''}{first.message}")
    return None


Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


def _counted(check: Keyword, budget: Budget) -> Keyword:
    """A keyword that counts its work: its calls, the size of what it looks at, and messages, which quote that."""

    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        sized = len(value) if isinstance(value, list | dict) else 0
        budget.spend(CALL + sized + (len(instance) // 10 if isinstance(instance, list | dict) else 0))
        for error in check(validator, value, instance, schema) or ():
            if not isinstance(error.validator, str):  # it is new, and not passed up from below
                budget.spend(len(error.message) // 10)
            yield error

    return counted


def _own(budget: Budget) -> dict[str, Keyword]:
    """Keywords that would otherwise try patterns that never end, or compare all items with each other."""
    from jsonschema import ValidationError

    def matches(pattern: str, text: str) -> bool:
        return automaton.search(pattern, text, budget)

    def pattern(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not matches(value, instance):
            yield ValidationError(f"{quoted(instance)} does not match {quoted(value)}")

    def pattern_properties(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        for each, inner in value.items() if isinstance(instance, dict) else ():
            for key in instance:
                if matches(each, key):
                    yield from validator.descend(instance[key], inner, path=key)

    def additional(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for key in instance if isinstance(instance, dict) else ():
            if key in known or any(matches(each, key) for each in patterns):
                continue
            if value is False:
                yield ValidationError(f"{quoted(key)} is not among its properties")
            else:
                yield from validator.descend(instance[key], value, path=key)

    def unique(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if value and isinstance(instance, list) and len({_frozen(each) for each in instance}) < len(instance):
            yield ValidationError("has an item twice")

    return {
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalProperties": additional,
        "uniqueItems": unique,
    }


def _frozen(value: Any) -> Any:
    """A value of JSON as something that can be in a set; equal where the values are the same JSON."""
    if isinstance(value, dict):
        return "object", frozenset((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, list):
        return ("array", *map(_frozen, value))
    return ("boolean", value) if isinstance(value, bool) else ("plain", value)


KINDS = {
    "is-json": Kind(_is_json, _problem),
    "contains-json": Kind(_contains_json, _problem),
}
