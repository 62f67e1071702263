"""Two columns on the same cases: against scipy and statsmodels, and whether the decisions hold what they promise."""

from __future__ import annotations

import gc
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats  # type: ignore[import-untyped]
from statsmodels.stats.contingency_tables import mcnemar  # type: ignore[import-untyped]
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

from promptlab.core.stats import resampling
from promptlab.core.stats.intervals import mean_interval
from promptlab.core.stats.paired import Paired, compare_rates, compare_scores, decide, holm, sign_test
from promptlab.core.stats.resampling import bootstrap, expanded_tail, resamples, sign_flip_test, t_quantile

SETS = range(200)
Columns = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


# --- the sign test ---------------------------------------------------------------------------------------------------


def test_the_sign_test_agrees_with_scipy() -> None:
    for number in SETS:
        wins, losses = (int(each) for each in np.random.default_rng(number).integers(0, 1 + number, 2))
        expected = scipy_stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
        assert sign_test(wins, losses) == pytest.approx(expected, abs=1e-9)


def test_the_sign_test_bears_many_cases() -> None:
    assert sign_test(9_900, 10_100) == pytest.approx(scipy_stats.binomtest(9_900, 20_000).pvalue, abs=1e-9)
    assert sign_test(20_000, 0) == 0.0


def test_with_one_sample_of_each_case_both_tests_are_mcnemars() -> None:
    for number in SETS:
        first, second = np.random.default_rng(number).integers(0, 2, (2, 25))
        table = [[int(((first == x) & (second == y)).sum()) for y in (1, 0)] for x in (1, 0)]
        expected = float(mcnemar(table, exact=True).pvalue)
        found = compare_rates(first, second, count=50)
        assert found.sign_p == pytest.approx(expected, abs=1e-9)
        if found.wins + found.losses <= resampling.EXACT:
            assert found.flip_p == pytest.approx(expected, abs=1e-9)


# --- the sign-flip test ----------------------------------------------------------------------------------------------


def test_the_exact_sign_flip_test_agrees_with_scipy() -> None:
    for number in SETS:
        generator = np.random.default_rng(number)
        size = int(generator.integers(2, 9))
        # Quarters tie often, within a case and in the sums.
        values = generator.integers(-4, 5, size) / 4 if number % 2 else generator.uniform(-1, 1, size)
        expected = scipy_stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=1_000).pvalue
        assert sign_flip_test(values) == pytest.approx(expected, abs=1e-9)


def test_drawn_sign_flips_come_near_to_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0.15, 0.25, 18).clip(-1, 1)
    exact = sign_flip_test(values)
    monkeypatch.setattr(resampling, "EXACT", 0)
    drawn = sign_flip_test(values, 20_000)
    assert 0.02 < exact < 0.5
    assert drawn == pytest.approx(exact, abs=0.01)
    assert drawn != exact
    assert drawn == sign_flip_test(values, 20_000)
    assert drawn != sign_flip_test(values, 20_000, seed=1)


def test_drawn_sign_flips_count_the_one_that_was_seen() -> None:
    assert sign_flip_test([1.0] * 50, 999) == 1 / 1000


def test_how_the_flips_are_cut_into_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(0.05, 0.2, 30).clip(-1, 1)
    whole = sign_flip_test(values, 1_000)
    monkeypatch.setattr(resampling, "NUMBERS", 700)
    assert sign_flip_test(values, 1_000) == whole


@given(st.lists(st.floats(-1, 1), max_size=10))
def test_a_sign_flip_test_asks_for_no_direction(values: list[float]) -> None:
    p = sign_flip_test(values)
    assert p == sign_flip_test([-value for value in values])
    assert 2 ** -max(len(values) - 1, 0) <= p <= 1


# --- the bootstrap ---------------------------------------------------------------------------------------------------


def test_the_bootstrap_agrees_with_scipy_given_the_same_resamples() -> None:
    for number in SETS:
        generator = np.random.default_rng(number)
        values = generator.normal(0.1, 0.2, generator.integers(2, 40)).clip(-1, 1)
        expected = scipy_stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=300,
            confidence_level=1 - 2 * expanded_tail(len(values)),
            method="percentile",
            rng=np.random.Generator(np.random.PCG64(number)),
        )
        found = bootstrap(values, count=300, seed=number)
        assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)
        means = np.vstack([values[block].mean(axis=1) for block in resamples(len(values), 300, number)]).ravel()
        assert np.sort(means) == pytest.approx(np.sort(expected.bootstrap_distribution), abs=1e-9)
        sides = min((means <= 0).sum(), (means >= 0).sum())
        assert found.p == pytest.approx(min(2 * (1 + sides) / 301, 1))


def test_how_the_resamples_are_cut_into_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = resamples(7, 100, 3)
    monkeypatch.setattr(resampling, "NUMBERS", 50)
    blocks = list(resamples(7, 100, 3))
    assert [len(block) for block in blocks] == [7] * 14 + [2]
    assert (np.concatenate(blocks) == whole).all()
    assert not (np.concatenate(list(resamples(7, 100, 4))) == whole).all()


@pytest.mark.parametrize("cases", [2, 3, 10, 200, 1_001, 5_000])
def test_the_tail_is_expanded_for_few_cases(cases: int) -> None:
    expected = scipy_stats.norm.cdf(-math.sqrt(cases / (cases - 1)) * scipy_stats.t.ppf(0.975, cases - 1))
    assert expanded_tail(cases) == pytest.approx(expected, abs=1e-9 if cases <= resampling.MANY else 2e-4)


def test_the_t_quantile_agrees_with_scipy() -> None:
    for number in SETS:
        generator = np.random.default_rng(number)
        level, freedom = (
            float(generator.uniform(0.01, 0.999)),
            number + 1 if number < 40 else int(generator.integers(1, 1001)),
        )
        assert t_quantile(level, freedom) == pytest.approx(scipy_stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


def test_ten_thousand_resamples_of_a_thousand_cases_need_little_memory() -> None:
    values = np.random.default_rng(0).normal(0, 0.2, 1_000).clip(-1, 1)
    tracemalloc.start()
    try:
        bootstrap(values)
        sign_flip_test(values)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 100e6


@pytest.mark.parametrize("values", [[0.0] * 10, [1.0] * 3, [-0.25] * 5, [0.5]])
def test_differences_that_are_all_alike_still_have_an_interval(values: list[float]) -> None:
    found = bootstrap(values, count=100).interval
    assert found.high - found.low > 0.1
    assert -1 <= found.low <= values[0] <= found.high <= 1
    halved = mean_interval([(1 + value) / 2 for value in values])
    assert (found.low, found.high) == pytest.approx((2 * halved.low - 1, 2 * halved.high - 1))


def test_one_case_proves_nothing() -> None:
    assert bootstrap([0.5], count=100).p == sign_flip_test([0.5]) == sign_test(1, 0) == 1.0


# --- Holm ------------------------------------------------------------------------------------------------------------


def test_holm_agrees_with_statsmodels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "collect", lambda: 0)  # statsmodels calls it each time, which takes 0.1 s here
    for number in SETS:
        generator = np.random.default_rng(number)
        ps = generator.random(generator.integers(1, 30)) ** 3
        ps[generator.random(len(ps)) < 0.2] = ps[0]  # ties
        assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1], abs=1e-9)


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == ()
    assert holm([0.0, 1.0]) == (0.0, 1.0)


# --- comparing and deciding ------------------------------------------------------------------------------------------


def test_a_comparison_names_what_it_found() -> None:
    found = compare_rates([0.0, 0.5, 1.0, 0.25], [1.0, 0.5, 0.75, 0.5], count=200)
    assert (found.cases, found.wins, found.losses, found.ties) == (4, 2, 1, 1)
    assert found.difference == pytest.approx(0.25)
    assert found.interval is not None
    assert found.interval.low < 0.25 < found.interval.high
    assert (found.test, found.p, found.direction) == ("sign", 1.0, 1)
    assert compare_scores([0.0, 0.5], [1.0, 0.5], count=200).test == "sign-flip"


def test_the_deciding_test_of_scores_looks_at_how_much_better_each_case_is() -> None:
    first, second = [0.5] * 12, [0.45, 0.45, 0.45, *[0.9] * 9]
    assert compare_scores(first, second, count=200).p < 0.05 < compare_rates(first, second, count=200).p


def swapped(found: Paired) -> tuple[Any, ...]:
    return (found.losses, found.wins, found.sign_p, found.flip_p, -found.direction)


PAIRS = st.lists(st.tuples(*[st.sampled_from([0, 0.1, 0.25, 1 / 3, 0.5, 0.7, 1])] * 2), min_size=1, max_size=15)


@settings(deadline=None)
@given(PAIRS)
def test_a_comparison_the_other_way_round_says_the_opposite(pairs: list[tuple[float, ...]]) -> None:
    first, second = zip(*pairs, strict=True)
    there, back = compare_scores(first, second, count=50), compare_scores(second, first, count=50)
    assert swapped(there) == (back.wins, back.losses, back.sign_p, back.flip_p, back.direction)
    assert there.difference == pytest.approx(-(back.difference or 0.0))


@pytest.mark.parametrize("compare", [compare_rates, compare_scores])
@pytest.mark.parametrize("columns", [([], []), ([0.0], [1.0]), ([0.0] * 5, [1.0] * 5), ([0.3] * 90, [0.3] * 90)])
def test_too_few_cases_or_no_difference_cannot_tell(
    compare: Callable[..., Paired], columns: tuple[list[float], list[float]]
) -> None:
    found = compare(*columns, count=200)
    assert decide(found, found.p) == "cannot tell"
    assert (found.interval is None) == (found.difference is None) == (not columns[0])
    assert min(found.p, found.bootstrap_p) > 0


@pytest.mark.parametrize(
    ("p", "columns", "decision"),
    [
        (0.049, ([0.0] * 9, [1.0] * 9), "better"),
        (0.049, ([1.0] * 9, [0.0] * 9), "worse"),
        (0.05, ([0.0] * 9, [1.0] * 9), "cannot tell"),
        (1.0, ([1.0] * 9, [0.0] * 9), "cannot tell"),
    ],
)
def test_the_corrected_p_decides(p: float, columns: tuple[list[float], list[float]], decision: str) -> None:
    assert decide(compare_rates(*columns, count=50), p) == decision


def test_better_in_more_cases_but_worse_on_the_whole_cannot_tell() -> None:
    first, second = [0.5] * 12 + [1.0] * 2, [0.6] * 12 + [0.0] * 2
    found = compare_rates(first, second, count=200)
    assert found.p < 0.05
    assert found.wins > found.losses
    assert found.difference is not None
    assert found.difference < 0
    assert decide(found, found.p) == "cannot tell"


# --- what the decisions promise --------------------------------------------------------------------------------------


def columns(seed: int, cases: int, rates: tuple[float, float], samples: int = 4, alike: float = 0.4) -> Columns:
    """Per-case pass rates. Samples of a case are correlated; a case that is hard in one column is in the other too."""
    generator = np.random.default_rng(seed)
    shared = generator.standard_normal(cases)
    own = [scipy_stats.norm.cdf(0.8 * shared + 0.6 * generator.standard_normal(cases)) for _ in rates]
    spread = (1 - alike) / alike
    chances = [scipy_stats.beta.ppf(x, q * spread, (1 - q) * spread) for x, q in zip(own, rates, strict=True)]
    first, second = (generator.binomial(samples, chance) / samples for chance in chances)
    return first, second


def scored(seed: int, cases: int, shift: float = 0.0) -> Columns:
    """Per-case scores: many of them the same in both columns, and some at 1."""
    generator = np.random.default_rng(seed)
    base = generator.beta(4, 3, cases)
    first, second = ((base + generator.normal(d, 0.2, cases)).clip(0, 1) for d in (0.0, shift))
    return first, second


def told(compare: Callable[..., Paired], data: list[Columns], count: int = 1_000) -> list[str]:
    found = [compare(*each, count=count) for each in data]
    return [decide(each, each.p) for each in found]


@pytest.mark.parametrize("cases", [6, 20, 40])
@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("rate", [0.5, 0.85])
def test_identical_columns_cannot_be_told_apart(cases: int, samples: int, rate: float) -> None:
    data = [columns(seed, cases, (rate, rate), samples) for seed in range(100)]
    assert told(compare_rates, data).count("cannot tell") >= 95


@pytest.mark.parametrize("cases", [6, 15, 40])
@pytest.mark.parametrize("kind", ["scores", "rates"])
def test_identical_columns_are_told_apart_by_their_scores_as_rarely_as_promised(kind: str, cases: int) -> None:
    """In 5 of 100 pairs, no less: scores hardly ever tie, so the test uses all that it is allowed. And luck."""
    seeds = range(1_000)
    data = [scored(s, cases) if kind == "scores" else columns(s, cases, (0.5, 0.5)) for s in seeds]
    wrong = len(seeds) - told(compare_scores, data, 500).count("cannot tell")
    assert wrong / len(seeds) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(seeds))


def test_the_bootstrap_alone_would_tell_identical_columns_apart() -> None:
    """Why it does not decide."""
    found = [compare_scores(*scored(seed, 6), count=1_000) for seed in range(400)]
    assert sum(each.bootstrap_p < 0.05 for each in found) > 30


def test_a_prompt_that_is_better_by_30_points_is_found() -> None:
    decisions = told(compare_rates, [columns(seed, 40, (0.4, 0.7)) for seed in range(100)])
    assert decisions.count("better") >= 90
    assert "worse" not in decisions
    assert told(compare_rates, [columns(seed, 40, (0.7, 0.4)) for seed in range(20)]).count("worse") >= 18


def test_better_scores_are_found() -> None:
    decisions = told(compare_scores, [scored(seed, 40, 0.15) for seed in range(100)])
    assert decisions.count("better") >= 80
    assert "worse" not in decisions


def test_the_interval_of_a_difference_covers_it() -> None:
    for cases, least in ((8, 0.9), (20, 0.92), (40, 0.93)):
        found = [compare_rates(*columns(seed, cases, (0.4, 0.7)), count=1_000).interval for seed in range(300)]
        covered = [each.low <= 0.3 <= each.high for each in found if each is not None]
        assert sum(covered) / len(covered) >= least


# --- bad input -------------------------------------------------------------------------------------------------------


FOUND = compare_rates([0.0], [1.0], count=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_rates([0.5], [0.5, 1.0]), "the columns must have the same cases, but have 1 and 2"),
        (lambda: compare_rates([math.nan], [0.5]), "rates and scores must lie between 0 and 1, but number 1 is nan"),
        (lambda: compare_scores([0.5], [1.1]), "rates and scores must lie between 0 and 1, but number 1 is 1.1"),
        (lambda: compare_scores(["a"], [1.0]), "rates and scores must be numbers"),  # type: ignore[list-item]
        (lambda: compare_rates([], [], seed=-1), "the seed must be at least 0, not -1"),
        (lambda: compare_rates([0.5], [0.5], count=0), "resamples must be at least 1, not 0"),
        (lambda: bootstrap([]), "differences are needed, and there are none"),
        (lambda: bootstrap([math.inf]), "differences must lie between -1 and 1, but number 1 is inf"),
        (lambda: bootstrap([0.1, 0.2], level=0.0), "level must lie between 0 and 1 and be neither, not be 0"),
        (lambda: list(resamples(0)), "cases must be at least 1, not 0"),
        (lambda: sign_flip_test([math.nan]), "differences must lie between -1 and 1, but number 1 is nan"),
        (lambda: sign_test(-1, 2), "wins must be at least 0, not -1"),
        (lambda: sign_test(1, 2.5), "losses must be a whole number, not 2.5"),  # type: ignore[arg-type]
        (lambda: holm([0.1, math.nan]), "p-values must lie between 0 and 1, but number 2 is nan"),
        (lambda: decide(FOUND, math.nan), "p must lie between 0 and 1, not be nan"),
        (lambda: decide(FOUND, 0.5, 1.0), "alpha must lie between 0 and 1 and be neither, not be 1"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        call()
