from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.app.bench import READ, SEEDS, SHARED, Resident, Stage, Terms, bench, choose
from promptlab.app.lab import Lab
from promptlab.core.bench import Benched, Decode, Memory, Rate
from promptlab.core.events import Answered, EngineEvent, Failed, Failure, Ready
from promptlab.core.job import Model
from promptlab.engine.backend import Backend, Question
from promptlab.engine.fake import FakeEngine, echo
from promptlab.engine.memory import Taken
from promptlab.engine.pool import Pool
from promptlab.errors import ModelMissing, NotFound
from promptlab.files.models import present
from tests.engine.test_pool import SCRIPT, events, load

SMALL = Terms(sizes=(1, 3), tokens=20, rounds=2)


def ticking(*seconds: float) -> Callable[[], float]:
    """A clock that goes on by these at each look, round and round."""
    return itertools.accumulate(itertools.cycle(seconds)).__next__


def measured(
    lab: Lab, *names: str, terms: Terms = SMALL, now: Callable[[], float] | None = None, seen: list[Stage] | None = None
) -> list[Benched]:
    told: list[Stage] = [] if seen is None else seen
    return list(bench(lab, choose(lab, names, None), terms, told.append, now or ticking(0.5)))


def remove(lab: Lab, *names: str) -> None:
    for name in names:
        path = present(lab.models[name])
        assert path is not None
        path.unlink()


def words(question: Question) -> list[str]:
    (segment,) = question.segments
    assert not segment.control
    return segment.text.split()


def test_a_model_is_measured(lab: Lab) -> None:
    alpha, beta = measured(lab, "alpha", "beta")
    assert (alpha.model, beta.model) == ("alpha", "beta")
    assert alpha.engine is not None
    assert (alpha.engine.llama_cpp, alpha.load_s, alpha.error) == ("fake", 0.0, None)
    # A token each half a second, whoever draws it.
    assert alpha.decode == (Decode(1, 2.0, 2.0, 2.0), Decode(3, 2.0, 2.0, 2.0))
    assert alpha.prefill == Rate(READ / 0.01, READ / 0.01, READ / 0.01)  # the fake reads everything in 10 ms
    assert alpha.memory == Memory(None, None)  # and holds nothing


def test_rounds_come_to_a_median(lab: Lab) -> None:
    looks = 1 + 20  # of each round: reading a prompt draws a token too
    clock = ticking(*[0.5] * looks, *[2.0] * looks, *[1.0] * looks)
    (one,) = measured(lab, "alpha", terms=Terms(sizes=(1,), tokens=20, rounds=3), now=clock)
    assert one.decode == (Decode(1, 1.0, 0.5, 2.0),)


def test_what_is_asked(lab: Lab, engine: FakeEngine) -> None:
    measured(lab, "alpha")
    reads = [q for q in engine.questions if q.options.max_tokens == 1]
    draws = [q for q in engine.questions if q.options.max_tokens == 20]
    assert (len(reads), len(draws)) == (2, 2 * (1 + 3))
    assert not any(q.interactive for q in engine.questions)
    # Prompts that are read begin each otherwise, those that are answered are the same.
    assert {len(words(q)) for q in reads} == {READ}
    assert len({words(q)[0] for q in [*reads, draws[0]]}) == 3
    assert len({q.segments for q in draws}) == 1
    assert len(words(draws[0])) == SHARED
    assert {q.options.temperature for q in draws} == {0.8}
    assert len({q.seed for q in draws[1:4]}) == 3
    assert [q.seed for q in draws[:4]] == [q.seed for q in draws[4:]]


def test_every_round_measures_everything_once(lab: Lab, engine: FakeEngine) -> None:
    seen: list[Stage] = []
    measured(lab, "alpha", seen=seen)
    assert seen == [Stage("alpha", *at) for at in ((0, 0), (1, 0), (1, 1), (1, 3), (2, 0), (2, 1), (2, 3))]
    assert [len(list(same)) for _, same in itertools.groupby(q.options.max_tokens for q in engine.questions)] == [
        *(1, 1 + 3),
        *(1, 1 + 3),
    ]


def test_tokens_that_were_not_computed_do_not_count(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = engine.next_event

    def reused(timeout: float) -> EngineEvent | None:
        event = events(timeout)
        return replace(event, usage=replace(event.usage, cached_tokens=10)) if isinstance(event, Answered) else event

    monkeypatch.setattr(engine, "next_event", reused)
    (one,) = measured(lab, "alpha")
    assert one.prefill.tokens_per_s == (READ - 10) / 0.01


def test_where_an_answer_ends_early_other_seeds_are_tried(lab: Lab, engine: FakeEngine) -> None:
    short: list[int] = []

    def answer(question: Question, prompt: str) -> str:
        if question.options.max_tokens > 1 and not short:
            short.append(question.seed)
        return "word " * (5 if question.seed in short else 40)

    engine.answer = answer
    (one,) = measured(lab, "alpha", terms=Terms(sizes=(2,), tokens=20, rounds=2))
    draws = [q.seed for q in engine.questions if q.options.max_tokens == 20]
    assert len(draws) == 2 + 2 + 2  # the second round knows which seeds will do
    assert len(set(draws[:4])) == 4
    assert draws[2:4] == draws[4:]
    assert one.decode == (Decode(2, 2.0, 2.0, 2.0),)


def test_where_answers_always_end_early_there_is_no_rate(lab: Lab, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "word " * 5
    (one,) = measured(lab, "alpha", terms=Terms(sizes=(1, 2), tokens=20, rounds=3))
    assert one.decode == (Decode(1, None, None, None), Decode(2, None, None, None))
    assert one.error is None
    draws = [q for q in engine.questions if q.options.max_tokens == 20]
    assert len(draws) == SEEDS * (1 + 2)
    assert len({q.seed for q in draws}) == SEEDS * 2  # the first of two has the seed of the only one


def test_a_small_context_is_not_overfilled(lab: Lab, engine: FakeEngine) -> None:
    models = [replace(model, context=50) for model in choose(lab, ["alpha"], None)]
    (one,) = bench(lab, models, SMALL, lambda at: None, ticking(0.5))
    assert {len(words(q)) for q in engine.questions if q.options.max_tokens == 1} == {49}
    assert {len(words(q)) for q in engine.questions if q.options.max_tokens == 20} == {25}
    assert one.decode[0].tokens_per_s == 2.0


def test_words_of_several_tokens_are_counted_as_such(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A token for each letter or blank, as if the vocabulary knew no longer ones.
    monkeypatch.setattr(
        engine, "tokenize", lambda model, segments: tuple(range(sum(len(each.text) for each in segments)))
    )
    measured(lab, "alpha")
    lengths = [len(q.segments[0].text) for q in engine.questions if q.options.max_tokens == 1]
    assert all(READ - 20 < length <= READ for length in lengths)


class Heavy(FakeEngine):
    """An engine that holds more, the more it was asked."""

    def resident(self, model: str) -> int | None:
        return 1000 + len(self.questions)


def test_memory_is_told_where_the_engine_can(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "_backend", Heavy())
    (one,) = measured(lab, "alpha")
    assert one.memory == Memory(1000, 1000 + 2 * (1 + 1 + 3))


def test_measuring_can_be_stopped(lab: Lab, engine: FakeEngine) -> None:
    stop = threading.Event()

    def tell(stage: Stage) -> None:
        if stage.size == 2:
            stop.set()

    found = list(bench(lab, choose(lab, ["alpha"], None), Terms((1, 2, 4)), tell, stop=stop))
    assert [each.error.type for each in found if each.error] == ["Interrupted"]
    assert engine.released == ["alpha"]
    assert 2 <= len(engine.questions) <= 4  # a prompt, an answer, and perhaps two of which nothing came


def test_the_pool_tells_what_a_worker_holds() -> None:
    class Counted:
        def available(self) -> int:
            return 1 << 40

        def taken(self, pid: int) -> Taken:
            return Taken(pid, 0)

    pool: Backend = Pool([sys.executable, SCRIPT, "answer"], memory=Counted())
    assert isinstance(pool, Resident)
    assert isinstance(pool, Pool)
    try:
        assert pool.resident("a") is None
        load(pool, "a")
        events(pool, lambda event: isinstance(event, Ready))
        assert pool.resident("a") == pool.pid("a")
    finally:
        pool.close()


def test_models_are_measured_in_the_mode_that_is_wanted(lab: Lab) -> None:
    assert {model.mode for model in choose(lab, [], None)} == {"exact"}
    assert {model.mode for model in choose(lab, ["alpha", "beta"], "fast")} == {"fast"}


def test_the_default_models_that_are_on_disk(lab: Lab, engine: FakeEngine) -> None:
    assert [model.name for model in choose(lab, [], None)] == ["alpha", "beta"]
    remove(lab, "alpha")
    assert [model.name for model in choose(lab, [], None)] == ["beta"]
    assert [model.name for model in choose(lab, ["all"], None)] == ["beta"]
    with pytest.raises(ModelMissing, match="model is not on disk: alpha"):
        choose(lab, ["alpha", "beta"], None)
    remove(lab, "beta")
    with pytest.raises(ModelMissing, match="models are not on disk: alpha beta"):
        choose(lab, [], None)
    with pytest.raises(NotFound, match="there is no model"):
        choose(lab, ["delta"], None)
    assert engine.loaded == []


def test_one_model_after_another(lab: Lab, engine: FakeEngine) -> None:
    for each in bench(lab, choose(lab, [], None), SMALL, lambda at: None, ticking(0.5)):
        assert engine.loaded[-1] == engine.released[-1] == each.model
    assert engine.loaded == engine.released == ["alpha", "beta"]


def test_nothing_is_kept(lab: Lab, library: Path) -> None:
    measured(lab, "alpha")
    assert not (library / ".promptlab").exists()


def test_an_answer_that_fails_is_a_value_and_the_others_go_on(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[int] = []
    monkeypatch.setattr(engine, "cancel", lambda model, seq: cancelled.append(seq))

    def answer(question: Question, prompt: str) -> str:
        if question.model == "alpha" and question is engine.questions[-1] and len(engine.questions) > 4:
            raise RuntimeError("no room")
        return echo(question, prompt)

    engine.answer = answer
    alpha, beta = measured(lab, "alpha", "beta")
    assert alpha.error == Failure("RuntimeError", "no room")
    assert alpha.decode == (Decode(1, 2.0, 2.0, 2.0), Decode(3, None, None, None))  # as far as it came
    assert (beta.error, beta.decode[1].tokens_per_s) == (None, 2.0)
    assert len(cancelled) == 2
    assert engine.released == ["alpha", "beta"]


def test_a_model_that_dies_is_a_value(lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ask", lambda question: engine.kill("alpha", Failure("WorkerDied", "died")))
    (one,) = measured(lab, "alpha")
    assert one.error == Failure("WorkerDied", "died")
    assert one.engine is not None
    assert one.prefill == Rate()


def test_a_file_that_is_no_model_is_a_value(lab: Lab, engine: FakeEngine) -> None:
    path = present(lab.models["alpha"])
    assert path is not None
    path.write_bytes(b"nothing")
    alpha, beta = measured(lab, "alpha", "beta")
    assert alpha.error is not None
    assert (alpha.engine, beta.error) == (None, None)
    assert engine.loaded == ["beta"]


def test_a_file_that_has_gone_is_a_value(lab: Lab) -> None:
    models: list[Model] = choose(lab, ["alpha"], None)
    remove(lab, "alpha")
    (one,) = bench(lab, models, SMALL, lambda at: None)
    assert one.error is not None
    assert "has gone" in one.error.message


def test_where_it_breaks_off_everything_is_let_go(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(question: Question, prompt: str) -> str:
        if len(engine.questions) == 1 + 1 + 3:
            raise KeyboardInterrupt
        return echo(question, prompt)

    cancelled: list[int] = []
    monkeypatch.setattr(engine, "cancel", lambda model, seq: cancelled.append(seq))
    engine.answer = answer
    with pytest.raises(KeyboardInterrupt):
        measured(lab, "alpha")
    assert engine.released == ["alpha"]
    assert cancelled == [question.seq for question in engine.questions[-3:]]


def others() -> Iterator[EngineEvent]:
    yield Failed("other", None, Failure("EngineError", "died"))
    yield Failed("alpha", 998, Failure("Cancelled", "cancelled"))


def test_events_of_others_mean_nothing(lab: Lab, engine: FakeEngine) -> None:
    engine._events += others()
    (one,) = measured(lab, "alpha")
    assert one.error is None
    assert one.decode[1].tokens_per_s == 2.0
