"""How far a pass rate, or a mean score, can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

from promptlab.core.stats.numbers import LEVEL, between, count, counts, open_fraction, some

PRIOR_CASES = 0.5
"""Weight of the imaginary case in `effective_cases`: half of it scores 0, the other half 1.

With 0.5, the cluster interval covers at least as often as Wilson's own does for as many independent cases, at its worst
rate; tried for 1 to 40 cases of 2, 4 and 8 samples, 7 rates and 7 correlations. With 0.25 it does not, and more makes
it wider.
"""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, both ends included."""

    low: float
    high: float
    level: float = LEVEL
    """How often such intervals hold the true value."""


def wilson(passed: int, samples: int, level: float = LEVEL) -> Interval:
    """Where the pass rate lies, from `passed` of `samples` independent trials: one sample for each case.

    Wilson's score interval (1927). It keeps its level with few trials and at rates of 0 and 1, where the usual
    `rate ± 1.96 standard errors` does not (Brown, Cai and DasGupta 2001, "Interval Estimation for a Binomial
    Proportion").
    """
    k, n = count(passed, samples)
    return _wilson(k / n, n, level)


def rate_interval(passed: Iterable[int], samples: Iterable[int], level: float = LEVEL) -> Interval:
    """Where the mean of the cases' pass rates lies, from several samples of each case.

    Wilson's interval with the effective sample size: as many independent trials as would vary as much as the rates of
    the cases do. Korn and Graubard (1998) put the effective sample size into an interval for proportions. Franco,
    Little, Louis and Slud (2019, "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys")
    compare several intervals of this kind, and recommend Wilson's. Standard errors by cluster and the normal
    distribution, as in Miller (2024, "Adding Error Bars to Evals"), are for many cases: where all have the same rate,
    they give no interval at all.

    With one sample of each case this is `wilson`. It is never narrower than if all samples were independent.
    """
    pairs = counts(passed, samples)
    most = len(pairs) ** 2 / math.fsum(1 / n for _, n in pairs)  # the mean of rates varies as that of so many samples
    return _bounded([k / n for k, n in pairs], most, level)


def mean_interval(scores: Iterable[float], level: float = LEVEL) -> Interval:
    """Where the mean of scores from 0 to 1 lies; `scores` are the means of the cases.

    As `rate_interval`, since scores from 0 to 1 with a given mean vary at most as much as passes and failures with that
    rate. Where many scores are 0 or 1 it keeps its level, which a t interval does not (of 20 cases where nine tenths
    score 1, that covers 76%); where all scores are alike and cases are few, it is wider than a t interval.
    """
    return _bounded(some(between(scores, "scores", 0.0, 1.0), "scores"), math.inf, level)


def effective_cases(values: list[float], most: float = math.inf) -> float:
    """How many independent passes and failures would have a mean that varies as much as that of these values.

    At least as many as there are values, as nothing between 0 and 1 varies more than passes and failures. An imaginary
    case, half of which scores 0 and half 1, is counted in: otherwise a few values that are alike by luck would be
    worth any number of trials, and all that is known at rates of 0 and 1 is that there are so many cases.
    """
    weight = len(values) + PRIOR_CASES
    mean = (math.fsum(values) + PRIOR_CASES / 2) / weight
    prior = PRIOR_CASES / 2 * ((1 - mean) ** 2 + mean**2)
    variance = (math.fsum((value - mean) ** 2 for value in values) + prior) / weight
    return min(max(len(values) * mean * (1 - mean) / variance, len(values)), most)


def _bounded(values: list[float], most: float, level: float) -> Interval:
    mean = min(math.fsum(values) / len(values), 1.0)
    return _wilson(mean, effective_cases(values, most), level)


def _wilson(rate: float, size: float, level: float) -> Interval:
    square = NormalDist().inv_cdf((1 + open_fraction(level, "level")) / 2) ** 2
    middle = (rate + square / (2 * size)) / (1 + square / size)
    half = math.sqrt(square * (rate * (1 - rate) / size + square / (4 * size**2))) / (1 + square / size)
    low = 0.0 if rate == 0 else max(middle - half, 0.0)
    high = 1.0 if rate == 1 else min(middle + half, 1.0)
    return Interval(low, high, level)
