"""What is wrong with an assertion is said before anything runs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.case import Assertion, Case
from promptlab.core.checks import KINDS, judge, problem
from promptlab.core.checks.foreign import why_not
from tests.core.checks.made import check, record

NAMES = """
    is-html contains-html is-sql contains-sql is-xml contains-xml is-refusal javascript ruby webhook bleu gleu meteor
    perplexity-score cost is-valid-function-call is-valid-openai-tools-call tool-call-f1 guardrails trace-span-count
    trace-span-duration trace-error-spans trajectory:step-count classifier moderation g-eval answer-relevance
    context-faithfulness context-recall context-relevance conversation-relevance factuality model-graded-closedqa pi
    max-score assert-set
"""
"""The types of promptfoo's that are none here."""


def bad(type: Any, value: Any = None, **more: Any) -> Assertion:
    return Assertion(type, value, **more)


@pytest.mark.parametrize("kind", NAMES.split())
def test_a_type_of_promptfoo_that_is_none_here_is_named_as_such_with_the_reason(kind: str) -> None:
    reason = why_not(kind)
    assert reason
    assert kind not in KINDS
    for type in (kind, f"not-{kind}"):
        assert problem(Assertion(type, "x")) == (
            f"'{kind}' is a check of promptfoo's that promptlab does not have: {reason}"
        )


def test_an_unknown_type_is_answered_with_all_there_are_and_the_nearest() -> None:
    said = problem(Assertion("icontain", "x"))
    assert said is not None
    assert said.startswith("'icontain' is not a check; did you mean icontains?")
    assert all(f"{kind}," in said for kind in KINDS)
    assert "did you mean" not in (problem(Assertion("qqqq", "x")) or "")


@pytest.mark.parametrize(
    ("assertion", "said"),
    [
        (bad(""), "an assertion wants a type, such as icontains; got ''"),
        (bad("not-"), "an assertion wants a type, such as icontains; got 'not-'"),
        (bad(5), "an assertion wants a type, such as icontains; got 5"),
        (bad("not-not-contains", "x"), "'not-contains' is not a check; did you mean contains?"),
        (bad("equals"), "equals wants a text as its value, of 1 to 100,000 characters; got none"),
        (bad("equals", math.nan), "equals wants a text as its value"),
        (bad("contains", ""), "contains wants a text as its value"),
        (bad("not-icontains", ["a"]), "not-icontains wants a text as its value"),
        (bad("contains", "x" * 100_001), "contains wants a text as its value"),
        (bad("contains", 10**400), "contains wants a text as its value"),
        (bad("contains-any", []), "contains-any wants a list of texts as its value, 1 to 1,000 of them; got []"),
        (bad("contains-all", ["a", ""]), "contains-all wants texts in its list, of 1 to 100,000 characters; got ''"),
        (bad("icontains-all", ["a", None]), "icontains-all wants texts in its list"),
        (bad("icontains-any", ["a"] * 1001), "icontains-any wants a list of texts as its value"),
        (bad("contains-any", " , "), "contains-any wants a list of texts as its value"),
        (bad("regex", "("), "regex is not a pattern: missing )"),
        (bad("not-regex", "(?!a)"), "not-regex cannot look ahead or behind"),
        (bad("regex", "a" * 2001), "regex wants a pattern as its value, of 1 to 2,000 characters"),
        (bad("regex", 5), "regex wants a pattern as its value"),
        (bad("is-json", 5), "is-json wants a JSON Schema as its value; got 5"),
        (bad("is-json", "{"), "is-json wants a JSON Schema as its value, as a mapping or as JSON: Expecting"),
        (bad("is-json", '"text"'), "is-json wants a JSON Schema as its value; got 'text'"),
        (bad("is-json", {"type": "strin"}), "is-json has a value that is not a JSON Schema: 'strin'"),
        (
            bad("contains-json", {"name": "string"}),
            "contains-json has a schema that demands nothing: 'name' is no word",
        ),
        (bad("is-json", {"pattern": "("}), "is-json has a schema with the pattern '(': regex is not a pattern"),
        (bad("is-json", {"pattern": "a{99999999999999999999}"}), "is-json has a schema with the pattern 'a{9999999999"),
        (
            bad("is-json", {"items": {"patternProperties": {"(?=a)": {}}}}),
            "is-json has a schema with the pattern '(?=a)'",
        ),
        (
            bad("is-json", {"$ref": "https://example.com/s.json"}),
            "is-json has a schema that refers to 'https://example",
        ),
        (
            bad("is-json", {"items": {"$ref": "#/$defs/x"}}),
            "is-json has a schema that refers to '#/$defs/x', which is not",
        ),
        (
            bad("is-json", {"allOf": [{"unevaluatedItems": False}]}),
            "is-json has a schema with unevaluatedItems, which is",
        ),
        (bad("is-json", {"items": {"$schema": "x", "type": "array"}}), "is-json has a schema with $schema inside it"),
        (bad("is-json", {"enum": ["x" * 100_001]}), "is-json has a schema of more than 100,000 characters"),
        (bad("is-json", {"enum": [math.inf, {1, 2}]}), "is-json wants a JSON Schema as its value: plain data"),
        (bad("levenshtein", ["a"]), "levenshtein wants a text as its value"),
        (bad("levenshtein", "a", threshold=-1), "levenshtein wants a threshold: the most edits, 0 or more; got -1"),
        (bad("rouge-n", "a", threshold=1.5), "rouge-n wants a threshold: a number from 0 to 1; got 1.5"),
        (bad("similar", {"a": 1}), "similar wants a list of texts as its value"),
        (bad("latency"), "latency wants a threshold: the most milliseconds, 0 or more"),
        (bad("latency", threshold=math.nan), "latency wants a threshold: the most milliseconds, 0 or more; got nan"),
        (bad("latency", threshold=True), "latency wants a threshold: the most milliseconds, 0 or more; got True"),
        (bad("latency", 5, threshold=5), "latency takes no value; got 5"),
        (
            bad("perplexity", threshold=math.inf),
            "perplexity wants a threshold: the highest perplexity, 0 or more; got inf",
        ),
        (bad("max-tokens"), "max-tokens wants the most tokens as its value, a whole number; got none"),
        (bad("max-tokens", 5, threshold=5), "max-tokens wants a value or a threshold, not both"),
        (bad("max-tokens", 5.5), "max-tokens wants the most tokens as its value, a whole number; got 5.5"),
        (bad("max-tokens", "5"), "max-tokens wants the most tokens as its value, a whole number; got '5'"),
        (bad("finish-reason", "tool_calls"), "finish-reason wants as its value stop or length"),
        (bad("choice", {"options": ["a", "b"]}), "choice wants as its value the right option, or {options: [yes, no]"),
        (bad("choice", {"options": "ab", "right": "a"}), "choice wants as its value the right option"),
        (
            bad("choice", {"options": ["a", "b"], "right": "c"}),
            "choice has 'c' as the right option, which is not among",
        ),
        (
            bad("choice", {"options": ["a", "a"], "right": "a"}),
            "choice has options that cannot be: options has 'a' twice",
        ),
        (bad("choice", {"options": ["a"], "right": "a"}), "choice wants at least two options"),
        (bad("choice", {"options": ["1", "2", "10"], "right": "2"}), "choice cannot tell '1' and '10' apart"),
        (bad("choice", {"options": ["a", "b"], "right": "a", "wrong": 1}), "choice has an unknown key in its value"),
        (bad("choice", True), "choice wants as its value the right option"),
        (bad("logprob", "Paris"), "logprob wants a threshold: the lowest mean log-probability of a token, 0 or less"),
        (bad("logprob", "Paris", threshold=0.5), "logprob wants a threshold: the lowest mean log-probability"),
        (bad("llm-rubric", " "), "llm-rubric wants a criterion as its value"),
        (bad("llm-rubric", "kind", provider=""), "llm-rubric wants a model's name as its provider; got ''"),
        (bad("select-best", None), "select-best wants a text as its value"),
        (bad("select-best", "shortest", threshold=0.5), "select-best takes no threshold"),
        (bad("python", 5), "python wants a text as its value"),
        (bad("contains", "x", threshold=0.5), "contains takes no threshold"),
        (bad("contains", "x", weight=-1), "contains wants as its weight a number from 0 to 1,000,000; got -1"),
        (bad("contains", "x", weight=math.nan), "contains wants as its weight a number from 0 to 1,000,000; got nan"),
        (bad("contains", "x", weight="1"), "contains wants as its weight a number from 0 to 1,000,000; got '1'"),
        (bad("contains", "x", weight=10**400), "contains wants as its weight a number from 0 to 1,000,000"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_leaves_the_check_unscored(assertion: Assertion, said: str) -> None:
    reason = problem(assertion)
    assert reason is not None
    assert reason.startswith(said)
    assert "\n" not in reason
    found = check(assertion, record("Paris"))
    assert found.outcome == "unscored"
    assert found.reason == (reason if len(reason) <= 200 else reason[:199] + "…")


@pytest.mark.parametrize(
    "assertion",
    [
        Assertion("latency", weight=0),
        Assertion("perplexity", weight=0),
        Assertion("logprob", "Paris", weight=0),
        Assertion("is-json"),
        Assertion("is-json", ""),
        Assertion("is-json", True),
        Assertion("is-json", {}),
        Assertion("is-json", {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"}),
        Assertion("is-json", {"properties": {"pattern": {"type": "string"}, "$schema": {}, "unevaluatedItems": {}}}),
        Assertion("is-json", {"pattern": "[[a]"}),
        Assertion("is-json", {"const": {"pattern": "(", "$ref": "x"}}),
        Assertion("is-json", {"$id": "https://example.com/a", "$ref": "#/$defs/a", "$defs": {"a": {}}}),
        Assertion("equals", ""),
        Assertion("equals", 0),
        Assertion("equals", False),
        Assertion("equals", []),
        Assertion("finish-reason", "STOP"),
        Assertion("max-tokens", threshold=5),
        Assertion("max-tokens", 0),
        Assertion("choice", "yes"),
        Assertion("choice", {"options": [1, 2.5], "right": 2.5}, 0.9),
        Assertion("not-llm-rubric", "is rude", 0.7, provider="tiny"),
        Assertion("python", "len(output) < 5", -1.5),
        Assertion("similar", "x"),
    ],
)
def test_what_is_right_is_left_in_peace(assertion: Assertion) -> None:
    assert problem(assertion) is None


@pytest.mark.parametrize(
    ("assertion", "said"),
    [
        (
            Assertion("contains", "{{ town }}"),
            "contains has '{{ town }}' in its value, which is no variable of the case",
        ),
        (Assertion("contains-any", ["a", "{{town}}"]), "contains-any has '{{town}}' in its value"),
        (
            Assertion("contains", "{{ city | upper }}"),
            "contains has '{{ city |' in its value: only {{ name }} is filled",
        ),
        (Assertion("contains", "{{ city.name }}"), "contains has '{{ city.' in its value: only {{ name }} is filled"),
        (Assertion("regex", "{{ open }}"), "regex is not a pattern"),
        (Assertion("contains", "{{ empty }}"), "contains wants a text as its value"),
        (Assertion("finish-reason", "{{ city }}"), "finish-reason wants as its value stop or length"),
        (Assertion("choice", {"options": ["Paris", "Lyon"], "right": "{{ open }}"}), "choice has '(' as the right"),
    ],
)
def test_with_the_variables_of_the_case_what_is_filled_in_is_looked_at(assertion: Assertion, said: str) -> None:
    vars = {"city": "Paris", "open": "(", "empty": ""}
    assert problem(assertion) is None  # nobody knows yet
    reason = problem(assertion, vars)
    assert reason is not None
    assert reason.startswith(said)
    assert check(assertion, record("Paris"), vars).reason.startswith(said)


def test_schemas_and_code_are_taken_as_they_are_written() -> None:
    schema = Assertion("is-json", {"const": "{{ city }}"})
    assert problem(schema, {}) is None
    assert check(schema, record('"{{ city }}"'), {"city": "Paris"}).outcome == "pass"
    assert problem(Assertion("python", "f'{{ x | y }}' == output"), {}) is None


NONSENSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=3) | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*KINDS, "not-equals", "javascript"]) | NONSENSE, NONSENSE, NONSENSE, NONSENSE, NONSENSE)
def test_whatever_stands_in_an_assertion_problem_says_one_line_or_nothing(
    type: Any, value: Any, threshold: Any, weight: Any, provider: Any
) -> None:
    said = problem(Assertion(type, value, threshold, weight, None, provider), {})
    assert said is None or ("\n" not in said and said)


def test_a_value_that_would_be_too_large_once_it_is_filled_in_is_refused_before_it_is() -> None:
    huge = Assertion("contains", "{{ a }}" * 10_000)
    vars = {"a": "x" * 1_000_000}
    assert problem(huge, vars) == "contains has a value that grows beyond 4,194,304 characters once it is filled in"
    verdict = judge(Case("one", vars, (huge,)), record("x"), {})
    assert (verdict.outcome, "grows beyond" in verdict.checks[0].reason) == ("unscored", True)
