"""How fast models are: the numbers of `promptlab bench`, and how they come of what was seen. Rates are in tokens a
second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from promptlab.core.events import Engine, Failure

MIN_STEPS = 8
"""A rate over fewer tokens of each answer says nothing."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What several rounds came to; None where nothing could be measured."""

    tokens_per_s: float | None = None
    """The median."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Decode:
    """How fast so many answers are drawn at once, all of them together. The other numbers are those of `Rate`."""

    size: int
    tokens_per_s: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a model's process held, in bytes, the pages of its file included; None where the engine cannot tell."""

    loaded: int | None = None
    after: int | None = None
    """When all was measured."""


@dataclass(frozen=True, slots=True)
class Benched:
    """What was measured of a model."""

    model: str
    engine: Engine | None = None
    """Its layout says what trying has found, too. None where the model could not be loaded."""
    load_s: float | None = None
    tuning: Mapping[str, Any] = field(default_factory=dict)
    """How its work is laid out where no answer depends on it, and the rates that this was chosen by; nothing where the
    engine does not measure."""
    prefill: Rate = Rate()
    decode: tuple[Decode, ...] = ()
    memory: Memory = Memory()
    error: Failure | None = None
    """Why not all was measured."""


def spread(rates: Sequence[float]) -> Rate:
    """What several rounds come to."""
    if not rates:
        return Rate()
    return Rate(*(round(each, 2) for each in (median(rates), min(rates), max(rates))))


def decode_rate(drawn: Iterable[tuple[int, float]], size: int) -> float | None:
    """The rate while all of `size` answers were drawn: of tokens as they came, each by its sequence and its time.

    None where that was for fewer than `MIN_STEPS` tokens of each.
    """
    times = _steps(drawn, size)
    steps = len(times) - 1
    if steps < MIN_STEPS or times[-1] <= times[0]:
        return None
    return size * steps / (times[-1] - times[0])


def _steps(drawn: Iterable[tuple[int, float]], size: int) -> list[float]:
    """When each had its first token, and from there on whenever each had one more: after one has ended, never again."""
    times: list[float] = []
    said: set[int] = set()
    for seq, at in drawn:
        said.add(seq)
        if len(said) == size:
            times.append(at)
            said.clear()
    return times
