from __future__ import annotations

import pytest

from promptlab.core.case import Assertion, Case, CaseSet, check_id, vars_id


def test_the_id_of_vars_does_not_depend_on_their_order() -> None:
    assert vars_id({"a": 1, "b": "x"}) == vars_id({"b": "x", "a": 1})
    assert len({vars_id(v) for v in ({}, {"a": 1}, {"a": "1"}, {"a": None}, {"b": 1}, {"a": [1]})}) == 6


def test_the_id_of_vars_stays_the_same_for_ever() -> None:
    assert vars_id({"question": "Où est Paris ?"}) == "d4b6f3d6e1f2"


@pytest.mark.parametrize("id", ["1", "a b", "é", "日本", "x" * 200, "a/b#c", " "])
def test_what_can_be_an_id(id: str) -> None:
    assert check_id(id) is None


@pytest.mark.parametrize("id", ["", "x" * 201, "a\n", "\x00", "a\tb", "\x7f", "\x9b", "\u2028", "\ud800"])
def test_what_cannot(id: str) -> None:
    assert check_id(id) == "an id has 1 to 200 characters, none of them a control character"


def test_a_set_says_what_is_wrong_where_the_case_stands() -> None:
    equal = Assertion("equals", "b")
    cases = CaseSet(
        "s", "seeds/s.yaml", (Case("x", asserts=(equal, equal)), Case("y", asserts=(equal,))), ((2, 3), (9, 1))
    )
    assert str(cases.problem(1, "is odd")) == "seeds/s.yaml:9:1: is odd"
    assert str(CaseSet("s", "s.csv", cases.cases).problem(0, "is odd")) == "s.csv: is odd"
    assert cases.assertions == 3
