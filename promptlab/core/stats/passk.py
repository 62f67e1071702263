"""Whether any of k answers passes (pass@k), and whether all of them do (pass^k)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from promptlab.core.stats.numbers import counts, whole


def pass_at_k(passed: Iterable[int], samples: Iterable[int], k: int) -> float:
    """How likely it is that at least one of `k` answers to a case passes, on average over the cases.

    The unbiased estimator of Chen and others (2021, "Evaluating Large Language Models Trained on Code"): of all ways to
    draw `k` of the samples of a case, the share with a pass. Every case needs `k` samples.
    """
    cases = _drawn(passed, samples, k)
    return _mean((math.comb(n, k) - math.comb(n - c, k)) / math.comb(n, k) for c, n in cases)


def pass_hat_k(passed: Iterable[int], samples: Iterable[int], k: int) -> float:
    """How likely it is that all of `k` answers to a case pass, on average over the cases: pass^k.

    From Yao and others (2024, "τ-bench"): of all ways to draw `k` of the samples of a case, the share of only passes.
    """
    return _mean(math.comb(c, k) / math.comb(n, k) for c, n in _drawn(passed, samples, k))


def _drawn(passed: Iterable[int], samples: Iterable[int], k: int) -> list[tuple[int, int]]:
    cases = counts(passed, samples)
    whole(k, "k", least=1)
    if (fewest := min(n for _, n in cases)) < k:
        raise ValueError(f"k is {k}, but there is a case of only {fewest} samples")
    return cases


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)
