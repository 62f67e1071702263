"""Run the code of `python` checks, in a process of its own that can be killed. Only where the user has said so: it can
do whatever the user can."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from promptlab.core.case import Assertion, Case
from promptlab.core.checks import Code
from promptlab.core.record import Record
from promptlab.core.schema import shorten
from promptlab.errors import EngineError

SECONDS = 10.0
"""That one check may take."""
_CHILD = """
import contextlib, json, sys
asked = json.load(sys.stdin)
names = {"output": asked["output"], "context": asked["context"]}
with contextlib.redirect_stdout(sys.stderr):
    if asked["expression"]:
        said = eval(asked["code"], names)
    else:
        exec("def check():\\n" + asked["code"], names)
        said = names["check"]()
json.dump(said, sys.stdout)
"""


def run_code(assertion: Assertion, case: Case, record: Record) -> Code:
    """Run the code of a check, in the terms of promptfoo: one line is an expression, several are a function's body.

    It has `output` and `context` (`vars`, `prompt`, `logProbs`), and says True or False, a number, or a mapping with
    `pass`, `score` and `reason`. Raises EngineError when it fails, takes too long, or says something else.
    """
    code = str(assertion.value).strip()
    expression = "\n" not in code
    asked = {
        "code": code if expression else textwrap.indent(textwrap.dedent(str(assertion.value)), "    "),
        "expression": expression,
        "output": record.output,
        "context": _context(case, record),
    }
    try:
        ended = subprocess.run(
            [sys.executable, "-c", _CHILD], input=json.dumps(asked), capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"the code took longer than {SECONDS:g} s") from None
    except OSError as error:
        raise EngineError(f"the code cannot be run: {error.strerror or error}") from None
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise EngineError(f"the code failed: {shorten(last)}")
    try:
        return _read(json.loads(ended.stdout))
    except (ValueError, RecursionError):
        raise EngineError("the code says nothing that is True, False, a number or a mapping") from None


def _context(case: Case, record: Record) -> dict[str, Any]:
    step = record.steps[-1] if record.steps else None
    return {
        "vars": dict(case.vars),
        "prompt": "\n\n".join(message.content for message in step.messages) if step else "",
        "logProbs": [token.logprob for token in step.tokens] if step else [],
    }


def _read(said: Any) -> Code:
    """What the code says, as a `Code`. Raises ValueError."""
    match said:
        case bool():
            return Code(float(said), said)
        case int() | float():
            return Code(float(said))
        case {"pass": bool(held), **rest}:
            return Code(_number(rest.get("score", held)), held, _reason(rest))
        case {"score": _, **rest}:
            return Code(_number(said["score"]), None, _reason(rest))
    raise ValueError(said)


def _number(value: Any) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    raise ValueError(value)


def _reason(rest: Mapping[Any, Any]) -> str:
    reason = rest.get("reason", "")
    return shorten(" ".join(str(reason).split()))
