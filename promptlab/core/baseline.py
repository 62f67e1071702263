"""A baseline: what a comparison came to, in a few numbers that are kept in git; and what has become worse since.

What counts as *got worse*, and ends a command with 100:

- a case that held, and no longer does: of the samples that were scored, all passed then, and not all do now;
- a column whose pass rate is worse: by the sign test on the cases in common, corrected by Holm for the columns that are
  judged.

The first needs no statistics, as a case that holds is a promise: whoever wrote the baseline relied on it, and with the
same seeds an answer changes only because prompt, weights or engine did. Of a case that passed in some samples only,
nothing was promised, and one pass more or less may be luck; so these count only together, in the second.

Not worse: a case or a column that is gone, as only who changes the case file or the command takes it away; a case that
is new; one that is no longer scored, as what is unscored says nothing; and errors, which end a command with 1 anyway.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from promptlab.core.compare import Column, Comparison, Pair, Result
from promptlab.core.schema import shorten
from promptlab.core.stats.paired import Decision, Paired, compare_rates, decide, holm
from promptlab.errors import UsageError

SCHEMA = 1
DIGITS = 6
"""Of scores and rates: the last digits of a float differ between machines, and would be noise in a diff."""

Kind = Literal["broken", "worse", "same", "better", "unscored", "new", "gone"]
"""`broken`: it held, and no longer does. `worse` and `better`: fewer or more of its samples pass. `unscored`: on one of
the two sides, nothing was scored."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The samples of one case in one column."""

    passed: int
    scored: int
    """How many passed or failed; what is unscored, and errors, do not count."""
    score: float | None = None
    """Their mean score."""

    @property
    def holds(self) -> bool:
        """Whether all of them passed."""
        return 0 < self.scored == self.passed


@dataclass(frozen=True, slots=True)
class KeptColumn:
    """A column, as a baseline keeps it."""

    prompt: str
    """Its name, without a version."""
    label: str
    """With the version: `explain@2`."""
    model: str
    cases: Mapping[str, Tally]
    """By id."""
    hash: str = ""
    """Of the prompt."""
    sha256: str | None = None
    """Of the model."""
    mode: str | None = None
    samples: int = 0
    """Of each case."""
    seed: int = 0
    pass_rate: float | None = None

    @property
    def name(self) -> str:
        """What to call it among others."""
        return f"{self.label} on {self.model}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a comparison came to."""

    columns: tuple[KeptColumn, ...]
    files: tuple[str, ...] = ()
    """The case files."""
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class Change:
    """One case of a column, then and now."""

    case: str
    then: Tally | None
    """None where it is new."""
    now: Tally | None
    """None where it is gone."""

    @property
    def kind(self) -> Kind:
        """What became of it."""
        if self.then is None or self.now is None:
            return "new" if self.then is None else "gone"
        if not self.then.scored or not self.now.scored:
            return "unscored"
        if self.then.holds and not self.now.holds:
            return "broken"
        before, after = (Fraction(each.passed, each.scored) for each in (self.then, self.now))
        return "same" if before == after else "better" if after > before else "worse"


@dataclass(frozen=True, slots=True)
class Changes:
    """A column, then and now."""

    then: KeptColumn
    now: KeptColumn
    cases: tuple[Change, ...]
    """In the order of now; what is gone comes last."""
    rates: Paired
    """The pass rates of the cases in common."""
    p: float
    """Of `rates`, corrected for all columns that are judged."""
    decision: Decision

    def of(self, *kinds: Kind) -> tuple[Change, ...]:
        """The cases of which this became."""
        return tuple(each for each in self.cases if each.kind in kinds)

    @property
    def worse(self) -> bool:
        """Whether it got worse: see the top of this file."""
        return self.decision == "worse" or bool(self.of("broken"))

    @property
    def settings(self) -> tuple[str, ...]:
        """What else is not as it was, a few words each: it may be why the numbers differ."""
        then, now = self.then, self.now
        found = ["another text under the same label"] if then.hash != now.hash and then.label == now.label else []
        found += ["other weights"] if then.sha256 != now.sha256 else []
        pairs = (("mode", then.mode, now.mode), ("samples", then.samples, now.samples), ("seed", then.seed, now.seed))
        return (*found, *(f"{name} {new} instead of {old}" for name, old, new in pairs if old != new))


@dataclass(frozen=True, slots=True)
class Regressions:
    """A comparison held against a baseline."""

    columns: tuple[Changes, ...]
    """Those of the comparison that the baseline has."""
    new: tuple[str, ...]
    """Names of those that it has not."""
    gone: tuple[str, ...]
    """Names of those that only the baseline has."""

    @property
    def worse(self) -> bool:
        """Whether anything got worse: see the top of this file."""
        return any(each.worse for each in self.columns)


# --- a comparison becomes a baseline ---------------------------------------------------------------------------------


def make_baseline(comparison: Comparison, files: Sequence[str] = ()) -> Baseline:
    """Sum up a comparison on the cases of these files.

    Raises UsageError where two columns, or two cases, cannot be told apart.
    """
    _all_different((case.id for case in comparison.cases), "case")
    columns = tuple(_keep_column(comparison, i) for i in range(len(comparison.columns)))
    _all_different((each.name for each in columns), "column")
    return Baseline(columns, tuple(name.encode(errors="replace").decode() for name in files))


def _all_different(names: Iterable[str], what: str) -> None:
    for name, times in Counter(names).most_common(1):
        if times > 1:
            raise UsageError(f"the {what} {shorten(name)!r} stands here {times} times, and a baseline wants each once")


def _keep_column(comparison: Comparison, index: int) -> KeptColumn:
    results = [each for each in comparison.results if each.column == index]
    column, rate = comparison.columns[index], comparison.summaries[index].pass_rate
    cases: dict[str, list[Result]] = {}
    for each in results:
        cases.setdefault(comparison.cases[each.case].id, []).append(each)
    records = [each.record for each in results]
    return KeptColumn(
        prompt_name(column),
        column.prompt,
        column.model,
        {case: _tally(found) for case, found in cases.items()},
        next((each.prompt.hash for each in records), ""),
        next((each.model.sha256 for each in records), None),
        next((each.engine.mode for each in records if each.engine), None),
        max(map(len, cases.values()), default=0),
        next((each.seed for each in records), 0),
        None if rate is None else round(rate, DIGITS),
    )


def prompt_name(column: Column) -> str:
    """The name of a column's prompt, without a version: no name has an `@`."""
    return column.prompt.partition("@")[0]


def _tally(results: Sequence[Result]) -> Tally:
    states = [each.state for each in results]
    passed, failed = states.count("pass"), states.count("fail")
    scores = [each.verdict.score for each in results if each.record.error is None and each.verdict.score is not None]
    return Tally(passed, passed + failed, round(math.fsum(scores) / len(scores), DIGITS) if scores else None)


# --- a comparison is held against a baseline -------------------------------------------------------------------------


def compare_baseline(baseline: Baseline, comparison: Comparison) -> Regressions:
    """Say what got better and worse. Raises UsageError as `match` and `make_baseline` do."""
    now = make_baseline(comparison).columns
    matched = match(baseline, comparison.columns)
    pairs = [(baseline.columns[then], now[i]) for i, then in matched.items()]
    rates = [_rates(*pair) for pair in pairs]
    ps = holm(each.p for each in rates)
    found = [
        Changes(*pair, _cases(*pair), rate, p, decide(rate, p)) for pair, rate, p in zip(pairs, rates, ps, strict=True)
    ]
    new = tuple(each.name for i, each in enumerate(now) if i not in matched)
    gone = tuple(each.name for i, each in enumerate(baseline.columns) if i not in matched.values())
    return Regressions(tuple(found), new, gone)


def match(baseline: Baseline, columns: Sequence[Column]) -> dict[int, int]:
    """Which column of a baseline each column of a comparison is held against, by their places.

    They belong together when prompt and model have the same names. Versions need not be the same: a baseline is there
    to be held against later ones. Where there are several versions, those with the same label belong together, and of
    those that are left there must be one on each side. It needs no answers, so it can be asked before anything runs.

    Raises UsageError where it is not clear what belongs together, and where nothing does: a test of nothing always
    passes.
    """
    labels = {(each.label, each.model): i for i, each in enumerate(baseline.columns)}
    found = {
        i: labels[each.prompt, each.model] for i, each in enumerate(columns) if (each.prompt, each.model) in labels
    }
    taken = set(found.values())
    for name in dict.fromkeys((prompt_name(each), each.model) for each in columns):
        now = [i for i, each in enumerate(columns) if i not in found and (prompt_name(each), each.model) == name]
        then = [i for i, each in enumerate(baseline.columns) if i not in taken and (each.prompt, each.model) == name]
        if then and now:
            if len(then) > 1 or len(now) > 1:
                raise _unclear([baseline.columns[i].label for i in then], [columns[i].prompt for i in now], name[1])
            found[now[0]] = then[0]
    if not found:
        has = shorten(", ".join(each.name for each in baseline.columns) or "nothing", 300)
        raise UsageError(f"the baseline has none of these prompts on any of these models; it has {has}")
    return dict(sorted(found.items()))


def _unclear(then: Sequence[str], now: Sequence[str], model: str) -> UsageError:
    has, here = (shorten(", ".join(labels), 200) for labels in (then, now))
    return UsageError(
        f"on {model}, the baseline has {has}, and this comparison {here}: it is not clear which belong together",
        hint="Compare one version of the prompt",
    )


def changes(comparison: Comparison, pair: Pair) -> Changes:
    """What got better and worse from the first to the second column of a pair, case by case."""
    then, now = (_keep_column(comparison, i) for i in (pair.first, pair.second))
    return Changes(then, now, _cases(then, now), pair.rates, pair.p, pair.decision)


def version_pairs(comparison: Comparison) -> tuple[Pair, ...]:
    """The pairs of two versions of one prompt on one model."""
    names = [(prompt_name(each), each.model) for each in comparison.columns]
    return tuple(pair for pair in comparison.pairs if names[pair.first] == names[pair.second])


def _cases(then: KeptColumn, now: KeptColumn) -> tuple[Change, ...]:
    return tuple(Change(case, then.cases.get(case), now.cases.get(case)) for case in {**now.cases, **then.cases})


def _rates(then: KeptColumn, now: KeptColumn) -> Paired:
    both = [
        (before.passed / before.scored, after.passed / after.scored)
        for case, after in now.cases.items()
        if (before := then.cases.get(case)) and before.scored and after.scored
    ]
    return compare_rates([a for a, _ in both], [b for _, b in both])
