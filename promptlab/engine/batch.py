"""Continuous batching: many sequences in one context, each beginning of a prompt computed once.

What is asked waits until a slot is free, what somebody waits for before all else. Its prompt is computed, from where a
state on the shelf leaves off; then its answer joins those that are being drawn, one token for each in every step.

In the mode `exact`, an answer is what it would be alone. That needs: each prompt computed in calls of its own, cut only
where the rules allow (`engine/rules.py`), and nothing reused that was computed as part of an answer.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from promptlab.core.events import EngineEvent, Failed, Failure
from promptlab.core.plan import MAX_SLOTS
from promptlab.engine.answer import Pick
from promptlab.engine.rules import FREE, Rules
from promptlab.engine.sampling import Row
from promptlab.engine.shelf import Ids, Shelf, State, as_ids, common_length
from promptlab.engine.tuning import CHUNK
from promptlab.engine.waiting import Queue
from promptlab.engine.work import Drawing, Job, Scoring
from promptlab.errors import EngineError

RESERVED = 2
"""Slots beyond that for what somebody waits for."""
MIN_SLOTS, MIN_LENGTH = 4, 512
"""What a context begins with. It grows with the work: slots that nobody needs are memory that nobody has."""

LARGE_VOCABULARY = 1 << 17
"""Logits of a row for which it is worth drawing on several threads. Measured on two cores, 32 rows: 6 ms on one thread
and 7 on two for 49,152 logits; 23 and 16 for 262,144."""
MIN_MARK = 32
"""Tokens that two prompts must share for a state to be kept where they part."""
MAX_LOOK = 256
"""Prompts that are looked at for that."""


class Device(Protocol):
    """A model's context, cut into slots of one sequence each. Sequences that are drawn stand in the lowest slots."""

    context: int
    """Tokens that fit into one conversation, whatever the slots' length is now."""
    slots: int
    length: int
    """Tokens that fit into a slot."""
    movable: bool
    """Whether what was written down of a slot can be read by a context with another number of them."""
    longest_kept: int
    """A sequence of up to so many tokens can be written down, and goes on from that as if it had not been."""

    @property
    def kv_unified(self) -> bool:
        """Whether sequences share the cells of what they have in common, once one is a copy of the other."""

    def resize(self, slots: int, length: int) -> None:
        """Make another context; what is in the slots is lost."""

    def most_slots(self, length: int) -> int:
        """How many slots of a length fit into the memory that the cache may take."""

    def prefill(self, slot: int, tokens: Sequence[int], start: int, outputs: int) -> None:
        """Compute tokens of one sequence from a position on; logits for the last `outputs` of them."""

    def step(self, tokens: Sequence[int], positions: Sequence[int], first: int) -> None:
        """Compute one token of each of the sequences in the slots from `first` on, with logits."""

    def row(self, index: int) -> Row:
        """Logits of the last call, by the token's place in it; the engine's own memory, until the next call."""

    def cut(self, slot: int, length: int) -> bool:
        """Forget all of a sequence from a position on; False when the model cannot, and all is forgotten."""

    def can_cut(self, length: int, at: int) -> bool:
        """Whether a state of so many tokens can be gone on from after `at` of them."""

    def move(self, source: int, target: int) -> None:
        """Bring a sequence to another place; what it leaves is empty."""

    def copy(self, source: int, target: int) -> None:
        """Have a sequence in another place too, as if it had been computed there."""

    def save(self, slot: int) -> npt.NDArray[np.uint8]:
        """Write down what was computed of a sequence."""

    def restore(self, slot: int, data: npt.NDArray[np.uint8]) -> None:
        """Put what was written down in a slot."""


@dataclass(frozen=True, slots=True)
class _Stem:
    """A prompt that cannot be written down, computed and left in a slot of its own: others go on from a copy of it."""

    slot: int
    ids: Ids
    logits: Row


class Batch:
    """All the work of one model. `advance` does a piece of it, and says what came of it."""

    def __init__(
        self,
        device: Device,
        model: str,
        *,
        exact: bool = True,
        rules: Rules | None = None,
        shelf: Shelf | None = None,
        threads: int = 1,
        chunk: int = CHUNK,
        max_slots: int = MAX_SLOTS,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`chunk` is how many tokens of a prompt are computed in one call; what is cancelled ends after at most one."""
        self.device = device
        self.exact = exact
        self.rules = rules or (Rules() if exact else FREE)
        self.shelf = Shelf() if shelf is None else shelf
        self.chunk = max(chunk, self.rules.align + self.rules.least)  # less, and there may be no place to cut
        self.max_slots = max_slots
        self.drawing: list[Drawing] = []
        """By their slots, without a gap."""
        self.filling: dict[int, Job] = {}
        """Prompts that are being computed, by their slots; the last one is worked on."""
        self._stem: _Stem | None = None
        """Of the prompt that was computed last, if it is one of those."""
        self._waiting: tuple[Queue, Queue] = (Queue(), Queue())
        self._model = model
        self._now = now
        self._stepped = False
        self._parts = threads
        self._threads = ThreadPoolExecutor(threads) if threads > 1 else None

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.drawing or self.filling or any(self._waiting))

    def add(self, job: Job) -> None:
        """Take something that was asked."""
        self._waiting[not job.interactive].add(job)

    def cancel(self, seq: int) -> list[EngineEvent]:
        """End something early; nothing to say when it is not there."""
        for queue in self._waiting:
            if job := queue.remove(seq):
                return self._cancelled(job)
        for slot, job in self.filling.items():
            if job.seq == seq:
                self._vacate(slot)
                return self._cancelled(job)
        for drawing in self.drawing:
            if drawing.seq == seq:
                self._leave([drawing])
                return [drawing.cancelled()]
        return []

    def _cancelled(self, job: Job) -> list[EngineEvent]:
        event = job.cancelled()
        job.close()
        return [event]

    def advance(self) -> list[EngineEvent]:
        """Do one piece of work: some tokens of a prompt, or a token of each answer."""
        events = self._admit()
        if self.filling and not (self.drawing and self._step_first()):
            self._stepped = False
            return events + self._fill()
        if self.drawing:
            self._stepped = True
            return events + self._step()
        return events

    def _step_first(self) -> bool:
        """Whether a step comes before the next part of a prompt: where somebody reads along, they take turns."""
        return not self._stepped and any(job.interactive for job in self.drawing)

    # --- from waiting to a slot ---------------------------------------------------------------------------------------

    def _admit(self) -> list[EngineEvent]:
        """Let the next one in, if there is room and nothing as urgent is being computed."""
        queue = next((q for q in self._waiting if q), None)
        if queue is None or (self.filling and not self._urgent(queue)):
            return []
        job = queue.peek()
        slot = self._slot(job)
        if slot is None:
            return []
        queue.pop()
        self.filling[slot] = job
        try:
            self._recall(slot, job)
            self._mark(job, queue)
        except EngineError as error:
            self._vacate(slot)
            return self._failed([job], error)
        return job.started()

    def _urgent(self, queue: Queue) -> bool:
        return queue.peek().interactive and not any(job.interactive for job in self.filling.values())

    def _slot(self, job: Job) -> int | None:
        """A free slot that is long enough, from a larger context if need be; None when it cannot be larger."""
        used = len(self.drawing) + len(self.filling)
        length = self._length(job, used)
        stem = int(len(job.ids) > self.device.longest_kept)  # a place for it to stay
        limit = min(self.max_slots, max(self.device.most_slots(length) - stem, 1))
        if job.interactive and any(not each.interactive for each in (*self.drawing, *self.filling.values())):
            limit += RESERVED
        if used and used >= limit:
            return None
        wanted = min(used + sum(map(len, self._waiting)), limit) + stem
        if wanted > self.device.slots or length > self.device.length:
            if not used or self._can_move():
                self._grow(length, min(max(1 << (wanted - 1).bit_length(), MIN_SLOTS), limit + stem))
            elif used == self.device.slots or length > self.device.length:
                return None
        return self._free()[0]

    def _free(self) -> list[int]:
        """Slots that nobody needs; the one in which a stem is comes last."""
        free = [i for i in range(len(self.drawing), self.device.slots) if i not in self.filling]
        return sorted(free, key=lambda slot: self._stem is not None and slot == self._stem.slot)

    def _can_move(self) -> bool:
        """Whether all that is in the slots can be taken to another context."""
        lengths = [len(job.ids) + len(job.answer.tokens) for job in self.drawing]
        lengths += [job.at for job in self.filling.values()]
        return self.device.movable and all(length <= self.device.longest_kept for length in lengths)

    def _length(self, job: Job, used: int) -> int:
        """The length that slots must have. Long ones leave memory for few, so they are made anew when all are free."""
        if used:
            return max(self.device.length, _round(job.longest, self.device.context))
        longest = max(each.longest for queue in self._waiting for each in queue)
        return _round(longest, self.device.context)

    def _grow(self, length: int, slots: int) -> None:
        """Take a larger context, and all that is in the slots with it."""
        if not self.device.movable:
            self.shelf.clear()
        self._stem = None
        fillings = list(self.filling.values())
        saved = [self.device.save(slot) for slot in (*range(len(self.drawing)), *self.filling)]
        self.device.resize(slots, length)
        self.filling = dict(enumerate(fillings, len(self.drawing)))
        for slot, data in enumerate(saved):
            self.device.restore(slot, data)

    def _recall(self, slot: int, job: Job) -> None:
        """Put in its slot what is known of its prompt."""
        begun = self._now()
        most = self.rules.cut(len(job.ids))
        state, at = self.shelf.best(job.ids, most, self._can_go_on, self.rules.align)
        stem, branch = self._stem, self._branch(job.ids, most)
        beside, common = self._beside(job)
        if stem is not None and slot == stem.slot:
            self._stem = None
        if stem is not None and branch > at:
            if slot != stem.slot:
                self.device.copy(stem.slot, slot)
            self._reuse(slot, job, branch, len(stem.ids), stem.logits)
        elif 0 < at <= common:
            assert state is not None
            self.device.copy(beside, slot)
            self.device.cut(slot, at)  # what is behind it is of the other's answer
            self._reuse(slot, job, at, len(state.ids), state.logits)
        elif state is not None:
            self.device.restore(slot, state.data)
            self._reuse(slot, job, at, len(state.ids), state.logits)
        else:
            self.device.cut(slot, 0)
        job.clock.prefill_s += self._now() - begun

    def _beside(self, job: Job) -> tuple[int, int]:
        """The slot of an answer whose cells a prompt can share, and how many of them."""
        if not self.device.kv_unified:
            return 0, 0
        own = as_ids(job.ids)
        common = [common_length(as_ids(each.ids), own) for each in self.drawing]
        return max(((count, slot) for slot, count in enumerate(common)), default=(0, 0))[::-1]

    def _branch(self, ids: Sequence[int], most: int) -> int:
        """After how many tokens a prompt can go on from the stem."""
        if self._stem is None:
            return 0
        common = common_length(self._stem.ids, as_ids(ids))
        whole = common == len(ids) == len(self._stem.ids)
        return common if whole else min(common // self.rules.align * self.rules.align, most)

    def _reuse(self, slot: int, job: Job, at: int, length: int, logits: Row | None) -> None:
        """Go on after `at` tokens of the `length` that are in the slot."""
        if at < length:
            self.device.cut(slot, at)
        job.at = job.clock.reused = at
        job.logits = logits if at == len(job.ids) else None

    def _can_go_on(self, length: int, at: int) -> bool:
        """Whether a prompt can go on from after `at` tokens of a state of so many, as if it had been computed anew."""
        return length >= self.rules.least and self.device.can_cut(length, at)

    def _mark(self, job: Job, queue: Queue) -> None:
        """Note where the next prompts leave this one, if its state must be kept there to be of use to them."""
        if job.logits is not None or self.device.can_cut(len(job.ids), len(job.ids) - 1):
            return
        own = as_ids(job.ids)
        rules = self.rules
        most = rules.cut(len(job.ids))
        for other in itertools.islice(queue.following(), MAX_LOOK):
            common = min(common_length(own, as_ids(other.ids)), self.device.longest_kept)
            at = min(common // rules.align * rules.align, most)
            if at - job.at < MIN_MARK:
                break
            if not job.marks or at <= rules.cut(job.marks[-1]):
                job.marks.append(at)

    # --- a prompt -----------------------------------------------------------------------------------------------------

    def _fill(self) -> list[EngineEvent]:
        """Compute the next part of the prompt that was let in last, or of the texts after it."""
        slot, job = next(reversed(self.filling.items()))
        begun = self._now()
        try:
            if job.logits is None and not self._compute(slot, job):
                return []
            if isinstance(job, Scoring):
                return self._read(slot, job)
        except EngineError as error:
            self._vacate(slot)
            return self._failed([job], error)
        finally:
            job.clock.prefill_s += self._now() - begun
        assert isinstance(job, Drawing)
        return self._join(slot, job)

    def _vacate(self, slot: int) -> None:
        """Free a slot. It is left empty: a step may have to use it to fill up a call."""
        self.filling.pop(slot, None)
        self.device.cut(slot, 0)

    def _compute(self, slot: int, job: Job) -> bool:
        """Compute the next part of a prompt; whether it was the last."""
        goal = job.marks[-1] if job.marks else len(job.ids)
        end = self.rules.end(job.at, goal, self.chunk)
        last = end == len(job.ids)
        self.device.prefill(slot, job.ids[job.at : end], job.at, 1 if last else 0)
        if last:
            job.logits = self.device.row(end - job.at - 1).copy()
            self._keep_stem(slot, job, job.logits)
        job.at = end
        if end == goal and job.marks:
            job.marks.pop()
        if end == goal and end <= self.device.longest_kept:
            self.shelf.put(State(as_ids(job.ids[:end]), self.device.save(slot), job.logits))
        return last

    def _keep_stem(self, slot: int, job: Job, logits: Row) -> None:
        """Leave a prompt where others can go on from it, if it is too long for the shelf."""
        if len(job.ids) <= self.device.longest_kept:
            return
        if place := self._free()[-1:]:
            self.device.copy(slot, place[0])
            self._stem = _Stem(place[0], as_ids(job.ids), logits)

    def _read(self, slot: int, job: Scoring) -> list[EngineEvent]:
        if not job.begun:
            assert job.logits is not None
            job.begun = True
            job.reading.begin(job.logits)
        piece = job.reading.next_piece(self.rules)
        if piece is not None:
            self.device.cut(slot, piece.start)
            self.device.prefill(slot, piece.tokens, piece.start, piece.outputs)
            for row in range(piece.outputs):
                job.reading.take(row, self.device.row(len(piece.tokens) - piece.outputs + row))
            return []
        self._vacate(slot)
        return job.finish()

    def _join(self, slot: int, job: Drawing) -> list[EngineEvent]:
        """Draw the first token; the answer goes on with the others."""
        assert job.logits is not None
        logits, job.logits = job.logits, None
        try:
            # Of an answer that is complete before it begins, only the empty text fits.
            events = job.answer.close_early() if job.answer.complete else job.answer.take(job.answer.pick(logits))
        except EngineError as error:
            events = self._failed([job], error)
        if job.answer.done:
            self._vacate(slot)
        else:
            self._move(slot, len(self.drawing))
            self.drawing.append(job)
        return events

    def _move(self, slot: int, target: int) -> None:
        """Bring a sequence to the slot after those that are drawn, from wherever it was computed."""
        del self.filling[slot]
        if slot == target:
            return
        if self._stem is not None and target == self._stem.slot:
            self._stem = None
        other = self.filling.pop(target, None)
        saved = self.device.save(target) if other and other.at <= self.device.longest_kept else None
        self.device.move(slot, target)
        if other is None:
            return
        if saved is not None:
            self.device.restore(slot, saved)
        else:  # it cannot be brought anywhere
            other.at = other.clock.reused = 0
        # Behind those let in later: what was let in last is worked on.
        self.filling = {slot: other, **self.filling}

    # --- a step -------------------------------------------------------------------------------------------------------

    def _step(self) -> list[EngineEvent]:
        begun = self._now()
        jobs = list(self.drawing)
        picks: list[Pick | EngineError] = []
        try:
            for call in self.rules.calls(len(jobs)):
                self._compute_next(jobs[call], call.start)
                picks += self._pick(jobs[call])
        except EngineError as error:
            self.drawing.clear()
            return self._failed(jobs, error)
        took = self._now() - begun
        events: list[EngineEvent] = []
        for job, pick in zip(jobs, picks, strict=True):
            job.clock.decode_s += took
            try:
                if isinstance(pick, EngineError):
                    raise pick
                events += job.answer.take(pick)
            except EngineError as error:
                events += self._failed([job], error)
        self._leave([job for job in jobs if job.answer.done])
        return events

    def _compute_next(self, jobs: Sequence[Drawing], first: int) -> None:
        """Compute the token that each has drawn last; they stand in the slots from `first` on."""
        tokens = [job.answer.tokens[-1] for job in jobs]
        self.device.step(tokens, [len(job.ids) + len(job.answer.tokens) - 1 for job in jobs], first)

    def _pick(self, jobs: Sequence[Drawing]) -> list[Pick | EngineError]:
        """Draw a token for each; with a large vocabulary this is real work, so then on several threads."""
        rows = [(job, self.device.row(i)) for i, job in enumerate(jobs)]
        if self._threads is None or len(rows) < 2 or len(rows[0][1]) < LARGE_VOCABULARY:
            return list(map(_try_pick, rows))
        # Few large pieces: handing over a piece costs as much as a row of a small vocabulary.
        size = -(-len(rows) // self._parts)
        parts = [rows[at : at + size] for at in range(0, len(rows), size)]
        return [pick for part in self._threads.map(lambda part: list(map(_try_pick, part)), parts) for pick in part]

    def _leave(self, gone: Sequence[Drawing]) -> None:
        """Take answers out, and close the gaps: sequences that are drawn stand in the lowest slots."""
        for job in reversed(gone):
            slot = self.drawing.index(job)
            if not self.exact and job.answer.tokens:
                ids = (*job.ids, *job.answer.tokens[:-1])  # the last one has not been computed
                self.shelf.put(State(as_ids(ids), self.device.save(slot), None))
            last = self.drawing.pop()
            if last is not job:
                self.device.move(len(self.drawing), slot)
                self.drawing[slot] = last
            else:
                self.device.cut(slot, 0)

    def _failed(self, jobs: Sequence[Job], error: EngineError) -> list[EngineEvent]:
        for job in jobs:
            job.close()
        return [Failed(self._model, job.seq, Failure.of(error)) for job in jobs]


def _try_pick(row: tuple[Drawing, Row]) -> Pick | EngineError:
    try:
        return row[0].answer.pick(row[1])
    except EngineError as error:
        return error


def _round(tokens: int, context: int) -> int:
    """The length of a slot for so many tokens: doubled and doubled again, so that it seldom changes."""
    length = MIN_LENGTH
    while length < tokens:
        length *= 2
    return min(length, context)
