"""Checks: what is expected of an answer, under promptfoo's names and with its meanings where it has them.

A check is a small pure function in one of the tables of this package. `problem` says what is wrong with an assertion
before anything runs, `wants` names what a model has to say first, and `judge` makes the verdict. All of them are in
docs/checks.md.
"""

from promptlab.core.checks.apply import KINDS, best_wants, judge, judge_best, problem, variables, verdict, wants
from promptlab.core.checks.kinds import Code
from promptlab.core.judging import Bias, all_bias

__all__ = [
    "KINDS",
    "Bias",
    "Code",
    "all_bias",
    "best_wants",
    "judge",
    "judge_best",
    "problem",
    "variables",
    "verdict",
    "wants",
]
