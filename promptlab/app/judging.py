"""Judge: what a comparison's answers come to by the checks of their cases. Nothing is generated.

What a check wants to know of a model first is measured, all of it model by model, or taken from the history.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.measure import Cached
from promptlab.core.case import Assertion, Case
from promptlab.core.checks import Bias, Code, all_bias, best_wants, judge, judge_best, wants
from promptlab.core.compare import Likeness, Result
from promptlab.core.job import Model
from promptlab.core.likelihood import bits_per_byte
from promptlab.core.record import Record
from promptlab.core.verdict import Check, Found, Verdict, Want

BEST = "select-best"
CODE = "python"
JUDGED = ("llm-rubric", BEST)
"""Checks that a model decides."""
UNJUDGED = Verdict("unscored", None)
RunCode = Callable[[Assertion, Case, Record], Code]
Tell = Callable[[int, int], None]
"""Hears how many measurements are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of it."""

    results: tuple[Result, ...]
    bias: Bias | None
    """Of the judge towards what it reads first; None where no pairs were judged."""
    likeness: Likeness | None


class Judging:
    """Verdicts on answers, with what it takes to come to them."""

    def __init__(
        self,
        lab: Lab,
        cases: Sequence[Case],
        models: Mapping[str, Model],
        *,
        judge: str | None,
        run_code: RunCode | None,
        keep: bool,
        recall: bool,
    ) -> None:
        """`models` has each model that measures. `judge` judges where an assertion names nobody."""
        self._lab = lab
        self._cases = cases
        self._models = models
        self._judge = judge
        self._run_code = run_code
        self._keep = keep
        self._recall = recall
        self._cancelled = False
        self._measuring: Cached | None = None

    def cancel(self) -> None:
        """Measure no more: what is not measured is unscored. May be called from any thread."""
        self._cancelled = True
        if self._measuring is not None:
            self._measuring.cancel()

    def at_once(self, result: Result) -> Verdict | None:
        """The verdict on an answer by itself; None where it takes code, a measurement, or the answers of others."""
        kinds = {check.kind for check in self._cases[result.case].asserts}
        slow = BEST in kinds or (CODE in kinds and self._run_code is not None)
        return None if slow or any(True for _ in self._wants(result)) else self._verdict(result, {}, None)

    def judge(self, results: Sequence[Result], tell: Tell, readers: Sequence[str], columns: int) -> Judged:
        """Give each result its verdict. Each of the `readers`, models, also reads the answers of all the columns.

        Raises StoreError.
        """
        contests = self._contests(results)
        readings = _readings(results, readers)
        wanted = [want for each in results for want in self._wants(each)]
        wanted += [want for group in contests for want in self._best_wants(group)]
        found = self._measure([*wanted, *readings.values()], tell)
        checks, bias = self._winners(contests, found)
        judged = tuple(replace(each, verdict=self._verdict(each, found, checks.get(_place(each)))) for each in results)
        if self._keep:
            self._keep_verdicts(judged)
        likeness = _likeness(readings, found, readers, columns) if readers else None
        return Judged(judged, bias if bias.pairs else None, likeness)

    def _wants(self, result: Result) -> Iterator[Want]:
        case = self._cases[result.case]
        for check in case.asserts:
            if check.kind != BEST:
                yield from wants(check, case, result.record, judge=self._judge)

    def _measure(self, wanted: Sequence[Want], tell: Tell) -> dict[Want, Found]:
        self._measuring = Cached(self._lab, wanted, self._models, keep=self._keep, recall=self._recall)
        if self._cancelled:
            self._measuring.cancel()
        found: dict[Want, Found] = {}
        for want, each in self._measuring.results():
            found[want] = each
            tell(len(found), len(self._measuring.wants))
        return found

    def _verdict(self, result: Result, found: Mapping[Want, Found], given: Mapping[int, Check] | None) -> Verdict:
        return judge(
            self._cases[result.case],
            result.record,
            found,
            judge=self._judge,
            allow_code=self._run_code is not None,
            code=self._run_code,
            given=given,
        )

    # --- the best of the columns -------------------------------------------------------------------------------------

    def _contests(self, results: Sequence[Result]) -> list[list[Result]]:
        """The answers of all columns to one case, sample by sample, where it is asked which is the best."""
        groups: dict[tuple[int, int], list[Result]] = {}
        for each in results:
            if any(check.kind == BEST for check in self._cases[each.case].asserts):
                groups.setdefault((each.case, each.sample), []).append(each)
        return list(groups.values())

    def _best_wants(self, group: Sequence[Result]) -> Iterator[Want]:
        case, records = self._cases[group[0].case], [each.record for each in group]
        for check in case.asserts:
            if check.kind == BEST:
                yield from best_wants(check, case, records, judge=self._judge)

    def _winners(
        self, groups: Sequence[Sequence[Result]], found: Mapping[Want, Found]
    ) -> tuple[dict[tuple[int, int, int], dict[int, Check]], Bias]:
        """What came of `select-best`: by column, case and sample, and by the place of the assertion."""
        checks: dict[tuple[int, int, int], dict[int, Check]] = {}
        biases = []
        for group in groups:
            case, records = self._cases[group[0].case], [each.record for each in group]
            for i, check in enumerate(case.asserts):
                if check.kind == BEST:
                    made, bias = judge_best(check, case, records, found, judge=self._judge)
                    biases.append(bias)
                    for result, each in zip(group, made, strict=True):
                        checks.setdefault(_place(result), {})[i] = each
        return checks, all_bias(biases)

    def _keep_verdicts(self, results: Sequence[Result]) -> None:
        """Keep them, so that the history can be searched by them."""
        rows = []
        for each in results:
            case, verdict = self._cases[each.case], each.verdict
            if case.asserts and each.record.error is None:
                rows.append((each.record.id, _asked(case, self._judge), verdict.outcome, verdict.score))
        self._lab.store.keep_verdicts(rows)


def _place(result: Result) -> tuple[int, int, int]:
    return result.column, result.case, result.sample


def _asked(case: Case, judge: str | None) -> str:
    """A name for what is expected in a case."""
    what: list[Any] = [[asdict(check) for check in case.asserts], case.threshold, judge]
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:32]


# --- how likely the answers of each column are to each model ---------------------------------------------------------

Readings = Mapping[tuple[str, int, int], Want]
"""By model, column and case."""


def _readings(results: Sequence[Result], readers: Sequence[str]) -> Readings:
    """What to measure. One sample of a case is enough."""
    return {
        (model, each.column, each.case): Want(model, step.messages, (step.text,))
        for each in results
        if each.sample == 0 and each.record.error is None and each.record.steps
        for step in each.record.steps[-1:]
        if step.text
        for model in readers
    }


def _likeness(readings: Readings, found: Mapping[Want, Found], readers: Sequence[str], columns: int) -> Likeness:
    bits: dict[tuple[str, int], list[float]] = {}
    for (model, column, _), want in readings.items():
        each = found.get(want, Found(error="not measured"))
        if each.error is None:
            bits.setdefault((model, column), []).append(bits_per_byte(each.logprobs[0], want.texts[0]))
    means = {key: math.fsum(values) / len(values) for key, values in bits.items()}
    rows = tuple(tuple(means.get((model, column)) for column in range(columns)) for model in readers)
    return Likeness(tuple(readers), rows)
