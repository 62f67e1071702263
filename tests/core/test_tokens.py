"""Tokens: what they stand for, and where answers part."""

from __future__ import annotations

import math

import pytest

from promptlab.core.events import Alternative
from promptlab.core.record import Drawn, Step
from promptlab.core.tokens import Pieces, begun, bits, choices, level, part

PIECES = Pieces({1: b"a", 2: b" b", 3: b" bc", 4: "é".encode()[:1], 5: "é".encode()[1:], 9: b"<end>"}, frozenset([9]))


def step(*ids: int, prompt: tuple[int, ...] = ()) -> Step:
    return Step("output", (), prompt, 0, {}, tuple(Drawn(id, -0.5) for id in ids), "")


def test_surprise() -> None:
    assert bits(math.log(0.25)) == pytest.approx(2)
    assert bits(0.0) == 0
    assert [level(math.log(p)) for p in (0.9, 0.5, 0.1, 0.01)] == [0, 1, 2, 3]
    assert level(-math.inf) == 3


def test_texts_of_tokens() -> None:
    assert PIECES.text(4) == "\ufffd"
    assert PIECES.text(1234) == "\ufffd"
    assert PIECES.join([9, 1, 4, 5]) == "<end>aé"
    assert PIECES.said([9, 1, 4, 5, 9]) == "aé".encode()


def test_the_token_that_was_drawn_is_among_the_choices() -> None:
    drawn = Drawn(3, -3.0, (Alternative(1, -0.1), Alternative(2, -2.0)))
    assert [(c.id, c.drawn) for c in choices(drawn, PIECES)] == [(1, False), (2, False), (3, True)]


def test_an_answer_is_begun_anew() -> None:
    assert begun(step(1, 2, 1), 1, 3, PIECES) == "a bc"
    assert begun(step(1, 4, 5), 2, 5, PIECES) == "aé"
    with pytest.raises(ValueError, match="ends here"):
        begun(step(1, 2), 1, 9, PIECES)
    with pytest.raises(ValueError, match="part of a character"):
        begun(step(1, 4, 5), 1, 4, PIECES)


def test_where_two_answers_of_one_model_part() -> None:
    both = (PIECES, PIECES)
    assert part(step(1, 2, 9), step(1, 2, 9), both, same_model=True) is None
    found = part(step(1, 2, 9), step(1, 3, 9), both, same_model=True)
    assert found is not None
    assert (found.before, found.by_text, found.other_prompts) == ("a", False, False)
    assert [(f.index, f.choices[0].text) for f in found.forks] == [(1, " b"), (1, " bc")]
    cut = part(step(1, 2), step(1, prompt=(1,)), both, same_model=True)
    assert cut is not None
    assert (cut.forks[0].index, cut.forks[1].choices, cut.other_prompts) == (1, (), True)


def test_where_two_answers_of_different_models_part() -> None:
    other = Pieces({10: b"a ", 11: b"b", 12: b"d", 13: b"</s>"}, frozenset([13]))
    both = (PIECES, other)
    assert part(step(1, 2, 9), step(10, 11, 13), both, same_model=False) is None
    found = part(step(1, 2, 9), step(10, 12, 13), both, same_model=False)
    assert found is not None
    assert (found.before, found.by_text) == ("a", True)
    assert [f.choices[0].text for f in found.forks] == [" b", "d"]
    ended = part(step(1, 2, 1), step(10, 11, 13), both, same_model=False)
    assert ended is not None
    assert [f.choices[0].text for f in ended.forks] == ["a", "</s>"]
