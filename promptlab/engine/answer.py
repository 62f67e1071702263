"""One answer as it is drawn, token by token, from logits that somebody else computes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from promptlab.core.events import Alternative, Answered, EngineEvent, FinishReason, Started, Timings, Token, Usage
from promptlab.engine import sampling
from promptlab.engine.backend import Question
from promptlab.engine.sampling import Peaks, Row, exact
from promptlab.engine.stream import TextStream

PENALTY_WINDOW = 64
"""Tokens that `repeat_penalty` looks back on: llama.cpp's own default."""


class Words(Protocol):
    """What must be known of a model's tokens."""

    context: int
    """Tokens that fit into a conversation."""

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; none for a control token."""

    def ends(self, token: int) -> bool:
        """Whether a token ends the answer."""


class Guide(Protocol):
    """How far an answer has come along its constraint (`engine/grammar.py`)."""

    allowed: bytes
    complete: bool

    def take(self, token: int) -> None:
        """Go on by a token."""


class Sampler(Protocol):
    """Draws from candidates."""

    def draw(self, peaks: Peaks) -> int:
        """Draw a token."""

    def close(self) -> None:
        """Free it."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A token that was drawn, and what the model itself says of it."""

    id: int
    logprob: float
    top: tuple[Alternative, ...]


def look(peaks: Peaks, tokens: Sequence[int], count: int) -> list[Pick]:
    """What a model says of some tokens, and of the `count` most likely ones."""
    logits, total = peaks.logits, peaks.log_total()
    top = tuple(Alternative(int(i), exact(logits[i] - total)) for i in peaks.most_likely(count))
    return [Pick(token, exact(logits[token] - total), top) for token in tokens]


class Answer:
    """The work on one question, once its prompt is computed."""

    def __init__(
        self, question: Question, ids: Sequence[int], words: Words, sampler: Sampler, guide: Guide | None
    ) -> None:
        self.question = question
        self.ids = tuple(ids)
        self.tokens: list[int] = []
        self.done = False
        self.clock = Clock()
        self._words = words
        self._sampler = sampler
        self._guide = guide
        self._stream = TextStream(question.options.stop)
        self._text: list[str] = []

    @property
    def started(self) -> Started:
        """The event that comes first."""
        return Started(self.question.seq, self.ids)

    @property
    def longest(self) -> int:
        """Tokens that prompt and answer can have together."""
        return min(len(self.ids) + self.question.options.max_tokens, self._words.context)

    @property
    def complete(self) -> bool:
        """Whether only the end can come, by its constraint."""
        return self._guide is not None and self._guide.complete

    def pick(self, logits: Row) -> Pick:
        """Draw the next token. Touches nothing but this answer's own: may run beside others. Raises EngineError."""
        peaks, wanted = Peaks(logits), logits
        penalty = self.question.options.repeat_penalty
        if penalty != 1.0:
            recent = (*self.ids[-PENALTY_WINDOW:], *self.tokens)[-PENALTY_WINDOW:]
            wanted = sampling.penalized(wanted, recent, penalty)
        if self._guide is not None:
            wanted = sampling.masked(wanted, self._guide.allowed)
        drawn = self._sampler.draw(peaks if wanted is logits else Peaks(wanted))
        return look(peaks, [drawn], self.question.top)[0]

    def take(self, pick: Pick) -> list[EngineEvent]:
        """Go on by a token that was picked, and say what came of it. Raises EngineError."""
        self.tokens.append(pick.id)
        self.clock.token()
        ends = self._words.ends(pick.id)
        if self._guide is not None and not ends:
            self._guide.take(pick.id)
        text = "" if ends else self._stream.feed(self._words.piece(pick.id))
        self._text.append(text)
        event = Token(self.question.seq, pick.id, text, pick.logprob, pick.top)
        reason = self._ended(ends)
        return [event, self.end(reason)] if reason else [event]

    def _ended(self, ends: bool) -> FinishReason | None:
        if ends or self._stream.stopped or self.complete:
            return "stop"
        return "length" if len(self.ids) + len(self.tokens) >= self.longest else None

    def close_early(self) -> list[EngineEvent]:
        """End it before it begins."""
        return [self.end("stop")]

    def end(self, reason: FinishReason) -> Answered:
        """End the answer, now or early."""
        self.close()
        self._text.append(self._stream.close())
        usage = Usage(len(self.ids), self.clock.reused, len(self.tokens))
        return Answered(self.question.seq, "".join(self._text), reason, usage, self.clock.timings(len(self.tokens)))

    def close(self) -> None:
        """Free what it holds."""
        if not self.done:
            self.done = True
            self._sampler.close()


class Clock:
    """How long an answer takes, and how much of its prompt was there already."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.reused = 0
        """Tokens of the prompt that were not computed again."""
        self.prefill_s = 0.0
        self.decode_s = 0.0
        self._now = now
        self._began = now()
        self._ttft = 0.0

    def token(self) -> None:
        """A token has come."""
        self._ttft = self._ttft or self._now() - self._began

    def timings(self, tokens: int) -> Timings:
        """As a record has them."""
        after_first = max(tokens - 1, 0)
        rate = after_first / self.decode_s if after_first and self.decode_s else 0.0
        return Timings(*(round(t, 6) for t in (0.0, self._ttft, self.prefill_s, self.decode_s, rate)))
