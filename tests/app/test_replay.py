"""Records asked again, with the fake engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from promptlab.app import replay as replaying
from promptlab.app.lab import Lab
from promptlab.app.replay import named, newest, replay
from promptlab.app.run import Request, prepare, records
from promptlab.core.constraint import Constraint
from promptlab.core.events import Answered, EngineEvent, Failure, Ready, Token
from promptlab.core.job import Model
from promptlab.core.program import Message
from promptlab.core.record import Record
from promptlab.core.replay import FAST, Replayed
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine, echo
from promptlab.errors import NotFound
from promptlab.files.models import present
from promptlab.files.paths import model_file

LATER = "{% if True %}Something else.{% endif %}"


def ran(lab: Lab, prompt: str = "explain", models: tuple[str, ...] = ("alpha",), **changes: Any) -> list[Record]:
    inputs = {"explain": {"topic": "rain"}, "verdict": {"claim": "rain is wet"}}.get(prompt, {})
    return records(prepare(lab, replace(Request((prompt,), models, inputs), **changes)))


def again(lab: Lab, *made: Record) -> list[Replayed]:
    found = {each.id: each for each in replay(lab, [r.id for r in made])}
    return [found[r.id] for r in made]


def only(lab: Lab, record: Record) -> Replayed:
    (found,) = again(lab, record)
    return found


def kept(lab: Lab, record: Record, **changes: Any) -> Record:
    """Another record in the history, like this one but for some changes."""
    changed = replace(record, id=str(ULID()), **changes)
    lab.store.append(changed)
    return changed


def changed_step(record: Record, index: int = 0, **changes: Any) -> dict[str, Any]:
    steps = list(record.steps)
    steps[index] = replace(steps[index], **changes)
    return {"steps": tuple(steps)}


@pytest.fixture
def constrained(library: Path) -> str:
    """A prompt that uses all that can differ between steps, and a partial and another prompt."""
    texts = {
        "_style.jinja": "Be {{ how }}.",
        "ask.jinja": (
            '---\ninputs: {what: string}\n---\n{% user %}Rate {{ what }}.{% enduser %}{% generate n regex="[1-5]" %}'
        ),
        "judge.jinja": (
            "---\noptions: {temperature: 0.25}\n---\n"
            '{% set how = "brief" %}{% system %}{% include "_style.jinja" %}{% endsystem %}'
            "{% for x in [1, 2] %}{% user %}Take {{ x }}.{% enduser %}"
            '{% generate pick choices=["yes", "no"], temperature=1, stop="!" %}{% endfor %}'
            '{% call_prompt rated = "ask" what="it" %}{% return {"all": pick_all, "rated": rated} %}'
        ),
    }
    for name, text in texts.items():
        (library / "prompts" / name).write_text(text)
    return "judge"


def test_the_same_engine_says_the_same(lab: Lab) -> None:
    made = [*ran(lab, models=("alpha", "beta"), samples=3), *ran(lab, "verdict")]
    found = again(lab, *made)
    assert [(f.verdict, f.why, f.step, f.token) for f in found] == [("identical", (), None, None)] * 7
    assert [(f.id, f.prompt, f.model) for f in found] == [(r.id, r.prompt.name, r.model.name) for r in made]


def test_a_replay_asks_what_was_asked(lab: Lab, engine: FakeEngine, constrained: str) -> None:
    (record,) = ran(lab, constrained, options={"max_tokens": 9})
    asked = list(engine.questions)
    engine.questions.clear()
    assert only(lab, record).verdict == "identical"
    assert len(asked) == 3
    for old, new in zip(asked, engine.questions, strict=True):
        assert replace(new, seq=old.seq, top=old.top, interactive=old.interactive) == old
        assert new.top >= 2
        assert not new.interactive


def test_as_many_alternatives_are_asked_for_as_were_recorded(lab: Lab, engine: FakeEngine) -> None:
    (record,) = ran(lab)
    drawn = record.steps[0].tokens[0]
    wide = replace(drawn, top=drawn.top * 5)
    engine.questions.clear()
    again(lab, kept(lab, record, **changed_step(record, tokens=(wide, *record.steps[0].tokens[1:]))))
    assert engine.questions[0].top == 5


def test_the_working_copy_and_models_yaml_do_not_matter(lab: Lab, constrained: str) -> None:
    made = [*ran(lab, constrained), *ran(lab, models=("beta",), options={"max_tokens": 5})]
    for path in (lab.root / "prompts").glob("*.jinja"):
        path.write_text(LATER)
    text = (lab.root / "models.yaml").read_text()
    (lab.root / "models.yaml").write_text(text.replace("chat_template: plain", "options: {temperature: 0}"))
    assert [f.verdict for f in again(lab, *made)] == ["identical", "identical"]
    (lab.root / "models.yaml").unlink()
    assert [f.verdict for f in again(lab, *made)] == ["identical", "identical"]


def test_a_prompty_file_is_replayed(lab: Lab) -> None:
    (lab.root / "prompts" / "hi.prompty").write_text("---\nname: hi\n---\nsystem:\nBe brief.\n\nuser:\nSay hi.\n")
    (record,) = ran(lab, "hi")
    assert [m.role for m in record.steps[0].messages] == ["system", "user"]
    assert only(lab, record).verdict == "identical"


def test_nothing_is_written_to_the_history(lab: Lab) -> None:
    (record,) = ran(lab)
    before = lab.store.recent(100)
    only(lab, record)
    assert lab.store.recent(100) == before


# --- same text, and other answers


def test_an_answer_that_differs_is_shown_from_where_it_does(lab: Lab, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "Rain is wet."
    (record,) = ran(lab)
    engine.answer = lambda question, prompt: "Rain is dry now."
    found = only(lab, record)
    assert (found.verdict, found.step, found.token) == ("differs", 0, 2)
    assert found.why == ("step 1 (output): differs at token 2",)
    assert found.recorded is not None
    assert found.replayed is not None
    assert (found.recorded.text, found.replayed.text) == (" wet.", " dry now.")
    assert found.recorded.id == record.steps[0].tokens[2].id
    assert (found.recorded.recorded, found.replayed.replayed) == (-0.5, -0.5)


def test_a_later_step_is_asked_with_the_recorded_answer(lab: Lab, engine: FakeEngine) -> None:
    (record,) = ran(lab, "verdict")
    engine.answer = lambda q, prompt: "Maybe." if prompt.count("<|im_start|>user") == 1 else echo(q, prompt)
    found = only(lab, record)
    assert (found.verdict, found.step) == ("differs", 0)
    assert found.why == ("step 1 (verdict): differs at token 0",)  # and step 2 does not


def test_the_same_text_with_other_numbers(lab: Lab) -> None:
    (record,) = ran(lab)
    first, *rest = record.steps[0].tokens
    other = kept(lab, record, **changed_step(record, tokens=(replace(first, logprob=-0.25), *rest)))
    found = only(lab, other)
    assert (found.verdict, found.step, found.token) == ("same-text", 0, 0)
    assert found.recorded is not None
    assert (found.recorded.recorded, found.recorded.replayed) == (-0.25, -0.5)


def test_a_file_that_is_not_what_its_hash_says_explains_a_difference(lab: Lab, engine: FakeEngine) -> None:
    (record,) = ran(lab)
    path = present(lab.models["alpha"])
    assert path is not None
    path.write_bytes(path.read_bytes() + b"!")
    assert only(lab, record).verdict == "identical"  # it says the same all the same
    engine.answer = lambda question, prompt: "Other."
    found = only(lab, record)
    assert (found.verdict, "is not what its hash says" in found.why[0]) == ("incomparable", True)


class Fast(FakeEngine):
    """Says that it runs in the mode that it was asked for."""

    def load(self, model: Model, path: Path) -> None:
        super().load(model, path)
        ready = self._events.pop()
        assert isinstance(ready, Ready)
        self._events.append(replace(ready, engine=replace(ready.engine, mode=model.mode, threads=model.threads or 1)))


def test_the_cache_and_the_processor_are_as_they_were(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = ran(lab)
    assert record.engine is not None
    layout = {**record.engine.layout, "kv_type": "q8_0", "kv_values": "f16", "gpu_layers": -1}
    other = kept(lab, record, engine=replace(record.engine, layout=layout))
    seen: list[Model] = []
    load = lab.backend.load

    def watched(model: Model, path: Path) -> None:
        seen.append(model)
        load(model, path)

    monkeypatch.setattr(lab.backend, "load", watched)
    again(lab, record, other)
    assert [(model.kv_type, model.gpu_layers) for model in seen] == [(None, 0), ("q8_0", -1)]


def test_in_the_mode_fast_a_difference_is_no_surprise(library: Path) -> None:
    engine = Fast()
    lab = Lab(library, lambda: engine)
    try:
        (record,) = ran(lab)
        assert record.engine is not None
        fast = kept(lab, record, engine=replace(record.engine, mode="fast"))
        assert [f.verdict for f in again(lab, record, fast)] == ["identical", "identical"]
        engine.answer = lambda question, prompt: "Other."
        exact, other = again(lab, record, fast)
        assert (exact.verdict, FAST in exact.why) == ("differs", False)
        assert (other.verdict, FAST in other.why) == ("differs", True)
    finally:
        lab.close()


# --- what cannot be compared


def engine_of(record: Record, **changes: Any) -> dict[str, Any]:
    assert record.engine is not None
    return {"engine": replace(record.engine, **changes)}


OBSTACLES: tuple[tuple[Callable[[Record], dict[str, Any]], str], ...] = (
    (lambda r: engine_of(r, llama_cpp="older"), "llama.cpp: older then, fake now"),
    (lambda r: engine_of(r, threads=2), "threads: 2 then, 1 now"),
    (lambda r: {"model": replace(r.model, template_hash="0" * 64)}, "the chat template is not"),
    (lambda r: {"engine": None}, "the record does not say which engine answered"),
    (lambda r: {"model": replace(r.model, sha256=None)}, "the record does not say which weights answered"),
    (lambda r: {"model": replace(r.model, sha256="0" * 64)}, "models.yaml names another file for it now"),
    (lambda r: changed_step(r, prompt_ids=(1, 2)), "step 1 (output) is read as other tokens"),
    (lambda r: changed_step(r, messages=(Message("user", "Hm?"),)), "the program says other messages before step 1"),
    (lambda r: {"prompt": replace(r.prompt, source="{{ 1 / 0 }}")}, "the prompt cannot be run again: explain.jinja"),
    (lambda r: {"prompt": replace(r.prompt, source="---\na: b\n---\n")}, "the prompt cannot be read again: explain"),
    (lambda r: {"prompt": replace(r.prompt, source="{% generate output %}")}, "the prompt cannot be run again: expl"),
    (lambda r: changed_step(r, constraint=Constraint("regex", ".*")), "the program holds step 1 (output) to somet"),
    (lambda r: changed_step(r, options={**r.options, "top_k": 1}), "other options of step 1 (output): top_k"),
    (lambda r: changed_step(r, options={"heat": 1}), "other options of step 1 (output): heat"),
    (lambda r: {"output": "Other."}, "the program makes another output out of the same answers"),
)
"""What is not as it was, and what is said of it."""


def test_each_reason_is_named(lab: Lab) -> None:
    (record,) = ran(lab)
    changed = [kept(lab, record, **change(record)) for change, _ in OBSTACLES]
    *found, whole = again(lab, *changed, record)
    assert whole.verdict == "identical"
    for each, (_, reason) in zip(found, OBSTACLES, strict=True):
        assert (each.verdict, each.step, each.token, each.recorded) == ("incomparable", None, None, None)
        assert reason in each.why[0]


def test_all_reasons_that_are_known_without_the_model_are_named_and_it_is_not_loaded(
    lab: Lab, engine: FakeEngine
) -> None:
    (record,) = ran(lab)
    model_file(record.model.sha256 or "").unlink()
    engine.loaded.clear()
    found = only(lab, kept(lab, record, output="Other."))
    assert len(found.why) == 2
    assert "`promptlab models pull alpha`" in found.why[0]
    assert engine.loaded == []


def test_a_file_that_is_no_model_is_told(lab: Lab, engine: FakeEngine) -> None:
    made = ran(lab, samples=2)
    model_file(made[0].model.sha256 or "").write_bytes(b"<html>not a model</html>")
    assert all("it is a web page" in f.why[0] for f in again(lab, *made))


def test_a_model_that_cannot_be_loaded_takes_no_others_down(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ran(lab, models=("alpha", "beta"))
    loaded = engine.load

    def load(model: Model, path: Path) -> None:
        if model.name == "alpha":
            engine.kill("alpha", Failure("EngineError", "alpha: no memory", stderr=("a line", "malloc failed")))
        else:
            loaded(model, path)

    monkeypatch.setattr(engine, "load", load)
    alpha, beta = again(lab, *made)
    assert alpha.why == ("the model cannot be asked: alpha: no memory: malloc failed",)
    assert (alpha.verdict, beta.verdict) == ("incomparable", "identical")


def test_a_model_that_dies_takes_only_its_own_records_down(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "IN_FLIGHT", 2)
    made = ran(lab, models=("alpha", "beta"), samples=6)
    said = engine.next_event

    def next_event(timeout: float) -> EngineEvent | None:
        event = said(timeout)
        if isinstance(event, Token):
            engine.kill("alpha", Failure("WorkerDied", "alpha: killed"))
            monkeypatch.setattr(engine, "next_event", said)
        return event

    monkeypatch.setattr(engine, "next_event", next_event)
    engine.questions.clear()
    found = again(lab, *made)
    killed = ("step 1 (output) was not answered: alpha: killed",)
    assert [f.why for f in found[:2]] == [killed, killed]
    assert [f.why for f in found[4:6]] == [("the model cannot be asked: alpha: killed",)] * 2
    assert sum(q.model == "alpha" for q in engine.questions) == 4  # once it is known to be dead, it is asked no more
    assert [f.verdict for f in found[6:]] == ["identical"] * 6


def test_a_step_that_fails_is_told(lab: Lab, engine: FakeEngine) -> None:
    (record,) = ran(lab)

    def answer(question: Question, prompt: str) -> str:
        raise ValueError("no answer from me")

    engine.answer = answer
    found = only(lab, record)
    assert (found.verdict, found.why) == (
        "incomparable",
        ("step 1 (output) was not answered: no answer from me",),
    )


# --- records that did not end well


def cancelled(lab: Lab, after: int) -> Record:
    """A record that was cancelled at its `after`-th token."""
    run = prepare(lab, Request(("verdict",), ("alpha",), {"claim": "rain is wet"}))
    seen = 0
    for event in run.events():
        seen += isinstance(event, Token)
        if seen == after:
            run.cancel()
    return run.board.records[0]


def test_a_step_that_was_cut_off_is_left_out(lab: Lab, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "one two three"
    record = cancelled(lab, after=4)
    assert [s.finish_reason for s in record.steps] == ["stop", "cancelled"]
    found = only(lab, record)
    assert (found.verdict, found.why) == ("identical", ("step 2 (reason) was cut off and is left out",))


def test_a_record_without_any_finished_answer_is_not_asked(lab: Lab, engine: FakeEngine) -> None:
    early = cancelled(lab, after=1)
    engine.chat_template = None
    (failed,) = ran(lab)
    engine.questions.clear()
    found = again(lab, early, failed)
    assert [f.verdict for f in found] == ["incomparable", "incomparable"]
    assert found[0].why == ("it was cancelled before any answer was finished",)
    assert (
        found[1].why[0].startswith("it failed before any answer was finished: alpha: its file holds no chat template")
    )
    assert engine.questions == []


def test_a_program_that_failed_after_an_answer_is_compared(lab: Lab) -> None:
    text = "{% user %}a{% enduser %}{% generate one %}{% user %}{{ 1 / 0 }}{% enduser %}{% generate two %}"
    (lab.root / "prompts" / "late.jinja").write_text(text)
    (record,) = ran(lab, "late")
    assert record.error is not None
    assert only(lab, record).verdict == "identical"


def test_a_program_that_asks_nothing_needs_no_model(lab: Lab, engine: FakeEngine) -> None:
    (lab.root / "prompts" / "silent.jinja").write_text('{% return "nothing" %}')
    (record,) = ran(lab, "silent")
    engine.loaded.clear()
    found = only(lab, record)
    assert (found.verdict, found.why) == ("identical", ("it asks nothing of a model",))
    assert engine.loaded == []


# --- many


def test_each_model_is_loaded_once_as_it_was_and_let_go(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [*ran(lab, models=("alpha", "beta")), *ran(lab, models=("beta", "alpha"))]
    assert made[0].engine is not None
    small = kept(lab, made[0], engine=replace(made[0].engine, context=2048))
    seen: list[Model] = []
    loaded = engine.load

    def load(model: Model, path: Path) -> None:
        seen.append(model)
        loaded(model, path)

    monkeypatch.setattr(engine, "load", load)
    engine.released.clear()
    assert {f.verdict for f in again(lab, *made, small)} == {"identical"}
    assert [(m.name, m.context, m.threads, m.mode, m.chat_template) for m in seen] == [
        ("alpha", 4096, None, "exact", None),
        ("beta", 4096, None, "exact", "plain"),
        ("alpha", 2048, None, "exact", None),
    ]
    assert engine.released == ["alpha", "beta", "alpha"]
    # As many threads as are the usual are not asked for by number: that would keep others from using the model too.
    assert [f.verdict for f in again(lab, kept(lab, made[0], engine=replace(made[0].engine, threads=2)))] == [
        "incomparable"
    ]
    assert seen[-1].threads == 2


def test_many_are_asked_at_once_but_not_more_than_that(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ran(lab, "verdict", samples=10)
    monkeypatch.setattr(replaying, "IN_FLIGHT", 6)
    open_: list[int] = []
    answers = 0
    said = engine.next_event
    engine.questions.clear()

    def next_event(timeout: float) -> EngineEvent | None:
        nonlocal answers
        open_.append(len(engine.questions) - answers)
        event = said(timeout)
        answers += isinstance(event, Answered)
        return event

    monkeypatch.setattr(engine, "next_event", next_event)
    assert {f.verdict for f in again(lab, *made)} == {"identical"}
    assert (max(open_), answers) == (6, 20)


def test_a_replay_that_is_left_ends_what_it_began(lab: Lab, engine: FakeEngine) -> None:
    made = ran(lab, samples=4)
    verdicts = replay(lab, [r.id for r in made])
    engine.released.clear()
    assert next(verdicts).verdict == "identical"
    assert isinstance(verdicts, Iterator)
    verdicts.close()  # type: ignore[attr-defined]
    assert engine.released == ["alpha"]
    assert again(lab, *made[:1])[0].verdict == "identical"


def test_a_record_that_cannot_be_read_is_told(lab: Lab) -> None:
    made = ran(lab, samples=2)
    lab.store._ask("UPDATE records SET json = '{}' WHERE id = ?", made[0].id)
    broken, whole = again(lab, *made)
    assert (broken.verdict, "cannot be read" in broken.why[0]) == ("incomparable", True)
    assert whole.verdict == "identical"


def test_records_are_found_by_how_their_ids_begin(lab: Lab) -> None:
    made = ran(lab, samples=3)
    ids = [r.id for r in made]
    assert named(lab, [ids[1].lower(), ids[0], ids[1]]) == [ids[1], ids[0]]
    assert newest(lab) == ids[::-1]
    assert newest(lab, 2) == [ids[2], ids[1]]
    with pytest.raises(NotFound, match="several records"):
        named(lab, [ids[0][:5]])
