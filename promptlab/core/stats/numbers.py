"""What the statistics take, checked: a wrong number is a ValueError of one line."""

from __future__ import annotations

import operator
from collections.abc import Iterable

LEVEL = 0.95


def whole(value: int, name: str, least: int = 0) -> int:
    """A whole number that is not less than `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number


def fraction(value: float, name: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie between 0 and 1, not be {value:g}")
    return float(value)


def open_fraction(value: float, name: str) -> float:
    """A number between 0 and 1 that is neither."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1 and be neither, not be {value:g}")
    return float(value)


def between(values: Iterable[float], name: str, least: float, most: float) -> list[float]:
    """Numbers of which none is NaN or outside a range."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be numbers") from None
    for i, number in enumerate(numbers):
        if not least <= number <= most:
            raise ValueError(f"{name} must lie between {least:g} and {most:g}, but number {i + 1} is {number:g}")
    return numbers


def some(values: list[float], name: str) -> list[float]:
    """The same, unless there are none."""
    if not values:
        raise ValueError(f"{name} are needed, and there are none")
    return values


def counts(passed: Iterable[int], samples: Iterable[int]) -> list[tuple[int, int]]:
    """For each case, how many of its samples passed, and how many there are."""
    tops, bottoms = list(passed), list(samples)
    if len(tops) != len(bottoms):
        raise ValueError(f"there are {len(tops)} counts of passes, but {len(bottoms)} counts of samples")
    if not tops:
        raise ValueError("cases are needed, and there are none")
    return [count(k, n) for k, n in zip(tops, bottoms, strict=True)]


def count(passed: int, samples: int) -> tuple[int, int]:
    """How many samples passed, of how many."""
    k, n = whole(passed, "passes"), whole(samples, "samples", least=1)
    if k > n:
        raise ValueError(f"there cannot be more passes ({k}) than samples ({n})")
    return k, n
