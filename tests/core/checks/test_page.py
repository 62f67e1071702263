"""What docs/checks.md says is so: every example is read and run."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from promptlab.core.case import Assertion, Case
from promptlab.core.checks import KINDS, Code, judge, judge_best, problem, wants
from promptlab.core.checks.foreign import why_not
from promptlab.core.record import Record
from promptlab.core.verdict import Found, Want
from promptlab.core.yamltext import read
from tests.core.checks.made import likely, record, step

PAGE = (Path(__file__).parents[3] / "docs" / "checks.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| `[a-z-]+` \|.*\{type: ", line)
]


def assertion(cell: str) -> Assertion:
    return Assertion(**read(cell.strip("`"), file="checks.md").value)


def told(cell: str) -> str:
    """What a cell names: the text between its marks."""
    match = re.search(r"`(.*)`", cell)
    assert match
    return match[1]


def made(kind: str, said: str) -> Record:
    """A record of which the page says something."""
    if kind == "latency":
        return record("x", step(ms=float(said)))
    if kind == "perplexity":
        return record("x", step(logprobs=[math.log(float(said))]))
    if kind == "max-tokens":
        return record("x", step(tokens=int(said)))
    if kind == "finish-reason":
        return record("x", step(finish_reason="stop" if said == "stop" else "length"))
    return record(said)


def found(kind: str, want: Want, said: str) -> Found:
    if kind == "logprob":
        return Found((float(said) * 2,), (2,))
    right, wrong = {"choice": ("Paris", "Rome"), "llm-rubric": ("yes", "no"), "select-best": ("A", "B")}[kind]
    return likely(want, {right: float(said), wrong: 1 - float(said)})


def outcome(kind: str, expected: Assertion, said: str) -> str:
    case = Case("c", asserts=(expected,))
    if kind == "select-best":
        return best(expected, float(said))
    answer = made(kind, said)
    measured = {want: found(kind, want, said) for want in wants(expected, case, answer)}
    return judge(case, answer, measured, allow_code=True, code=run).outcome


def best(expected: Assertion, wins: float) -> str:
    """The outcome of an answer that wins against another with this probability."""
    from promptlab.core.checks import best_wants

    case, answers = Case("c"), [record("ours"), record("theirs")]
    first, second = best_wants(expected, case, answers)
    measured = {first: likely(first, {"A": wins, "B": 1 - wins}), second: likely(second, {"A": 1 - wins, "B": wins})}
    return judge_best(expected, case, answers, measured)[0][0].outcome


def run(expected: Assertion, case: Case, answer: Record) -> Code:
    return Code(float(eval(expected.value, {"output": answer.output})))


def test_the_page_has_every_check_once() -> None:
    assert sorted(told(row[0]) for row in ROWS) == sorted(KINDS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_an_example_holds_for_what_passes_and_not_for_what_fails(row: list[str]) -> None:
    kind, expected = told(row[0]), assertion(row[2])
    assert expected.type == kind
    assert problem(expected) is None
    if kind == "similar":
        assert outcome(kind, expected, "It is Paris.") == "unscored"
        return
    assert outcome(kind, expected, told(row[3])) == "pass"
    assert outcome(kind, expected, told(row[4])) == "fail"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_the_threshold_in_brackets_is_the_one_that_holds(row: list[str]) -> None:
    limit = KINDS[told(row[0])].limit
    named = re.search(r"\(([0-9.]+)\)$", row[1])
    assert (float(named[1]) if named else None) == (limit.default if limit else None)


def test_the_first_example_is_a_case() -> None:
    block = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert block
    (case,) = read(block[1], file="checks.md").value
    asserts: list[dict[str, Any]] = case["assert"]
    assert [problem(Assertion(**each), case["vars"]) for each in asserts] == [None] * 3
    whole = Case("c", case["vars"], tuple(Assertion(**each) for each in asserts), case["threshold"])
    assert judge(whole, record("It is Paris.", step(tokens=3)), {}).outcome == "pass"
    assert judge(whole, record("Sorry, as an AI I am not in Paris.", step(tokens=3)), {}).outcome == "fail"


def test_what_the_page_says_is_not_there_is_named_as_promptfoos() -> None:
    line = PAGE[PAGE.index("There are no `javascript`") :]
    names = re.findall(r"`([a-z-]+)`", line)
    assert len(names) == 10
    assert all(why_not(name) for name in names)
