"""A KV cache of another type: a real model's answers still do not depend on what is beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from promptlab.core.events import Engine, Failed, Ready, Token
from promptlab.core.job import Mode
from promptlab.engine.pool import Pool
from promptlab.files.models import present, read_models
from promptlab.files.paths import shipped_library
from tests.engine.test_exact import answers, questions
from tests.engine.test_llama import SMOL, WAIT_S

pytestmark = pytest.mark.model


@contextmanager
def loaded(kv_type: str | None, mode: Mode = "exact") -> Iterator[tuple[Pool, Engine]]:
    model = replace(read_models(shipped_library() / "models.yaml")[SMOL], kv_type=kv_type, mode=mode)
    path = present(model)
    assert path is not None
    pool = Pool()
    try:
        pool.load(model, path)
        while not isinstance(event := pool.next_event(WAIT_S), Ready):
            assert not isinstance(event, Failed), event
        yield pool, event.engine
    finally:
        pool.close()


def told(tokens: list[Token]) -> list[tuple[int, float]]:
    return [(token.id, token.logprob) for token in tokens]


def test_many_at_once_are_what_each_is_alone_with_quantised_keys() -> None:
    asked = [question for question in questions(SMOL) if question.seq < 5]  # without the longest prompts
    with loaded("q8_0") as (pool, engine):
        together, _ = answers(pool, asked)
    with loaded("q8_0") as (pool, _):
        alone = {question.seq: answers(pool, [question])[0][question.seq] for question in reversed(asked)}
    with loaded(None) as (pool, usual):
        others, _ = answers(pool, asked)
    assert {seq: told(tokens) for seq, tokens in together.items()} == {s: told(t) for s, t in alone.items()}
    assert {seq: told(tokens) for seq, tokens in together.items()} != {s: told(t) for s, t in others.items()}
    assert (engine.layout["kv_type"], engine.layout["kv_values"]) == ("q8_0", "f16")
    assert not {"kv_type", "kv_values", "gpu_layers"} & set(usual.layout)


@pytest.mark.parametrize("kv_type", ["bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"])
def test_each_type_answers_in_the_mode_fast(kv_type: str) -> None:
    question = next(questions(SMOL))
    with loaded(kv_type, "fast") as (pool, engine):
        tokens, _ = answers(pool, [question])
    assert tokens[question.seq]
    assert engine.layout["kv_type"] == kv_type
    assert engine.layout["flash_attention"] is (kv_type != "bf16")
    assert "kv_values" not in engine.layout
