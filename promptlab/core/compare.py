"""Records to a comparison: what each column came to, which is better, who agrees with whom.

A column is a prompt, in one version, on a model. The unit is the case: several samples of one case say more about that
case, and little about others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from promptlab.core.agreement import Said, Split, agreement_matrix, split
from promptlab.core.case import Case
from promptlab.core.judging import Bias
from promptlab.core.record import Record
from promptlab.core.stats.intervals import Interval, mean_interval, rate_interval
from promptlab.core.stats.paired import Decision, Paired, compare_rates, compare_scores, decide, holm
from promptlab.core.stats.passk import pass_at_k, pass_hat_k
from promptlab.core.verdict import Verdict

State = Literal["pass", "fail", "unscored", "error"]


@dataclass(frozen=True, slots=True)
class Column:
    """A prompt on a model."""

    prompt: str
    """Its label: `explain@2`."""
    model: str

    @property
    def name(self) -> str:
        """What to call it among others."""
        return f"{self.prompt} on {self.model}"


@dataclass(frozen=True, slots=True)
class Result:
    """One cell: an answer, and what came of checking it."""

    column: int
    """Its place among the columns, from 0."""
    case: int
    """Its place among the cases, from 0."""
    sample: int
    record: Record
    verdict: Verdict
    cached: bool = False
    """It was answered before."""

    @property
    def state(self) -> State:
        """What to show of it."""
        return "error" if self.record.error else self.verdict.outcome


@dataclass(frozen=True, slots=True)
class Metric:
    """The mean of the scores of assertions that have a name in common."""

    name: str
    mean: float
    checks: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a column came to."""

    passed: int
    failed: int
    unscored: int
    errors: int
    cached: int
    pass_rate: float | None
    """The mean of the cases' pass rates; None where nothing was scored. Errors and what is unscored do not count."""
    interval: Interval | None
    score: float | None
    """The mean of the cases' mean scores."""
    score_interval: Interval | None
    pass_at: Mapping[int, float] = field(default_factory=dict)
    """By k: how probable it is that one of k samples of a case passes, at least."""
    pass_hat: Mapping[int, float] = field(default_factory=dict)
    """By k: how probable it is that all of k samples of a case pass."""
    metrics: tuple[Metric, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of these, how many had been computed for others before."""
    completion_tokens: int = 0
    seconds: float = 0.0
    """The mean time that an answer took from its start to its end, while others ran beside it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns on the same cases."""

    first: int
    second: int
    """It is judged against the first."""
    rates: Paired
    p: float
    """Of `rates`, corrected by Holm for all pairs of the comparison."""
    decision: Decision
    scores: Paired | None = None
    """Where there are scores between 0 and 1."""
    score_p: float | None = None
    score_decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Likeness:
    """How surprised models are by the answers of columns: bits for each byte of text, the mean over cases."""

    models: tuple[str, ...]
    bits: tuple[tuple[float | None, ...], ...]
    """A row for each model, a value for each column."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All of it."""

    columns: tuple[Column, ...]
    cases: tuple[Case, ...]
    results: tuple[Result, ...]
    """By column, case and sample."""
    summaries: tuple[Summary, ...]
    """One for each column."""
    pairs: tuple[Pair, ...]
    splits: tuple[Split, ...]
    """One for each case that was answered, where the columns differ most first."""
    agreement: tuple[tuple[float | None, ...], ...]
    """By column and column: `agreement.agreement_matrix`."""
    bias: Bias | None = None
    """Of the judge, towards what it reads first; None where no pairs were judged."""
    likeness: Likeness | None = None
    """None where it was not asked for."""
    variants: tuple[tuple[str, ...], ...] = ()
    """Models of the columns that are the same weights in other packagings, each family by itself."""


def compare(
    columns: Sequence[Column],
    cases: Sequence[Case],
    results: Sequence[Result],
    *,
    bias: Bias | None = None,
    likeness: Likeness | None = None,
    variants: tuple[tuple[str, ...], ...] = (),
) -> Comparison:
    """Sum up. `variants` are families of models, as `core.variants` finds them."""
    ordered = tuple(sorted(results, key=lambda each: (each.column, each.case, each.sample)))
    by_column = [[each for each in ordered if each.column == i] for i in range(len(columns))]
    answers: list[list[Said]] = [[] for _ in cases]
    for each in ordered:
        if each.record.error is None:
            answers[each.case].append(Said(each.column, each.sample, each.record.output))
    splits = [split(case.id, said) for case, said in zip(cases, answers, strict=True) if said]
    splits.sort(key=lambda each: 1.0 if each.agreement is None else each.agreement)
    return Comparison(
        tuple(columns),
        tuple(cases),
        ordered,
        tuple(map(summary, by_column)),
        _pairs(columns, by_column),
        tuple(splits),
        agreement_matrix(len(columns), splits),
        bias,
        likeness,
        variants,
    )


def summary(results: Sequence[Result]) -> Summary:
    """What the cells of one column come to."""
    states = [each.state for each in results]
    counts = _counts(results)
    passed, scored = zip(*counts.values(), strict=True) if counts else ((), ())
    scores = list(_scores(results).values())
    most = min(scored, default=0)
    ks = sorted({k for k in (1, 2, 4, 8, 16, 32, most) if 1 <= k <= most})
    usages = [step.usage for each in results for step in each.record.steps if step.usage]
    return Summary(
        states.count("pass"),
        states.count("fail"),
        states.count("unscored"),
        states.count("error"),
        sum(each.cached for each in results),
        math.fsum(p / n for p, n in zip(passed, scored, strict=True)) / len(scored) if scored else None,
        rate_interval(passed, scored) if scored else None,
        math.fsum(scores) / len(scores) if scores else None,
        mean_interval(scores) if scores else None,
        {k: pass_at_k(passed, scored, k) for k in ks},
        {k: pass_hat_k(passed, scored, k) for k in ks},
        _metrics(results),
        sum(usage.prompt_tokens for usage in usages),
        sum(usage.cached_tokens for usage in usages),
        sum(usage.completion_tokens for usage in usages),
        _seconds(results),
    )


def _counts(results: Sequence[Result]) -> dict[int, tuple[int, int]]:
    """By case: how many passed, of how many that were scored."""
    found: dict[int, tuple[int, int]] = {}
    for each in results:
        if each.state in ("pass", "fail"):
            passed, scored = found.get(each.case, (0, 0))
            found[each.case] = (passed + (each.state == "pass"), scored + 1)
    return found


def _scores(results: Sequence[Result]) -> dict[int, float]:
    """By case: the mean score."""
    found: dict[int, list[float]] = {}
    for each in results:
        if each.record.error is None and each.verdict.score is not None:
            found.setdefault(each.case, []).append(each.verdict.score)
    return {case: math.fsum(scores) / len(scores) for case, scores in found.items()}


def _metrics(results: Sequence[Result]) -> tuple[Metric, ...]:
    found: dict[str, list[float]] = {}
    for each in results:
        for check in each.verdict.checks:
            if check.metric is not None and check.score is not None:
                found.setdefault(check.metric, []).append(check.score)
    return tuple(Metric(name, math.fsum(all_) / len(all_), len(all_)) for name, all_ in found.items())


def _seconds(results: Sequence[Result]) -> float:
    times = [
        math.fsum(step.timings.ttft_s + step.timings.decode_s for step in each.record.steps if step.timings)
        for each in results
        if each.record.error is None
    ]
    return math.fsum(times) / len(times) if times else 0.0


def _pairs(columns: Sequence[Column], by_column: Sequence[Sequence[Result]]) -> tuple[Pair, ...]:
    """Columns that differ in the prompt or in the model, but not in both."""
    found = [
        (i, j, *_paired(by_column[i], by_column[j]))
        for i, a in enumerate(columns)
        for j, b in enumerate(columns)
        if i < j and (a.prompt == b.prompt or a.model == b.model)
    ]
    ps = holm([rates.p for *_, rates, _ in found])
    scored = [scores.p for *_, scores in found if scores is not None]
    score_ps = iter(holm(scored))
    pairs = []
    for (i, j, rates, scores), p in zip(found, ps, strict=True):
        score_p = next(score_ps) if scores is not None else None
        score_decision = None if scores is None or score_p is None else decide(scores, score_p)
        pairs.append(Pair(i, j, rates, p, decide(rates, p), scores, score_p, score_decision))
    return tuple(pairs)


def _paired(first: Sequence[Result], second: Sequence[Result]) -> tuple[Paired, Paired | None]:
    a, b = ({case: p / n for case, (p, n) in _counts(each).items()} for each in (first, second))
    both = sorted(a.keys() & b.keys())
    rates = compare_rates([a[case] for case in both], [b[case] for case in both])
    a, b = _scores(first), _scores(second)
    both = sorted(a.keys() & b.keys())
    if all(each.verdict.score in (None, 0.0, 1.0) for each in (*first, *second)):
        return rates, None
    return rates, compare_scores([a[case] for case in both], [b[case] for case in both])
