"""A device without a model: what it computes depends on the tokens only, and it complains about what must not be asked.

Each token in a slot is remembered with how it was computed: as part of a prompt, in a call of few tokens or many, as
one of a whole group or left over, or by a step. Logits are a function of all that, so that reusing what a cold run
would not have computed, or cutting a prompt where it makes a difference, gives other answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from promptlab.engine.rules import Rules
from promptlab.engine.sampling import Row

N_VOCAB = 24
END = 0
"""The token that ends an answer."""

Cell = tuple[int, str]
"""A token, and how it was computed."""


class FakeDevice:
    def __init__(
        self,
        rules: Rules | None = None,
        *,
        context: int = 4096,
        fits: int = 1 << 20,
        window: int = 0,
        movable: bool = True,
        tells: bool = True,
        longest_kept: int = 1 << 20,
        kv_unified: bool = False,
    ) -> None:
        self.context = context
        self.movable = movable
        self.longest_kept = longest_kept
        self.kv_unified = kv_unified
        self.restored = 0
        """States put in a slot."""
        self.rules = rules or Rules()
        self._tells = tells
        """Whether how a token was computed makes a difference."""
        self.slots = 0
        self.length = 0
        self.computed = 0
        """Tokens of prompts computed."""
        self.steps: list[int] = []
        """How many sequences were in each step."""
        self.resized: list[tuple[int, int]] = []
        self._fits = fits
        self._window = window
        self._cells: list[list[Cell]] = []
        self._rows: dict[int, Row] = {}
        self.resize(2, 512)

    def resize(self, slots: int, length: int) -> None:
        assert slots * length <= max(self._fits, length) + 2 * length, "more memory than there is"
        self.slots, self.length = slots, length
        self.resized.append((slots, length))
        self._cells = [[] for _ in range(slots)]

    def most_slots(self, length: int) -> int:
        return max(self._fits // length, 1)

    def prefill(self, slot: int, tokens: Sequence[int], start: int, outputs: int) -> None:
        cells = self._cells[slot]
        assert len(cells) == start, "a gap, or what should have been forgotten"
        assert start + len(tokens) <= self.length, "the slot is too short"
        self.computed += len(tokens)
        self._rows = {}
        whole = len(tokens) // self.rules.align * self.rules.align
        few = "few" if len(tokens) < self.rules.least else "many"
        for i, token in enumerate(tokens):
            cells.append((token, f"{few} {'whole' if i < whole else 'left over'}" if self._tells else ""))
            if i >= len(tokens) - outputs:
                self._rows[i] = logits(cells)

    def step(self, tokens: Sequence[int], positions: Sequence[int], first: int) -> None:
        self.steps.append(len(tokens))
        self._rows = {}
        few = not self.rules.rows or len(tokens) <= self.rules.rows
        for i, (token, position) in enumerate(zip(tokens, positions, strict=True)):
            cells = self._cells[first + i]
            assert len(cells) == position < self.length
            how = "step" if few else "one of many"
            cells.append((token, how if self._tells else ""))
            self._rows[i] = logits(cells)

    def row(self, index: int) -> Row:
        return self._rows[index]

    def cut(self, slot: int, length: int) -> bool:
        del self._cells[slot][length:]
        return True

    def can_cut(self, length: int, at: int) -> bool:
        return at == length or not self._window or length <= self._window

    def move(self, source: int, target: int) -> None:
        self._cells[target] = self._cells[source]
        self._cells[source] = []

    def copy(self, source: int, target: int) -> None:
        self._cells[target] = list(self._cells[source])
        self._rows = {}

    def save(self, slot: int) -> npt.NDArray[np.uint8]:
        text = json.dumps([0 if self.movable else self.slots, self._cells[slot]])
        return np.frombuffer(text.encode(), np.uint8)

    def restore(self, slot: int, data: npt.NDArray[np.uint8]) -> None:
        self.restored += 1
        slots, cells = json.loads(data.tobytes())
        if len(cells) > self.longest_kept:  # what is restored is not quite what it was
            cells = [(token, how + " moved") for token, how in cells]
        assert self.movable or slots == self.slots, "a state of a context with other slots"
        self._cells[slot] = [(token, how) for token, how in cells]


def logits(cells: Sequence[Cell]) -> Row:
    seed = hashlib.sha256(json.dumps(cells).encode()).digest()
    values = np.frombuffer(hashlib.shake_256(seed).digest(N_VOCAB * 2), np.uint16)
    return (values / 8192).astype(np.float32)
