"""Who agrees with whom."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.agreement import Said, agreement_matrix, same_form, split


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "  paris.\n"),
        ("Ja, gern!", "ja gern"),
        ("29", "29."),
        ("ﬁne", "fine"),
        ('{"a": 1, "b": [2]}', {"b": [2], "a": 1}),
        ("It's 5", "it s 5"),
        ("...", "..."),
        (None, None),
    ],
)
def test_answers_that_say_the_same(one: Any, other: Any) -> None:
    assert same_form(one) == same_form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("day 29", "day 30"),
        ("-5", "5"),
        ("3.14", "314"),
        ("yes", "no"),
        ("10%", "10"),
        ("it is", "it is not"),
        ('{"a": 1}', '{"a": 2}'),
        ("!", "?"),
        ("", "."),
    ],
)
def test_answers_that_do_not(one: str, other: str) -> None:
    assert same_form(one) != same_form(other)


def said(*columns: str) -> list[Said]:
    """A letter for each sample, a string for each column."""
    return [Said(c, s, letter) for c, column in enumerate(columns) for s, letter in enumerate(column)]


def test_the_answers_to_a_case_in_clusters_the_largest_first() -> None:
    found = split("one", said("ab", "bb", "b"))
    assert [(each.text, each.members) for each in found.clusters] == [
        ("b", ((0, 1), (1, 0), (1, 1), (2, 0))),
        ("a", ((0, 0),)),
    ]
    assert found.agreement == pytest.approx((0.5 + 0.5 + 1.0) / 3)
    assert split("one", said("aab")).agreement is None


def test_how_often_columns_agree() -> None:
    matrix = agreement_matrix(3, [split("", each) for each in (said("aab", "ab", "c"), said("xx", "xy"), [])])
    assert matrix[0][1] == matrix[1][0] == pytest.approx(((2 / 3 * 1 / 2 + 1 / 3 * 1 / 2) + 1 / 2) / 2)
    assert matrix[0][0] == pytest.approx((1 / 3 + 1.0) / 2)
    assert matrix[0][2] == 0.0
    assert matrix[2][2] is None


def test_columns_that_never_met() -> None:
    assert agreement_matrix(2, [split("", said("a")), split("", [Said(1, 0, "a")])])[0][1] is None


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=2, max_size=4))
def test_agreement_is_what_counting_pairs_of_samples_gives(columns: list[str]) -> None:
    matrix = agreement_matrix(len(columns), [split("c", said(*columns))])
    for i, a in enumerate(columns):
        for j, b in enumerate(columns):
            pairs = [x == y for s, x in enumerate(a) for t, y in enumerate(b) if (i, s) != (j, t)]
            assert matrix[i][j] == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)
    clusters = split("c", said(*columns)).clusters
    assert Counter({each.text: len(each.members) for each in clusters}) == Counter("".join(columns))


@given(st.text(max_size=50) | st.recursive(st.none() | st.integers(), st.lists, max_leaves=5))
def test_any_output_has_a_form(output: Any) -> None:
    assert same_form(output) == same_form(output)


def test_a_deeply_nested_output_has_a_form_too() -> None:
    deep: Any = "end"
    for _ in range(50_000):
        deep = [deep]
    assert isinstance(same_form(deep), str)
    assert isinstance(same_form("[" * 50_000), str)
