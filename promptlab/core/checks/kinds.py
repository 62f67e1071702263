"""What checks are made of, and what they share: the subject, the finding, limits, and how much work may be done."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from promptlab.core.case import Assertion, Case
from promptlab.core.record import Record, Step
from promptlab.core.schema import shorten
from promptlab.core.verdict import Found, Measured, Want

MAX_TEXT = 100_000
"""Characters of a text in a value."""
MAX_TEXTS = 1000
"""Texts in a value."""
MAX_WORK = 2_000_000
"""Of one check, in steps of about a microsecond."""
ROUNDING = 1e-3
"""Sums of log-probabilities may be above 0 by so much."""
SHOWN = 5
"""Texts that a reason lists."""


class Unscored(Exception):
    """A check cannot be applied; the message says why."""


class Budget:
    """How much work a check may still do. An answer, a pattern and a schema may all be a stranger's."""

    def __init__(self, left: int = MAX_WORK) -> None:
        self.left = left

    def spend(self, steps: int) -> None:
        """Count work. Raises Unscored when it is too much."""
        self.left -= steps
        if self.left < 0:
            raise Unscored("it takes too much work to tell")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, before `not-` turns it around."""

    held: bool
    score: float
    reason: str
    """What was found, and what was wanted, in words that are true with `not-` too."""


@dataclass(frozen=True, slots=True)
class Code:
    """What the function says that runs a `python` check; with `held` None, the score decides."""

    score: float
    held: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at."""

    assertion: Assertion
    """With the variables of the case filled in."""
    case: Case
    record: Record
    threshold: float | None
    """Its own, or that of its kind."""
    measured: Measured
    judge: str | None = None
    """The model that judges where the assertion names none."""
    code: Callable[[Assertion, Case, Record], Code] | None = None
    """What runs code; None where that is not allowed."""

    @property
    def text(self) -> str:
        """The output as text: JSON where it is not one already, written as promptfoo writes it."""
        output = self.record.output
        return output if isinstance(output, str) else compact(output)

    @property
    def step(self) -> Step:
        """The last generation. Raises Unscored when there is none."""
        if not self.record.steps:
            raise Unscored("no model was asked anything")
        return self.record.steps[-1]

    def at_least(self, value: float) -> bool:
        """Whether a value reaches the threshold; every value does where there is none."""
        return self.threshold is None or value >= self.threshold

    def at_most(self, value: float) -> bool:
        """Whether a value keeps below the threshold."""
        return self.threshold is None or value <= self.threshold

    @property
    def limit(self) -> str:
        """The threshold, for a reason."""
        return "" if self.threshold is None else f" (threshold {number(self.threshold)})"

    def found(self, want: Want) -> Found:
        """What came of a measurement. Raises Unscored when nothing did."""
        found = self.measured.get(want)
        if found is None:
            raise Unscored(f"not measured under {want.model}")
        if found.error is not None:
            raise Unscored(f"could not be measured under {want.model}: {found.error}")
        if want.embed:
            if len(found.likeness) != len(want.texts) - 1 or not all(map(math.isfinite, found.likeness)):
                raise Unscored(f"what was measured under {want.model} is no likeness")
            return found
        whole = len(found.logprobs) == len(found.tokens) == len(want.texts)
        if not whole or any(math.isnan(each) or each > ROUNDING for each in found.logprobs):
            raise Unscored(f"what was measured under {want.model} is no log-probability")
        return found


@dataclass(frozen=True, slots=True)
class Limit:
    """Which thresholds a kind takes."""

    low: float = 0.0
    high: float = math.inf
    default: float | None = None
    needed: bool = False
    """Whether it has to be given, unless nothing depends on it: with a weight of 0."""
    meaning: str = "a number"


Find = Callable[[Subject], Finding]
SHARE = "a number from 0 to 1"


def _no_wants(subject: Subject) -> tuple[Want, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of check."""

    find: Find
    """Raises Unscored where it cannot be applied."""
    problem: Callable[[Assertion], str | None]
    """What is wrong with the value."""
    limit: Limit | None = None
    """None where it takes no threshold."""
    wants: Callable[[Subject], tuple[Want, ...]] = _no_wants
    """What must be measured first. Raises Unscored as `find` does."""


def exactly(held: bool, reason: str) -> Finding:
    """A finding without degrees."""
    return Finding(held, float(held), reason)


def quoted(text: str) -> str:
    """A text in a reason: short, on one line, without control characters."""
    return repr(shorten(text))


def listed(texts: Iterable[str]) -> str:
    """Several of them."""
    every = list(texts)
    more = f" and {len(every) - SHOWN:,} more" if len(every) > SHOWN else ""
    return ", ".join(map(quoted, every[:SHOWN])) + more


def one_line(text: str, limit: int = 200) -> str:
    """A reason as it is shown."""
    return shorten(" ".join(text.split()), limit)


def number(value: float) -> str:
    """A number in a reason."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def compact(value: Any) -> str:
    """A value as JSON, written as JavaScript does. Raises ValueError and TypeError."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def plain(value: Any) -> str:
    """A text or number of a value as the text that is looked for."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else compact(value)


def text_problem(assertion: Assertion) -> str | None:
    """What is wrong with a value that has to be one text."""
    if is_text(assertion.value):
        return None
    return f"wants a text as its value, of 1 to {MAX_TEXT:,} characters; got {got(assertion.value)}"


def words_problem(assertion: Assertion) -> str | None:
    """The same where a number will do."""
    return None if is_number(assertion.value) else text_problem(assertion)


def is_text(value: Any) -> bool:
    """Whether a value is a text that can be looked for."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT


def got(value: Any) -> str:
    """A value in a message."""
    if value is None:
        return "none"
    return shorten(repr(shorten(value, 200) if isinstance(value, str) else value))


def limit_problem(assertion: Assertion, limit: Limit | None) -> str | None:
    """What is wrong with a threshold."""
    threshold = assertion.threshold
    if limit is None:
        return None if threshold is None else "takes no threshold"
    if threshold is None:
        return f"wants a threshold: {limit.meaning}" if limit.needed and assertion.weight else None
    if not is_number(threshold) or not limit.low <= threshold <= limit.high:
        return f"wants a threshold: {limit.meaning}; got {got(threshold)}"
    return None


def no_value_problem(assertion: Assertion) -> str | None:
    """What is wrong with a value where there is none to give."""
    return None if assertion.value is None else f"takes no value; got {got(assertion.value)}"


def mapping_keys(value: Mapping[str, Any], known: tuple[str, ...]) -> str | None:
    """The first key that is not known, as a complaint."""
    unknown = next((key for key in value if key not in known), None)
    return None if unknown is None else f"has an unknown key in its value: {got(unknown)}; use {', '.join(known)}"
