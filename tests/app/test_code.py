"""Code of `python` checks."""

from __future__ import annotations

from typing import Any

import pytest

from promptlab.app import code
from promptlab.app.code import run_code
from promptlab.core.case import Assertion, Case
from promptlab.core.checks import Code, judge
from promptlab.errors import EngineError
from tests.files.test_store import record


def said(value: str, **vars: Any) -> Code:
    return run_code(Assertion("python", value), Case("one", vars), record())


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("'Rain' in output", Code(1.0, True)),
        ("output == 'rain'", Code(0.0, False)),
        ("len(output) / 10", Code(0.5)),
        ("import math\nprint('noise')\nreturn math.isclose(0.5, 0.5)", Code(1.0, True)),
        (
            "    indented = output\n    return {'pass': True, 'score': 0.25, 'reason': 'so\\nso'}",
            Code(0.25, True, "so so"),
        ),
        ("{'score': 0.75}", Code(0.75)),
        ("{'pass': False}", Code(0.0, False)),
        ("context['vars']['n'] == 3 and context['prompt'] == 'Hi ☃'", Code(1.0, True)),
        ("context['logProbs'] == [-0.1]", Code(1.0, True)),
    ],
)
def test_what_code_says(value: str, wanted: Code) -> None:
    assert said(value, n=3) == wanted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1 / 0", "the code failed: ZeroDivisionError: division by zero"),
        ("is python", "the code failed: SyntaxError"),
        ("import os\nos._exit(3)", "the code failed: exit code 3"),
        ("'yes'", "says nothing that is True"),
        ("None", "says nothing that is True"),
        ("{'score': 'much'}", "says nothing that is True"),
        ("{1, 2}", "the code failed: TypeError"),
    ],
)
def test_code_that_says_nothing(value: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        said(value)


def test_code_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "SECONDS", 1.0)
    with pytest.raises(EngineError, match="took longer than 1 s"):
        said("while True: pass\nreturn 1")


def test_a_check_runs_it_only_where_that_is_allowed() -> None:
    case = Case("one", asserts=(Assertion("python", "output == 'Rain.'"),))
    assert judge(case, record(), {}, allow_code=True, code=run_code).outcome == "pass"
    assert judge(case, record(), {}, code=run_code).outcome == "unscored"
    failing = Case("one", asserts=(Assertion("python", "1 / 0"),))
    verdict = judge(failing, record(), {}, allow_code=True, code=run_code)
    assert (verdict.outcome, "division by zero" in verdict.checks[0].reason) == ("unscored", True)
