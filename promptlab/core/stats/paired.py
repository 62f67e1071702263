"""Two columns on the same cases: which is better, or that it cannot be told.

Which test decides depends on what is compared. Per-case pass rates: the exact sign test. It asks of each case only in
which column it did better, so that no case counts for more than another; with one sample of each case it is McNemar's
exact test. Scores: the sign-flip test. The bootstrap is reported with both, but decides nothing: with few cases it
finds differences where there are none (of columns that do the same, it parts 12 pairs of 100 with 6 cases, and 7 with
20, where 5 are allowed), while the other two never do so more often than their level says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from promptlab.core.stats.intervals import Interval
from promptlab.core.stats.numbers import LEVEL, between, fraction, open_fraction, whole
from promptlab.core.stats.resampling import RESAMPLES, SAME, Bootstrap, bootstrap, sign_flip_test

Test = Literal["sign", "sign-flip"]
Decision = Literal["better", "worse", "cannot tell"]
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Paired:
    """What two columns on the same cases come to. The second column is judged, against the first."""

    cases: int
    wins: int
    """Cases in which the second column did better."""
    losses: int
    ties: int
    difference: float | None
    """Of the means, the second less the first; None without cases."""
    interval: Interval | None
    """Of the difference, by the bootstrap; not corrected for many comparisons. None without cases."""
    sign_p: float
    flip_p: float
    bootstrap_p: float
    test: Test
    """The one that decides."""

    @property
    def p(self) -> float:
        """Of the test that decides, before any correction."""
        return self.sign_p if self.test == "sign" else self.flip_p

    @property
    def direction(self) -> int:
        """1 where the second column did better, -1 where worse, 0 where it did neither.

        Neither, too, where it did better in more cases, and worse on the whole.
        """
        mean = _sign(self.difference or 0.0)
        return mean if self.test == "sign-flip" or mean == _sign(self.wins - self.losses) else 0


def compare_rates(
    first: Iterable[float], second: Iterable[float], level: float = LEVEL, count: int = RESAMPLES, seed: int = 0
) -> Paired:
    """Compare per-case pass rates."""
    return _compare(first, second, "sign", level, count, seed)


def compare_scores(
    first: Iterable[float], second: Iterable[float], level: float = LEVEL, count: int = RESAMPLES, seed: int = 0
) -> Paired:
    """Compare per-case mean scores, from 0 to 1."""
    return _compare(first, second, "sign-flip", level, count, seed)


def _compare(
    first: Iterable[float], second: Iterable[float], test: Test, level: float, count: int, seed: int
) -> Paired:
    a, b = (between(column, "rates and scores", 0.0, 1.0) for column in (first, second))
    if len(a) != len(b):
        raise ValueError(f"the columns must have the same cases, but have {len(a)} and {len(b)}")
    differences = [y - x for x, y in zip(a, b, strict=True)]
    signs = [_sign(each) for each in differences]
    wins, losses, ties = (signs.count(sign) for sign in (1, -1, 0))
    drawn: Bootstrap | None = bootstrap(differences, level, count, seed) if differences else None
    return Paired(
        len(differences),
        wins,
        losses,
        ties,
        math.fsum(differences) / len(differences) if differences else None,
        drawn.interval if drawn else None,
        sign_test(wins, losses),
        sign_flip_test(differences, count, seed),
        drawn.p if drawn else 1.0,
        test,
    )


def _sign(number: float) -> int:
    return 0 if abs(number) <= SAME else 1 if number > 0 else -1


def sign_test(wins: int, losses: int) -> float:
    """How likely it is that wins and losses are at least as unequal, if each case could as well be either.

    Exact and two-sided; ties are left out before. Fewer than six cases that differ can never reach 5%.
    """
    fewer, more = sorted((whole(wins, "wins"), whole(losses, "losses")))
    cases, ways, total = fewer + more, 1, 0
    for i in range(fewer + 1):
        total += ways
        ways = ways * (cases - i) // (i + 1)
    return 1.0 if fewer == more else 2 * total / (1 << cases)


def holm(ps: Iterable[float]) -> tuple[float, ...]:
    """Correct p-values for how many there are, in their order: one false alarm among all stays as rare as in one test.

    Holm (1979): the smallest times how many there are, the next times one less, and none below one before it.
    """
    values = between(ps, "p-values", 0.0, 1.0)
    corrected, highest = [0.0] * len(values), 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(values[i] * (len(values) - rank), 1.0))
        corrected[i] = highest
    return tuple(corrected)


def decide(paired: Paired, p: float, alpha: float = ALPHA) -> Decision:
    """Whether the second column is better or worse, by the corrected p-value of the test that decides."""
    if fraction(p, "p") >= open_fraction(alpha, "alpha") or paired.direction == 0:
        return "cannot tell"
    return "better" if paired.direction > 0 else "worse"
