"""How likely texts are to a model: numbers made of the log-probabilities of their tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from promptlab.core.events import Failure, Score

MAX_EXPONENT = 700.0
"""Beyond it a perplexity is more than a float can hold."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One token of a text."""

    id: int
    text: str
    """A part of a character is U+FFFD."""
    logprob: float
    """Natural logarithm, given all before it."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely one text is to one model. The numbers are None where the model failed."""

    model: str
    text: str
    tokens: tuple[Weighed, ...] = ()
    logprob: float | None = None
    """Of the whole text: the sum over its tokens."""
    perplexity: float | None = None
    """How many equally likely tokens the model hesitated between, on average; None where that is beyond all numbers."""
    bits_per_byte: float | None = None
    """The only one of these numbers that compares models which cut a text into different tokens."""
    probability: float | None = None
    """Where there are several texts: the share of this one, if it has to be one of them."""
    error: Failure | None = None

    @property
    def mean(self) -> float | None:
        """The log-probability of a token, on average."""
        return None if self.logprob is None or not self.tokens else self.logprob / len(self.tokens)


def likelihoods(model: str, texts: Sequence[str], scores: Sequence[Score]) -> tuple[Likelihood, ...]:
    """Make the numbers of texts that a model has scored."""
    totals = [math.fsum(score.logprobs) for score in scores]
    probabilities: Sequence[float | None] = shares(totals) if len(totals) > 1 else [None] * len(totals)
    return tuple(
        Likelihood(
            model,
            text,
            tuple(map(Weighed, score.ids, score.texts, score.logprobs)),
            total,
            perplexity(total, len(score.ids)),
            bits_per_byte(total, text),
            probability,
        )
        for text, score, total, probability in zip(texts, scores, totals, probabilities, strict=True)
    )


def bits_per_byte(total: float, text: str) -> float:
    """Of a text, which must not be empty, with this log-probability."""
    return -total / math.log(2) / len(text.encode("utf-8", "replace"))


def shares(totals: Sequence[float]) -> list[float]:
    """Probabilities that add up to 1, of log-probabilities (softmax)."""
    highest = max(totals)
    weights = [math.exp(total - highest) for total in totals]
    whole = math.fsum(weights)
    return [weight / whole for weight in weights]


def perplexity(total: float, tokens: int) -> float | None:
    """Of a text with this log-probability."""
    return math.exp(-total / tokens) if tokens and -total / tokens < MAX_EXPONENT else None
