"""Exact: an answer of a real model does not depend on what is beside it, however it was laid out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from promptlab.core.chat import Segment
from promptlab.core.events import Answered, Failed, Measured, Ready, Score, Started, Token, Usage
from promptlab.core.job import Mode
from promptlab.core.options import Options
from promptlab.engine.backend import Measurement, Question
from promptlab.engine.pool import Pool
from promptlab.files.models import present, read_models
from promptlab.files.paths import shipped_library
from tests.engine.test_llama import GEMMA, SMOL, WAIT_S

pytestmark = pytest.mark.model

WORDS = (
    "river",
    "runs",
    "past",
    "old",
    "stone",
    "houses",
    "while",
    "children",
    "count",
    "seven",
    "blue",
    "boats",
    "and",
)
LENGTHS = (8, 60, 480, 240)
"""Words of prompts: across the sizes at which the cache grows, and beyond Gemma's sliding window of 512 tokens."""


def words(seed: int, count: int) -> str:
    return " ".join(random.Random(seed).choice(WORDS) for _ in range(count))


def questions(model: str) -> Iterator[Question]:
    start = words(99, 70)
    for case, count in enumerate(LENGTHS):
        text = (f"{start} " if case % 2 else "") + words(case, count)
        for sample in range(2):
            options = Options(
                max_tokens=(12, 6)[sample], temperature=(0.8, 0)[sample], repeat_penalty=(1.0, 1.1)[case % 2]
            )
            seq = 2 * case + sample + 1
            yield Question(model, seq, (Segment(text, control=False),), options, seq, 2, None, sample == 0)


def answers(pool: Pool, asked: list[Question]) -> tuple[dict[int, list[Token]], dict[int, Answered]]:
    for question in asked:
        pool.ask(question)
    tokens: dict[int, list[Token]] = {}
    ended: dict[int, Answered] = {}
    while len(ended) < len(asked):
        event = pool.next_event(WAIT_S)
        assert event is not None
        assert not isinstance(event, Failed), event
        if isinstance(event, Token):
            tokens.setdefault(event.seq, []).append(event)
        if isinstance(event, Answered):
            ended[event.seq] = event
        assert isinstance(event, Started | Token | Answered)
    return tokens, ended


def pool_with(name: str, mode: Mode = "exact", **layout: int) -> Pool:
    model = replace(read_models(shipped_library() / "models.yaml")[name], layout=layout, mode=mode)
    path = present(model)
    assert path is not None
    pool = Pool()
    pool.load(model, path)
    while not isinstance(pool.next_event(WAIT_S), Ready):
        pass
    return pool


def used_of(ended: dict[int, Answered], case: int) -> list[Usage]:
    return [ended[2 * case + sample + 1].usage for sample in range(2)]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", [SMOL, GEMMA])
def test_many_at_once_are_token_for_token_what_each_is_alone(name: str, wide: bool) -> None:
    asked = list(questions(name))
    pool = pool_with(name, wide=wide)
    try:
        together, first = answers(pool, asked)
        again, reused = answers(pool, [replace(q, seq=q.seq + 100) for q in reversed(asked)])
    finally:
        pool.close()
    pool = pool_with(name, wide=wide)
    try:
        # Longest prompts last: another order, another context, other things on the shelf.
        alone = {q.seq: answers(pool, [q])[0][q.seq] for q in sorted(asked, key=lambda q: len(q.segments[0].text))}
    finally:
        pool.close()
    for question in asked:
        wanted = [(t.id, t.logprob, t.top) for t in alone[question.seq]]
        assert [(t.id, t.logprob, t.top) for t in together[question.seq]] == wanted, question.seq
        assert [(t.id, t.logprob, t.top) for t in again[question.seq + 100]] == wanted, question.seq
    assert sum(end.usage.cached_tokens for end in reused.values()) > 0
    for case in range(len(LENGTHS)):  # the second sample computes nothing of its prompt, however long that is
        cached, count = zip(*((u.cached_tokens, u.prompt_tokens) for u in used_of(first, case)), strict=True)
        assert max(cached) == max(count)


@pytest.mark.parametrize("name", [SMOL, GEMMA])
def test_how_much_of_a_prompt_goes_into_a_call_changes_nothing(name: str) -> None:
    asked = list(questions(name))
    found = []
    for chunk in (16, 512):
        pool = pool_with(name, chunk=chunk, slots=4)
        try:
            tokens, _ = answers(pool, asked)
        finally:
            pool.close()
        found.append({seq: [(t.id, t.logprob, t.top) for t in each] for seq, each in tokens.items()})
    assert found[0] == found[1]
    assert len(found[0]) == len(asked)


@pytest.mark.parametrize("name", [SMOL, GEMMA])
@pytest.mark.parametrize("flash", [False, True])
def test_in_the_mode_fast_a_unified_cache_gives_each_answer_its_own_prompt(name: str, flash: bool) -> None:
    """Not what it would be alone to the last bit; but as likely, to the same model when it reads nothing else."""
    asked = list(questions(name))
    pool = pool_with(name, mode="fast", kv_unified=True, flash_attention=flash)
    try:
        found, first = answers(pool, asked)
        again, reused = answers(pool, [replace(q, seq=q.seq + 100) for q in reversed(asked)])
    finally:
        pool.close()
    assert all(end.usage.cached_tokens == end.usage.prompt_tokens for end in reused.values())
    assert {u.cached_tokens == u.prompt_tokens for u in used_of(first, 2)} == {False, True}
    pool, compared = pool_with(name), 0
    try:
        for question in asked:
            plain = question.options.repeat_penalty == 1
            for said in (found[question.seq], again[question.seq + 100]) if plain else ():
                score = read(pool, question, "".join(token.text for token in said))
                if score.ids == tuple(token.id for token in said):  # a text may be cut into other tokens
                    assert [token.logprob for token in said] == pytest.approx(score.logprobs, abs=0.5)
                    compared += len(said)
    finally:
        pool.close()
    assert compared > 20


def read(pool: Pool, question: Question, text: str) -> Score:
    pool.measure(Measurement(question.model, question.seq + 200, question.segments, (text,)))
    event = pool.next_event(WAIT_S)
    assert isinstance(event, Measured)
    return event.scores[0]
