"""What has been computed of prompts: a shelf of states, looked through for the longest common beginning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptlab.core.plan import SHELF_BUDGET

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What a model has computed for some tokens."""

    ids: Ids
    data: npt.NDArray[np.uint8]
    """The KV cache, as the engine writes it."""
    logits: npt.NDArray[np.float32] | None
    """After the last token, of length n_vocab; None where they were not kept."""

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self.data.nbytes + self.ids.nbytes + (0 if self.logits is None else self.logits.nbytes)


class Shelf:
    """States, up to a number of bytes; the one not used for longest goes first."""

    def __init__(self, budget: int = SHELF_BUDGET) -> None:
        self.budget = budget
        self.size = 0
        self._states: OrderedDict[bytes, State] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def put(self, state: State) -> None:
        """Keep a state; one that is larger than the whole shelf is not kept."""
        name = state.ids.tobytes()
        self._drop(name)
        if state.size > self.budget:
            return
        while self.size + state.size > self.budget:
            self._drop(next(iter(self._states)))
        self._states[name] = state
        self.size += state.size

    def best(
        self, ids: Sequence[int], most: int, can_cut: Callable[[int, int], bool], align: int = 1
    ) -> tuple[State | None, int]:
        """The state from which most of a prompt can be gone on from, and after how many tokens.

        That is at most `most`, and a multiple of `align`, unless a state has the logits for the prompt's end.
        `can_cut(length, at)` says whether a
        state of so many tokens can be gone on from after `at`.
        """
        wanted = as_ids(ids)
        found: State | None = None
        reused, rank = 0, (0, -1 << 62)
        for state in self._states.values():
            common = common_length(state.ids, wanted)
            whole = common == len(wanted) == len(state.ids) and state.logits is not None
            at = common if whole else min(common // align * align, most)
            if at > 0 and (at, -len(state.ids)) > rank and (whole or can_cut(len(state.ids), at)):
                found, reused, rank = state, at, (at, -len(state.ids))
        if found is not None:
            self._states.move_to_end(found.ids.tobytes())
        return found, reused

    def clear(self) -> None:
        """Forget everything."""
        self._states.clear()
        self.size = 0

    def _drop(self, name: bytes) -> None:
        state = self._states.pop(name, None)
        if state is not None:
            self.size -= state.size


def as_ids(ids: Sequence[int]) -> Ids:
    """Token ids as an array."""
    return np.asarray(ids, np.int32)


def common_length(a: Ids, b: Ids) -> int:
    """How many tokens two sequences have in common from their start."""
    length = min(len(a), len(b))
    different = np.flatnonzero(a[:length] != b[:length])
    return int(different[0]) if len(different) else length
