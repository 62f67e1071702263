"""What could have come out as well: cases drawn again (the bootstrap), or the two columns swapped (sign-flip test)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

from promptlab.core.stats.intervals import Interval, mean_interval
from promptlab.core.stats.numbers import LEVEL, between, open_fraction, some, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RESAMPLES = 10_000
NUMBERS = 1_000_000
"""As many are held at once; 8 MB each time."""
KEPT = 10_000_000
"""As many that were drawn are kept for the next comparison; 30 MB together."""
EXACT = 20
"""Up to so many differences, all ways to flip their signs are gone through."""
SAME = 1e-9
"""Numbers that are closer differ by rounding alone."""
MANY = 1_000
"""With more cases than that, the t and the normal distribution are alike for our purpose."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What drawing the cases again says about a mean difference."""

    interval: Interval
    p: float
    """Two-sided: twice the share of resamples on the other side of 0, those that were made and one more."""


def resamples(cases: int, count: int = RESAMPLES, seed: int = 0) -> Iterator[npt.NDArray[np.int64]]:
    """Draw as many of the cases as there are, with replacement, `count` times: a row of indices each, in blocks."""
    import numpy as np

    whole(cases, "cases", least=1)
    whole(count, "resamples", least=1)
    generator = np.random.Generator(np.random.PCG64(whole(seed, "the seed")))
    rows = max(NUMBERS // cases, 1)
    for begun in range(0, count, rows):
        yield generator.integers(0, cases, (min(rows, count - begun), cases))


def bootstrap(differences: Iterable[float], level: float = LEVEL, count: int = RESAMPLES, seed: int = 0) -> Bootstrap:
    """Draw the cases again, and see how their mean difference varies. Differences lie between -1 and 1.

    The interval is that of percentiles, at a level expanded for the number of cases: plain percentiles, and BCa too,
    are too narrow with few (Hesterberg 2015, "What Teachers Should Know About the Bootstrap"). Of 8 cases, plain ones
    cover about 90%, expanded ones 95%; from 100 on they are alike. BCa corrects for a skew, which differences between
    two columns hardly have. Where all differences are the same, drawing them again says nothing, and the interval is
    that of `mean_interval`.
    """
    import numpy as np

    numbers = some(between(differences, "differences", -1.0, 1.0), "differences")
    values = np.array(numbers)
    if len(numbers) * count <= KEPT:
        means = np.concatenate([_sums(block, values) for block in _counts(len(numbers), count, seed)]) / len(numbers)
    else:
        means = np.concatenate([values[block].mean(axis=1) for block in resamples(len(numbers), count, seed)])
    if max(numbers) - min(numbers) <= SAME:
        halved = mean_interval(((1 + number) / 2 for number in numbers), level)
        interval = Interval(2 * halved.low - 1, 2 * halved.high - 1, level)
    else:
        tail = expanded_tail(len(numbers), level)
        low, high = (float(each) for each in np.quantile(means, (tail, 1 - tail)))
        interval = Interval(low, high, level)
    other_side = min(int((means <= SAME).sum()), int((means >= -SAME).sum()))
    p = min(2 * (1 + other_side) / (1 + count), 1.0)
    return Bootstrap(interval, p if len(numbers) > 1 else 1.0)


@lru_cache(maxsize=1)
def _counts(cases: int, count: int, seed: int) -> tuple[npt.NDArray[np.uint16], ...]:
    """How often each case was drawn, in blocks of rows. Kept, as the next two columns have as many cases, mostly."""
    import numpy as np

    found = []
    for block in resamples(cases, count, seed):
        places = block + np.arange(len(block))[:, None] * cases
        counts = np.bincount(places.ravel(), minlength=block.size)
        found.append(counts.reshape(block.shape).astype(np.uint16))
    return tuple(found)


def _sums(rows: npt.NDArray[np.integer], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sum of the values by the weights of each row."""
    import numpy as np

    # Not by `@`: the threads that it starts wait for each other, many times as long where anything else computes.
    return np.einsum("ij,j->i", rows, values)  # type: ignore[no-any-return]


def expanded_tail(cases: int, level: float = LEVEL) -> float:
    """The share of resamples below an interval of percentiles, so that it is as wide as a t interval, on average."""
    whole(cases, "cases", least=2)
    quantile = t_quantile(open_fraction(level, "level"), cases - 1)
    return NormalDist().cdf(-math.sqrt(cases / (cases - 1)) * quantile)


def t_quantile(level: float, freedom: int) -> float:
    """What a value of Student's t distribution stays within, in either direction, with the probability `level`."""
    if freedom > MANY:
        return NormalDist().inv_cdf((1 + level) / 2)
    low, high = 0.0, math.pi / 2
    while low < (angle := (low + high) / 2) < high:
        low, high = (angle, high) if _t_within(angle, freedom) < level else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def _t_within(angle: float, freedom: int) -> float:
    """How likely |t| is at most tan(angle)·√freedom: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom, 2):
        term *= (k - 1) / k * math.cos(angle) ** 2
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def sign_flip_test(differences: Iterable[float], count: int = RESAMPLES, seed: int = 0) -> float:
    """How likely a mean difference at least as large is, in either direction, if the two columns do the same.

    Then each case could as well have come out with its columns swapped: a paired permutation test (Fisher 1935). Exact
    where up to 20 cases differ; otherwise `count` ways to swap are drawn, and p is (1 + as large) / (1 + drawn), which
    keeps the level whatever is drawn (Phipson and Smyth 2010). With one sample of each case, pass or fail, it is the
    sign test.
    """
    import numpy as np

    whole(count, "resamples", least=1)
    whole(seed, "the seed")
    numbers = between(differences, "differences", -1.0, 1.0)
    sizes = np.array([abs(number) for number in numbers if abs(number) > SAME])
    least = abs(math.fsum(numbers)) - SAME
    if not len(sizes):
        return 1.0
    if len(sizes) <= EXACT:
        ways = sizes[:1]  # its sign may stay: flipping all signs changes no size
        for size in sizes[1:]:
            ways = np.concatenate([ways + size, ways - size])
        return float((np.abs(ways) >= least).mean())
    values = np.array(numbers)
    kept = len(numbers) * count <= KEPT
    blocks = _kept_signs(len(numbers), count, seed) if kept else _signs(len(numbers), count, seed)
    as_large = sum(int((np.abs(_sums(block, values)) >= least).sum()) for block in blocks)
    return (1 + as_large) / (1 + count)


def _signs(cases: int, count: int, seed: int) -> Iterator[npt.NDArray[np.int8]]:
    """Rows of 1 and -1, in blocks."""
    import numpy as np

    generator = np.random.Generator(np.random.PCG64(seed))
    rows = max(NUMBERS // cases, 1)
    for begun in range(0, count, rows):
        yield (2 * generator.integers(0, 2, (min(rows, count - begun), cases)) - 1).astype(np.int8)


@lru_cache(maxsize=1)
def _kept_signs(cases: int, count: int, seed: int) -> tuple[npt.NDArray[np.int8], ...]:
    """The same, for the next two columns."""
    return tuple(_signs(cases, count, seed))
