"""Us: `engine.pool.Pool`, asked as `promptlab run` asks it, without the prompts around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peers.work import SAMPLER, SAMPLES, WARM_UP, BenchError, Outcome, Task, prompts
from promptlab.core.chat import Segment
from promptlab.core.events import Answered, EngineEvent, Failed, Ready, Started, Token
from promptlab.core.job import Model
from promptlab.core.options import Options, draw_seed
from promptlab.engine.backend import Backend, Question

WAIT_S = 600.0
ROWS = 32
"""Samples asked for to see how many are decoded together, and how fast."""
DECODED = 24
"""Tokens of each then."""
TRIES = 8
"""Seeds tried for a sample until its answer is not cut short."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event and when it came."""

    at: float
    event: Started | Token | Answered


@dataclass(frozen=True, slots=True)
class Decoding:
    """How fast tokens come while all rows are busy."""

    rows: int
    """Sequences decoded together."""
    rate: float


class Ours:
    """One model in an engine."""

    def __init__(
        self, engine: Backend, model: Model, path: Path, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Load it, and compute something that is no part of what is timed. Raises BenchError."""
        self._engine = engine
        self._model = model.name
        self._clock = clock
        self._seq = 0
        engine.load(model, path)
        self.ready = self._loaded()
        self._hear([self._ask(WARM_UP, 0, 8)])

    def _loaded(self) -> Ready:
        while True:
            event = self._next()
            if isinstance(event, Ready):
                return event

    def _next(self) -> EngineEvent:
        event = self._engine.next_event(WAIT_S)
        if event is None:
            raise BenchError(f"{self._model}: the engine said nothing for {WAIT_S:.0f} s")
        if isinstance(event, Failed):
            raise BenchError(event.failure.message)
        return event

    def _ask(self, text: str, seed: int, new_tokens: int) -> int:
        self._seq += 1
        options = Options(max_tokens=new_tokens, **SAMPLER)
        segments = (Segment(text, control=False),)
        self._engine.ask(Question(self._model, self._seq, segments, options, seed, interactive=False))
        return self._seq

    def _hear(self, seqs: Iterable[int], ended: int | None = None) -> list[Heard]:
        """All that is said until so many of these have ended, or all of them."""
        waiting, heard = set(seqs), []
        left = 0 if ended is None else len(waiting) - ended
        while len(waiting) > left:
            event = self._next()
            if isinstance(event, Started | Token | Answered):
                heard.append(Heard(self._clock(), event))
            if isinstance(event, Answered):
                waiting.discard(event.seq)
        return heard

    def task(self, path: Path, threads: int, new_tokens: int) -> Task:
        """What all competitors get. Seeds are such that no answer of ours ends before it is full.

        The server is told not to draw tokens that end a text, and the loop goes on after them. Nothing but full answers
        of everybody can be compared: a batch runs empty where some of its rows end early.
        """
        cases = range(len(prompts()))
        seeds = {(case, sample): draw_seed(0, str(case), sample, 0) for case in cases for sample in range(SAMPLES)}
        short = list(seeds)
        for attempt in range(1, TRIES):
            short = self._short(short, seeds, new_tokens)
            if not short:
                break
            seeds |= {(case, sample): draw_seed(attempt, str(case), sample, 0) for case, sample in short}
        segments = [(Segment(text, control=False),) for text in (*prompts(), WARM_UP)]
        *ids, warm_up = (self._engine.tokenize(self._model, each) for each in segments)
        by_case = tuple(tuple(seeds[case, sample] for sample in range(SAMPLES)) for case in cases)
        return Task(str(path), threads, tuple(ids), warm_up, by_case, new_tokens)

    def _short(
        self, wanted: list[tuple[int, int]], seeds: dict[tuple[int, int], int], new_tokens: int
    ) -> list[tuple[int, int]]:
        asked = {self._ask(prompts()[case], seeds[case, sample], new_tokens): (case, sample) for case, sample in wanted}
        ended = [h.event for h in self._hear(asked) if isinstance(h.event, Answered)]
        return [asked[e.seq] for e in ended if e.usage.completion_tokens < new_tokens]

    def matrix(self, task: Task) -> Outcome:
        """Ask everything at once; time from the first question to the last answer."""
        begin = self._clock()
        asked = {
            self._ask(text, seed, task.new_tokens): ids
            for text, ids, seeds in zip(prompts(), task.prompts, task.seeds, strict=True)
            for seed in seeds
        }
        heard = self._hear(asked)
        seconds = heard[-1].at - begin
        for event in (h.event for h in heard):
            if isinstance(event, Started) and event.prompt_ids != asked[event.seq]:
                raise BenchError(f"{self._model}: it read other tokens than its peers get")
        usages = [h.event.usage for h in heard if isinstance(h.event, Answered)]
        prompt_tokens = sum(u.prompt_tokens for u in usages)
        computed = prompt_tokens - sum(u.cached_tokens for u in usages)
        return Outcome(sum(u.completion_tokens for u in usages), seconds, prompt_tokens, computed)

    def decoding(self, task: Task) -> Decoding:
        """Let many samples of one prompt run: how many rows there are at a time, and how fast they are."""
        seed = task.seeds[0][0]  # the same for all, so that all are full
        asked = [self._ask(prompts()[0], seed, min(task.new_tokens, DECODED)) for _ in range(ROWS)]
        heard = self._hear(asked, ended=1)
        ended = {h.event.seq for h in heard if isinstance(h.event, Answered)}
        for seq in set(asked) - ended:
            self._engine.cancel(self._model, seq)
        self._hear(set(asked) - ended)
        return steady(heard)


def steady(heard: Sequence[Heard]) -> Decoding:
    """The rate from when all rows of the first batch have begun until the first of them ends."""
    end = next(i for i, h in enumerate(heard) if isinstance(h.event, Answered))
    tokens = [(h.at, h.event.seq) for h in heard[:end] if isinstance(h.event, Token)]
    rows = _last_step(seq for _, seq in reversed(tokens))
    waiting, start = set(rows), 0
    while waiting:
        waiting.discard(tokens[start][1])
        start += 1
    counted = tokens[start - 1 :]
    seconds = counted[-1][0] - counted[0][0] if counted else 0.0
    return Decoding(len(rows), (len(counted) - 1) / seconds if seconds else 0.0)


def _last_step(backwards: Iterable[int]) -> set[int]:
    """The sequences of one step: back from the last token until one comes again."""
    rows: set[int] = set()
    for seq in backwards:
        if seq in rows:
            break
        rows.add(seq)
    return rows
