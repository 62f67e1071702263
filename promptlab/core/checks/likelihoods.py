"""Checks of what a model might have said: the probability of the right option, and that of a reference answer.

Both are measured under the model of the record, as answers to what it was asked last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from promptlab.core.case import Assertion
from promptlab.core.checks.kinds import (
    SHARE,
    Finding,
    Kind,
    Limit,
    Subject,
    Unscored,
    got,
    is_number,
    mapping_keys,
    number,
    plain,
    quoted,
    text_problem,
)
from promptlab.core.constraint import check_constraint
from promptlab.core.likelihood import shares
from promptlab.core.verdict import Want


def share(on: Subject, want: Want) -> dict[str, float]:
    """What of the probability each of some texts has, if it must be one of them."""
    found = on.found(want)
    if max(found.logprobs) == -math.inf:
        raise Unscored(f"{want.model} gives none of the texts any probability")
    return dict(zip(want.texts, shares(found.logprobs), strict=True))


# --- choice ----------------------------------------------------------------------------------------------------------


def _choice(on: Subject) -> Finding:
    options, right = _options(on.assertion.value)
    known = _known(on, options)
    if known is None:
        known = share(on, _choice_want(on, options))
    if right not in known:
        raise Unscored(f"{quoted(right)} was none of the choices that the model had")
    reason = f"{quoted(right)} has a probability of {number(known[right])}{on.limit}"
    return Finding(on.at_least(known[right]), known[right], reason)


def _choice_wants(on: Subject) -> tuple[Want, ...]:
    options, _ = _options(on.assertion.value)
    return () if _known(on, options) is not None else (_choice_want(on, options),)


def _choice_want(on: Subject, options: tuple[str, ...]) -> Want:
    if not options:
        raise Unscored("the last answer was not one of some choices: give {options: [...], right: ...} as the value")
    return Want(on.record.model.name, on.step.messages, options)


def _known(on: Subject, options: tuple[str, ...]) -> Mapping[str, float] | None:
    """What the record itself says: the probabilities of the choices that the model had, where they are the options."""
    distribution = on.step.distribution
    return distribution if distribution and (not options or set(options) == set(distribution)) else None


def _options(value: Any) -> tuple[tuple[str, ...], str]:
    """All options, none where those of the record are meant, and the right one."""
    if isinstance(value, dict):
        return tuple(map(plain, value["options"])), plain(value["right"])
    return (), plain(value)


def _choice_problem(assertion: Assertion) -> str | None:
    value = assertion.value
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return None if is_number(value) else text_problem(assertion)
    wanted = "wants as its value the right option, or {options: [yes, no], right: yes}"
    if not isinstance(value, dict) or not {"options", "right"} <= value.keys():
        return f"{wanted}; got {got(value)}"
    if reason := mapping_keys(value, ("options", "right")):
        return reason
    listed = isinstance(value["options"], list)
    if not listed or not all(isinstance(each, str) or is_number(each) for each in [*value["options"], value["right"]]):
        return f"{wanted}, all of them texts; got {got(value)}"
    options, right = _options(value)
    if reason := check_constraint("choices", list(options)):
        return "has options that cannot be: " + reason.replace("choices", "options")
    if right not in options:
        return f"has {quoted(right)} as the right option, which is not among the options"
    return _prefix_problem(options)


def _prefix_problem(options: tuple[str, ...]) -> str | None:
    """An option that begins another one is at least as likely as that, whatever the model would go on to say."""
    if len(options) < 2:
        return "wants at least two options"
    ordered = sorted(options)
    for each, after in pairwise(ordered):
        if after.startswith(each):
            hint = "let the prompt ask with choices=, and give the right one alone as the value"
            return f"cannot tell {quoted(each)} and {quoted(after)} apart, as one begins the other: {hint}"
    return None


# --- logprob ---------------------------------------------------------------------------------------------------------


def _logprob(on: Subject) -> Finding:
    want = _logprob_want(on)
    found = on.found(want)
    if not found.tokens[0]:
        raise Unscored("the reference answer has no tokens")
    mean = found.logprobs[0] / found.tokens[0]
    reason = f"{quoted(want.texts[0])} has a log-probability of {number(mean)} a token{on.limit}"
    return Finding(on.at_least(mean), math.exp(min(mean, 0.0)), reason)


def _logprob_want(on: Subject) -> Want:
    return Want(on.record.model.name, on.step.messages, (plain(on.assertion.value),))


def _logprob_wants(on: Subject) -> tuple[Want, ...]:
    return (_logprob_want(on),)


KINDS = {
    "choice": Kind(_choice, _choice_problem, Limit(high=1.0, default=0.5, meaning=SHARE), _choice_wants),
    "logprob": Kind(
        _logprob,
        text_problem,
        Limit(low=-math.inf, high=0.0, needed=True, meaning="the lowest mean log-probability of a token, 0 or less"),
        _logprob_wants,
    ),
}
