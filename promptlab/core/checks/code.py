"""Checks that run code: only where that was allowed, and never here. Who can run code passes a function in."""

from __future__ import annotations

import math

from promptlab.core.checks.kinds import Finding, Kind, Limit, Subject, Unscored, is_number, number, text_problem

NOT_ALLOWED = "runs code: --allow-code"


def _python(on: Subject) -> Finding:
    if on.code is None:
        raise Unscored(NOT_ALLOWED)
    said = on.code(on.assertion, on.case, on.record)
    if not is_number(said.score):
        raise Unscored("the code gave no number as its score")
    reached = said.score > 0 if on.threshold is None else on.at_least(said.score)
    held = reached if said.held is None else said.held and (on.threshold is None or reached)
    reason = said.reason or f"the code gave {number(said.score)}"
    return Finding(held, min(max(float(said.score), 0.0), 1.0), f"{reason}{on.limit}")


KINDS = {"python": Kind(_python, text_problem, Limit(low=-math.inf, meaning="a number: the lowest score"))}
