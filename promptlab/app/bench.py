"""Bench: how fast models are on this machine, and how much memory they hold. Nothing is kept of it.

One model after another. A prompt of made-up words that no other begins like is read; then many answers to one prompt
are drawn at once, which begin alike and go on by their own seeds. What is timed is what comes out of the engine, as a
run gets it.
"""

from __future__ import annotations

import random
import string
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from promptlab.app.lab import Lab
from promptlab.app.loading import absent, missing, refuse_servers, start
from promptlab.app.run import POLL_S
from promptlab.core.bench import Benched, Decode, Memory, Rate, decode_rate, spread
from promptlab.core.chat import Segment
from promptlab.core.events import Answered, EngineEvent, Failed, Failure, Ready, Token
from promptlab.core.job import Mode, Model
from promptlab.core.options import Options, draw_seed
from promptlab.engine.backend import Question
from promptlab.errors import Interrupted, PromptlabError
from promptlab.files.models import present, select_models

SIZES = (1, 2, 4, 8, 16, 32)
READ = 510
"""Tokens of the prompt that is read. With the one drawn after it, it fits into 512, which slots have from the start."""
SHARED = 64
"""Tokens of the prompt that is answered."""
SEEDS = 4
"""Sets of seeds that are tried for each size: with some, an answer ends too early to measure anything."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is measured."""

    sizes: tuple[int, ...] = SIZES
    """How many answers are drawn at once."""
    tokens: int = 32
    """Of each answer."""
    rounds: int = 3
    """Each round measures everything once."""
    again: bool = False
    """Find out anew how a model is laid out, instead of going by what is known of it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far it has come."""

    model: str
    round: int = 0
    """0 while the model loads."""
    size: int = 0
    """Answers that are drawn at once; 0 while a prompt is read."""


Tell = Callable[[Stage], None]


@runtime_checkable
class Resident(Protocol):
    """An engine that can tell how much memory a model holds; not every one can."""

    def resident(self, model: str) -> int | None:
        """Bytes in memory of a loaded model's process, the pages of its file included."""


@runtime_checkable
class Forgetful(Protocol):
    """An engine that finds out how a model is laid out, and can be made to do so again; not every one does."""

    def forget(self, model: Model, path: Path) -> None:
        """Find it out when the model is loaded next."""


def choose(lab: Lab, names: Sequence[str], mode: Mode | None) -> list[Model]:
    """The models named, or those of the default ones that are on disk; in a mode, or in that of their entries.

    Raises NotFound, ModelMissing and SourceError.
    """
    models = select_models(lab.models, names)
    if names or not any(model.server is None for model in models):
        refuse_servers(models, "measuring how fast it is here")
    here = [model for model in models if present(model)]
    if not here or (names and len(here) < len(models)):
        raise missing(absent(models))
    return [replace(model, mode=mode) if mode else model for model in here]


def bench(
    lab: Lab,
    models: Sequence[Model],
    terms: Terms,
    tell: Tell,
    now: Callable[[], float] = time.monotonic,
    stop: threading.Event | None = None,
) -> Iterator[Benched]:
    """Measure models one after another, and give the numbers of each as soon as they are there.

    A model that fails is a value with an error; the others go on. Once `stop` is set, that error is Interrupted, soon.
    Takes the engine's events: not for use while a run goes on.
    """
    stop = stop or threading.Event()
    for model in models:
        yield _Session(lab, model, terms, tell, now, stop).result()


class _Broken(Exception):
    """The model has failed, or one of its answers."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Session:
    """One model, while it is measured."""

    def __init__(
        self, lab: Lab, model: Model, terms: Terms, tell: Tell, now: Callable[[], float], stop: threading.Event
    ) -> None:
        self._lab = lab
        self._model = model
        self._terms = terms
        self._tell = tell
        self._now = now
        self._stop = stop
        self._running: set[int] = set()
        self._read: list[float] = []
        """Rates of reading, by round."""
        self._drawn: dict[int, list[float]] = {size: [] for size in terms.sizes}
        """Rates of drawing, by size and round."""
        self._tried = dict.fromkeys(terms.sizes, 0)
        """Sets of seeds with which an answer ended too early."""

    def result(self) -> Benched:
        """Measure it all."""
        name, backend = self._model.name, self._lab.backend
        found = Benched(name)
        try:
            ready = self._load()
            held = Memory(self._resident())
            found = replace(found, engine=ready.engine, load_s=ready.load_s, tuning=ready.tuning, memory=held)
            self._measure(ready.engine.context)
            found = replace(found, memory=Memory(found.memory.loaded, self._resident()))
        except _Broken as broken:
            found = replace(found, error=broken.failure)
        except PromptlabError as error:
            found = replace(found, error=Failure.of(error))
        finally:
            for seq in self._running:  # only where it broke off
                backend.cancel(name, seq)
            backend.release(name)
        return replace(found, prefill=spread(self._read), decode=tuple(map(self._decode, self._terms.sizes)))

    def _decode(self, size: int) -> Decode:
        rate: Rate = spread(self._drawn[size])
        return Decode(size, rate.tokens_per_s, rate.low, rate.high)

    def _load(self) -> Ready:
        name, backend = self._model.name, self._lab.backend
        path = present(self._model)
        if self._terms.again and path and isinstance(backend, Forgetful):
            backend.forget(self._model, path)
        start(self._lab, self._model)
        self._tell(Stage(name))
        while True:
            match self._next():
                case Ready(model=model) as ready if model == name:
                    return ready

    def _measure(self, context: int) -> None:
        shared = self._made_up(min(SHARED, context // 2), "shared")
        for round in range(1, self._terms.rounds + 1):
            self._tell(Stage(self._model.name, round))
            self._read_one(self._made_up(min(READ, context - 1), f"read {round}"), round)
            for size in self._terms.sizes:
                self._tell(Stage(self._model.name, round, size))
                self._draw(shared, size)

    def _read_one(self, prompt: str, seed: int) -> None:
        _, (end,) = self._answers([self._question(prompt, 1, seed)])
        computed = end.usage.prompt_tokens - end.usage.cached_tokens
        if computed > 0 and end.timings.prefill_s > 0:
            self._read.append(computed / end.timings.prefill_s)

    def _draw(self, prompt: str, size: int) -> None:
        """Draw so many answers at once; again with other seeds where one ends too early, as long as there are any."""
        while (tried := self._tried[size]) < SEEDS:
            seeds = [draw_seed(0, "bench", i, tried) for i in range(size)]
            drawn, _ = self._answers([self._question(prompt, self._terms.tokens, seed) for seed in seeds])
            if rate := decode_rate(drawn, size):
                self._drawn[size].append(rate)
                return
            self._tried[size] += 1

    def _question(self, prompt: str, tokens: int, seed: int) -> Question:
        """An answer that hardly ends by itself: nobody's turn is over, and what is unlikely is not drawn."""
        options = Options(temperature=0.8, min_p=0.1, max_tokens=tokens)
        segments = (Segment(prompt, control=False),)
        seq = next(self._lab.sequences)
        return Question(self._model.name, seq, segments, options, seed, interactive=False)

    def _answers(self, questions: Sequence[Question]) -> tuple[list[tuple[int, float]], list[Answered]]:
        """Ask them all; what was drawn, each token by its sequence and its time, and how each answer ended."""
        drawn: list[tuple[int, float]] = []
        ends: list[Answered] = []
        for question in questions:
            self._running.add(question.seq)
            self._lab.backend.ask(question)
        while self._running:
            match self._next():
                case Token(seq=seq) if seq in self._running:
                    drawn.append((seq, self._now()))
                case Answered(seq=seq) as end if seq in self._running:
                    self._running.remove(seq)
                    ends.append(end)
        return drawn, ends

    def _next(self) -> EngineEvent | None:
        """The next event. Raises _Broken when it says that the model has failed, or one of its answers.

        Raises Interrupted once that is wanted.
        """
        if self._stop.is_set():
            raise Interrupted(f"{self._model.name}: measuring was interrupted")
        event = self._lab.backend.next_event(POLL_S)
        if isinstance(event, Failed) and event.model == self._model.name:
            if event.seq in self._running:
                self._running.remove(event.seq)
                raise _Broken(event.failure)
            if event.seq is None:
                raise _Broken(event.failure)
        return event

    def _made_up(self, tokens: int, seed: str) -> str:
        """Words that nobody has written, of up to so many tokens: what begins with another seed begins otherwise."""
        dice = random.Random(seed)
        words = ["".join(dice.choices(string.ascii_lowercase, k=dice.randint(2, 7))) for _ in range(tokens)]
        while words and (count := self._count(words)) > tokens:
            del words[len(words) * tokens // count :]
        return " ".join(words)

    def _count(self, words: Sequence[str]) -> int:
        return len(self._lab.backend.tokenize(self._model.name, (Segment(" ".join(words), control=False),)))

    def _resident(self) -> int | None:
        backend = self._lab.backend
        return backend.resident(self._model.name) if isinstance(backend, Resident) else None
