"""Checks by the judgement of a model: `llm-rubric` on one answer, `select-best` among the answers of all columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from promptlab.core.case import Assertion
from promptlab.core.checks.kinds import SHARE, Finding, Kind, Limit, Subject, Unscored, number, text_problem
from promptlab.core.checks.likelihoods import share
from promptlab.core.judging import NO, PLACES, VERDICTS, YES, Bias, pair_messages, rubric_messages
from promptlab.core.verdict import Want

NO_JUDGE = "no judge: name one with --judge, or in the assertion as provider"
TIE = 1e-9
"""Scores that differ by less are a tie: they are sums of rounded numbers."""


def _judge(on: Subject) -> str:
    name = on.assertion.provider or on.judge
    if not name:
        raise Unscored(NO_JUDGE)
    return name


def _rubric(on: Subject) -> Finding:
    want = _rubric_want(on)
    found = share(on, want)
    yes, no = (math.fsum(found[word] for word in words) for words in (YES, NO))
    score = yes / (yes + no)
    return Finding(on.at_least(score), score, f"{want.model} says yes with a probability of {number(score)}{on.limit}")


def _rubric_want(on: Subject) -> Want:
    return Want(_judge(on), rubric_messages(on.assertion.value, on.step.messages, on.text), VERDICTS)


def _rubric_wants(on: Subject) -> tuple[Want, ...]:
    return (_rubric_want(on),)


def _best(on: Subject) -> Finding:
    raise Unscored("is decided among the answers of all columns")


# --- the best of several ---------------------------------------------------------------------------------------------


def pair_wants(subjects: Sequence[Subject]) -> tuple[Want, ...]:
    """What to measure for all pairs, each in both orders. Answers that are the same need no judge.

    Raises Unscored without a judge.
    """
    texts = [each.text for each in subjects]
    orders = [order for a, b in combinations(texts, 2) if a != b for order in ((a, b), (b, a))]
    return tuple(dict.fromkeys(_pair_want(subjects, *order) for order in orders))


def contest(subjects: Sequence[Subject]) -> tuple[list[float], Bias]:
    """The mean probability of each answer to win against the others, and how much their order counted.

    Raises Unscored when a pair was not measured, or there is none.
    """
    if len(subjects) < 2:
        raise Unscored("there is no other answer to compare with")
    texts = [each.text for each in subjects]
    won = [0.0] * len(texts)
    places: list[float] = []
    flipped = 0
    for i, j in combinations(range(len(texts)), 2):
        wins = 0.5
        if texts[i] != texts[j]:
            ahead, behind = _first(subjects, texts[i], texts[j]), _first(subjects, texts[j], texts[i])
            places += [ahead, behind]
            flipped += (ahead > 0.5) == (behind > 0.5)
            wins = (ahead + 1 - behind) / 2
        won[i] += wins
        won[j] += 1 - wins
    bias = Bias(len(places) // 2, math.fsum(places) / len(places) - 0.5, flipped) if places else Bias()
    return [each / (len(texts) - 1) for each in won], bias


def _first(subjects: Sequence[Subject], a: str, b: str) -> float:
    """The probability that the first of two answers wins."""
    return share(subjects[0], _pair_want(subjects, a, b))[PLACES[0]]


def _pair_want(subjects: Sequence[Subject], a: str, b: str) -> Want:
    on = subjects[0]
    taken = {name for each in subjects for name in each.record.inputs}  # what no prompt was given is for the checks
    inputs = {name: value for name, value in on.case.vars.items() if name in taken}
    return Want(_judge(on), pair_messages(on.assertion.value, inputs, a, b), PLACES)


def placed(scores: Sequence[float], own: float) -> Finding | None:
    """What a score means among all of them; None for a tie at the top."""
    top = max(scores)
    if own < top - TIE:
        return Finding(False, own, f"wins with a probability of {number(own)}; the best does with {number(top)}")
    if sum(each >= top - TIE for each in scores) > 1:
        return None
    return Finding(True, own, f"is the best of {len(scores)}: wins with a probability of {number(own)}")


def _criterion_problem(assertion: Assertion) -> str | None:
    reason = text_problem(assertion)
    return reason if reason or assertion.value.strip() else "wants a criterion as its value; got a blank text"


KINDS = {
    "llm-rubric": Kind(_rubric, _criterion_problem, Limit(high=1.0, default=0.5, meaning=SHARE), _rubric_wants),
    "select-best": Kind(_best, _criterion_problem),
}
