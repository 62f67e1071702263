"""Intervals, and pass@k: against scipy and statsmodels, by simulation, and by what must hold for all data."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats  # type: ignore[import-untyped]
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from promptlab.core.stats.intervals import Interval, effective_cases, mean_interval, rate_interval, wilson
from promptlab.core.stats.passk import pass_at_k, pass_hat_k

SETS = range(200)
CASES = st.lists(st.integers(1, 8).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=12)
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def clusters(
    generator: np.random.Generator, rate: float, alike: float, shape: tuple[int, int], samples: int
) -> npt.NDArray[np.int64]:
    """Passes per case. The cases' own rates are from a beta distribution in which two samples of a case correlate."""
    if alike in (0.0, 1.0):
        own = np.full(shape, rate) if alike == 0.0 else (generator.random(shape) < rate).astype(float)
    else:
        own = generator.beta(rate * (1 - alike) / alike, (1 - rate) * (1 - alike) / alike, shape)
    return generator.binomial(samples, own)


# --- Wilson ----------------------------------------------------------------------------------------------------------


def test_wilson_agrees_with_statsmodels() -> None:
    for number in SETS:
        generator = np.random.default_rng(number)
        n, level = int(generator.integers(1, 500)), float(generator.uniform(0.5, 0.999))
        k = int(generator.integers(0, n + 1))
        assert ends(wilson(k, n, level)) == pytest.approx(proportion_confint(k, n, 1 - level, "wilson"), abs=1e-9)


def test_wilson_is_exact_at_its_ends_and_never_without_width() -> None:
    for n in range(1, 300):
        nothing, everything = wilson(0, n), wilson(n, n)
        assert (nothing.low, everything.high) == (0.0, 1.0)
        assert nothing.high == pytest.approx(1 - everything.low) == pytest.approx(3.8415 / (n + 3.8415), abs=1e-4)


# --- several samples of each case ------------------------------------------------------------------------------------


def reference(values: list[float], most: float, level: float) -> tuple[float, float]:
    """The interval as its docstring says, by other means."""
    weights = [*[1.0] * len(values), 0.25, 0.25]
    variance = float(np.cov([*values, 0, 1], aweights=weights, ddof=0))
    mean = float(np.average([*values, 0, 1], weights=weights))
    size = float(np.clip(len(values) * mean * (1 - mean) / variance, len(values), most))
    low, high = proportion_confint(np.mean(values) * size, size, 1 - level, "wilson")
    return float(low), float(high)


def test_the_cluster_interval_is_wilson_with_the_effective_sample_size() -> None:
    for number in SETS:
        generator = np.random.default_rng(number)
        samples = generator.integers(1, 9, generator.integers(1, 60))
        passed = generator.binomial(samples, generator.random(len(samples)))
        most = len(samples) ** 2 / float((1 / samples).sum())
        expected = reference((passed / samples).tolist(), most, 0.9)
        assert ends(rate_interval(passed, samples, 0.9)) == pytest.approx(expected, abs=1e-9)


def test_with_one_sample_of_each_case_the_cluster_interval_is_wilson() -> None:
    for number in SETS:
        passed = np.random.default_rng(number).integers(0, 2, 1 + number)
        expected = ends(wilson(int(passed.sum()), len(passed)))
        assert ends(rate_interval(passed, [1] * len(passed))) == pytest.approx(expected, abs=1e-9)
        assert ends(mean_interval(passed)) == pytest.approx(expected, abs=1e-9)


def test_the_interval_of_scores_is_wilson_with_the_effective_number_of_cases() -> None:
    for number in SETS:
        generator = np.random.default_rng(number)
        scores = generator.beta(
            generator.uniform(0.2, 9), generator.uniform(0.2, 9), generator.integers(1, 60)
        ).tolist()
        assert ends(mean_interval(scores, 0.8)) == pytest.approx(reference(scores, math.inf, 0.8), abs=1e-9)


@given(CASES)
def test_the_cluster_interval_lies_between_those_for_cases_and_for_independent_samples(
    cases: list[tuple[int, int]],
) -> None:
    rates = [k / n for k, n in cases]
    most = len(cases) ** 2 / sum(1 / n for _, n in cases)
    found = rate_interval([k for k, _ in cases], [n for _, n in cases])
    width = found.high - found.low
    assert 0 <= found.low <= sum(rates) / len(rates) + 1e-12
    assert sum(rates) / len(rates) - 1e-12 <= found.high <= 1
    assert len(cases) <= effective_cases(rates, most) + 1e-9
    assert effective_cases(rates, most) <= most + 1e-9
    assert width > 0.02


@given(SCORES)
def test_the_interval_of_scores_holds_their_mean_and_has_a_width(scores: list[float]) -> None:
    found = mean_interval(scores)
    mean = math.fsum(scores) / len(scores)
    assert 0 <= found.low <= mean + 1e-12
    assert mean - 1e-12 <= found.high <= 1
    assert found.high - found.low > 0.02


def test_more_samples_that_all_agree_make_no_more_cases() -> None:
    assert ends(rate_interval([80] * 10, [80] * 10)) == pytest.approx(ends(wilson(10, 10)))
    assert ends(rate_interval([0] * 10, [80] * 10)) == pytest.approx(ends(wilson(0, 10)))


def test_one_failure_among_many_passes_does_not_make_the_interval_jump() -> None:
    all_passed = rate_interval([4] * 20, [4] * 20)
    but_one = rate_interval([4] * 19 + [3], [4] * 20)
    assert abs(all_passed.low - but_one.low) < 0.04  # 0.09 without the imaginary case


def test_samples_that_differ_within_cases_count_as_more_than_one_case() -> None:
    mixed = rate_interval([2] * 20, [4] * 20)
    split = rate_interval([4, 0] * 10, [4] * 20)
    assert mixed.high - mixed.low < 0.6 * (split.high - split.low)


RATES = (0.02, 0.05, 0.2, 0.5)


def wilson_covers(rate: float, cases: int) -> float:
    """How often Wilson's interval holds the true rate, with one sample of each case: exact."""
    found = [wilson(k, cases) for k in range(cases + 1)]
    held = [k for k, each in enumerate(found) if each.low <= rate <= each.high]
    return float(scipy_stats.binom.pmf(held, cases, rate).sum())


@pytest.mark.parametrize("cases", [1, 2, 3, 5, 10, 20, 40])
def test_the_cluster_interval_covers_the_true_rate_as_often_as_wilson_does(cases: int) -> None:
    generator = np.random.default_rng(cases)
    covered = []
    for rate in RATES:
        for alike in (0.0, 0.3, 0.7, 1.0):
            sets = clusters(generator, rate, alike, (800, cases), 4)
            found = [rate_interval(passed, [4] * cases) for passed in sets.tolist()]
            covered.append(sum(each.low <= rate <= each.high for each in found) / len(found))
    luck = 3 * math.sqrt(0.1 * 0.9 / 800)
    assert min(covered) >= min(wilson_covers(rate, cases) for rate in RATES) - luck
    assert sum(covered) / len(covered) >= 0.945


DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], npt.NDArray[np.float64]]] = {
    "bell": lambda generator, shape: generator.beta(2, 2, shape),
    "high": lambda generator, shape: generator.beta(8, 2, shape),
    "two humps": lambda generator, shape: generator.beta(0.3, 0.3, shape),
    "mostly 1": lambda generator, shape: np.where(generator.random(shape) < 0.9, 1.0, generator.random(shape)),
}
MEANS = {"bell": 0.5, "high": 0.8, "two humps": 0.5, "mostly 1": 0.95}


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("cases", [3, 5, 10, 20, 40])
def test_the_interval_of_scores_covers_the_true_mean(kind: str, cases: int) -> None:
    sets = DRAWS[kind](np.random.default_rng(cases), (1000, cases)).tolist()
    found = [mean_interval(scores) for scores in sets]
    covered = sum(each.low <= MEANS[kind] <= each.high for each in found) / len(found)
    assert covered >= (0.9 if cases <= 5 else 0.93)


# --- pass@k and pass^k -----------------------------------------------------------------------------------------------


def test_pass_at_k_and_pass_hat_k_agree_with_scipy_up_to_10000_samples() -> None:
    for number in SETS:
        generator = np.random.default_rng(number)
        most = 10 if number < 100 else 10_000
        samples = generator.integers(1, most + 1, 5)
        passed = generator.integers(0, samples + 1)
        k = int(generator.integers(1, samples.min() + 1)) if number % 2 else int(min(samples.min(), 3))
        drawn = [scipy_stats.hypergeom(n, c, k) for c, n in zip(passed, samples, strict=True)]
        assert pass_at_k(passed, samples, k) == pytest.approx(np.mean([1 - each.pmf(0) for each in drawn]), abs=1e-9)
        assert pass_hat_k(passed, samples, k) == pytest.approx(np.mean([each.pmf(k) for each in drawn]), abs=1e-9)


@pytest.mark.parametrize(("c", "n"), [(c, n) for n in range(1, 6) for c in range(n + 1)])
def test_pass_at_k_is_the_share_of_draws(c: int, n: int) -> None:
    for k in range(1, n + 1):
        draws = list(combinations([True] * c + [False] * (n - c), k))
        assert pass_at_k([c], [n], k) == pytest.approx(sum(map(any, draws)) / len(draws))
        assert pass_hat_k([c], [n], k) == pytest.approx(sum(map(all, draws)) / len(draws))


def test_with_k_of_one_both_are_the_mean_pass_rate() -> None:
    assert pass_at_k([1, 3], [4, 4], 1) == pass_hat_k([1, 3], [4, 4], 1) == 0.5


def test_pass_at_k_keeps_small_numbers() -> None:
    assert pass_at_k([1], [10_000], 1) == 1e-4
    assert pass_hat_k([9_999], [10_000], 5_000) == 0.5
    assert pass_at_k([5_000], [10_000], 5_000) == 1.0


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson(0, 0), "samples must be at least 1, not 0"),
        (lambda: wilson(3, 2), r"there cannot be more passes \(3\) than samples \(2\)"),
        (lambda: wilson(-1, 2), "passes must be at least 0, not -1"),
        (lambda: wilson(0.5, 2), "passes must be a whole number, not 0.5"),  # type: ignore[arg-type]
        (lambda: wilson(1, 2, 1.0), "level must lie between 0 and 1 and be neither, not be 1"),
        (lambda: wilson(1, 2, math.nan), "level must lie between 0 and 1 and be neither, not be nan"),
        (lambda: rate_interval([], []), "cases are needed, and there are none"),
        (lambda: rate_interval([1], [1, 1]), "there are 1 counts of passes, but 2 counts of samples"),
        (lambda: rate_interval([1, 3], [1, 2]), r"there cannot be more passes \(3\) than samples \(2\)"),
        (lambda: mean_interval([]), "scores are needed, and there are none"),
        (lambda: mean_interval([0.5, math.nan]), "scores must lie between 0 and 1, but number 2 is nan"),
        (lambda: mean_interval([1.5]), "scores must lie between 0 and 1, but number 1 is 1.5"),
        (lambda: mean_interval([None]), "scores must be numbers"),  # type: ignore[list-item]
        (lambda: mean_interval([10**400]), "scores must be numbers"),
        (lambda: pass_at_k([1], [2], 3), "k is 3, but there is a case of only 2 samples"),
        (lambda: pass_hat_k([1, 1], [4, 2], 3), "k is 3, but there is a case of only 2 samples"),
        (lambda: pass_hat_k([1], [2], 0), "k must be at least 1, not 0"),
        (lambda: pass_at_k([], [], 1), "cases are needed, and there are none"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
