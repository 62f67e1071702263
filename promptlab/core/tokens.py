"""The tokens of an answer: what they stand for, how surprising each was, and where two answers part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from promptlab.core.record import Drawn, Step

LEVELS = (1.0, 3.0, 6.0)
"""Bits of surprise from which a token is of the next level; there is one level more than numbers."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """What some tokens of a model stand for."""

    data: Mapping[int, bytes]
    control: frozenset[int] = field(default=frozenset())
    """Those that are no text, such as the one that ends an answer."""

    def text(self, id: int) -> str:
        """What a token stands for; a part of a character is U+FFFD."""
        return self.data.get(id, b"\xff").decode("utf-8", "replace")

    def join(self, ids: Iterable[int]) -> str:
        """What tokens stand for together, control tokens as they are written."""
        return b"".join(self.data.get(id, b"\xff") for id in ids).decode("utf-8", "replace")

    def said(self, ids: Iterable[int]) -> bytes:
        """What tokens say in an answer, where control tokens say nothing."""
        return b"".join(b"" if id in self.control else self.data.get(id, b"\xff") for id in ids)


def bits(logprob: float) -> float:
    """How surprising a token was: a probability of one half is one bit."""
    return -logprob / math.log(2) if logprob < 0 else 0.0


def level(logprob: float) -> int:
    """How surprising a token was, from 0 to 3."""
    surprise = bits(logprob)
    return sum(surprise >= limit for limit in LEVELS)


@dataclass(frozen=True, slots=True)
class Choice:
    """A token that was drawn, or could have been."""

    id: int
    text: str
    logprob: float
    drawn: bool


def choices(drawn: Drawn, pieces: Pieces) -> tuple[Choice, ...]:
    """The token that was drawn and those noted beside it, the most likely first."""
    noted = {each.id: each.logprob for each in drawn.top} | {drawn.id: drawn.logprob}
    ranked = sorted(noted.items(), key=lambda each: -each[1])
    return tuple(Choice(id, pieces.text(id), logprob, id == drawn.id) for id, logprob in ranked)


def known_part(step: Step, pieces: Pieces) -> Step:
    """A step as far as it is known what its tokens stand for: of one that goes on, they may not all have been read."""
    known = tuple(takewhile(lambda each: each.id in pieces.data, step.tokens))
    return step if len(known) == len(step.tokens) else replace(step, tokens=known)


def begun(step: Step, index: int, id: int, pieces: Pieces) -> str:
    """The text of an answer up to a token, and then another one in its place. Raises ValueError saying why not."""
    if id in pieces.control:
        raise ValueError("this token is no text: the answer ends here, and there is nothing to go on with")
    try:
        return pieces.said([*(each.id for each in step.tokens[:index]), id]).decode()
    except UnicodeDecodeError:
        raise ValueError("this token is a part of a character, and a text cannot begin with a part of one") from None


@dataclass(frozen=True, slots=True)
class Fork:
    """One of two answers, at the first token that is not the same."""

    index: int
    """Of the token, from 0."""
    choices: tuple[Choice, ...]
    """What was drawn there and what could have been; none where the answer had ended."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two answers part."""

    before: str
    """The text that both have."""
    forks: tuple[Fork, Fork]
    by_text: bool = False
    """Whether the texts were compared, because the tokens of the two models are not the same."""
    other_prompts: bool = False
    """Whether the two models read different tokens before, so that the probabilities are of different things."""


def part(a: Step, b: Step, pieces: tuple[Pieces, Pieces], *, same_model: bool) -> Parting | None:
    """The first token at which two answers part; None where they do not. Both must have tokens."""
    at = _by_ids(a, b) if same_model else _by_text(a, b, pieces)
    if at is None:
        return None
    before = pieces[0].said(each.id for each in a.tokens[: at[0]]).decode("utf-8", "replace")
    if not same_model:  # a token of the one may begin where both are still the same
        other = pieces[1].said(each.id for each in b.tokens[: at[1]]).decode("utf-8", "replace")
        before = min(before, other, key=len)
    forks = (_fork(a, at[0], pieces[0]), _fork(b, at[1], pieces[1]))
    return Parting(before, forks, not same_model, a.prompt_ids != b.prompt_ids)


def _fork(step: Step, index: int, pieces: Pieces) -> Fork:
    return Fork(index, choices(step.tokens[index], pieces) if index < len(step.tokens) else ())


def _by_ids(a: Step, b: Step) -> tuple[int, int] | None:
    pairs = zip(a.tokens, b.tokens, strict=False)
    shorter = min(len(a.tokens), len(b.tokens))
    index = next((i for i, (x, y) in enumerate(pairs) if x.id != y.id), shorter)
    return None if index == len(a.tokens) == len(b.tokens) else (index, index)


def _by_text(a: Step, b: Step, pieces: tuple[Pieces, Pieces]) -> tuple[int, int] | None:
    parts = [[p.said([each.id]) for each in step.tokens] for step, p in zip((a, b), pieces, strict=True)]
    left, right = b"".join(parts[0]), b"".join(parts[1])
    if left == right:
        return None
    length = min(len(left), len(right))
    common = next((i for i in range(length) if left[i] != right[i]), length)
    return _covering(parts[0], common), _covering(parts[1], common)


def _covering(parts: Sequence[bytes], place: int) -> int:
    """Which token has the byte at a place; the one that ends the answer where the text is over there."""
    end = 0
    for index, data in enumerate(parts):
        end += len(data)
        if end > place or (end == place and not data):
            return index
    return len(parts)
