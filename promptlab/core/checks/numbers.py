"""Checks of what a record says beside the output: how long it took, how sure the model was, how the answer ended."""

from __future__ import annotations

import math

from promptlab.core.case import Assertion
from promptlab.core.checks.kinds import (
    Finding,
    Kind,
    Limit,
    Subject,
    Unscored,
    exactly,
    got,
    is_number,
    no_value_problem,
    number,
)
from promptlab.core.likelihood import perplexity

FINISHES = ("stop", "length")


def _latency(on: Subject) -> Finding:
    """Milliseconds of all steps, from the start of each one's work to its last token. Loading is no part of it."""
    timings = [step.timings for step in on.record.steps]
    if not timings or None in timings:
        raise Unscored("its record holds no times")
    took = 1000 * math.fsum(each.ttft_s + each.decode_s for each in timings if each)
    return exactly(on.at_most(took), f"took {number(took)} ms{on.limit}")


def _perplexity(on: Subject) -> Finding:
    """Of the last answer, under the model that gave it."""
    tokens = on.step.tokens
    if not tokens:
        raise Unscored("its record holds no tokens of the last answer")
    value = perplexity(math.fsum(each.logprob for each in tokens), len(tokens))
    shown = "beyond all numbers" if value is None else number(value)
    return exactly(on.at_most(math.inf if value is None else value), f"perplexity is {shown}{on.limit}")


def _max_tokens(on: Subject) -> Finding:
    """Of the last answer, the token that ends it included."""
    step = on.step
    count = step.usage.completion_tokens if step.usage else len(step.tokens)
    most = on.threshold if on.assertion.value is None else float(on.assertion.value)
    if most is None:
        raise Unscored("it has no most tokens")
    return exactly(count <= most, f"took {count:,} tokens (at most {number(most)})")


def _max_tokens_problem(assertion: Assertion) -> str | None:
    value, threshold = assertion.value, assertion.threshold
    if value is not None and threshold is not None:
        return "wants a value or a threshold, not both"
    most = value if threshold is None else threshold
    if is_number(most) and most >= 0 and float(most).is_integer():
        return None
    return f"wants the most tokens as its value, a whole number; got {got(most)}"


def _finish_reason(on: Subject) -> Finding:
    reason = on.step.finish_reason
    if reason is None:
        raise Unscored("its record does not say how the answer ended")
    wanted = on.assertion.value.lower()
    return exactly(reason == wanted, f"ended with {reason}" + ("" if reason == wanted else f", not {wanted}"))


def _finish_problem(assertion: Assertion) -> str | None:
    value = assertion.value
    if isinstance(value, str) and value.lower() in FINISHES:
        return None
    return f"wants as its value {' or '.join(FINISHES)}, which is how answers end here; got {got(value)}"


KINDS = {
    "latency": Kind(_latency, no_value_problem, Limit(needed=True, meaning="the most milliseconds, 0 or more")),
    "perplexity": Kind(_perplexity, no_value_problem, Limit(needed=True, meaning="the highest perplexity, 0 or more")),
    "max-tokens": Kind(_max_tokens, _max_tokens_problem, Limit(meaning="the most tokens, 0 or more")),
    "finish-reason": Kind(_finish_reason, _finish_problem),
}
