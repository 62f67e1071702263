"""What an answer must be: one of some texts, JSON of a schema, or a text that a pattern or a grammar takes.

A constraint is held twice. The engine lets the model draw only tokens that keep to it, and `read_answer` checks what
came out: an answer can still be cut off by `max_tokens` or a stop text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from promptlab.core import pattern, schema
from promptlab.core.schema import shorten

Kind = Literal["choices", "schema", "regex", "grammar"]
KINDS: tuple[Kind, ...] = ("choices", "schema", "regex", "grammar")

MAX_CHOICES = 1000
MAX_CHOICE = 2000
"""Characters of one choice."""
MAX_REGEX = 2000
"""Characters of a pattern."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What an answer must be; the same as JSON."""

    kind: Kind
    value: Any
    """`choices`: a list of different texts. `schema`: a JSON Schema; the answer is JSON that it accepts. `regex`: a
    pattern that matches the whole answer. `grammar`: a GBNF grammar, whose `root` is the whole answer."""


def check_constraint(kind: str, value: Any) -> str | None:
    """Say what is wrong with a constraint, or None.

    A schema may hold a pattern that never ends: see `schema.check`. A grammar may take seconds.
    """
    match kind:
        case "choices":
            return _check_choices(value)
        case "regex":
            return _check_regex(value)
        case "grammar":
            return _check_grammar(value)
        case "schema":
            if not isinstance(value, dict):
                return f"schema wants a mapping: a JSON Schema, or the short form; got {shorten(repr(value))}"
            return schema.check_schema(value)
    raise AssertionError(f"{kind} is not a kind of constraint")


def _check_choices(value: Any) -> str | None:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(v, str) for v in value):
        return f"choices wants a list of texts, such as ['yes', 'no']; got {shorten(repr(value))}"
    if len(value) > MAX_CHOICES or any(not 0 < len(v) <= MAX_CHOICE for v in value):
        return f"choices wants up to {MAX_CHOICES:,} texts, each of 1 to {MAX_CHOICE:,} characters"
    if len(set(value)) < len(value):
        twice = next(v for v in value if list(value).count(v) > 1)
        return f"choices has {shorten(twice)!r} twice"
    return None


def _check_regex(value: Any) -> str | None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_REGEX:
        return f"regex wants a pattern of 1 to {MAX_REGEX:,} characters; got {shorten(repr(value))}"
    try:
        pattern.translate(value)
    except ValueError as error:
        return shorten(" ".join(str(error).split()), 200)
    return None


def _check_grammar(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"grammar wants the text of a GBNF grammar, such as 'root ::= [0-9]+'; got {shorten(repr(value))}"
    from promptlab.core.gbnf.grammar import parse  # here because few prompts have one

    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return None


def read_answer(text: str, constraint: Constraint | None) -> Any:
    """Turn an answer's text into the value that a template gets: parsed JSON for a schema, otherwise the text.

    Raises ValueError with the reason when the answer is not what it must be.
    """
    if constraint is None:
        return text
    if constraint.kind == "choices":
        reason = None if text in constraint.value else f"is none of the choices: {shorten(text)!r}"
    else:
        reason = _misfit(constraint.kind, json.dumps(constraint.value), text)
    if reason:
        raise ValueError(reason)
    return schema.read_json(text) if constraint.kind == "schema" else text


@lru_cache(maxsize=1024)
def _misfit(kind: Kind, wanted: str, text: str) -> str | None:
    """Why an answer is not what it must be, or None. A program reads each answer again at every later step."""
    value = json.loads(wanted)
    if kind == "regex":
        return None if pattern.matches(value, text) else f"does not match {shorten(value)!r}: {shorten(text)!r}"
    if kind == "grammar":
        from promptlab.core.gbnf.match import misfit

        reason = misfit(value, text)
        return f"{reason}: {shorten(text)!r}" if reason else None
    try:
        parsed = schema.read_json(text)
    except ValueError:
        return f"is not JSON: {shorten(text)!r}"
    reason = schema.check(parsed, value)
    return f"does not fit its schema: {reason}" if reason else None
