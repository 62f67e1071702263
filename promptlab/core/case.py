"""A case: inputs for a prompt, and what is expected of what comes out. In the words that promptfoo uses for them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from promptlab.errors import Problem

NOT = "not-"
ID_DIGITS = 12
MAX_ID = 200
_ID = re.compile(f"[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]{{1,{MAX_ID}}}")


@dataclass(frozen=True, slots=True)
class Assertion:
    """One expectation."""

    type: str
    """As written, `not-` included: `icontains`, `not-regex`."""
    value: Any = None
    threshold: float | None = None
    weight: float = 1.0
    """What it counts in the score of the case; with 0 it is shown and decides nothing."""
    metric: str | None = None
    """A name under which its scores are summed up."""
    provider: str | None = None
    """The model that judges, where one does: a name in models.yaml."""

    @property
    def kind(self) -> str:
        """The type without `not-`."""
        return self.type.removeprefix(NOT)

    @property
    def negated(self) -> bool:
        """Whether it holds where its kind does not."""
        return self.type.startswith(NOT)


@dataclass(frozen=True, slots=True)
class Case:
    """Inputs and expectations."""

    id: str
    vars: Mapping[str, Any] = field(default_factory=dict)
    asserts: tuple[Assertion, ...] = ()
    threshold: float | None = None
    """The weighted score from which it passes; None means that every assertion must hold."""
    description: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


def vars_id(vars: Mapping[str, Any]) -> str:
    """The id of a case that has none: from its inputs, whatever their order."""
    text = json.dumps(vars, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]


@dataclass(frozen=True, slots=True)
class CaseSet:
    """The cases of one file, at least one."""

    name: str
    """The file's name without its suffix: `facts`."""
    file: str
    """What messages call the file."""
    cases: tuple[Case, ...]
    """In the order of the file; no id stands twice."""
    places: tuple[tuple[int, int], ...] = ()
    """Line and column of each case, from 1."""
    description: str = ""
    typed: bool = False
    """Whether values are text as somebody typed it, for CSV has nothing else: an input's type says how to read it."""

    @property
    def assertions(self) -> int:
        """How many assertions the cases have together."""
        return sum(len(case.asserts) for case in self.cases)

    def problem(self, index: int, message: str) -> Problem:
        """Say what is wrong with a case, where it stands."""
        line, column = self.places[index] if index < len(self.places) else (0, 0)
        return Problem(self.file, line, column, message)


def check_id(id: str) -> str | None:
    """Say why a text cannot be the id of a case, or None."""
    return None if _ID.fullmatch(id) else f"an id has 1 to {MAX_ID} characters, none of them a control character"
