"""Verdicts on records that were asked again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from promptlab.core.chat import template_hash
from promptlab.core.constraint import Constraint
from promptlab.core.events import Alternative, Answered, Engine, Failure, Timings, Token, Usage
from promptlab.core.program import Ask, Message, Transcript
from promptlab.core.record import SCHEMA, Drawn, ModelRef, PromptRef, Record, Step
from promptlab.core.replay import (
    FAST,
    Compared,
    Side,
    compare,
    finished,
    incomparable,
    judge,
    left_out,
    obstacles,
    other_end,
    other_question,
    unfinished,
)

ENGINE = Engine(
    "exact",
    "0.3.36",
    "CPU : AVX = 1 | FMA = 1 |",
    "A processor",
    2,
    {"kv_unified": False, "flash_attention": False, "extra_buffers": True},
    context=4096,
    llguidance="1.9",
)
TEMPLATE = "{{ messages }}"
OPTIONS = {"temperature": 0.5, "max_tokens": 50, "stop": []}
ASKED = (Message("user", "What is rain?"),)


def token(id: int, text: str, logprob: float, *top: tuple[int, float]) -> Token:
    return Token(1, id, text, logprob, tuple(Alternative(*each) for each in top or [(id, logprob)]))


RAIN = (token(1, "Rain", -0.25), token(2, " is", -0.5, (7, -0.125), (2, -0.5)), token(3, " wet.", -1.0))


def step(*tokens: Token, **changes: Any) -> Step:
    """A step that said these tokens."""
    drawn = tuple(Drawn(t.id, t.logprob, t.top) for t in tokens)
    made = Step("output", ASKED, (10, 11), 7, OPTIONS, drawn, "".join(t.text for t in tokens), "stop")
    return replace(made, **changes)


def answered(*tokens: Token, **changes: Any) -> Answered:
    text = "".join(t.text for t in tokens)
    made = Answered(1, text, "stop", Usage(2, 0, len(tokens)), Timings(0.0, 0.0, 0.0, 0.0, 0.0))
    return replace(made, **changes)


def record(*steps: Step, **changes: Any) -> Record:
    made = Record(
        schema=SCHEMA,
        id="01X",
        key="k",
        started_at="2026-01-01T00:00:00Z",
        prompt=PromptRef("explain", "explain@2", "h", "{{ x }}"),
        case=None,
        inputs={},
        sample=0,
        seed=0,
        options=OPTIONS,
        model=ModelRef("alpha", "a" * 64, template_hash(TEMPLATE)),
        engine=ENGINE,
        steps=steps or (step(*RAIN),),
        output="Rain is wet.",
    )
    return replace(made, **changes)


# --- one step


def test_the_same_numbers_are_identical() -> None:
    assert compare(step(*RAIN), RAIN, answered(*RAIN)) == Compared("identical")


def test_more_alternatives_than_were_recorded_do_not_matter() -> None:
    more = (RAIN[0], token(2, " is", -0.5, (7, -0.125), (2, -0.5), (9, -4.0)), RAIN[2])
    assert compare(step(*RAIN), more, answered(*more)).verdict == "identical"


@pytest.mark.parametrize(
    ("again", "why", "at"),
    [
        ({1: token(2, " is", -0.5000001)}, "log-probabilities differ from token 1 on (-0.5 then, -0.5000001 now)", 1),
        ({1: token(2, " is", -0.5, (7, -0.25), (2, -0.5))}, "token 1 on (those of alternatives)", 1),
        ({2: token(4, " wet.", -1.0)}, "the same text in other tokens, from token 2 on", 2),
    ],
)
def test_the_same_text_with_other_numbers_is_told_apart(again: dict[int, Token], why: str, at: int) -> None:
    tokens = [again.get(i, t) for i, t in enumerate(RAIN)]
    found = compare(step(*RAIN), tokens, answered(*tokens))
    assert (found.verdict, found.token) == ("same-text", at)
    assert why in found.why[0]
    assert found.recorded is not None


@pytest.mark.parametrize(
    ("recorded", "again", "why"),
    [
        ({}, {"finish_reason": "length"}, "it ended by stop then, by length now"),
        ({"distribution": {"a": 0.5, "b": 0.5}}, {"distribution": {"a": 0.25, "b": 0.75}}, "probabilities of the choi"),
    ],
)
def test_what_is_beside_the_tokens_counts(recorded: dict[str, Any], again: dict[str, Any], why: str) -> None:
    found = compare(step(*RAIN, **recorded), RAIN, answered(*RAIN, **again))
    assert (found.verdict, found.token) == ("same-text", None)
    assert why in found.why[0]


def test_a_distribution_that_was_not_recorded_is_not_missed() -> None:
    assert compare(step(*RAIN), RAIN, answered(*RAIN, distribution={"a": 1.0})).verdict == "identical"


def test_where_two_answers_part_both_are_shown_with_what_is_known_of_either() -> None:
    other = (RAIN[0], token(7, " falls", -0.125, (7, -0.125), (2, -0.5625)), token(8, " down", -2.0))
    found = compare(step(*RAIN), other, answered(*other))
    assert (found.verdict, found.token, found.why) == ("differs", 1, ("differs at token 1",))
    assert found.recorded == Side(2, " is wet.", -0.5, -0.5625)
    assert found.replayed == Side(7, " falls down", -0.125, -0.125)


def test_what_was_not_noted_of_an_alternative_is_unknown() -> None:
    other = (RAIN[0], RAIN[1], token(8, " dry.", -2.0))
    found = compare(step(*RAIN), other, answered(*other))
    assert found.recorded == Side(3, " wet.", -1.0, None)
    assert found.replayed == Side(8, " dry.", None, -2.0)


@pytest.mark.parametrize(("kept", "sides"), [(2, (3, None)), (4, (None, 5))])
def test_one_answer_may_end_where_the_other_goes_on(kept: int, sides: tuple[int | None, int | None]) -> None:
    again = (*RAIN, token(5, " Very.", -3.0))[:kept]
    found = compare(step(*RAIN), again, answered(*again))
    assert (found.verdict, found.token) == ("differs", min(kept, 3))
    assert found.recorded is not None
    assert found.replayed is not None
    assert (found.recorded.id, found.replayed.id) == sides


def test_numbers_that_drift_before_the_answers_part_are_told_too() -> None:
    again = (token(1, "Rain", -0.26), RAIN[1], token(8, " dry.", -2.0))
    found = compare(step(*RAIN), again, answered(*again))
    assert found.why == ("differs at token 2", "log-probabilities differ from token 0 on (-0.25 then, -0.26 now)")


def test_the_same_tokens_with_another_text_differ() -> None:
    found = compare(step(*RAIN), RAIN, answered(*RAIN, text="Rain is wet"))
    assert (found.verdict, found.why, found.token) == ("differs", ("the same tokens, but another text",), None)


# --- what can be compared


def test_nothing_stands_in_the_way_of_the_same_engine() -> None:
    assert obstacles(record(), ENGINE, TEMPLATE) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": "fast"}, "mode: exact then, fast now"),
        ({"llama_cpp": "0.4"}, "llama.cpp: 0.3.36 then, 0.4 now"),
        ({"build": "CPU : AVX = 1 | AMX = 1 |"}, "its build: FMA = 1 then, AMX = 1 now"),
        ({"build": "CPU : AVX = 1 |"}, "its build: FMA = 1 then, none now"),
        ({"cpu": "Another"}, "processor: A processor then, Another now"),
        ({"threads": 8}, "threads: 2 then, 8 now"),
        ({"safe_mode": True}, "safe mode: no then, yes now"),
        ({"layout": {**ENGINE.layout, "flash_attention": True}}, "layout, flash_attention: no then, yes now"),
        ({"layout": {"kv_unified": False, "flash_attention": False}}, "layout, extra_buffers: yes then, none now"),
        ({"context": 40}, "context: 4096 then, 40 now"),
    ],
)
def test_an_engine_that_is_not_as_it_was_is_an_obstacle(changes: dict[str, Any], reason: str) -> None:
    assert obstacles(record(), replace(ENGINE, **changes), TEMPLATE) == [reason]


def test_the_engines_own_revision_counts_where_the_record_has_it() -> None:
    then = record(engine=replace(ENGINE, revision=1))
    assert obstacles(then, replace(ENGINE, revision=2), TEMPLATE) == ["revision of the engine: 1 then, 2 now"]
    assert obstacles(record(), replace(ENGINE, revision=2), TEMPLATE) == []


def test_all_obstacles_are_named() -> None:
    assert len(obstacles(record(), replace(ENGINE, cpu="Another", threads=8), "another template")) == 3


def test_a_context_that_was_never_full_does_not_matter() -> None:
    assert obstacles(record(), replace(ENGINE, context=52), TEMPLATE) == []


def test_llguidance_matters_where_an_answer_was_held_to_something() -> None:
    newer = replace(ENGINE, llguidance="2.0")
    assert obstacles(record(), newer, TEMPLATE) == []
    held = record(step(*RAIN, constraint=Constraint("regex", ".*")))
    assert obstacles(held, newer, TEMPLATE) == ["llguidance: 1.9 then, 2.0 now"]


def test_another_chat_template_is_an_obstacle() -> None:
    assert obstacles(record(), ENGINE, "plain") == ["the chat template is not the one that it was written with"]
    assert obstacles(record(), ENGINE, None) != []


ASK = Ask("output", ASKED, {"temperature": 0.5, "max_tokens": 50})


def test_the_same_question_is_the_same() -> None:
    assert other_question(record(), 0, ASK) == []


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (Transcript((), {}, "x"), "the program ends before step 1 (output)"),
        (replace(ASK, name="reason"), "the program asks for 'reason' in place of step 1 (output)"),
        (replace(ASK, messages=(Message("user", "Why?"),)), "the program says other messages before step 1 (output)"),
        (replace(ASK, constraint=Constraint("regex", "a")), "the program holds step 1 (output) to something else"),
    ],
)
def test_another_question_is_named(now: Ask | Transcript, reason: str) -> None:
    assert other_question(record(), 0, now) == [reason]


@pytest.mark.parametrize(
    ("had", "asked", "others"),
    [
        ({"temperature": 0.5}, {}, ""),  # the prompt's or the model's, from the record's own
        ({"temperature": 0.0}, {"temperature": 0}, ""),  # the tag's
        ({"temperature": 0.5}, {"temperature": 0}, ""),  # the command line won over the tag
        ({"temperature": 0.0}, {}, "temperature"),
        ({"temperature": 0.0, "max_tokens": 9}, {"temperature": 0.25}, "temperature, max_tokens"),
        ({"stop": ["\n"]}, {"stop": "\n"}, ""),
        ({"stop": ["\n"]}, {"stop": ["a"]}, "stop"),
    ],
)
def test_options_come_from_the_tag_or_from_what_held_for_the_record(
    had: dict[str, Any], asked: dict[str, Any], others: str
) -> None:
    reasons = other_question(record(step(*RAIN, options={**OPTIONS, **had})), 0, replace(ASK, options=asked))
    wanted = [f"the program asks for other options of step 1 (output): {others}"] if others else []
    assert reasons == wanted


def test_of_a_prompt_that_is_called_what_the_caller_sets_may_be_the_models() -> None:
    called = record(step(*RAIN, options={**OPTIONS, "temperature": 0.75, "max_tokens": 9}))
    assert other_question(called, 0, replace(ASK, options={"max_tokens": 9}), ("temperature",)) == []
    assert other_question(called, 0, replace(ASK, options={"max_tokens": 9})) != []
    assert other_question(called, 0, ASK, ("temperature", "max_tokens")) != []


def test_a_program_must_end_as_it_did() -> None:
    assert other_end(record(), Transcript((), {}, "Rain is wet.")) == []
    assert other_end(record(), Transcript((), {}, "Rain")) == [
        "the program makes another output out of the same answers"
    ]
    assert other_end(record(), replace(ASK, name="more")) == ["the program goes on and asks for 'more'"]


CUT = step(RAIN[0], finish_reason=None, name="reason")


@pytest.mark.parametrize(
    ("steps", "error", "says"),
    [
        ((step(*RAIN),), None, None),
        ((step(*RAIN), CUT), Failure("WorkerDied", "killed"), None),
        ((CUT,), Failure("WorkerDied", "alpha: killed"), "it failed before any answer was finished: alpha: killed"),
        ((CUT,), Failure("Cancelled", "cancelled"), "it was cancelled before any answer was finished"),
        ((replace(CUT, finish_reason="cancelled"),), Failure("Cancelled", "x"), "it was cancelled before any answer"),
    ],
)
def test_a_record_without_a_finished_answer_has_nothing_to_compare(
    steps: tuple[Step, ...], error: Failure | None, says: str | None
) -> None:
    found = unfinished(record(*steps, error=error))
    assert (found is None) == (says is None)
    assert (found or "").startswith(says or "")


# --- the verdict on a record


SAME, TEXT = Compared("identical"), Compared("same-text", ("numbers",), 4, Side(1, "a", -1.0, -2.0), None)
OTHER = Compared("differs", ("differs at token 5",), 5, Side(1, "a", -1.0, None), Side(2, "b", None, -2.0))


@pytest.mark.parametrize(
    ("steps", "failures", "verdict", "why", "first"),
    [
        ([SAME, SAME], (), "identical", (), None),
        ([SAME, TEXT], (), "same-text", ("step 2 (output): numbers",), 1),
        ([TEXT, OTHER], (), "differs", ("step 2 (output): differs at token 5",), 1),
        ([SAME], ("step 2 failed",), "incomparable", ("step 2 failed",), None),
        ([TEXT], ("step 2 failed",), "incomparable", ("step 2 failed",), None),
        ([OTHER], ("step 2 failed",), "differs", ("step 1 (output): differs at token 5", "step 2 failed"), 0),
    ],
)
def test_the_worst_step_decides(
    steps: list[Compared], failures: tuple[str, ...], verdict: str, why: tuple[str, ...], first: int | None
) -> None:
    found = judge(record(step(*RAIN), step(*RAIN)), dict(enumerate(steps)), failures)
    assert (found.verdict, found.why, found.step) == (verdict, why, first)
    if first is not None:
        worst = steps[first]
        assert (found.token, found.recorded, found.replayed) == (worst.token, worst.recorded, worst.replayed)
    assert (found.id, found.prompt, found.label, found.model) == ("01X", "explain", "explain@2", "alpha")


@pytest.mark.parametrize(("found", "noted"), [(SAME, False), (TEXT, True), (OTHER, True)])
def test_in_the_mode_fast_a_difference_is_no_surprise(found: Compared, noted: bool) -> None:
    fast = record(engine=replace(ENGINE, mode="fast"))
    assert (FAST in judge(fast, {0: found}).why) is noted


def test_a_step_that_was_cut_off_is_left_out_and_named() -> None:
    cut = record(step(*RAIN), CUT, error=Failure("Cancelled", "cancelled"))
    assert finished(cut) == [0]
    assert left_out(cut) == ["step 2 (reason) was cut off and is left out"]
    assert judge(cut, {0: SAME}).why == ("step 2 (reason) was cut off and is left out",)
    assert judge(cut, {0: SAME}).verdict == "identical"


def test_each_reason_is_said_once() -> None:
    assert incomparable(record(), ["a", "b", "a"]).why == ("a", "b")


def test_a_record_that_asked_nothing_is_identical() -> None:
    assert judge(replace(record(), steps=()), {}).why == ("it asks nothing of a model",)
