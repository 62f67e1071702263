from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from promptlab.core.events import (
    Alternative,
    Answered,
    Embedded,
    Engine,
    EngineEvent,
    Failed,
    Failure,
    Loading,
    Measured,
    Ready,
    Score,
    Started,
    Timings,
    Token,
    Usage,
    Vocabulary,
    decode,
    encode,
)

ENGINE = Engine("exact", "0.3.36", "AVX2 = 1", "cpu", 2, {"kv_unified": False, "rows": 3, "align": 1}, safe_mode=True)
EVENTS: list[EngineEvent] = [
    Loading("m", 0.5),
    Ready("m", replace(ENGINE, context=4096), Vocabulary("{{ x }}", "<s>", "</s>", ("<s>", "</s>"), "llama"), 0.25),
    Ready("m", ENGINE, Vocabulary(None, "", "", ()), 0.0),
    Started(3, (1, 2, 3)),
    Started(3, ()),
    Token(3, 7, "é\ud83d \n\u2028", -0.5),
    Token(3, 7, "", -1e-9, (Alternative(7, -0.1), Alternative(8, -2.5))),
    Answered(3, "text", "stop", Usage(1, 2, 3), Timings(0.1, 0.2, 0.3, 0.4, 5.0)),
    Answered(3, "a", "stop", Usage(1, 2, 3), Timings(0.1, 0.2, 0.3, 0.4, 5.0), {"a": 0.75, "b": 0.25}),
    Measured(4, (Score((7, 8), (-0.5, -1e-9), ("a", "\ufffd\n")), Score((9,), (-2.0,), ("",))), Usage(5, 0, 3)),
    Embedded(5, ((0.6, -0.8), (1.0, 0.0)), Usage(7, 0, 0)),
    Failed("m", 3, Failure("EngineError", "why")),
    Failed("m", None, Failure("EngineError", "why", "SIGKILL", ("last", "lines"))),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_an_event_crosses_a_pipe_unchanged(event: EngineEvent) -> None:
    line = json.dumps(encode(event))
    assert "\n" not in line
    back = decode(json.loads(line))
    assert back == event
    assert type(back) is type(event)


def test_every_kind_of_event_is_tried() -> None:
    assert {type(e) for e in EVENTS} == set(EngineEvent.__args__)


TOKEN = encode(EVENTS[6])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "None is not an event"),
        ({"event": "zork"}, "'zork' is not an event"),
        ({"event": None}, "None is not an event"),
        ({"event": ["token"]}, "['token'] is not an event"),
        ({"event": "asked"}, "'asked' is not an event"),
        ({"event": "token"}, "a malformed token event"),
        ({**TOKEN, "extra": 1}, "a malformed token event"),
        ({**TOKEN, "top": [{"id": 1}]}, "a malformed token event"),
        ({**TOKEN, "top": 5}, "a malformed token event"),
        ({"event": "loading", "model": "m"}, "a malformed loading event"),
        ({"event": "loading", "model": "m", "fraction": "x"}, "a malformed loading event"),
        ({"event": "started", "seq": 1, "prompt_ids": ["x"]}, "a malformed started event"),
        ({**encode(EVENTS[7]), "finish_reason": "zork"}, "a malformed answered event"),
        ({"event": "failed", "model": "m", "seq": 1, "failure": None}, "a malformed failed event"),
    ],
)
def test_what_is_no_event_is_a_value_error(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        decode(data)
    assert str(caught.value).startswith(message)
