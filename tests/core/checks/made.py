"""Records to be checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptlab.core.case import Assertion, Case
from promptlab.core.checks import judge
from promptlab.core.events import Failure, FinishReason, Timings, Usage
from promptlab.core.record import SCHEMA, Drawn, ModelRef, PromptRef, Record, Step
from promptlab.core.tape import Message
from promptlab.core.verdict import Check, Found, Want

ASKED = (Message("user", "What is the capital of France?"),)


def step(
    text: str = "",
    *,
    logprobs: Sequence[float] = (-0.5, -0.5),
    finish_reason: FinishReason | None = "stop",
    tokens: int = 2,
    ms: float = 500.0,
    **changes: Any,
) -> Step:
    """A generation; half of its time went by before the first token."""
    drawn = tuple(Drawn(i, each) for i, each in enumerate(logprobs))
    timings = Timings(9.0, ms / 2000, ms / 3000, ms / 2000, 10.0)
    made = Step("output", ASKED, (1, 2), 7, {}, drawn, text, finish_reason, Usage(2, 0, tokens), timings)
    return replace(made, **changes)


def record(output: Any = "Paris", *steps: Step, error: str | None = None, **changes: Any) -> Record:
    """A record with an output; without steps, one that says it."""
    made = Record(
        schema=SCHEMA,
        id="01X",
        key="k",
        started_at="2026-01-01T00:00:00Z",
        prompt=PromptRef("p", "p", "h", "…"),
        case="c",
        inputs={"question": "What is the capital of France?"},
        sample=0,
        seed=0,
        options={},
        model=ModelRef("tiny", "f" * 64, None),
        engine=None,
        steps=steps or (step(output if isinstance(output, str) else ""),),
        output=output,
        error=Failure("EngineError", error) if error is not None else None,
    )
    return replace(made, **changes)


def likely(want: Want, probabilities: Mapping[str, float], tokens: int = 1) -> Found:
    """What came of a measurement in which each text has this probability."""
    logs = tuple(math.log(p) if p else -math.inf for p in (probabilities.get(text, 0.0) for text in want.texts))
    return Found(logs, tuple(tokens for _ in logs))


def check(
    assertion: Assertion, made: Record | None = None, vars: Mapping[str, Any] | None = None, **more: Any
) -> Check:
    """The check of one assertion."""
    case = Case("c", vars or {}, (assertion,))
    measured = more.pop("measured", {})
    return judge(case, made or record(), measured, **more).checks[0]
