"""From logits to what is asked of them: probabilities, the most likely tokens, the candidates to draw from.

All is done in float32, one row at a time, so that a row's results do not depend on the rows beside it. Looking through
a vocabulary of 262,144 tokens is real work. So it is gone through once for the largest value of each block, which
leaves a few blocks to look for the most likely tokens in, and once for the exponentials, whose memory is kept. NumPy
lets go of the interpreter's lock meanwhile, so rows can be looked at on several threads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from promptlab.errors import EngineError

Row = npt.NDArray[np.float32]
"""Logits or log-probabilities of each token, of length n_vocab."""

BLOCK = 256
LOWEST = np.finfo(np.float32).min
LEAST_HIGHEST, MOST_HIGHEST = -20.0, 60.0
"""Where the highest logit is between these, their exponentials can be added up as they are: the sum is finite, and what
is too small for a float32 is too small to change it."""

_memory = threading.local()


class Peaks:
    """A row of logits, and the largest of each block of them."""

    def __init__(self, logits: Row) -> None:
        """Raises EngineError when a logit is no number, or none is finite."""
        self.logits = logits
        whole = len(logits) // BLOCK * BLOCK
        # What is left over is a block too.
        rest = [logits[whole:].max()] if whole < len(logits) else []
        self._tops = np.append(logits[:whole].reshape(-1, BLOCK).max(axis=1), rest).astype(np.float32, copy=False)
        self.highest = self._tops.max()
        if not np.isfinite(self.highest):
            raise EngineError("the model computes no probabilities: its logits are not finite numbers")

    def log_total(self) -> np.float32:
        """log(sum(exp(logits))): what to subtract from a logit for its log-probability."""
        room = _room(len(self.logits))
        if LEAST_HIGHEST <= self.highest <= MOST_HIGHEST:
            np.exp(self.logits, out=room)
            return np.float32(np.log(room.sum(dtype=np.float32)))
        np.subtract(self.logits, self.highest, out=room)
        np.exp(room, out=room)
        return np.float32(self.highest + np.log(room.sum(dtype=np.float32)))

    def most_likely(self, count: int) -> npt.NDArray[np.intp]:
        """The `count` most likely tokens, the first one first; of equal ones the lower id. Impossible ones are left
        out."""
        if count <= 0:
            return np.empty(0, np.intp)
        if count == 1:
            block = int(self._tops.argmax())
            return np.array([block * BLOCK + int(self.logits[block * BLOCK : (block + 1) * BLOCK].argmax())], np.intp)
        few = self._reaching(self._threshold(count))
        return few[np.argsort(-self.logits[few], kind="stable")[:count]]

    def _threshold(self, count: int) -> np.float32:
        """A value that at least `count` logits reach, if so many are possible, and not many more."""
        blocks = len(self._tops)
        return LOWEST if blocks < count else max(np.partition(self._tops, blocks - count)[blocks - count], LOWEST)

    def _reaching(self, value: np.float32) -> npt.NDArray[np.intp]:
        """The tokens whose logits are so high, by their ids."""
        if value == LOWEST:
            return np.flatnonzero(self.logits >= value)
        blocks = np.flatnonzero(self._tops >= value)
        ids = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
        ids = ids[ids < len(self.logits)]
        found: npt.NDArray[np.intp] = ids[self.logits[ids] >= value]
        return found


def _room(count: int) -> Row:
    """Memory of this thread's own: fresh memory of this size is mapped anew by the system each time."""
    room: Row | None = getattr(_memory, "room", None)
    if room is None or len(room) != count:
        room = _memory.room = np.empty(count, np.float32)
    return room


def penalized(logits: Row, recent: Sequence[int], penalty: float) -> Row:
    """A copy in which recent tokens are less likely, as llama.cpp's sampler `penalties` does it."""
    tokens = np.unique(np.asarray(recent, np.intp))
    factor = np.float32(penalty)
    changed = logits.copy()
    values = changed[tokens]
    changed[tokens] = np.where(values <= 0, values * factor, values / factor)
    return changed


def masked(logits: Row, allowed: bytes) -> Row:
    """A copy in which all tokens are impossible whose bit, the lowest first, is not set."""
    bits = np.unpackbits(np.frombuffer(allowed, np.uint8), count=len(logits), bitorder="little")
    return np.where(bits, logits, np.float32(-np.inf))


def exact(value: np.float32) -> float:
    """A float whose text is the shortest that is still this float32."""
    return float(str(max(value, LOWEST)))  # of a token that is impossible it is minus infinity, which JSON cannot say
