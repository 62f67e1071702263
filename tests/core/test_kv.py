"""How the KV cache stores its numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from promptlab.core.job import Model
from promptlab.core.kv import BLOCK_BYTES, KvTypes, kv_types, planned_kv_types
from promptlab.files.models import KvType

MODEL = Model("m", None)


def test_every_type_that_models_yaml_takes_has_its_size() -> None:
    assert set(get_args(KvType)) == set(BLOCK_BYTES)


@pytest.mark.parametrize(
    ("types", "bytes"),
    [
        (KvTypes(), 2 * 64 + 2 * 96),
        (KvTypes("bf16", "bf16"), 2 * 64 + 2 * 96),
        (KvTypes("q8_0", "f16"), 2 * 34 + 2 * 96),
        (KvTypes("q8_0", "q8_0"), 2 * 34 + 3 * 34),
        (KvTypes("q4_0", "q5_1"), 2 * 18 + 3 * 24),
    ],
)
def test_what_64_numbers_of_keys_and_96_of_values_take(types: KvTypes, bytes: int) -> None:
    assert types.bytes(64, 96) == bytes


def test_values_are_quantised_with_flash_attention_only() -> None:
    assert kv_types("q8_0", flash_attention=True) == KvTypes("q8_0", "q8_0")
    assert kv_types("q8_0", flash_attention=False) == KvTypes("q8_0", "f16")
    assert kv_types("bf16", flash_attention=False) == KvTypes("bf16", "bf16")
    assert kv_types(None, flash_attention=True) == KvTypes("f16", "f16")


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({}, "f16"),
        ({"mode": "fast"}, "q8_0"),
        ({"mode": "fast", "layout": {"flash_attention": True}}, "q8_0"),
        ({"mode": "fast", "layout": {"flash_attention": False}}, "f16"),
    ],
)
def test_what_a_model_will_have(changes: dict[str, Any], values: str) -> None:
    assert planned_kv_types(replace(MODEL, kv_type="q8_0", **changes)) == KvTypes("q8_0", values)
