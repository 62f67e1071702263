"""What a worker is expected to hold while it works on so many conversations: the figure that is nearest, not the safe
one of `core/plan.py`, by which a model is refused.

Measured by `benchmarks/memory.py`: with both default models, one and eight and 32 conversations, within a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.core.plan import MAX_SLOTS, Grant, Need

MIN_SLOTS = 4
"""The cache has room for so many conversations from the beginning, and for twice as many each time it grows."""
CELLS = 256
"""The length of a conversation in the cache is a multiple of this."""
CALL = 192
"""Tokens that are computed in one call, mostly."""
INTERPRETER = 72 * 10**6
"""What a worker holds before its model: Python, numpy, llama.cpp. Measured."""
WORD = 250
"""Bytes for each token of the vocabulary: its text, its place, its rank. Measured."""
ROWS = 2
"""Each conversation's logits, as 32-bit numbers: where they are computed, and where they are read."""
ACTIVATIONS = 8
"""Numbers of 32 bits for each token of a call and each of the model's width: what goes from layer to layer, about."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes that a worker is expected to hold."""

    sequences: int
    """Conversations of full length that it works on at once."""
    weights: int
    kv: int
    compute: int
    """What it computes with: scores of attention, activations, logits."""
    worker: int
    """The interpreter, the libraries and the vocabulary."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.kv + self.compute + self.worker


def estimate(need: Need, sequences: int, grant: Grant | None = None) -> Estimate:
    """What is expected; with a grant, the cache is no larger than that."""
    length = -(-need.context // CELLS) * CELLS
    kv = _slots(need, sequences, grant) * length * need.kv_per_token
    scores = (need.heads + 1) * length  # and the mask
    compute = 4 * (CALL * (scores + ACTIVATIONS * need.embedding) + sequences * ROWS * need.vocabulary)
    return Estimate(sequences, need.weights, kv, compute, INTERPRETER + WORD * need.vocabulary)


def at_once(need: Need, grant: Grant) -> int:
    """How many conversations of full length have room in what was granted."""
    return min(MAX_SLOTS, max(grant.kv // max(need.kv_least, 1) - need.stems, 1))


def _slots(need: Need, sequences: int, grant: Grant | None) -> int:
    """For how many the cache has room then."""
    most = MAX_SLOTS if grant is None else at_once(need, grant)
    wanted = min(sequences, most) + need.stems
    return min(max(1 << (wanted - 1).bit_length(), MIN_SLOTS), most + need.stems)
