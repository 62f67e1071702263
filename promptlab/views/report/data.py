"""What the report's script reads: plain lists and mappings, as small as they can be.

A text that stands in many cells stands here once, in `texts`, and is named by its place; so is a conversation, as all
samples and many columns have the same one. What has its usual value is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from promptlab.core.agreement import Split
from promptlab.core.case import Assertion, Case
from promptlab.core.compare import Comparison, Result
from promptlab.core.constraint import Constraint
from promptlab.core.events import Failure
from promptlab.core.record import Drawn, Step
from promptlab.core.tape import Message
from promptlab.core.text import sanitize
from promptlab.core.verdict import Check
from promptlab.views.report.show import as_text, count

STATES = ("pass", "fail", "unscored", "error")
CHOICES = 12
"""Of a step with choices, so many are listed, the most probable first."""

Plain = dict[str, Any]


class Texts:
    """Each text once, safe to show."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """Where the text of a value stands."""
        text = as_text(value)
        found = self._places.setdefault(text, len(self.all))
        if found == len(self.all):
            self.all.append(sanitize(text))
        return found


class Data:
    """A comparison as it is being written down."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.conversations: list[list[tuple[int, int]]] = []
        self._places: dict[tuple[tuple[int, int], ...], int] = {}

    def result(self, each: Result) -> Plain:
        """One cell."""
        record, verdict = each.record, each.verdict
        said = record.steps[-1].text if record.error and record.steps else "" if record.error else record.output
        return _without_nothing(
            {
                "column": each.column,
                "case": each.case,
                "sample": each.sample,
                "state": STATES.index(each.state),
                "cached": each.cached,
                "score": _number(verdict.score),
                "text": self.texts.place(said),
                "checks": [self.check(check) for check in verdict.checks],
                "error": record.error and self.failure(record.error),
                "steps": [self.step(step) for step in record.steps],
                "id": sanitize(record.id),
                "started": sanitize(record.started_at),
            }
        )

    def check(self, check: Check) -> list[Any]:
        """What came of one assertion."""
        place = self.texts.place
        metric = None if check.metric is None else place(check.metric)
        return [
            place(check.type),
            STATES.index(check.outcome),
            _number(check.score),
            place(check.reason),
            check.weight,
            metric,
        ]

    def failure(self, failure: Failure) -> int:
        """Why there is no answer, on several lines."""
        signal = f" ({failure.signal})" if failure.signal else ""
        return self.texts.place("\n".join([f"{failure.type}: {failure.message}{signal}", *failure.stderr]))

    def step(self, step: Step) -> Plain:
        """One generation."""
        usage, timings = step.usage, step.timings
        return _without_nothing(
            {
                "name": self.texts.place(step.name),
                "asked": self.conversation(step.messages),
                "text": self.texts.place(step.text),
                "seed": step.seed,
                "options": self.texts.place(_options(step.options)),
                "constraint": step.constraint and self.texts.place(_constraint(step.constraint)),
                "moved": step.system_moved,
                "finish": step.finish_reason,
                "usage": usage and [usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens],
                "times": timings
                and [_number(timings.ttft_s), _number(timings.decode_s), _number(timings.tokens_per_s)],
                "choices": step.distribution and self.choices(step.distribution, step.text),
                "tokens": " ".join(map(_token, step.tokens)),
            }
        )

    def conversation(self, messages: Sequence[Message]) -> int:
        """Where these messages stand."""
        key = tuple((self.texts.place(message.role), self.texts.place(message.content)) for message in messages)
        found = self._places.setdefault(key, len(self.conversations))
        if found == len(self.conversations):
            self.conversations.append(list(key))
        return found

    def choices(self, shares: Mapping[str, float], chosen: str) -> list[list[Any]]:
        """The most probable choices, and the one that was taken."""
        ranked = sorted(shares.items(), key=lambda each: -each[1])
        shown = [each for rank, each in enumerate(ranked) if rank < CHOICES or each[0] == chosen]
        rows = [[self.texts.place(text), _number(share), text == chosen] for text, share in shown]
        if left := len(ranked) - len(shown):
            rest = 1 - math.fsum(share for _, share in shown)
            rows.append([self.texts.place(f"{count(left)} more"), _number(max(rest, 0.0)), False])
        return rows

    def case(self, case: Case, split: Split | None) -> Plain:
        """Inputs, expectations, and who agrees with whom."""
        place = self.texts.place
        return _without_nothing(
            {
                "id": place(case.id),
                "description": place(case.description) if case.description else None,
                "vars": self.named(case.vars),
                "metadata": self.named(case.metadata),
                "asserts": [self.assertion(each) for each in case.asserts],
                "threshold": _number(case.threshold),
                "agreement": split and _number(split.agreement),
                "clusters": split and [[place(each.text), each.members] for each in split.clusters],
            }
        )

    def named(self, values: Mapping[str, Any]) -> list[tuple[int, int]]:
        """Names and values."""
        return [(self.texts.place(name), self.texts.place(value)) for name, value in values.items()]

    def assertion(self, each: Assertion) -> Plain:
        """One expectation."""
        place = self.texts.place
        return _without_nothing(
            {
                "type": place(each.type),
                "value": None if each.value is None else place(each.value),
                "threshold": _number(each.threshold),
                "weight": None if each.weight == 1 else each.weight,
                "metric": None if each.metric is None else place(each.metric),
                "provider": None if each.provider is None else place(each.provider),
            }
        )


def data(comparison: Comparison) -> Plain:
    """All that the script reads."""
    made = Data()
    splits = {each.case: each for each in comparison.splits}
    columns = [[made.texts.place(column.prompt), made.texts.place(column.model)] for column in comparison.columns]
    cases = [made.case(case, splits.get(case.id)) for case in comparison.cases]
    results = [made.result(each) for each in comparison.results]
    places = {case.id: place for place, case in enumerate(comparison.cases)}
    return {
        "states": STATES,
        "columns": columns,
        "cases": cases,
        "results": results,
        "splits": [places[each.case] for each in comparison.splits if each.case in places],
        "conversations": made.conversations,
        "texts": made.texts.all,
    }


def _without_nothing(values: Plain) -> Plain:
    return {name: value for name, value in values.items() if value is not None and value is not False and value != []}


def _number(value: float | None) -> float | None:
    """A number with what a reader sees of it; None where it is not one."""
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _token(drawn: Drawn) -> str:
    """A token as numbers: its id and log-probability, and the same of other tokens where it was not the only one."""
    others = [each for each in drawn.top if each.id != drawn.id]
    numbers = [(drawn.id, drawn.logprob), *((each.id, each.logprob) for each in others)]
    return ",".join(f"{id},{_logprob(logprob)}" for id, logprob in numbers)


def _logprob(value: float) -> str:
    """In thousandths, as that is the shortest; `x` is that of a token that could not be drawn."""
    return str(round(1000 * value)) if math.isfinite(value) else "x"


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {as_text(value)}" for name, value in options.items())


def _constraint(constraint: Constraint) -> str:
    """What an answer had to be; many choices are only counted."""
    if constraint.kind == "choices" and len(constraint.value) > CHOICES:
        return f"one of {count(len(constraint.value))} choices"
    return f"{constraint.kind}: {as_text(constraint.value)}"
