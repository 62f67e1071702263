"""What is asked of logits, against the plain way to compute it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.engine.sampling import BLOCK, Peaks, Row, masked, penalized
from promptlab.errors import EngineError

SIZES = st.sampled_from([1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 40 * BLOCK + 11])


def row(size: int, seed: int, levels: int, shift: float = 0.0, possible: float = 1.0) -> Row:
    """Logits, many of them equal where there are few levels; some impossible, but not the last one."""
    dice = np.random.default_rng(seed)
    logits = (dice.integers(0, levels, size) / 8 + shift).astype(np.float32)
    logits[dice.random(size) > possible] = -np.inf
    logits[-1] = shift
    return logits


@settings(max_examples=200, deadline=None)
@given(SIZES, st.integers(0, 1 << 20), st.sampled_from([1, 5, 300]), st.integers(0, 60), st.sampled_from([1.0, 0.02]))
def test_the_most_likely_tokens_are_those_of_a_full_sort(
    size: int, seed: int, levels: int, count: int, possible: float
) -> None:
    logits = row(size, seed, levels, possible=possible)
    ordered = [i for i in np.argsort(-logits, kind="stable") if logits[i] > -np.inf]
    assert list(Peaks(logits).most_likely(count)) == ordered[:count]


@pytest.mark.parametrize("shift", [-1000.0, -21.0, -19.0, 0.0, 30.0, 59.0, 61.0, 1e30])
@pytest.mark.parametrize("size", [5, 3 * BLOCK + 2, 1 << 18])
def test_the_total_is_that_of_all_probabilities(size: int, shift: float) -> None:
    logits = row(size, 1, 200, shift)
    exponents = logits.astype(np.float64) - float(logits.max())
    wanted = float(logits.max()) + float(np.log(np.exp(exponents).sum()))
    assert float(Peaks(logits).log_total()) == pytest.approx(wanted, rel=3e-6, abs=1e-5)


def test_what_is_impossible_adds_nothing() -> None:
    logits = np.full(600, -np.inf, np.float32)
    logits[[3, 500]] = 1.0
    assert float(Peaks(logits).log_total()) == pytest.approx(1 + np.log(2))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 300, 599])
def test_what_is_no_number_is_an_error(bad: float, at: int) -> None:
    logits = row(600, 0, 50)
    logits[at] = bad
    with pytest.raises(EngineError, match="no probabilities"):
        Peaks(logits)


def test_a_row_of_impossible_tokens_is_an_error() -> None:
    with pytest.raises(EngineError, match="no probabilities"):
        Peaks(np.full(300, -np.inf, np.float32))


def test_recent_tokens_become_less_likely() -> None:
    logits = np.array([2.0, -2.0, 3.0], np.float32)
    assert penalized(logits, [0, 1, 1], 2.0).tolist() == [1.0, -4.0, 3.0]
    assert logits.tolist() == [2.0, -2.0, 3.0]


def test_a_mask_is_read_lowest_bit_first() -> None:
    logits = np.arange(10, dtype=np.float32)
    wanted = [0.0 if i in (1, 9) else -np.inf for i in range(10)]
    assert (
        masked(logits, bytes([0b10, 0b10])) - np.where([i in (1, 9) for i in range(10)], logits, 0)
    ).tolist() == wanted
