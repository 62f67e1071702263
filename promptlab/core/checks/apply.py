"""Applying checks: what is wrong with an assertion, what has to be measured for it, and the verdict on a record.

Nothing here raises, whatever stands in a case, a record or a measurement: a check that cannot be applied is unscored,
which is neither pass nor fail.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptlab.core.case import Assertion, Case
from promptlab.core.checks import code as codes
from promptlab.core.checks import jsons, judges, likelihoods, numbers, texts
from promptlab.core.checks.foreign import why_not
from promptlab.core.checks.kinds import (
    Code,
    Finding,
    Kind,
    Subject,
    Unscored,
    got,
    is_number,
    limit_problem,
    one_line,
    plain,
    quoted,
)
from promptlab.core.judging import Bias
from promptlab.core.record import Record
from promptlab.core.verdict import Check, Measured, Outcome, Verdict, Want
from promptlab.errors import PromptlabError

KINDS: dict[str, Kind] = {
    **texts.KINDS,
    **jsons.KINDS,
    **numbers.KINDS,
    **likelihoods.KINDS,
    **judges.KINDS,
    **codes.KINDS,
}
"""All kinds of checks, by promptfoo's names where it has them."""
VERBATIM = frozenset({*jsons.KINDS, *codes.KINDS})
"""Kinds whose value is a schema or code: nothing is filled in there."""
BEST = "select-best"
MAX_WEIGHT = 1_000_000
MAX_PROBLEM = 500
MAX_FILLED = 4 * 1024 * 1024
"""Characters of all values of an assertion together, once variables are filled in."""
"""Characters of what is wrong with an assertion: there is room for the names of all kinds."""
ROUNDING = 1e-9
"""A score of 0.7 + 0.1 reaches a threshold of 0.8."""

_VARIABLE = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_FILTERED = re.compile(r"\{\{ *[A-Za-z_][A-Za-z0-9_]* *[|.\[(]")

RunCode = Callable[[Assertion, Case, Record], Code]


# --- what is wrong with an assertion ---------------------------------------------------------------------------------


def problem(assertion: Assertion, vars: Mapping[str, Any] | None = None) -> str | None:
    """Say in one line what is wrong with an assertion, or None; `vars` are those of its case, where they are known."""
    try:
        reason = _type_problem(assertion) or _problem(assertion, vars)
    except Exception as error:  # a value that is not what YAML, JSON or CSV can say
        reason = f"{got(assertion.type)} has a value that cannot be read: {type(error).__name__}"
    return one_line(reason, MAX_PROBLEM) if reason else None


def _type_problem(assertion: Assertion) -> str | None:
    kind = assertion.kind if isinstance(assertion.type, str) else None
    if kind in KINDS:
        return None
    if not kind:
        return f"an assertion wants a type, such as icontains; got {got(assertion.type)}"
    if reason := why_not(kind):
        return f"{quoted(kind)} is a check of promptfoo's that promptlab does not have: {reason}"
    near = difflib.get_close_matches(kind[:100], KINDS, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{quoted(kind)} is not a check{meant} There are {', '.join(KINDS)}, and each with not- before it"


def _problem(assertion: Assertion, vars: Mapping[str, Any] | None) -> str | None:
    kind = KINDS[assertion.kind]
    if not is_number(assertion.weight) or not 0 <= assertion.weight <= MAX_WEIGHT:
        return f"{assertion.type} wants as its weight a number from 0 to {MAX_WEIGHT:,}; got {got(assertion.weight)}"
    if assertion.provider is not None and not (isinstance(assertion.provider, str) and assertion.provider):
        return f"{assertion.type} wants a model's name as its provider; got {got(assertion.provider)}"
    reason = limit_problem(assertion, kind.limit)
    if not reason and vars is not None:
        reason = _variables_problem(assertion, vars)
    if not reason and (vars is not None or not _is_template(assertion)):
        reason = kind.problem(filled(assertion, vars or {}))
    return f"{assertion.type} {reason}" if reason else None


def _is_template(assertion: Assertion) -> bool:
    """Whether what the value says depends on variables. Only where these are known can it be looked at."""
    return any(map(_VARIABLE.search, _texts(assertion)))


def _variables_problem(assertion: Assertion, vars: Mapping[str, Any]) -> str | None:
    for text in _texts(assertion):
        if match := _FILTERED.search(text):
            return f"has {quoted(match.group())} in its value: only {{{{ name }}}} is filled in, without filters"
        for match in _VARIABLE.finditer(text):
            if match[1] not in vars:
                known = ", ".join(vars) or "none"
                return f"has {quoted(match[0])} in its value, which is no variable of the case; there are {known}"
    return _size_problem(assertion, vars)


def _size_problem(assertion: Assertion, vars: Mapping[str, Any]) -> str | None:
    """Whether a value grows too large by what is filled in: a few bytes can ask for gigabytes."""
    sizes: dict[str, int] = {}
    total = 0
    for text in _texts(assertion):
        for match in _VARIABLE.finditer(text):
            if match[1] in vars:
                if match[1] not in sizes:
                    sizes[match[1]] = len(plain(vars[match[1]]))
                total += sizes[match[1]]
    return (
        f"has a value that grows beyond {MAX_FILLED:,} characters once it is filled in" if total > MAX_FILLED else None
    )


def _texts(assertion: Assertion) -> list[str]:
    """All texts in which something may be filled in."""
    return [] if assertion.kind in VERBATIM else _strings(assertion.value)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _strings(part)]


def variables(assertion: Assertion) -> set[str]:
    """The variables that are filled in in the value of an assertion."""
    return {match[1] for text in _texts(assertion) for match in _VARIABLE.finditer(text)}


def filled(assertion: Assertion, vars: Mapping[str, Any]) -> Assertion:
    """The assertion with each `{{ name }}` in its value replaced by that variable of the case, where there is one.

    Raises Unscored when that would be too large.
    """
    if reason := _size_problem(assertion, vars):
        raise Unscored(reason)
    return assertion if assertion.kind in VERBATIM else replace(assertion, value=_filled(assertion.value, vars))


def _filled(value: Any, vars: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: plain(vars[found[1]]) if found[1] in vars else found[0], value)
    if isinstance(value, list):
        return [_filled(each, vars) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, vars) for key, each in value.items()}
    return value


# --- the verdict on a record -----------------------------------------------------------------------------------------


def wants(assertion: Assertion, case: Case, record: Record, *, judge: str | None = None) -> tuple[Want, ...]:
    """What must be measured before this assertion can be judged on this record; nothing for most.

    `judge` is the model that judges where the assertion names none. What `select-best` wants is `best_wants`.
    """
    try:
        on = _subject(assertion, case, record, judge=judge)
        return KINDS[assertion.kind].wants(on)
    except Exception:  # judging it says why
        return ()


def judge(
    case: Case,
    record: Record,
    measured: Measured,
    *,
    judge: str | None = None,
    allow_code: bool = False,
    code: RunCode | None = None,
    given: Mapping[int, Check] | None = None,
) -> Verdict:
    """Apply all assertions of a case to a record.

    `code` runs the code of a `python` check, and is called only where `allow_code` says so. `given` holds checks that
    were made elsewhere, by the position of their assertion: those of `judge_best`.
    """
    run = code if allow_code else None
    checks = tuple(
        (given or {}).get(i) or _check(each, case, record, measured, judge=judge, code=run)
        for i, each in enumerate(case.asserts)
    )
    return verdict(checks, case.threshold)


def verdict(checks: Sequence[Check], threshold: float | None = None) -> Verdict:
    """What checks come to together. Those that are unscored, or have no weight, decide nothing."""
    scored = [(each, each.score) for each in checks if each.score is not None and each.weight > 0]
    total = math.fsum(each.weight for each, _ in scored)
    if not total:
        return Verdict("unscored", None, tuple(checks))
    score = math.fsum(each.weight * value for each, value in scored) / total
    held = all(each.outcome == "pass" for each, _ in scored) if threshold is None else score >= threshold - ROUNDING
    return Verdict("pass" if held else "fail", score, tuple(checks))


def _check(
    assertion: Assertion,
    case: Case,
    record: Record,
    measured: Measured,
    *,
    judge: str | None,
    code: RunCode | None,
) -> Check:
    try:
        on = _subject(assertion, case, record, measured, judge=judge, code=code)
        return _made(assertion, KINDS[assertion.kind].find(on))
    except (Unscored, PromptlabError) as error:  # the latter of what runs code
        return _unscored(assertion, str(error))
    except Exception as error:  # a record, a case or a measurement that is not what it should be
        return _unscored(assertion, f"could not be applied: {type(error).__name__}: {error}")


def _subject(
    assertion: Assertion,
    case: Case,
    record: Record,
    measured: Measured | None = None,
    *,
    judge: str | None = None,
    code: RunCode | None = None,
) -> Subject:
    """What a check looks at. Raises Unscored where there is nothing to look at, or the assertion is wrong."""
    if record.error is not None:
        raise Unscored(f"there is no answer: {record.error.message or record.error.type}")
    if reason := problem(assertion, case.vars):
        raise Unscored(reason)
    limit = KINDS[assertion.kind].limit
    threshold = assertion.threshold if assertion.threshold is not None or limit is None else limit.default
    return Subject(filled(assertion, case.vars), case, record, threshold, measured or {}, judge, code)


def _made(assertion: Assertion, finding: Finding) -> Check:
    """Turn a finding into a check: turned around by `not-`, and passed with a weight of 0, as in promptfoo."""
    held = finding.held != assertion.negated or not assertion.weight
    score = 1 - finding.score if assertion.negated else finding.score
    outcome: Outcome = "pass" if held else "fail"
    return Check(assertion.type, outcome, score, one_line(finding.reason), assertion.weight, assertion.metric)


def _unscored(assertion: Assertion, reason: str) -> Check:
    return Check(assertion.type, "unscored", None, one_line(reason), assertion.weight, assertion.metric)


# --- the best of all columns -----------------------------------------------------------------------------------------


def best_wants(
    assertion: Assertion, case: Case, records: Sequence[Record], *, judge: str | None = None
) -> tuple[Want, ...]:
    """What must be measured for `select-best`: each pair of answers to one case, in both orders."""
    try:
        return judges.pair_wants([on for on in _contestants(assertion, case, records, {}, judge) if on])
    except Exception:  # judging it says why
        return ()


def judge_best(
    assertion: Assertion, case: Case, records: Sequence[Record], measured: Measured, *, judge: str | None = None
) -> tuple[list[Check], Bias]:
    """Which of the records of one case, one of each column, is the best: a check for each, in their order.

    The winner passes and the others fail; those that share the first place are unscored, and so is a record without
    an answer, which the others are not compared with.
    """
    try:
        entered = _contestants(assertion, case, records, measured, judge)
        scores, bias = judges.contest([on for on in entered if on])
    except Unscored as error:
        return [_unscored(assertion, _no_answer(record) or str(error)) for record in records], Bias()
    except Exception as error:
        reason = f"could not be applied: {type(error).__name__}: {error}"
        return [_unscored(assertion, reason) for _ in records], Bias()
    left = iter(scores)
    checks = [
        _placed(assertion, scores, next(left)) if on else _unscored(assertion, _no_answer(record) or "")
        for on, record in zip(entered, records, strict=True)
    ]
    return checks, bias


def _contestants(
    assertion: Assertion, case: Case, records: Sequence[Record], measured: Measured, judge: str | None
) -> list[Subject | None]:
    """What there is to compare; None for a record without an answer."""
    return [
        None if record.error is not None else _subject(assertion, case, record, measured, judge=judge)
        for record in records
    ]


def _no_answer(record: Record) -> str | None:
    error = record.error
    return f"there is no answer: {error.message or error.type}" if error else None


def _placed(assertion: Assertion, scores: Sequence[float], own: float) -> Check:
    finding = judges.placed(scores, own)
    return _made(assertion, finding) if finding else _unscored(assertion, "shares the first place with another answer")
