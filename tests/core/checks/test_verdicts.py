"""The verdict on a record: weights, thresholds, what is unscored, and code."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.case import Assertion, Case
from promptlab.core.checks import KINDS, Code, best_wants, judge, judge_best, verdict, wants
from promptlab.core.record import Record
from promptlab.core.tape import Message
from promptlab.core.verdict import Check, Found, Verdict, Want
from promptlab.errors import EngineError
from tests.core.checks.made import check, likely, record, step

PASS, FAIL = Assertion("contains", "Paris"), Assertion("contains", "Lyon")
UNKNOWN = Assertion("similar", "Paris")
"""Unscored."""


def weighed(assertion: Assertion, weight: float) -> Assertion:
    return Assertion(assertion.type, assertion.value, assertion.threshold, weight)


@pytest.mark.parametrize(
    ("asserts", "threshold", "outcome", "score"),
    [
        ((), None, "unscored", None),
        ((), 0.5, "unscored", None),
        ((PASS,), None, "pass", 1.0),
        ((FAIL,), None, "fail", 0.0),
        ((PASS, FAIL), None, "fail", 0.5),
        ((PASS, FAIL), 0.5, "pass", 0.5),
        ((PASS, FAIL), 0.51, "fail", 0.5),
        ((FAIL,), 0.0, "pass", 0.0),
        ((weighed(PASS, 3), FAIL), 0.75, "pass", 0.75),
        ((weighed(PASS, 3), FAIL), None, "fail", 0.75),
        ((weighed(PASS, 0.7), weighed(PASS, 0.1), weighed(FAIL, 0.2)), 0.8, "pass", 0.8),
        ((PASS, weighed(FAIL, 0)), None, "pass", 1.0),
        ((PASS, weighed(FAIL, 0)), 1.0, "pass", 1.0),
        ((weighed(FAIL, 0),), None, "unscored", None),
        ((weighed(PASS, 0),), 0.5, "unscored", None),
        ((UNKNOWN,), None, "unscored", None),
        ((UNKNOWN, PASS), None, "pass", 1.0),
        ((UNKNOWN, FAIL), 0.5, "fail", 0.0),
        ((UNKNOWN, weighed(PASS, 0)), None, "unscored", None),
        ((Assertion("rouge-n", "It is Paris", 0.4), FAIL), 0.2, "pass", 0.25),
    ],
)
def test_assertions_come_to_a_verdict_by_their_weights(
    asserts: tuple[Assertion, ...], threshold: float | None, outcome: str, score: float | None
) -> None:
    found = judge(Case("c", asserts=asserts, threshold=threshold), record("Paris"), {})
    assert (found.outcome, found.score) == (outcome, score if score is None else pytest.approx(score))
    assert len(found.checks) == len(asserts)


def test_a_check_without_weight_passes_and_shows_what_it_found() -> None:
    found = check(weighed(FAIL, 0), record("Paris"))
    assert (found.outcome, found.score, found.reason) == ("pass", 0.0, "does not contain 'Lyon': 'Paris'")
    assert check(weighed(UNKNOWN, 0), record("Paris")).outcome == "unscored"


def test_a_check_carries_type_weight_and_metric() -> None:
    made = Assertion("not-contains", "Lyon", weight=2.5, metric="places")
    assert check(made, record("Paris")) == Check(
        "not-contains", "pass", 1.0, "does not contain 'Lyon': 'Paris'", 2.5, "places"
    )


def test_a_failure_is_neither_pass_nor_fail() -> None:
    asserts = (PASS, Assertion("not-contains", "x"), Assertion("nonsense"), weighed(PASS, 0))
    found = judge(Case("c", asserts=asserts), record(None, error="out of memory\n(at load)"), {})
    assert (found.outcome, found.score) == ("unscored", None)
    assert {(each.outcome, each.score, each.reason) for each in found.checks} == {
        ("unscored", None, "there is no answer: out of memory (at load)")
    }
    assert wants(Assertion("logprob", "x", -1), Case("c"), record(None, error="died")) == ()


CHECKS = st.builds(
    lambda outcome, score, weight: Check("x", outcome, None if outcome == "unscored" else score, "", weight),
    st.sampled_from(["pass", "fail", "unscored"]),
    st.just(0.0) | st.floats(1e-300, 1),  # halving what is smaller loses digits, so that proportions are others
    st.sampled_from([0.0, 0.5, 1.0, 3.0, 1e6]),
)


@given(st.lists(CHECKS, max_size=6), st.none() | st.floats(0, 1), st.sampled_from([2.0, 0.25]))
def test_a_verdict_depends_on_the_proportions_of_weights_and_not_on_what_has_none(
    checks: list[Check], threshold: float | None, factor: float
) -> None:
    found = verdict(checks, threshold)
    counted = [each for each in checks if each.outcome != "unscored" and each.weight]
    again = verdict([Check("x", c.outcome, c.score, "", c.weight * factor) for c in counted], threshold)
    assert (found.outcome, found.score) == (again.outcome, again.score)
    assert (found.outcome == "unscored") == (not counted) == (found.score is None)
    if found.score is not None:
        scores = [each.score for each in counted if each.score is not None]
        assert min(scores) - 1e-9 <= found.score <= max(scores) + 1e-9
        if threshold is None:
            assert (found.outcome == "pass") == all(each.outcome == "pass" for each in counted)


# --- code ------------------------------------------------------------------------------------------------------------


def run(said: Code) -> Any:
    return lambda assertion, case, record: said


@pytest.mark.parametrize(
    ("said", "threshold", "outcome", "score"),
    [
        (Code(1.0), None, "pass", 1.0),
        (Code(0.0), None, "fail", 0.0),
        (Code(0.1), None, "pass", 0.1),
        (Code(0.4), 0.5, "fail", 0.4),
        (Code(0.5), 0.5, "pass", 0.5),
        (Code(0.4, True), None, "pass", 0.4),
        (Code(0.4, True), 0.5, "fail", 0.4),
        (Code(0.9, False), 0.5, "fail", 0.9),
        (Code(7.0), None, "pass", 1.0),
        (Code(-7.0), None, "fail", 0.0),
        (Code(math.nan), None, "unscored", None),
    ],
)
def test_code_that_may_run_decides(said: Code, threshold: float | None, outcome: str, score: float | None) -> None:
    found = check(Assertion("python", "…", threshold), allow_code=True, code=run(said))
    assert (found.outcome, found.score) == (outcome, score)


def test_code_runs_only_where_that_is_allowed() -> None:
    def never(assertion: Assertion, case: Case, record: Record) -> Code:
        raise AssertionError("it ran")

    for more in ({"code": never}, {"allow_code": True}, {}):
        found = check(Assertion("python", "…"), **more)
        assert (found.outcome, found.reason) == ("unscored", "runs code: --allow-code")


def test_code_that_fails_leaves_the_check_unscored() -> None:
    def broken(error: Exception) -> Any:
        def run(assertion: Assertion, case: Case, record: Record) -> Code:
            raise error

        return run

    for error, reason in (
        (EngineError("the code failed: no city"), "the code failed: no city"),
        (KeyError("city"), "could not be applied: KeyError: 'city'"),
    ):
        found = check(Assertion("not-python", "…"), allow_code=True, code=broken(error))
        assert (found.outcome, found.reason) == ("unscored", reason)


# --- whatever comes --------------------------------------------------------------------------------------------------

DEEP: Any = []
for _ in range(5000):
    DEEP = [DEEP]
HOSTILE = {
    "brackets": "[" * 1_000_000,
    "braces": "{" * 1_000_000,
    "keys": '{"a":' * 200_000,
    "closed brackets": "[" * 5000 + "]" * 5000,
    "wide and deep": ("[" + "1," * 1000) * 500,
    "blanks": " " * 1_000_000,
    "quotes": '"' + '\\"' * 500_000,
    "surrogates": "\ud800 Paris \udfff",
    "NUL": "\0Par\0is\0",
    "control characters": "\x1b]52;c;aGk=\x07\u202eParis\r\n",
    "a large integer": "9" * 100_000,
    "a large integer in JSON": '{"n": ' + "9" * 100_000 + "}",
    "a large float": '{"n": 1e999999}',
    "not a number": '{"n": NaN, "m": -Infinity}',
    "a long word": "a" * 1_000_000,
    "many objects": '{"a": "b"}' * 100_000,
    "a large array": json.dumps(list(range(100_000))),
    "too deep": DEEP,
    "nothing": None,
    "no JSON": {1, 2},
    "an object": object(),
    "not a number at all": math.nan,
}
SCHEMA = {
    "$defs": {"node": {"anyOf": [{"type": "string", "pattern": "^(a+)+$"}, {"items": {"$ref": "#/$defs/node"}}]}},
    "type": ["object", "array"],
    "uniqueItems": True,
    "patternProperties": {"(x+x+)+y": {"type": "null"}},
    "additionalProperties": {"$ref": "#/$defs/node"},
    "items": {"$ref": "#/$defs/node"},
}
EXAMPLES = [
    Assertion("equals", "Paris"),
    Assertion("equals", {"a": [1, {"b": None}]}),
    Assertion("contains", "Paris"),
    Assertion("not-icontains", "Paris"),
    Assertion("contains-any", ["Paris", "Lyon"]),
    Assertion("icontains-any", ["Paris", "Lyon"]),
    Assertion("contains-all", ["Paris", "Lyon"]),
    Assertion("icontains-all", ["Paris", "Lyon"]),
    Assertion("starts-with", "Paris"),
    Assertion("regex", r"(\s+|\[+|a+)+$"),
    Assertion("is-json"),
    Assertion("is-json", SCHEMA),
    Assertion("contains-json"),
    Assertion("not-contains-json", SCHEMA),
    Assertion("levenshtein", "a" * 100_000, 1e9),
    Assertion("rouge-n", "It is Paris."),
    Assertion("similar", "Paris"),
    Assertion("latency", threshold=5),
    Assertion("perplexity", threshold=5),
    Assertion("max-tokens", 5),
    Assertion("finish-reason", "stop"),
    Assertion("choice", {"options": ["a", "b"], "right": "a"}),
    Assertion("logprob", "Paris", -1),
    Assertion("llm-rubric", "It is polite."),
    Assertion("select-best", "shorter"),
    Assertion("python", "True"),
]


def test_there_is_an_example_of_each_kind() -> None:
    assert {each.kind for each in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize("assertion", EXAMPLES, ids=lambda each: f"{each.type} {str(each.value)[:20]}")
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_the_output_a_check_ends_and_says_so_in_one_short_line(assertion: Assertion, name: str) -> None:
    made = record(HOSTILE[name])
    case = Case("c", {"question": "?"}, (assertion,))
    measured = {want: likely(want, {"yes": 0.9, "a": 0.9}) for want in wants(assertion, case, made, judge="large")}
    found = judge(case, made, measured, judge="large")
    (only,) = found.checks
    assert only.outcome in ("pass", "fail", "unscored")
    assert (only.score is None) == (only.outcome == "unscored")
    assert len(only.reason) <= 200
    assert "\n" not in only.reason
    assert found.outcome == only.outcome


def test_the_best_of_hostile_answers_is_looked_for_and_no_more() -> None:
    records = [record(each) for each in HOSTILE.values()]
    checks, _ = judge_best(Assertion("select-best", "shorter"), Case("c"), records, {}, judge="large")
    assert {each.outcome for each in checks} == {"unscored"}
    assert best_wants(Assertion("select-best", "shorter"), Case("c"), records, judge="large") == ()  # one is no JSON


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#"}, "1"),
        ({"allOf": [{"$ref": "#/$defs/b"}], "$defs": {"b": {"$ref": "#"}}}, "1"),
        (
            {
                "$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(60)} | {"d60": {}},
                "$ref": "#/$defs/d0",
            },
            "1",
        ),
        ({"anyOf": [{"type": "string"}] * 3000}, json.dumps(["x" * 100_000])),
        ({"items": {"pattern": "(a|b)*a(a|b){20}c"}}, json.dumps(["abbaab" * 100] * 100)),
    ],
    ids=["a loop", "a loop of two", "2**60 references", "long messages", "a pattern for each item"],
)
def test_a_schema_that_is_a_bomb_ends(schema: dict[str, Any], value: str) -> None:
    for kind in ("is-json", "contains-json"):
        found = check(Assertion(kind, schema), record(value))
        assert found.outcome in ("fail", "unscored")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)
FOUND = st.builds(
    Found,
    st.lists(st.floats(), max_size=4).map(tuple),
    st.lists(st.integers(0, 3), max_size=4).map(tuple),
    st.none() | st.text(max_size=5),
)


@given(
    st.lists(st.sampled_from(EXAMPLES), max_size=4),
    ANY,
    st.dictionaries(st.text(max_size=3), ANY, max_size=3),
    FOUND,
    st.lists(st.floats(), max_size=3),
    st.none() | st.floats(),
)
def test_judging_never_raises(
    asserts: list[Assertion],
    output: Any,
    vars: dict[str, Any],
    found: Found,
    logprobs: list[float],
    limit: float | None,
) -> None:
    case = Case("c", vars, tuple(asserts), limit)
    made = record(output, step(logprobs=logprobs, messages=(Message("user", "\ud800"),), distribution={"a": math.nan}))
    wanted = [want for each in asserts for want in wants(each, case, made, judge="large")]
    measured: dict[Want, Found] = dict.fromkeys(wanted, found)
    result = judge(case, made, measured, judge="large")
    assert isinstance(result, Verdict)
    assert len(result.checks) == len(asserts)
    assert all(each.score is None or 0 <= each.score <= 1 for each in result.checks)
    for each in asserts:
        checks, _ = judge_best(each, case, [made, record("b")], measured, judge="large")
        assert len(checks) == 2
