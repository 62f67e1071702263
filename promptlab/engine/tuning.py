"""How a model's work is laid out where no answer depends on it, found by measuring: threads, flash attention, one
cache for all sequences or one for each, how much of a prompt goes into a call, how many answers are drawn at once.

Which is quickest depends on the model, its quantisation and the processor, so a few calls of each kind are timed when a
model is first loaded on a machine, in the terms of `Terms`. Other things that run on the machine only ever add to a
time, so of several rounds the shortest counts; and what is usual stays unless something else is clearly quicker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from promptlab.core.kv import is_quantised
from promptlab.core.plan import MAX_SLOTS

if TYPE_CHECKING:
    from promptlab.engine.rules import Rules

CHUNK = 128
"""Tokens of a prompt computed in one call, where nobody has measured."""
CHUNKS = (32, 64, 128, 256, 512)
SLOTS = (32, 16, 8)
CLEARLY = 0.9
"""What takes less than this part of the usual's time is clearly quicker."""
ABOUT = 0.95
"""What takes less than the best divided by this is about as quick."""
CALL_S = 0.4
"""A call for a prompt should not take longer: nothing else begins or is cancelled in the middle of one."""
SECONDS = 2.5
"""For each thing that is chosen. The usual is timed in any case, and the rest while there is time."""
ROUNDS = 3
PROMPT, ROWS, STEPS = 64, 4, 6
"""What threads are compared by: a prompt, then steps of some answers to it."""
LONGER, FEW_STEPS = 192, 3
"""Ways to look at the cache are compared by a longer prompt, and steps of many answers to it."""
LENGTH, SHORT = 1024, 256
"""Of a slot, while it is measured: room for the largest part of a prompt, or for many answers. llama.cpp rounds it
up to a multiple of 256."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was chosen."""

    threads: int
    flash_attention: bool = False
    kv_unified: bool = False
    """Whether all sequences are in one cache, where they share what they have in common, and look past the others'."""
    chunk: int = CHUNK
    """Tokens of a prompt computed in one call."""
    slots: int = MAX_SLOTS
    """Answers drawn at once, at most."""
    seen: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of what was tried for each of them, how many tokens a second it came to."""

    def plain(self) -> dict[str, Any]:
        """To be kept, and to be shown."""
        return asdict(self)


def read_tuning(kept: Mapping[str, Any] | None) -> Tuning | None:
    """Undo `Tuning.plain`; None for what is not that."""
    try:
        tuning = Tuning(**(kept or {}))
        numbers = (tuning.threads, tuning.chunk, tuning.slots)
        good = all(type(n) is int and 1 <= n <= 4096 for n in numbers)
        good = good and type(tuning.flash_attention) is bool and type(tuning.kv_unified) is bool
        seen = {str(what): {str(k): float(v) for k, v in rates.items()} for what, rates in tuning.seen.items()}
    except (TypeError, ValueError, AttributeError):
        return None
    return replace(tuning, seen=seen) if good else None


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be chosen; the usual stands first. What is set by hand, or has to be so, stands alone."""

    threads: tuple[int, ...]
    flash_attention: tuple[bool, ...] = (False,)
    kv_unified: tuple[bool, ...] = (False,)
    chunk: tuple[int, ...] = CHUNKS
    slots: tuple[int, ...] = SLOTS

    @property
    def usual(self) -> Tuning:
        """What holds where nothing was measured."""
        chunk = CHUNK if CHUNK in self.chunk else self.chunk[0]
        return Tuning(self.threads[0], self.flash_attention[0], self.kv_unified[0], chunk, self.slots[0])


def terms(
    usable: int, *, exact: bool, threads: int | None, layout: Mapping[str, Any], kv_type: str | None = None
) -> Terms:
    """What may be chosen on a machine that has so many usable processors.

    `threads` and `layout` (`flash_attention`, `kv_unified`, `chunk`, `slots`) are what was set by hand. Of processors
    that come in pairs on one core, or in quick and slow ones, half or a quarter may do more than all. A quantised cache
    (`kv_type`) wants flash attention, unless that is excluded: then only the keys are quantised (`core/kv.py`).
    """
    by_hand = layout.get("flash_attention")
    flash_attention = True if by_hand is None and is_quantised(kv_type) else by_hand
    fewer = [usable // part for part in (2, 4) if usable // part >= 2]
    return Terms(
        threads=(threads,) if threads else (usable, *fewer),
        # With either of them, an answer depends on what is beside it.
        flash_attention=(False,) if exact else _either(flash_attention),
        kv_unified=(False,) if exact else _either(layout.get("kv_unified")),
        chunk=(layout["chunk"],) if layout.get("chunk") else CHUNKS,
        slots=(layout["slots"],) if layout.get("slots") else SLOTS,
    )


def _either(by_hand: object) -> tuple[bool, ...]:
    return (False, True) if by_hand is None else (bool(by_hand),)


class Tunable(Protocol):
    """What is needed of a device."""

    n_vocab: int
    context: int
    rules: Rules
    slots: int
    length: int

    @property
    def kv_unified(self) -> bool:
        """Whether sequences share the cells of what they have in common, once one is a copy of the other."""

    def arrange(self, tuning: Tuning) -> None:
        """Compute like this from the next `resize` on."""

    def resize(self, slots: int, length: int) -> None:
        """Make another context; what is in the slots is lost."""

    def most_slots(self, length: int) -> int:
        """How many slots of a length fit into the memory that the cache may take."""

    def prefill(self, slot: int, tokens: Sequence[int], start: int, outputs: int) -> None:
        """Compute tokens of one sequence."""

    def step(self, tokens: Sequence[int], positions: Sequence[int], first: int) -> None:
        """Compute one token of each of the sequences in the slots from `first` on."""

    def cut(self, slot: int, length: int) -> bool:
        """Forget all of a sequence from a position on."""

    def save(self, slot: int) -> npt.NDArray[np.uint8]:
        """Write down what was computed of a sequence."""

    def restore(self, slot: int, data: npt.NDArray[np.uint8]) -> None:
        """Put what was written down in a slot."""

    def copy(self, source: int, target: int) -> None:
        """Have a sequence in another place too."""


def tune(device: Tunable, terms: Terms, now: Callable[[], float]) -> Tuning:
    """Measure. The device is left as it was, but empty, and arranged by what was chosen."""
    slots, length = device.slots, device.length
    tuning = _Session(device, terms, now).result()
    device.arrange(tuning)
    device.resize(slots, length)
    return tuning


class _Session:
    def __init__(self, device: Tunable, terms: Terms, now: Callable[[], float]) -> None:
        self._device = device
        self._terms = terms
        self._now = now
        self._length = min(LENGTH, device.context)
        self._tokens = [int(t) for t in np.random.default_rng(0).integers(0, device.n_vocab, LENGTH)]
        self._seen: dict[str, dict[int, float]] = {}

    def result(self) -> Tuning:
        terms, best = self._terms, self._terms.usual
        threads = self._compare("threads", terms.threads, lambda each: self._few(replace(best, threads=each)))
        best = replace(best, threads=threads)
        best = replace(best, chunk=self._chunk(best))
        best = replace(best, slots=self._slots(best))
        flash = self._compare(
            "flash_attention", terms.flash_attention, lambda each: self._many(replace(best, flash_attention=bool(each)))
        )
        best = replace(best, flash_attention=bool(flash))
        unified = self._compare(
            "kv_unified", terms.kv_unified, lambda each: self._many(replace(best, kv_unified=bool(each)))
        )
        seen = {what: {str(k).lower(): round(v, 2) for k, v in rates.items()} for what, rates in self._seen.items()}
        return replace(best, kv_unified=bool(unified), seen=seen)

    def _arrange(self, tuning: Tuning, slots: int, length: int) -> None:
        self._device.arrange(replace(tuning, chunk=max(self._terms.chunk)))
        self._device.resize(slots, length)

    def _few(self, tuning: Tuning) -> tuple[int, float]:
        """A prompt and some answers: what they took, for each token."""
        return self._work(tuning, ROWS, self._length, min(PROMPT, self._length - STEPS - 1), STEPS)

    def _many(self, tuning: Tuning) -> tuple[int, float]:
        """A longer prompt and many answers, as far as they do not take too long."""
        length = min(SHORT, self._length)
        count = int(CALL_S * max(self._seen.get("chunk", {}).values(), default=0))
        rows = int(2 * CALL_S / FEW_STEPS * max(self._seen.get("slots", {}).values(), default=0))
        count = min(max(count, PROMPT), LONGER, length - FEW_STEPS - 1)
        return self._work(tuning, min(max(rows, ROWS), self._most(length)), length, count, FEW_STEPS)

    def _most(self, length: int) -> int:
        return min(max(self._terms.slots), self._device.most_slots(length))

    def _work(self, tuning: Tuning, rows: int, length: int, count: int, steps: int) -> tuple[int, float]:
        self._arrange(tuning, rows, length)
        begun = self._now()
        self._device.prefill(0, self._tokens[:count], 0, 1)
        took = self._now() - begun
        self._copy(rows)
        return count + rows * steps, took + sum(self._step(count + i, rows) for i in range(steps))

    def _copy(self, rows: int) -> None:
        device = self._device
        state = None if device.kv_unified else device.save(0)  # quicker than to copy from stream to stream
        for slot in range(1, rows):
            if state is None:
                device.copy(0, slot)
            else:
                device.restore(slot, state)

    def _step(self, at: int, rows: int) -> float:
        begun = self._now()
        for call in self._device.rules.calls(rows):
            self._device.step(self._tokens[call], [at] * (call.stop - call.start), call.start)
        return self._now() - begun

    def _chunk(self, tuning: Tuning) -> int:
        """The least that is about as quick as any: the sooner something else gets its turn."""
        self._arrange(tuning, ROWS, self._length)
        sizes = [size for size in self._terms.chunk if size <= self._length]
        if len(sizes) < 2:
            return self._terms.usual.chunk
        costs = self._costs("chunk", sizes, self._part, CALL_S / 2)
        best = min(costs.values())
        return min(size for size, cost in costs.items() if cost * ABOUT <= best)

    def _part(self, size: int) -> tuple[int, float]:
        self._device.cut(0, 0)
        begun = self._now()
        self._device.prefill(0, self._tokens[:size], 0, 1)
        return size, self._now() - begun

    def _slots(self, tuning: Tuning) -> int:
        sizes = self._terms.slots
        if len(sizes) < 2:
            return sizes[0]
        count, length = min(PROMPT, self._length // 2), min(SHORT, self._length)
        most = self._most(length)
        self._arrange(tuning, most, length)
        self._device.prefill(0, self._tokens[:count], 0, 1)
        self._copy(most)
        fit = [size for size in sizes if size <= most]
        best = self._compare("slots", fit, lambda rows: self._answers(count, rows)) if fit else sizes[0]
        return best if best in fit[1:] else sizes[0]  # where the usual does not fit, it is memory that limits it

    def _answers(self, at: int, rows: int) -> tuple[int, float]:
        took = self._step(at, rows)
        for slot in range(rows):
            self._device.cut(slot, at)
        return rows, took

    def _compare(self, what: str, candidates: Sequence[int], measure: Callable[[int], tuple[int, float]]) -> int:
        """The usual, which stands first, unless another is clearly quicker; then the quickest."""
        usual = candidates[0]
        if len(candidates) < 2:
            return usual
        costs = self._costs(what, candidates, measure)
        best = min(costs, key=lambda each: costs[each])
        return best if costs[best] < costs[usual] * CLEARLY else usual

    def _costs(
        self,
        what: str,
        candidates: Sequence[int],
        measure: Callable[[int], tuple[int, float]],
        longest: float = math.inf,
    ) -> dict[int, float]:
        """What each takes for a token, in seconds: the least of some rounds.

        `candidates` behind one that takes longer than `longest` seconds are left out.
        """
        begun = self._now()
        costs: dict[int, float] = {}
        for _ in range(ROUNDS):
            for each in candidates:
                if costs and self._now() - begun > SECONDS:
                    break
                tokens, took = measure(each)
                costs[each] = min(costs.get(each, math.inf), took / tokens)
                if took > longest:
                    break
        self._seen[what] = {each: 1 / max(cost, 1e-9) for each, cost in costs.items()}
        return costs
