"""Answers that are looked at closer."""

from __future__ import annotations

from dataclasses import replace

from promptlab.core.conversation import next_turn
from promptlab.core.events import Failure
from promptlab.core.job import Job, Model
from promptlab.core.prompt import parse
from promptlab.core.record import Cell, Drawn, ModelRef, PromptRef, Record, Step
from promptlab.core.subject import agreement, difference, of_cell, of_record
from promptlab.core.tape import Message
from promptlab.core.tokens import Pieces

PIECES = Pieces({1: b"yes", 2: b" no", 3: b" sir"})


def record(model: str, output: str, *ids: int, sample: int = 0, prompt: str = "p") -> Record:
    step = Step("output", (Message("user", "hi"),), (5,), 0, {}, tuple(Drawn(id, -0.5) for id in ids), output, "stop")
    ref = PromptRef(prompt, f"{prompt}@1", prompt, "hi")
    return Record(1, "01", "k", "", ref, None, {}, sample, 0, {}, ModelRef(model, model, None), None, (step,), output)


def test_a_cell_and_its_record_are_the_same_subject() -> None:
    made = record("alpha", "yes", 1)
    prompt = replace(parse("hi", "p"), label="p@1")
    job = Job(0, prompt, {}, Model("alpha", "alpha"), 0)
    subject = of_cell(Cell(job, "done", steps=made.steps, record=made))
    assert replace(subject, prompt="p", model=made.model) == of_record(made)
    waiting = of_cell(Cell(job))
    assert (waiting.record, waiting.text, waiting.is_begun, waiting.status) == (None, "", False, "waiting")


def test_what_became_of_it() -> None:
    made = record("alpha", "yes", 1)
    assert of_record(replace(made, error=Failure("Cancelled", ""))).status == "cancelled"
    assert of_record(replace(made, error=Failure("EngineError", ""))).status == "failed"


def test_the_text_of_a_branch_is_all_of_its_answer() -> None:
    assert of_record(replace(record("alpha", " no", 2), output="yes no")).text == "yes no"
    assert of_record(replace(record("alpha", " no", 2), output={"a": 1})).text == " no"


def test_agreement() -> None:
    answers = [record("a", "Yes."), record("a", "no", sample=1), record("b", "yes"), record("c", "YES")]
    failed = replace(record("c", ""), error=Failure("EngineError", "x"))
    found = agreement([of_record(each) for each in (*answers, failed)])
    assert [each.members for each in found.split.clusters] == [((0, 0), (1, 0), (2, 0)), ((0, 1),)]
    assert found.columns == (("p@1", "a"), ("p@1", "b"), ("p@1", "c"))
    assert found.matrix == ((0.0, 0.5, 0.5), (0.5, None, 1.0), (0.5, 1.0, None))
    assert (found.left_out, found.inputs) == (1, 1)
    assert agreement([of_record(answers[0]), of_record(replace(answers[1], inputs={"x": 1}))]).inputs == 2
    assert found.going_on == 0


def test_what_goes_on_from_an_answer_is_counted_apart_from_what_was_asked_otherwise() -> None:
    answers = [record("a", "Yes."), record("b", "yes")]
    prompt, inputs = next_turn(answers[0], "Why?")
    ref = replace(answers[0].prompt, hash=prompt.hash, label=prompt.label, source=prompt.source)
    found = agreement([of_record(each) for each in (*answers, replace(answers[0], prompt=ref, inputs=inputs))])
    assert (found.inputs, found.going_on) == (1, 1)


def test_differences_and_why_tokens_cannot_be_compared() -> None:
    a, b = of_record(record("m", "yes no", 1, 2)), of_record(record("m", "yes sir", 1, 3))
    found = difference(a, b, {"m": PIECES})
    assert found.parting is not None
    assert (found.parting.before, found.note) == ("yes", "")
    assert found.stretches is not None
    assert difference(a, a, {"m": PIECES}).same == "token for token"
    other = of_record(record("n", "yes no", 1, 2))
    assert difference(a, other, {"m": PIECES, "n": PIECES}).same == "letter for letter"
    assert "n: gone" in difference(a, other, {"m": PIECES, "n": "gone"}).note
    assert "have not been read" in difference(a, other, {"m": PIECES}).note
    assert "no tokens" in difference(a, of_record(record("m", "")), {"m": PIECES}).note
    step = replace(b.steps[0], messages=(Message("user", "hi"), Message("assistant", "yes")))
    assert "goes on from a text" in difference(a, replace(b, steps=(step,)), {"m": PIECES}).note
