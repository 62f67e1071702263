"""Checks of what a record says beside the output, and of what a model might have said."""

from __future__ import annotations

import math
from typing import Any

import pytest

from promptlab.core.case import Assertion, Case
from promptlab.core.checks import wants
from promptlab.core.record import Record, Step
from promptlab.core.verdict import Found, Measured, Want
from tests.core.checks.made import ASKED, check, likely, record, step

SHARES = {"yes": 0.6, "no": 0.3, "maybe": 0.1}


def chosen(**changes: Any) -> Record:
    return record("yes", step("yes", distribution=SHARES, **changes))


@pytest.mark.parametrize(
    ("assertion", "steps", "outcome", "reason"),
    [
        (Assertion("latency", threshold=1000), [step(ms=1000)], "pass", "took 1,000 ms (threshold 1,000)"),
        (Assertion("latency", threshold=1000), [step(ms=400), step(ms=700)], "fail", "took 1,100 ms (threshold 1,000)"),
        (Assertion("not-latency", threshold=1000), [step(ms=400), step(ms=700)], "pass", "took 1,100 ms"),
        (Assertion("latency", weight=0), [step(ms=400)], "pass", "took 400 ms"),
        (Assertion("latency", threshold=1000), [step(), step(timings=None)], "unscored", "its record holds no times"),
        (
            Assertion("perplexity", threshold=2),
            [step(logprobs=[-0.5, -0.5])],
            "pass",
            "perplexity is 1.649 (threshold 2)",
        ),
        (Assertion("perplexity", threshold=2), [step(logprobs=[-1, -1, -1])], "fail", "perplexity is 2.718"),
        (Assertion("perplexity", threshold=2), [step(logprobs=[-9]), step(logprobs=[0])], "pass", "perplexity is 1 "),
        (
            Assertion("perplexity", threshold=1e300),
            [step(logprobs=[-math.inf])],
            "fail",
            "perplexity is beyond all numbers",
        ),
        (Assertion("perplexity", threshold=2), [step(logprobs=[])], "unscored", "its record holds no tokens"),
        (Assertion("max-tokens", 5), [step(tokens=5)], "pass", "took 5 tokens (at most 5)"),
        (Assertion("max-tokens", 5), [step(tokens=6)], "fail", "took 6 tokens (at most 5)"),
        (Assertion("max-tokens", threshold=5), [step(tokens=6)], "fail", "took 6 tokens (at most 5)"),
        (Assertion("max-tokens", 5), [step(tokens=99), step(tokens=1)], "pass", "took 1 tokens"),
        (Assertion("max-tokens", 1), [step(usage=None)], "fail", "took 2 tokens (at most 1)"),
        (Assertion("finish-reason", "stop"), [step(finish_reason="stop")], "pass", "ended with stop"),
        (Assertion("finish-reason", "STOP"), [step(finish_reason="length")], "fail", "ended with length, not stop"),
        (Assertion("finish-reason", "stop"), [step(finish_reason=None)], "unscored", "its record does not say"),
    ],
)
def test_what_a_record_says_is_checked(assertion: Assertion, steps: list[Step], outcome: str, reason: str) -> None:
    found = check(assertion, record("x", *steps))
    assert found.reason.startswith(reason)
    assert found.outcome == outcome


@pytest.mark.parametrize(
    "kind", ["latency", "perplexity", "max-tokens", "finish-reason", "choice", "logprob", "llm-rubric"]
)
def test_what_needs_a_generation_is_unscored_without_one(kind: str) -> None:
    value = {"max-tokens": 5, "finish-reason": "stop", "choice": "yes", "logprob": "x", "llm-rubric": "x"}.get(kind)
    threshold = {"latency": 5, "perplexity": 5, "logprob": -1}.get(kind)
    made = record("x", steps=())
    assert check(Assertion(kind, value, threshold), made, judge="tiny").outcome == "unscored"
    assert wants(Assertion(kind, value, threshold), Case("c"), made, judge="tiny") == ()


# --- choice ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assertion", "outcome", "score"),
    [
        (Assertion("choice", "yes"), "pass", 0.6),
        (Assertion("choice", "no"), "fail", 0.3),
        (Assertion("choice", "no", 0.3), "pass", 0.3),
        (Assertion("not-choice", "no"), "pass", 0.7),
        (Assertion("choice", "never"), "unscored", None),
        (Assertion("choice", {"options": ["no", "maybe", "yes"], "right": "yes"}), "pass", 0.6),
    ],
)
def test_the_probability_of_the_right_choice_is_in_the_record(
    assertion: Assertion, outcome: str, score: float | None
) -> None:
    assert wants(assertion, Case("c"), chosen()) == ()
    found = check(assertion, chosen())
    assert found.outcome == outcome
    assert found.score == (score if score is None else pytest.approx(score))


def test_options_that_the_model_did_not_have_are_measured_after_what_it_was_asked_last() -> None:
    assertion = Assertion("choice", {"options": ["Paris", "{{ other }}", 5], "right": "Paris"})
    vars = {"other": "Lyon"}
    want = Want("tiny", ASKED, ("Paris", "Lyon", "5"))
    assert wants(assertion, Case("c", vars), record()) == (want,)
    assert wants(assertion, Case("c", vars), chosen()) == (want,)
    found = check(assertion, record(), vars, measured={want: likely(want, {"Paris": 0.2, "Lyon": 0.05})})
    assert found.outcome == "pass"
    assert found.score == pytest.approx(0.8)
    assert found.reason == "'Paris' has a probability of 0.8 (threshold 0.5)"
    assert check(assertion, record(), vars).reason == "not measured under tiny"


def test_a_right_option_alone_needs_an_answer_that_was_one_of_some_choices() -> None:
    assert wants(Assertion("choice", "yes"), Case("c"), record()) == ()
    assert check(Assertion("choice", "yes"), record()).reason.startswith("the last answer was not one of some choices")


# --- logprob ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "logprob", "tokens", "outcome"),
    [(-1.0, -2.0, 2, "pass"), (-1.0, -2.1, 2, "fail"), (0.0, 0.0, 1, "pass"), (-5.0, -math.inf, 2, "fail")],
)
def test_a_reference_answer_is_as_likely_as_its_tokens_are_on_average(
    threshold: float, logprob: float, tokens: int, outcome: str
) -> None:
    assertion = Assertion("logprob", "It is Paris.", threshold)
    (want,) = wants(assertion, Case("c"), record())
    assert want == Want("tiny", ASKED, ("It is Paris.",))
    found = check(assertion, measured={want: Found((logprob,), (tokens,))})
    assert found.outcome == outcome
    assert found.score == pytest.approx(math.exp(logprob / tokens))
    assert found.reason.startswith(f"'It is Paris.' has a log-probability of {logprob / tokens:.4g} a token")


def test_without_a_threshold_and_weight_a_likelihood_is_shown() -> None:
    assertion = Assertion("logprob", "Paris", weight=0)
    (want,) = wants(assertion, Case("c"), record())
    found = check(assertion, measured={want: Found((-4.0,), (2,))})
    assert (found.outcome, found.reason) == ("pass", "'Paris' has a log-probability of -2 a token")


# --- what measurements can be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Found(error="out of memory"), "could not be measured under tiny: out of memory"),
        (Found((), ()), "what was measured under tiny is no log-probability"),
        (Found((-1.0,), (1,)), "what was measured under tiny is no log-probability"),
        (Found((math.nan, -1.0), (1, 1)), "what was measured under tiny is no log-probability"),
        (Found((5.0, -1.0), (1, 1)), "what was measured under tiny is no log-probability"),
        (Found((-math.inf, -math.inf), (1, 1)), "tiny gives none of the texts any probability"),
    ],
)
def test_a_measurement_that_failed_leaves_the_check_unscored(found: Found, reason: str) -> None:
    assertion = Assertion("choice", {"options": ["a", "b"], "right": "a"})
    (want,) = wants(assertion, Case("c"), record())
    measured: Measured = {want: found}
    made = check(assertion, measured=measured)
    assert (made.outcome, made.score, made.reason) == ("unscored", None, reason)


def test_very_unlikely_texts_are_compared_all_the_same() -> None:
    assertion = Assertion("choice", {"options": ["a", "b"], "right": "a"})
    (want,) = wants(assertion, Case("c"), record())
    assert check(assertion, measured={want: Found((-5000.0, -5001.0), (9, 9))}).score == pytest.approx(0.7310585786)
