"""What must be kept to for an answer not to depend on what is beside it: found by trying, on this machine.

llama.cpp has several ways to multiply by the same weights, and takes one or the other by how many rows there are at
once. They round differently. Which ways there are depends on the processor, the build and how the weights are stored.
Seen with Gemma 3 Q4_K_M on a processor with AVX2 only: rows are taken in fours, what is left over goes another way,
and calls of fewer than eight rows go a third. With SmolLM2 Q4_1 on the same machine, every row is always the same.
So it is tried: the same tokens are computed in different ways, and logits compared bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from promptlab.engine.sampling import Row
from promptlab.engine.tuning import CHUNK

TRIED = ((1, 2), (4, 8), (8, 16), (32, 32))
"""Values of `align` and `least`, the freest first."""
TRIAL = 75
"""Tokens of the prompt that is computed in different ways."""
ROWS = (2, 3, 4, 5, 8, 12, 16)
MULTIPLES = (4, 8, 16)
SLOTS, LENGTH = 16, 256
PROMPT = 40
"""Tokens before the rows that are compared."""
KINDS = 4
"""Different rows: with some tokens, two ways happen to give the same."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a model's work must be cut into calls."""

    align: int = 1
    """A prompt may be cut only after a multiple of this many tokens."""
    least: int = 2
    """A call for a part of a prompt computes at least this many tokens, unless the prompt has fewer."""
    rows: int = 0
    """A step computes at most this many answers in one call; 0 is any number."""
    multiple: int = 1
    """A step computes this many answers in one call, or twice as many, and so on: others are made up."""

    def cut(self, count: int) -> int:
        """The last place where a prompt of so many tokens may be cut; 0 where it may not."""
        return max(count - self.least, 0) // self.align * self.align

    def end(self, start: int, count: int, size: int) -> int:
        """Where the part of a prompt of `count` tokens ends that begins at `start` and has at most `size` tokens.

        It is longer where it may not be cut before its end.
        """
        end = min(start + size, self.cut(count)) // self.align * self.align
        return count if count - start <= size or end <= start else end

    def calls(self, count: int) -> Iterator[slice]:
        """The calls of a step of so many answers: which of them each computes."""
        most = self.rows or max(count, 1)
        return (slice(first, min(first + most, count)) for first in range(0, count, most))

    def plain(self) -> dict[str, int]:
        """As a record has it: only what differs from a machine where all is the same."""
        usual = asdict(Rules())
        return {name: value for name, value in asdict(self).items() if value != usual[name]}


FREE = Rules(align=1, least=1)
"""In the mode `fast` nothing has to be kept to."""


@dataclass(frozen=True, slots=True)
class Found:
    """What trying has found."""

    align: int
    least: int
    rows: int
    """Up to how many answers a call computes as it would one; 0 is any number."""
    multiple: int
    """Of how many answers the calls must be, to be all the same; 1 is any number."""

    def rules(self, *, wide: bool) -> Rules:
        """Few answers in each call, which suits one; or many, which suits a batch."""
        if self.rows == 0:
            return Rules(self.align, self.least)
        if wide:
            return Rules(self.align, self.least, multiple=self.multiple)
        return Rules(self.align, self.least, rows=self.rows)

    def plain(self) -> dict[str, int]:
        """To be kept."""
        return asdict(self)


def read_found(kept: Mapping[str, Any] | None) -> Found | None:
    """Undo `Found.plain`; None for what is not that."""
    try:
        found = Found(**(kept or {}))
    except TypeError:
        return None
    good = all(isinstance(value, int) and 0 <= value <= 4096 for value in asdict(found).values())
    return found if good and min(found.align, found.least, found.multiple) > 0 else None


class Trial(Protocol):
    """What is needed of a device."""

    n_vocab: int

    def prefill(self, slot: int, tokens: Sequence[int], start: int, outputs: int) -> None:
        """Compute tokens of one sequence."""

    def decode(self, tokens: Sequence[int], positions: Sequence[int], first: int = 0) -> None:
        """Compute one token of each of some neighbouring sequences, in one call."""

    def row(self, index: int) -> Row:
        """Logits."""

    def cut(self, slot: int, length: int) -> bool:
        """Forget."""

    def save(self, slot: int) -> npt.NDArray[np.uint8]:
        """Write down what was computed of a sequence."""

    def restore(self, slot: int, data: npt.NDArray[np.uint8]) -> None:
        """Put what was written down in a slot."""


def find(device: Trial) -> Found:
    """Try it all. The device has `SLOTS` slots of `LENGTH` tokens. What cannot be shared is computed as ever: cut
    only where any prompt is cut, after each `CHUNK`."""
    tokens = [int(each) for each in np.random.default_rng(0).integers(0, device.n_vocab, TRIAL)]
    align, least = next((pair for pair in TRIED if _same_parts(device, tokens, *pair)), (CHUNK, 2))
    rows, multiple = _rows(device, tokens)
    return Found(align, least, rows, multiple)


def _same_parts(device: Trial, tokens: Sequence[int], align: int, least: int) -> bool:
    """Whether a prompt computed in two parts is the same as in one."""
    for count in (TRIAL, TRIAL - 9):
        whole = _prompt(device, tokens[:count], 0)
        places = range(-(-least // align) * align, count - least + 1, align)
        some = {places[0], places[len(places) // 3], places[-1]}
        if not all(np.array_equal(_prompt(device, tokens[:count], cut), whole) for cut in sorted(some)):
            return False
    return True


def _prompt(device: Trial, tokens: Sequence[int], cut: int) -> npt.NDArray[np.float32]:
    device.cut(0, 0)
    if cut:
        device.prefill(0, tokens[:cut], 0, 0)
    device.prefill(0, tokens[cut:], cut, 1)
    return device.row(len(tokens) - cut - 1).copy()


def _rows(device: Trial, tokens: Sequence[int]) -> tuple[int, int]:
    """Up to how many rows are as one, and of how many calls must be so that all are the same."""
    device.cut(0, 0)
    device.prefill(0, tokens[:PROMPT], 0, 0)
    state = device.save(0)
    for slot in range(1, SLOTS):
        device.restore(slot, state)
    alone = [_step(device, tokens, 1, first)[0] for first in range(KINDS)]
    same = 1
    for count in ROWS:
        if not _equal(_step(device, tokens, count), alone):
            break
        same = count
    if same == ROWS[-1]:
        return 0, 1
    for multiple in MULTIPLES[:-1]:
        first = _step(device, tokens, multiple)[:KINDS]
        if all(_equal(_step(device, tokens, n), first) for n in range(2 * multiple, SLOTS + 1, multiple)):
            return same, multiple
    return same, MULTIPLES[-1]


def _step(device: Trial, tokens: Sequence[int], count: int, first: int = 0) -> list[npt.NDArray[np.float32]]:
    """Rows after two steps in which some tokens take turns, beginning with the `first` of them."""
    for i in range(2):
        mine = [tokens[PROMPT + 2 * ((first + slot) % KINDS) + i] for slot in range(count)]
        device.decode(mine, [PROMPT + i] * count)
    rows = [device.row(i).copy() for i in range(count)]
    for slot in range(count):
        device.cut(slot, PROMPT)
    return rows


def _equal(rows: Iterable[npt.NDArray[np.float32]], wanted: Sequence[npt.NDArray[np.float32]]) -> bool:
    return all(np.array_equal(row, wanted[i % KINDS]) for i, row in enumerate(rows))
