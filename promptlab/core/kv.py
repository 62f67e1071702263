"""How the KV cache stores its numbers: `kv_type` of models.yaml, and what that comes to."""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.core.job import Model

USUAL = "f16"
BLOCK = 32
BLOCK_BYTES = {"f16": 64, "bf16": 64, "q8_0": 34, "q5_1": 24, "q5_0": 22, "q4_1": 20, "q4_0": 18}
"""Bytes of so many numbers, by llama.cpp's names of the types."""


@dataclass(frozen=True, slots=True)
class KvTypes:
    """How keys and values are stored."""

    keys: str = USUAL
    values: str = USUAL

    def bytes(self, keys: int, values: int) -> int:
        """What so many numbers of keys and of values take."""
        return sum(-(-count * BLOCK_BYTES[kind] // BLOCK) for count, kind in ((keys, self.keys), (values, self.values)))


def is_quantised(kv_type: str | None) -> bool:
    """Whether it takes fewer than 16 bits for a number."""
    return BLOCK_BYTES[kv_type or USUAL] < BLOCK_BYTES[USUAL]


def kv_types(kv_type: str | None, *, flash_attention: bool) -> KvTypes:
    """How it is stored. llama.cpp has quantised values with flash attention only; without it, keys alone are."""
    keys = kv_type or USUAL
    return KvTypes(keys, USUAL if is_quantised(keys) and not flash_attention else keys)


def planned_kv_types(model: Model) -> KvTypes:
    """How a model's cache will be stored. In the mode `exact` there is no flash attention (`engine/tuning.py`)."""
    flash_attention = model.mode != "exact" and model.layout.get("flash_attention") is not False
    return kv_types(model.kv_type, flash_attention=flash_attention)
