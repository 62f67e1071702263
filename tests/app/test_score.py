from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from promptlab.app.lab import Lab
from promptlab.app.run import Request, Typed, prepare, records
from promptlab.app.score import Subject, as_answers, as_recorded, by_themselves, score
from promptlab.core.chat import Segment
from promptlab.core.events import EngineEvent, Failed, Failure, Measured, Ready, Usage
from promptlab.core.program import Message
from promptlab.engine.backend import Measurement
from promptlab.engine.fake import FakeEngine
from promptlab.errors import InputError, ModelMissing, NotFound, UsageError
from promptlab.files.models import present

CHOICE = """\
---
inputs: {claim: string}
---
{% user %}{{ claim }}?{% enduser %}
{% generate verdict choices=["yes", "no"] %}
"""


@pytest.fixture
def measured(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """What the engine was given to measure."""
    seen: list[Measurement] = []
    measure = engine.measure

    def note(measurement: Measurement) -> None:
        seen.append(measurement)
        measure(measurement)

    monkeypatch.setattr(engine, "measure", note)
    return seen


def read(measurement: Measurement) -> str:
    return "".join(segment.text for segment in measurement.segments)


def test_texts_stand_where_the_first_answer_begins(lab: Lab, measured: list[Measurement]) -> None:
    subject = as_answers(lab, "verdict", {"claim": Typed("ice is cold")}, ["yes", "no way"])
    found = score(lab, subject, ())
    assert [(each.model, each.text) for each in found] == [
        (model, text) for model in ("alpha", "beta") for text in ("yes", "no way")
    ]
    assert [each.logprob for each in found[:2]] == [-0.375, -0.75]
    assert [len(each.tokens) for each in found[:2]] == [1, 2]
    assert sum(each.probability or 0 for each in found[:2]) == pytest.approx(1)
    alpha, beta = measured
    assert read(alpha).endswith("no.<|im_end|>\n<|im_start|>assistant\n")
    assert read(beta) == "Is it true that ice is cold? Answer yes or no."  # its chat template is plain
    assert alpha.texts == ("yes", "no way")


def test_texts_by_themselves_stand_after_the_token_that_begins_a_text(lab: Lab, measured: list[Measurement]) -> None:
    found = score(lab, by_themselves(["It rains."]), ["alpha"])
    assert [(each.model, each.probability) for each in found] == [("alpha", None)]
    assert [(m.segments, m.texts) for m in measured] == [((Segment("<s>", control=True),), ("It rains.",))]


def test_without_a_text_the_choices_of_the_prompt_are_scored(lab: Lab, library: Path) -> None:
    (library / "prompts" / "choice.jinja").write_text(CHOICE)
    subject = as_answers(lab, "choice", {"claim": "Ice is cold"}, [])
    assert (subject.texts, subject.origin) == (("yes", "no"), "the choices of choice")
    assert as_answers(lab, "choice", {"claim": "Ice is cold"}, ["maybe"]).texts == ("maybe",)


def test_a_recorded_answer_is_scored_after_what_it_answered(
    lab: Lab, engine: FakeEngine, measured: list[Measurement]
) -> None:
    engine.answer = lambda question, prompt: "because" if "Why" in prompt else "no"
    run = prepare(lab, Request(("verdict",), ("alpha",), {"claim": Typed("ice is hot")}))
    (record,) = records(run)
    subject = as_recorded(lab, record.id)
    assert subject == Subject(("because",), record.steps[-1].messages, f"the answer of alpha to {record.prompt.label}")
    assert subject.messages[-1] == Message("user", "Why no?")
    assert [each.text for each in score(lab, subject, ["alpha", "beta"])] == ["because"] * 2
    assert read(measured[1]) == "Is it true that ice is hot? Answer yes or no.\n\nno\n\nWhy no?"


def test_a_record_without_an_answer_is_refused(lab: Lab, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: ""
    (record,) = records(prepare(lab, Request(("verdict",), ("alpha",), {"claim": Typed("x")})))
    with pytest.raises(UsageError, match="holds no answer"):
        as_recorded(lab, record.id)
    with pytest.raises(NotFound):
        as_recorded(lab, "nope")


@pytest.mark.parametrize(
    ("texts", "said"), [([], "no text"), (["a", ""], "is empty"), (["a", "b", "a"], "given twice")]
)
def test_texts_that_cannot_be_scored_are_refused(lab: Lab, texts: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        by_themselves(texts)
    with pytest.raises(UsageError, match=said):
        as_answers(lab, "verdict", {"claim": "x"}, texts)


def test_what_is_wrong_is_said_before_anything_is_loaded(lab: Lab, library: Path, engine: FakeEngine) -> None:
    subject = by_themselves(["x"])
    with pytest.raises(NotFound, match="there is no model"):
        score(lab, subject, ["delta"])
    with pytest.raises(ModelMissing, match="gamma"):
        score(lab, subject, ["alpha", "gamma"])
    with pytest.raises(NotFound):
        as_answers(lab, "nothing", {}, ["x"])
    with pytest.raises(InputError):
        as_answers(lab, "verdict", {}, ["x"])
    (library / "prompts" / "still.jinja").write_text("{% return 1 %}")
    with pytest.raises(UsageError, match="asks nothing"):
        as_answers(lab, "still", {}, ["x"])
    assert engine.loaded == []


def test_a_model_is_let_go_as_soon_as_it_is_done(lab: Lab, engine: FakeEngine) -> None:
    score(lab, by_themselves(["x"]), ["alpha", "beta"])
    assert engine.loaded == engine.released == ["alpha", "beta"]


def test_a_model_that_fails_is_a_value_and_the_others_go_on(lab: Lab, engine: FakeEngine) -> None:
    engine.chat_template = None  # alpha needs one
    first, second = score(lab, as_answers(lab, "verdict", {"claim": "x"}, ["yes"]), ["alpha", "beta"])
    assert first.error is not None
    assert "no chat template" in first.error.message
    assert (first.logprob, first.tokens, first.mean) == (None, (), None)
    assert (second.error, second.logprob) == (None, -0.375)
    assert sorted(engine.released) == ["alpha", "beta"]


def test_a_measurement_that_fails_is_a_value(lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(asked: Measurement) -> Iterator[EngineEvent]:
        yield Failed(asked.model, asked.seq, Failure("EngineError", "prompt and text have 9 tokens"))

    monkeypatch.setattr(engine, "_score", refuse)
    found = score(lab, by_themselves(["a", "b"]), ["alpha"])
    assert [(each.text, each.error and each.error.message) for each in found] == [
        ("a", "prompt and text have 9 tokens"),
        ("b", "prompt and text have 9 tokens"),
    ]


def test_a_model_that_dies_is_a_value(lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "measure", lambda asked: engine.kill(asked.model, Failure("EngineError", "died")))
    (one,) = score(lab, by_themselves(["a"]), ["alpha"])
    assert one.error == Failure("EngineError", "died")


def test_a_file_that_is_no_model_is_a_value(lab: Lab, engine: FakeEngine) -> None:
    path = present(lab.models["alpha"])
    assert path is not None
    path.write_bytes(b"nothing")
    first, second = score(lab, by_themselves(["a"]), ["alpha", "beta"])
    assert first.error is not None
    assert second.error is None
    assert engine.loaded == ["beta"]


def test_where_it_breaks_off_everything_is_let_go(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = engine.next_event

    def interrupted(timeout: float) -> EngineEvent | None:
        event = events(timeout)
        if isinstance(event, Ready) and event.model == "beta":
            raise KeyboardInterrupt
        return event

    cancelled: list[str] = []
    monkeypatch.setattr(engine, "next_event", interrupted)
    monkeypatch.setattr(engine, "cancel", lambda model, seq: cancelled.append(model))
    with pytest.raises(KeyboardInterrupt):
        score(lab, by_themselves(["a"]), ["alpha", "beta"])
    assert engine.released == ["alpha", "beta"]
    assert cancelled == ["alpha"]


def test_events_of_others_mean_nothing(lab: Lab, engine: FakeEngine) -> None:
    engine._events += [
        Measured(999, (), Usage(0, 0, 0)),
        Failed("other", None, Failure("EngineError", "died")),
        Failed("alpha", 998, Failure("Cancelled", "cancelled")),
    ]
    (one,) = score(lab, by_themselves(["a"]), ["alpha"])
    assert one.error is None
