from __future__ import annotations

from typing import Any

import pytest

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint, Kind, read_answer
from promptlab.core.events import Answered, Failed
from promptlab.core.options import Options
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine


def said(engine: FakeEngine, constraint: Constraint | None, seed: int = 0) -> Answered | Failed:
    engine.ask(Question("m", seed, (Segment("hello", False),), Options(), seed, 1, constraint))
    while True:
        event = engine.next_event(0.0)
        if isinstance(event, Answered | Failed):
            return event


def test_the_choice_goes_by_seed() -> None:
    constraint = Constraint("choices", ["red", "dark blue", "green"])
    texts = [said(FakeEngine(), constraint, seed) for seed in range(6)]
    assert [t.text for t in texts if isinstance(t, Answered)] == ["red", "dark blue", "green"] * 2


def test_a_choice_has_its_probability() -> None:
    answered = said(FakeEngine(), Constraint("choices", ["red", "dark blue", "green"]), 1)
    alone = said(FakeEngine(), Constraint("choices", ["red"]))
    assert isinstance(answered, Answered)
    assert isinstance(alone, Answered)
    assert answered.distribution == {"red": 0.25, "dark blue": 0.5, "green": 0.25}
    assert alone.distribution == {"red": 1.0}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("schema", {"type": "object", "properties": {"n": {"type": "integer", "minimum": 4}}, "required": ["n"]}),
        ("schema", {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2}),
        ("regex", r"[A-Z]{2}-\d+"),
    ],
)
def test_the_answer_fits(kind: Kind, value: Any) -> None:
    answered = said(FakeEngine(), Constraint(kind, value))
    assert isinstance(answered, Answered)
    read_answer(answered.text, Constraint(kind, value))


def test_a_tests_own_answer_is_used_as_it_is() -> None:
    answered = said(FakeEngine(lambda question, prompt: "whatever"), Constraint("choices", ["a"]))
    assert isinstance(answered, Answered)
    assert (answered.text, answered.distribution) == ("whatever", None)


def test_without_a_constraint_it_says_what_it_heard() -> None:
    answered = said(FakeEngine(), None)
    assert isinstance(answered, Answered)
    assert answered.text == "m (seed 0) heard: hello"
