"""An engine whose answers come from a function: for tests, and for trying an interface without weights."""

from __future__ import annotations

import math
import re
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import (
    Alternative,
    Answered,
    Embedded,
    Engine,
    EngineEvent,
    Failed,
    Failure,
    FinishReason,
    Loading,
    Measured,
    Ready,
    Score,
    Started,
    Timings,
    Token,
    Usage,
    Vocabulary,
)
from promptlab.core.job import Model
from promptlab.engine.backend import Expected, Measurement, Question
from promptlab.engine.example import example
from promptlab.errors import EngineError

Answer = Callable[[Question, str], str]
"""From a question and the text that the model reads to its answer. Raise to make the sequence fail."""

FAKE_BYTES = 200_000_000
"""What each model is said to hold in memory."""
FAKE_ROOM = 4_000_000_000
"""What there is for all of them together."""

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def echo(question: Question, prompt: str) -> str:
    """The default answer: says who speaks, with which seed, and the last line of what it read.

    With a constraint it is `example` instead: one of the choices, by seed, or the least that fits.
    """
    if question.constraint is not None:
        return example(question.constraint, question.seed)
    said = [line for line in re.sub(r"<\|\w+\|>", "\n", prompt).splitlines() if line.strip()]
    last = next((line for line in reversed(said) if line not in ("assistant", "user", "system")), "")
    return f"{question.model} (seed {question.seed}) heard: {last}"


class FakeEngine:
    """Answers word by word, all sequences in turn. Deterministic, except for timings.

    It says what its function answers, whether that fits the question's constraint or not; that of `echo` does.
    """

    def __init__(self, answer: Answer = echo, *, delay: float = 0.0, chat_template: str | None = CHAT_TEMPLATE) -> None:
        self.answer = answer
        self.delay = delay
        """Seconds between events, so that an interface has something to watch."""
        self.chat_template = chat_template
        self.tuning: Mapping[str, Any] = {}
        """What it says of itself when a model is ready."""
        self.loaded: list[str] = []
        self.released: list[str] = []
        self.questions: list[Question] = []
        self._events: deque[EngineEvent] = deque()
        self._running: dict[int, Iterator[EngineEvent]] = {}
        self._cancelled: set[int] = set()
        self._models: dict[int, str] = {}
        self._break: dict[str, Failure] = {}
        self._held: Counter[str] = Counter()
        """Models in memory, and how many hold each."""
        self._pieces: dict[int, str] = {}
        """What its tokens stand for, of those that there have been."""

    def load(self, model: Model, path: Path) -> None:
        """Ready at once; nothing is read."""
        self.loaded.append(model.name)
        self._held[model.name] += 1
        engine = self._engine(model)
        controls = ("<|im_start|>", "<|im_end|>")
        words = Vocabulary(self.chat_template, "<s>", "<|im_end|>", controls, "fake")
        self._events += [Loading(model.name, 0.5), Ready(model.name, engine, words, 0.0, self.tuning)]

    def expected(self, model: Model, path: Path) -> Expected | None:
        """Known beforehand."""
        return Expected.of(self._engine(model), self.chat_template)

    def _engine(self, model: Model) -> Engine:
        layout = {"kv_unified": False, "flash_attention": False}
        return Engine("exact", "fake", "fake", "fake", 1, layout, False, model.context)

    def release(self, model: str) -> None:
        """Note it: there is always room, so it stays in memory."""
        self.released.append(model)
        if self._held[model] > 0:
            self._held[model] -= 1

    def ask(self, question: Question) -> None:
        """Queue the answer."""
        self.questions.append(question)
        self._models[question.seq] = question.model
        self._running[question.seq] = self._speak(question)

    def measure(self, measurement: Measurement) -> None:
        """Score texts: a word is the less likely, the longer it is."""
        self._models[measurement.seq] = measurement.model
        self._running[measurement.seq] = self._score(measurement)

    def cancel(self, model: str, seq: int) -> None:
        """End a sequence at its next event."""
        self._cancelled.add(seq)

    def kill(self, model: str, failure: Failure) -> None:
        """Let a model die: its sequences fail, then it does."""
        self._break[model] = failure

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """One number for each word or space."""
        return tuple(self._token(piece) for s in segments for piece in _pieces(s.text))

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        """What it meant by these tokens. Raises EngineError for one that it has never used."""
        if unknown := [id for id in ids if id not in self._pieces]:
            raise EngineError(f"{model} has no token {unknown[0]}")
        return tuple(self._pieces[id].encode("utf-8", "replace") for id in ids)

    def _token(self, piece: str) -> int:
        id = _id(piece)
        self._pieces[id] = piece
        return id

    def _alternatives(self, piece: str, count: int) -> tuple[Alternative, ...]:
        """What could have been said instead: the same word with a mark behind it."""
        marked = (piece, *(piece + mark for mark in _MARKS))
        return tuple(Alternative(self._token(each), -0.5 - rank) for rank, each in enumerate(marked[:count]))

    def next_event(self, timeout: float) -> EngineEvent | None:
        """Take turns among the running sequences."""
        if self.delay:
            time.sleep(self.delay)
        if self._events:
            return self._events.popleft()
        for model, failure in list(self._break.items()):
            del self._break[model]
            for seq in [s for s in self._running if self._models[s] == model]:
                del self._running[seq]
                self._events.append(Failed(model, seq, failure))
            self._events.append(Failed(model, None, failure))
            self._held.pop(model, None)
            return self._events.popleft()
        for seq, events in list(self._running.items()):
            del self._running[seq]
            event = next(events, None)
            if event is not None:
                self._running[seq] = events  # to the end of the queue
                return event
        if not self.delay:
            time.sleep(min(timeout, 0.01))
        return None

    def unload(self, model: str) -> bool:
        """Take a model out that nobody holds."""
        if model not in self._held or self._held[model] > 0:
            return False
        del self._held[model]
        return True

    def residents(self) -> dict[str, int | None]:
        """What was loaded and has neither died nor been unloaded; each holds as much."""
        return dict.fromkeys(self._held, FAKE_BYTES)

    def room(self) -> int:
        """Always the same, less what is loaded."""
        return FAKE_ROOM - FAKE_BYTES * len(self._held)

    def close(self) -> None:
        """Forget everything."""
        self._running.clear()
        self._held.clear()
        self._events.clear()

    def _score(self, asked: Measurement) -> Iterator[EngineEvent]:
        if asked.seq in self._cancelled:
            yield Failed(asked.model, asked.seq, Failure("Cancelled", "cancelled"))
            return
        if asked.embed:
            yield Embedded(asked.seq, tuple(map(_vector, asked.texts)), Usage(sum(map(len, asked.texts)), 0, 0))
            return
        scores = tuple(map(_score, asked.texts))
        usage = Usage(len(self.tokenize(asked.model, asked.segments)), 0, sum(len(s.ids) for s in scores))
        yield Measured(asked.seq, scores, usage)

    def _speak(self, question: Question) -> Iterator[EngineEvent]:
        prompt = "".join(s.text for s in question.segments)
        ids = self.tokenize(question.model, question.segments)
        yield Started(question.seq, ids)
        try:
            pieces = _pieces(self.answer(question, prompt))
        except Exception as error:
            yield Failed(question.model, question.seq, Failure.of(error))
            return
        said: list[str] = []
        reason: FinishReason = "stop"
        for piece in pieces:
            if question.seq in self._cancelled or len(said) >= question.options.max_tokens:
                reason = "cancelled" if question.seq in self._cancelled else "length"
                break
            said.append(piece)
            yield Token(question.seq, self._token(piece), piece, -0.5, self._alternatives(piece, question.top))
        usage, timings = Usage(len(ids), 0, len(said)), Timings(0.0, 0.01, 0.01, 0.1, 10.0 * len(said))
        text = "".join(said)
        yield Answered(question.seq, text, reason, usage, timings, _shares(question.constraint, text))


def _shares(constraint: Constraint | None, text: str) -> dict[str, float] | None:
    """Where the answer is one of some choices: it is as probable as all the others together."""
    if constraint is None or constraint.kind != "choices" or text not in constraint.value:
        return None
    others = len(constraint.value) - 1
    return {choice: (0.5 if choice == text else 0.5 / others) if others else 1.0 for choice in constraint.value}


_MARKS = ("!", "?", ";", ":", ",", "-", "~", "*", "+")


def _vector(text: str) -> tuple[float, ...]:
    """Texts of the same letters mean the same."""
    counts = [1 + text.casefold().count(chr(letter)) for letter in range(ord("a"), ord("z") + 1)]
    length = math.sqrt(sum(count * count for count in counts))
    return tuple(count / length for count in counts)


def _score(text: str) -> Score:
    pieces = _pieces(text)
    return Score(tuple(map(_id, pieces)), tuple(-0.125 * len(piece) for piece in pieces), tuple(pieces))


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+", text)


def _id(piece: str) -> int:
    return zlib.crc32(piece.encode("utf-8", "surrogatepass")) % 50_000
