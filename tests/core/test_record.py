from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest

from promptlab.core import codec
from promptlab.core.chat import template_hash
from promptlab.core.events import (
    Alternative,
    Answered,
    Asked,
    Engine,
    Event,
    Failed,
    Failure,
    Finished,
    Loading,
    Ready,
    Started,
    Timings,
    Token,
    Usage,
    Vocabulary,
)
from promptlab.core.job import Job, Model, expand
from promptlab.core.program import Ask, Message, step
from promptlab.core.prompt import Prompt
from promptlab.core.record import Cell, Drawn, ModelRef, PromptRef, Record, Step, finish, fold, key

ENGINE = Engine("exact", "0.3.36", "AVX2 = 1", "a cpu", 2, {"kv_unified": False})
MODEL = Model("m", "ab" * 32, options={"temperature": 0.6, "top_k": 5})
PROMPT = Prompt("dir/p", "source", "body", options={"temperature": 0.7}, partials={"_a": "x"})
JOB = Job(3, PROMPT, {"topic": "rain"}, MODEL, sample=1, overrides={"seed": 9, "stop": "END"}, case="c1")
HI = (Message("user", "hi"),)
OPTIONS = {"temperature": 0.7, "max_tokens": 5}
USAGE, TIMINGS = Usage(2, 0, 2), Timings(0.0, 0.2, 0.1, 0.3, 7.0)

LOAD: list[Event] = [
    Loading("m", 0.25),
    Loading("other", 0.9),
    Loading("m", 0.5),
    Ready("other", replace(ENGINE, threads=9), Vocabulary("zzz", "", "", ()), 9.0),
    Ready("m", ENGINE, Vocabulary("TEMPLATE", "<s>", "</s>", ("<s>",)), 0.5),
]
FIRST: list[Event] = [
    Asked(2, 10, "zzz", HI, 1, {}),
    Asked(3, 11, "v", HI, 123, OPTIONS, system_moved=True),
    Started(10, (9,)),
    Started(11, (1, 2)),
    Token(10, 99, "zzz", -9.0),
    Token(11, 5, "ye", -0.1, (Alternative(5, -0.1),)),
    Token(11, 6, "s", -0.2),
]
ANSWER: list[Event] = [Answered(10, "zzz", "stop", USAGE, TIMINGS), Answered(11, "yes", "stop", USAGE, TIMINGS)]
SECOND: list[Event] = [
    Asked(3, 12, "w", (*HI, Message("assistant", "yes")), 124, {}),
    Started(12, (1,)),
    Token(12, 7, "b", -1.0),
]

DRAWN = (Drawn(5, -0.1, (Alternative(5, -0.1),)), Drawn(6, -0.2))
V = Step("v", HI, (1, 2), 123, OPTIONS, DRAWN, "yes", "stop", USAGE, replace(TIMINGS, load_s=0.5), system_moved=True)
W = Step("w", (*HI, Message("assistant", "yes")), (1,), 124, {}, (Drawn(7, -1.0),), "b")


def after(*events: Event) -> Cell:
    return reduce(fold, events, Cell(JOB))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], Cell(JOB)),
        (LOAD[:1], Cell(JOB, "loading", 0.25)),
        (LOAD[:4], Cell(JOB, "loading", 0.5)),
        (LOAD, Cell(JOB, "waiting", 1.0, engine=ENGINE, load_s=0.5, template="TEMPLATE")),
    ],
)
def test_loading(events: list[Event], expected: Cell) -> None:
    assert after(*events) == expected


def test_one_step_while_it_runs_and_when_it_has_ended() -> None:
    running = after(*LOAD, *FIRST)
    assert (running.status, running.seq, running.text) == ("running", 11, "yes")
    assert running.steps == (replace(V, finish_reason=None, usage=None, timings=None),)
    ended = fold(fold(running, ANSWER[0]), ANSWER[1])
    assert (ended.steps, ended.seq, ended.status) == ((V,), None, "running")


def test_several_steps() -> None:
    cell = after(*LOAD, *FIRST, *ANSWER, *SECOND)
    assert (cell.steps, cell.seq, cell.text) == ((V, W), 12, "b")


def test_the_answer_wins_over_the_pieces_that_were_shown() -> None:
    cell = after(*LOAD, *FIRST, Answered(11, "ye", "length", USAGE, TIMINGS))
    assert (cell.text, cell.steps[0].finish_reason, cell.steps[0].tokens) == ("ye", "length", DRAWN)


def test_what_comes_after_the_end_of_a_sequence_changes_nothing() -> None:
    cell = after(*LOAD, *FIRST, *ANSWER)
    assert reduce(fold, [*FIRST[3:], *ANSWER], cell) == cell


def test_a_failure_keeps_what_had_been_said() -> None:
    cell = after(*LOAD, *FIRST, Failed("m", 10, Failure("E", "x")), Failed("m", None, Failure("E", "x")))
    assert cell.seq == 11
    failed = fold(cell, Failed("m", 11, Failure("E", "x")))
    assert (failed.seq, failed.text) == (None, "yes")


def test_a_model_loaded_again_does_not_unsettle_a_cell_that_runs_or_is_done() -> None:
    running = after(*LOAD, *FIRST)
    assert reduce(fold, LOAD, running) == running


def record(cell: Cell, **more: Any) -> Record:
    return finish(cell, id="01K", started_at="2026-01-01T00:00:00Z", **more)


@pytest.mark.parametrize(
    ("failure", "status"),
    [(None, "done"), (Failure("EngineError", "x", "SIGKILL"), "failed"), (Failure("Cancelled", "x"), "cancelled")],
)
def test_finished(failure: Failure | None, status: str) -> None:
    cell = after(*LOAD, *FIRST)
    made = record(cell, output="o", failure=failure)
    done = fold(cell, Finished(3, made))
    assert (done.status, done.record, done.seq, done.steps) == (status, made, None, made.steps)
    assert fold(cell, Finished(2, made)) == cell


def test_a_record_holds_everything() -> None:
    cell = after(*LOAD, *FIRST, *ANSWER)
    options: dict[str, Any] = {"temperature": 0.7, "top_k": 5, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.0}
    options |= {"max_tokens": 256, "stop": ["END"]}
    prompt = replace(PROMPT, label="dir/p@3", commit="c0ffee", dirty=True)
    made = record(replace(cell, job=replace(JOB, prompt=prompt)), output={"v": "yes"})
    model = ModelRef("m", "ab" * 32, template_hash("TEMPLATE"))
    assert made == Record(
        schema=1,
        id="01K",
        key=key(PROMPT.hash, {"topic": "rain"}, "c1", model, ENGINE, options, JOB.overrides, 9, 1),
        started_at="2026-01-01T00:00:00Z",
        prompt=PromptRef("dir/p", "dir/p@3", PROMPT.hash, "source", {"_a": "x"}, "c0ffee", True),
        case="c1",
        inputs={"topic": "rain"},
        sample=1,
        seed=9,
        options=options,
        model=model,
        engine=ENGINE,
        steps=(V,),
        output={"v": "yes"},
        checks=(),
        error=None,
        overrides=JOB.overrides,
    )


def test_a_record_of_what_never_ran() -> None:
    made = record(Cell(JOB), failure=Failure("EngineError", "no", None, ("line",)))
    assert (made.engine, made.steps, made.output, made.model.template_hash) == (None, (), None, None)
    assert made.error == Failure("EngineError", "no", None, ("line",))


def test_a_plain_model_has_the_hash_of_the_word() -> None:
    cell = reduce(fold, LOAD, Cell(replace(JOB, model=replace(MODEL, chat_template="plain"))))
    assert record(cell).model.template_hash == hashlib.sha256(b"plain").hexdigest()


@pytest.mark.parametrize("cell", [Cell(JOB), after(*LOAD, *FIRST), after(*LOAD, *FIRST, *ANSWER, *SECOND)])
@pytest.mark.parametrize("failure", [None, Failure("E", "é\ud800\x1b", "SIGKILL", ("a", "b"))])
def test_a_record_goes_through_json_unchanged(cell: Cell, failure: Failure | None) -> None:
    made = record(cell, output=[1, None, {"a": "\ud800"}], failure=failure)
    data = json.loads(json.dumps(codec.dump(made)))
    back = codec.load(Record, data)
    assert json.loads(json.dumps(codec.dump(back))) == data
    assert back == made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": None}, "id: "),
        ({"steps": [{"name": "x"}]}, "steps.0.messages: "),
        ({"error": {"type": 5}}, "error.type: "),
        ({"engine": {"mode": "exact"}}, "engine.llama_cpp: "),
    ],
)
def test_what_is_no_record_is_a_value_error_that_names_the_field(change: dict[str, Any], message: str) -> None:
    data = codec.dump(record(after(*LOAD))) | change
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        codec.load(Record, data)
    assert str(caught.value).startswith(message)


# --- the key ---------------------------------------------------------------------------------------------------------

REF = ModelRef("m", "ab" * 32, "cd" * 32)
BASE: dict[str, Any] = {
    "prompt_hash": "p",
    "inputs": {"a": 1, "b": [1, {"x": None}]},
    "case": None,
    "model": REF,
    "engine": ENGINE,
    "options": {"temperature": 0.7, "stop": ("x",)},
    "overrides": {},
    "seed": 0,
    "sample": 0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_hash": "q"},
        {"inputs": {"a": 2, "b": [1, {"x": None}]}},
        {"inputs": {"a": "1", "b": [1, {"x": None}]}},
        {"inputs": {"a": 1}},
        {"case": "c"},
        {"case": ""},
        {"model": replace(REF, sha256="ef" * 32)},
        {"model": replace(REF, sha256=None)},
        {"model": replace(REF, template_hash=None)},
        {"engine": None},
        {"engine": replace(ENGINE, mode="fast")},
        {"engine": replace(ENGINE, layout={"kv_unified": True})},
        {"engine": replace(ENGINE, threads=3)},
        {"engine": replace(ENGINE, llama_cpp="0.4")},
        {"engine": replace(ENGINE, build="AVX512 = 1")},
        {"engine": replace(ENGINE, llguidance="1.9.1")},
        {"options": {"temperature": 0.8, "stop": ("x",)}},
        {"options": {"temperature": 0.7, "stop": ("x", "y")}},
        {"overrides": {"temperature": 0.7}},  # over a tag's, where it stood below it before
        {"inputs": {"b": [1, {"x": None}], "a": 1}},  # a template sees the order
        {"engine": replace(ENGINE, context=512)},
        {"seed": 1},
        {"sample": 1},
    ],
    ids=str,
)
def test_the_key_depends_on_what_determines_the_answer(change: dict[str, Any]) -> None:
    assert key(**(BASE | change)) != key(**BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"model": replace(REF, name="another")},
        {"engine": replace(ENGINE, cpu="another")},
        {"engine": replace(ENGINE, safe_mode=True)},
        {"options": {"stop": ["x"], "temperature": 0.7}},
    ],
    ids=str,
)
def test_the_key_depends_on_nothing_else(change: dict[str, Any]) -> None:
    assert key(**(BASE | change)) == key(**BASE)


def test_the_key_is_the_same_for_ever() -> None:
    layout = '"engine":["exact",{"kv_unified":false},2,0,"0.3.36","AVX2 = 1"]'
    text = (
        '{"case":null,' + layout + r',"inputs":"{\"a\":1,\"b\":[1,{\"x\":null}]}",'
        f'"model":["{"ab" * 32}","{"cd" * 32}"],"options":{{"stop":["x"],"temperature":0.7}},"overrides":{{}},'
        '"prompt":"p","sample":0,"seed":0}'
    )
    assert key(**BASE) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("change", [{"id": "02X"}, {"started_at": "later"}, {"output": "another"}], ids=str)
def test_when_and_what_came_out_are_not_in_the_key(change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"id": "01K", "started_at": "now"}
    cell = after(*LOAD)
    assert finish(cell, **(arguments | change)).key == finish(cell, **arguments).key


@pytest.mark.parametrize("change", [{"commit": "x"}, {"dirty": True}, {"label": "p@7"}], ids=str)
def test_what_a_version_is_called_is_not_in_the_key(change: dict[str, Any]) -> None:
    cell = after(*LOAD)
    other = replace(cell, job=replace(cell.job, prompt=replace(cell.job.prompt, **change)))
    assert finish(other, id="01K", started_at="now").key == finish(cell, id="01K", started_at="now").key


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_the_matrix_is_laid_out_model_by_model() -> None:
    other = replace(MODEL, name="n")
    jobs = expand([(PROMPT, {"a": 1}, None), (PROMPT, {"a": 2}, "two")], [MODEL, other], 2, {"seed": 1})
    assert [(j.id, j.model.name, j.inputs["a"], j.sample) for j in jobs] == [
        (0, "m", 1, 0), (1, "m", 1, 1), (2, "m", 2, 0), (3, "m", 2, 1),
        (4, "n", 1, 0), (5, "n", 1, 1), (6, "n", 2, 0), (7, "n", 2, 1),
    ]  # fmt: skip


def test_command_line_beats_tag_beats_prompt_beats_model() -> None:
    model = replace(MODEL, options={"temperature": 0.1, "top_k": 1, "top_p": 0.1, "max_tokens": 1})
    body = "q{% generate x temperature=0.3, top_k=3 %}"
    prompt = replace(PROMPT, body=body, options={"temperature": 0.2, "top_k": 2, "top_p": 0.2})
    job = Job(0, prompt, {}, model, 0, {"temperature": 0.4})
    ask = step(prompt, {}, ())
    assert isinstance(ask, Ask)
    options, seed = job.options(ask.options)
    assert (options.temperature, options.top_k, options.top_p, options.max_tokens, seed) == (0.4, 3, 0.2, 1, 0)
