"""Checks of the output, by a table: what each kind says, with `not-` and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptlab.core.case import Assertion
from promptlab.core.checks import problem
from promptlab.core.yamltext import read
from tests.core.checks.made import check, record

TABLE = read((Path(__file__).parent / "table.yaml").read_text(), file="table.yaml").value
ROWS = [(kind, row) for kind, rows in TABLE.items() for row in rows]


@pytest.mark.parametrize(("kind", "row"), ROWS, ids=lambda x: x if isinstance(x, str) else str(x)[:60])
def test_each_kind_says_what_the_table_says(kind: str, row: dict[str, Any]) -> None:
    assertion = Assertion(kind, row.get("value"), row.get("threshold"))
    assert problem(assertion) is None
    found = check(assertion, record(row["output"]))
    assert found.outcome == row["outcome"], found.reason
    score = row.get("score", {"pass": 1, "fail": 0, "unscored": None}[row["outcome"]])
    assert found.score == (score if score is None else pytest.approx(score))
    assert found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize(("kind", "row"), ROWS, ids=lambda x: x if isinstance(x, str) else str(x)[:60])
def test_not_turns_outcome_and_score_around_and_leaves_what_is_unscored(kind: str, row: dict[str, Any]) -> None:
    found = check(Assertion(kind, row.get("value"), row.get("threshold")), record(row["output"]))
    other = check(Assertion(f"not-{kind}", row.get("value"), row.get("threshold")), record(row["output"]))
    assert other.outcome == {"pass": "fail", "fail": "pass", "unscored": "unscored"}[found.outcome]
    assert other.reason == found.reason
    assert (other.score is None) == (found.score is None)
    if found.score is not None and other.score is not None:
        assert other.score == pytest.approx(1 - found.score)


@pytest.mark.parametrize(
    ("assertion", "output", "reason"),
    [
        (Assertion("contains", "Paris"), "Lyon", "does not contain 'Paris': 'Lyon'"),
        (Assertion("contains-all", ["Paris", "Nice"]), "Lyon\nParis", r"does not contain 'Nice': 'Lyon\nParis'"),
        (Assertion("contains-any", list("abcdefgh")), "x", "contains none of 'a', 'b', 'c', 'd', 'e' and 3 more: 'x'"),
        (Assertion("equals", {"a": 1}), '{"a": 2}', """is '{"a": 2}', which is not '{"a":1}'"""),
        (Assertion("levenshtein", "kitten"), "sitting", "3 edits from 'kitten' (threshold 5)"),
        (Assertion("levenshtein", "kitten"), "x" * 1006, "at least 1,000 edits from 'kitten' (threshold 5)"),
        (Assertion("rouge-n", "hello world"), "hello", "ROUGE-1 is 0.6667 (threshold 0.75): 1 of 2 words are there"),
        (Assertion("regex", "^[0-9]+$"), "5 m", "does not match '^[0-9]+$': '5 m'"),
        (Assertion("starts-with", "Yes"), "No.", "does not begin with 'Yes': 'No.'"),
        (Assertion("is-json"), "{", "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 "),
        (
            Assertion("is-json", {"properties": {"a": {"type": "string"}}}),
            '{"a": 1}',
            "does not fit its schema: ['a']: 1",
        ),
    ],
)
def test_a_reason_says_what_was_found_and_what_was_wanted(assertion: Assertion, output: str, reason: str) -> None:
    assert check(assertion, record(output)).reason.startswith(reason)


@pytest.mark.parametrize("value", ["{{ city }}", "{{city}}", "It is {{  city }}"])
def test_a_variable_of_the_case_is_filled_in(value: str) -> None:
    assert check(Assertion("contains", value), record("It is Paris."), {"city": "Paris"}).outcome == "pass"
    assert check(Assertion("contains", value), record("It is Lyon."), {"city": "Paris"}).outcome == "fail"


@pytest.mark.parametrize(
    ("assertion", "output"),
    [
        (Assertion("contains-all", ["{{ a }}", "{{ n }}"]), "Paris 5"),
        (Assertion("equals", {"city": "{{ a }}", "n": 5}), '{"n": 5, "city": "Paris"}'),
        (Assertion("equals", "{{ n }} and {{ whole }} and {{ flag }}"), "5 and 2 and true"),
        (Assertion("equals", "{{ list }}"), '["x",1]'),
        (Assertion("equals", "{{ text }}"), "{{ a }}"),
    ],
)
def test_variables_are_filled_into_lists_and_mappings_as_text(assertion: Assertion, output: str) -> None:
    vars = {"a": "Paris", "n": 5, "whole": 2.0, "flag": True, "list": ["x", 1], "text": "{{ a }}"}
    assert check(assertion, record(output), vars).outcome == "pass"
