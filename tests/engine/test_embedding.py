"""Vectors of texts: in their turn, and with a real model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.core.events import Embedded, EngineEvent, Failed, Ready
from promptlab.engine.backend import Measurement
from promptlab.engine.embedding import Embedding
from promptlab.engine.pool import Pool
from promptlab.errors import EngineError
from promptlab.files.models import present, read_models
from promptlab.files.paths import shipped_library


class Letters:
    """Says how many letters a text has."""

    def embed(self, text: str) -> tuple[tuple[float, ...], int]:
        if not text:
            raise EngineError("a text has 0 tokens")
        return (float(len(text)),), len(text)


def asked(seq: int, *texts: str) -> Measurement:
    return Measurement("alpha", seq, (), texts, embed=True)


def test_each_is_measured_in_its_turn_and_a_failure_is_its_own() -> None:
    work = Embedding(Letters(), "alpha")
    for measurement in (asked(1, "a", "bcd"), asked(2, "x", ""), asked(3, "yes"), asked(4, "no")):
        work.add(measurement)
    (cancelled,) = work.cancel(3)
    assert isinstance(cancelled, Failed)
    assert cancelled.failure.type == "Cancelled"
    assert list(work.cancel(3)) == []
    events: list[EngineEvent] = []
    while work.busy:
        events += work.advance()
    first, second, last = events
    assert isinstance(first, Embedded)
    assert (first.seq, first.vectors, first.usage.prompt_tokens) == (1, ((1.0,), (3.0,)), 4)
    assert isinstance(second, Failed)
    assert (second.seq, second.failure.message) == (2, "a text has 0 tokens")
    assert isinstance(last, Embedded)
    assert last.seq == 4


@pytest.mark.model
def test_a_real_model_finds_a_paraphrase_more_like_than_another_subject() -> None:
    model = read_models(shipped_library() / "models.yaml")["smollm2-135m"]
    path = present(model)
    assert path is not None
    texts = ("The cat sits on the mat.", "A cat is sitting on a rug.", "Stock prices fell today.", "<|im_start|>" * 9)
    pool = Pool()
    try:
        pool.load(replace(model, layout={"embedding": True}), path)
        while not isinstance(ready := next_event(pool), Ready):
            assert not isinstance(ready, Failed), ready
        assert ready.engine.layout["embedding"] is True
        for seq in (1, 2):
            pool.measure(Measurement(model.name, seq, (), texts, embed=True))
        pool.measure(Measurement(model.name, 3, (), ("x" * 60_000,), embed=True))
        pool.measure(Measurement(model.name, 4, (), ("a",)))
        found = {event.seq: event for event in (next_event(pool) for _ in range(4)) if hasattr(event, "seq")}
    finally:
        pool.close()
    first, again, long, scored = (found[seq] for seq in (1, 2, 3, 4))
    assert isinstance(first, Embedded)
    assert isinstance(again, Embedded)
    assert first.vectors == again.vectors
    cat, paraphrase, stocks, _ = first.vectors
    like = [sum(a * b for a, b in zip(cat, each, strict=True)) for each in (cat, paraphrase, stocks)]
    assert like[0] == pytest.approx(1)
    assert like[0] > like[1] > like[2] + 0.05
    assert isinstance(long, Failed)
    assert "tokens, and 4,096 fit" in long.failure.message
    assert isinstance(scored, Failed)
    assert "was loaded for vectors, and answers nothing" in scored.failure.message


def next_event(pool: Pool) -> EngineEvent:
    while (event := pool.next_event(60)) is None or type(event).__name__ == "Loading":
        assert event is not None, "the worker says nothing"
    return event
