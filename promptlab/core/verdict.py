"""What came of checking an answer, and what a check wants measured first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from promptlab.core.tape import Message

Outcome = Literal["pass", "fail", "unscored"]
"""`unscored`: it could not be applied, which says nothing about the answer."""


@dataclass(frozen=True, slots=True)
class Check:
    """What came of one assertion."""

    type: str
    """As written, `not-` included."""
    outcome: Outcome
    score: float | None
    """From 0 to 1; None where it is unscored."""
    reason: str
    """One line: what was found, or why it could not be applied."""
    weight: float = 1.0
    metric: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of all assertions on one answer."""

    outcome: Outcome
    score: float | None
    """The mean of the scores by weight, from 0 to 1; None where nothing was scored."""
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Want:
    """A measurement that a check needs: how likely each of some texts is as the answer to a conversation; or how much
    texts mean the same, as vectors."""

    model: str
    """Its name in models.yaml."""
    messages: tuple[Message, ...]
    texts: tuple[str, ...]
    embed: bool = False
    """Whether the likeness of the first text with each of the others is wanted, and no probability."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a measurement: for each text, in order, the sum of its tokens' log-probabilities (natural), and how
    many tokens it has."""

    logprobs: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    error: str | None = None
    """Why there is none."""
    likeness: tuple[float, ...] = ()
    """Where vectors were wanted: of each text after the first, the cosine of the angle between it and the first."""


Measured = Mapping[Want, Found]
