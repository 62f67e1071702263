"""From logits to what is asked of them: probabilities, the most likely tokens, the candidates to draw from.

All is done in float32, one row at a time, so that a row's results do not depend on the rows beside it. Looking through
a vocabulary of 262,144 tokens is real work: a top-k is found by the largest value of each block, which leaves a few
hundred tokens to sort, and the memory for the exponentials is kept. NumPy lets go of the interpreter's lock meanwhile,
so rows can be looked at on several threads.
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

_memory = threading.local()


def log_total(logits: Row) -> np.float32:
    """log(sum(exp(logits))): what to subtract from a logit for its log-probability.

    Raises EngineError when the logits are no numbers.
    """
    highest = logits.max()
    if not np.isfinite(highest):
        raise EngineError("the model computes no probabilities: its logits are not finite numbers")
    room = _room(len(logits))
    np.subtract(logits, highest, out=room)
    np.exp(room, out=room)
    return np.float32(highest + np.log(room.sum(dtype=np.float32)))


def _room(count: int) -> Row:
    """Memory of this thread's own: fresh memory of this size is mapped anew by the system each time."""
    room: Row | None = getattr(_memory, "room", None)
    if room is None or len(room) != count:
        room = _memory.room = np.empty(count, np.float32)
    return room


def most_likely(logits: Row, count: int) -> npt.NDArray[np.intp]:
    """The `count` most likely tokens, the first one first; of equal ones the lower id. Impossible ones are left out."""
    if count <= 0:
        return np.empty(0, np.intp)
    if count == 1:
        best = logits.argmax()
        return np.array([best] if logits[best] > -np.inf else [], np.intp)
    few = np.flatnonzero(logits >= _threshold(logits, count))
    return few[np.argsort(-logits[few], kind="stable")[:count]]


def _threshold(logits: Row, count: int) -> np.float32:
    """A value that at least `count` logits reach, and not many more; above minus infinity."""
    blocks = len(logits) // BLOCK
    if blocks < count:
        return LOWEST
    highest = logits[: blocks * BLOCK].reshape(blocks, BLOCK).max(axis=1)
    return max(np.partition(highest, blocks - count)[blocks - count], LOWEST)


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
