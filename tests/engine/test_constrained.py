"""Answers that must keep to a constraint, from the two default models."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import jsonschema
import pytest

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint, Kind, check_constraint, read_answer
from promptlab.core.events import Answered, EngineEvent, Failed, Measured, Token
from promptlab.core.gbnf.match import misfit
from promptlab.core.options import Options
from promptlab.engine.backend import Measurement, Question
from tests.core.test_gbnf import ARITHMETIC, CHESS, JSON, LIST
from tests.engine.test_llama import GEMMA, SMOL, Bench

pytestmark = pytest.mark.model

HOT = Options(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, max_tokens=60)
GREEDY = Options(temperature=0, max_tokens=60)
ASKED = "Is the sky blue? Answer:"
PERSON = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["cat", 'the "dog"', "<|im_start|>"]},
        "age": {"type": "integer", "minimum": 3, "maximum": 70},
        "marks": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
        "home": {
            "type": "object",
            "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
            "required": ["zip"],
            "additionalProperties": False,
        },
    },
    "required": ["kind", "age", "marks", "home"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    made.load(SMOL, GEMMA)
    yield made
    made.pool.close()


def ask(
    bench: Bench, model: str, kind: Kind, value: Any, options: Options = HOT, *, seed: int = 0, top: int = 1
) -> int:
    bench.seq += 1
    constraint = Constraint(kind, value)
    segments = (Segment(ASKED, control=False),)
    bench.pool.ask(Question(model, bench.seq, segments, options, seed, top, constraint))
    return bench.seq


def last(bench: Bench, seq: int) -> EngineEvent:
    return list(bench.events(seq))[-1]


def answer(bench: Bench, model: str, kind: Kind, value: Any, options: Options = HOT, *, seed: int = 0) -> Answered:
    answered = last(bench, ask(bench, model, kind, value, options, seed=seed))
    assert isinstance(answered, Answered), answered
    return answered


def failure(bench: Bench, model: str, kind: Kind, value: Any) -> str:
    failed = last(bench, ask(bench, model, kind, value))
    assert isinstance(failed, Failed), failed
    assert failed.failure.type == "EngineError"
    assert "\n" not in failed.failure.message
    assert len(failed.failure.message) < 300
    return failed.failure.message


# --- choices ---------------------------------------------------------------------------------------------------------

ODD = [
    "a\nb",
    '"quoted"',
    ".*",
    "<|im_start|>user",
    "<end_of_turn>",
    " blank ",
    "日本 🌧",
    "\\d",
    "\x00\x1b",
    "/x/",
    "[[a]",
]


@pytest.mark.parametrize("model", [SMOL, GEMMA])
def test_of_choices_that_begin_each_other_each_can_be_drawn_whole(bench: Bench, model: str) -> None:
    choices = ["yes", "yes sir", "yes sir!"]
    # Any token is as likely as any other at this temperature, so the end competes on equal terms.
    even = Options(temperature=100, top_k=0, top_p=1.0, min_p=0.0)
    answers = [answer(bench, model, "choices", choices, even, seed=seed) for seed in range(12)]
    assert {a.text for a in answers} == set(choices)
    assert {a.finish_reason for a in answers} == {"stop"}


@pytest.mark.parametrize("model", [SMOL, GEMMA])
@pytest.mark.parametrize("choice", ODD)
def test_a_single_choice_is_said_as_it_is_whatever_its_characters(bench: Bench, model: str, choice: str) -> None:
    seen = list(bench.events(ask(bench, model, "choices", [choice])))
    ended = seen[-1]
    assert isinstance(ended, Answered), ended
    assert (ended.text, ended.finish_reason) == (choice, "stop")
    # No control token stands for any of it, and none was drawn to end it.
    drawn = [e for e in seen if isinstance(e, Token)]
    assert len(drawn) == ended.usage.completion_tokens
    assert [t.id for t in drawn] == list(bench.tokens(model, Segment(choice, control=False)))[-len(drawn) :]


@pytest.mark.parametrize("model", [SMOL, GEMMA])
def test_among_odd_choices_an_answer_is_one_of_them(bench: Bench, model: str) -> None:
    for seed in range(4):
        answered = answer(bench, model, "choices", ODD, seed=seed)
        assert read_answer(answered.text, Constraint("choices", ODD)) == answered.text
        assert answered.finish_reason == "stop"


def test_the_likelier_choice_is_taken_when_nothing_is_left_to_luck(bench: Bench) -> None:
    said = answer(bench, SMOL, "choices", ["Zrqk", " Yes"], GREEDY)
    assert said.text == " Yes"
    turned = answer(bench, SMOL, "choices", [" Yes", "Zrqk"], GREEDY)
    assert turned.text == " Yes"


# --- schema and regex ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [SMOL, GEMMA])
def test_an_answer_is_json_that_fits_its_schema(bench: Bench, model: str) -> None:
    kinds = set()
    for options, seed in [(GREEDY, 0), *((HOT, seed) for seed in range(3))]:
        answered = answer(bench, model, "schema", PERSON, options, seed=seed)
        assert answered.finish_reason == "stop", answered
        value = json.loads(answered.text)
        jsonschema.validate(value, PERSON)
        assert answered.text == json.dumps(value, ensure_ascii=False)  # no white space of its own
        kinds.add(value["kind"])
    assert len(kinds) > 1


@pytest.mark.parametrize(
    "schema", [{}, {"type": ["boolean", "null"]}, {"$ref": "#/$defs/n", "$defs": {"n": {"const": 7}}}]
)
def test_small_schemas_work_too(bench: Bench, schema: dict[str, Any]) -> None:
    answered = answer(bench, SMOL, "schema", schema, Options(temperature=0.5, max_tokens=40), seed=3)
    if answered.finish_reason == "stop":
        jsonschema.validate(json.loads(answered.text), schema)
    else:
        assert schema == {}  # a text without end is JSON so far


PATTERNS = [
    r"[A-Z][a-z]{2,5} [0-9]{3}",
    r"^(?:yes|no)$",
    r"(?i)OK|\d{2}\.\d",
    r"[[a&&b]{4}",  # means another thing to the automaton's own reader
    r"\w{3}-\W\s?x{,2}",
    r"é[^\n\"]{1,3}/\\",
]


@pytest.mark.parametrize("model", [SMOL, GEMMA])
@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")  # Python's, about `[[` and `&&`
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_whole_answer_matches_its_regex(bench: Bench, model: str, pattern: str) -> None:
    assert check_constraint("regex", pattern) is None
    texts = [answer(bench, model, "regex", pattern, seed=seed) for seed in range(2)]
    assert all(re.fullmatch(pattern, t.text) for t in texts), texts
    assert {t.finish_reason for t in texts} == {"stop"}


def test_a_regex_that_only_the_empty_text_matches_ends_at_once(bench: Bench) -> None:
    answered = answer(bench, SMOL, "regex", "^$")
    assert (answered.text, answered.finish_reason, answered.usage.completion_tokens) == ("", "stop", 0)


# --- grammars --------------------------------------------------------------------------------------------------------

MATCH = r"""
root  ::= pair{2}
pair  ::= move ", " move "\n"
move  ::= [NBKQR]? [a-h] [1-8] [+#]? | "O-O" "-O"?
"""
SUMS = r"""
root ::= sum " = " [0-9]{1,3} "\n"
sum  ::= part ([-+*/] part){0,2}
part ::= [0-9]{1,2} | "(" sum ")"
"""


@pytest.mark.parametrize("model", [SMOL, GEMMA])
@pytest.mark.parametrize("grammar", [MATCH, SUMS, 'root ::= [a-z]{2,6} "end" | "(" root ")"'], ids=range(3))
def test_the_whole_answer_fits_its_grammar(bench: Bench, model: str, grammar: str) -> None:
    drawn = [answer(bench, model, "grammar", grammar, HOT, seed=seed) for seed in range(3)]
    ended = [each for each in drawn if each.finish_reason == "stop"]
    assert ended
    assert all(read_answer(each.text, Constraint("grammar", grammar)) == each.text for each in ended)
    assert len({each.text for each in drawn}) > 1


@pytest.mark.parametrize("model", [SMOL, GEMMA])
@pytest.mark.parametrize("grammar", [LIST, ARITHMETIC, CHESS, JSON], ids=["list", "arithmetic", "chess", "json"])
def test_the_grammars_of_llama_cpp_are_kept_to(bench: Bench, model: str, grammar: str) -> None:
    short = replace(HOT, max_tokens=40)
    seqs = [ask(bench, model, "grammar", grammar, replace(GREEDY, max_tokens=40))]
    seqs += [ask(bench, model, "grammar", grammar, short, seed=seed) for seed in range(3)]
    drawn = [event for event in bench.events(*seqs) if isinstance(event, Answered)]
    assert len(drawn) == len(seqs)
    for said in drawn:
        reason = misfit(grammar, said.text)
        assert said.text
        assert reason is None or (said.finish_reason == "length" and reason.startswith("ends too early")), said


# --- how it is drawn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [SMOL, GEMMA])
def test_the_same_seed_gives_the_same_answer_and_nothing_beside_it_changes(bench: Bench, model: str) -> None:
    free = Options(max_tokens=12)
    alone, tokens = bench.answer(model, "The sea is", free, seed=3)
    first = answer(bench, model, "schema", PERSON, seed=5)
    seqs = [bench.ask(model, "The sea is", free, seed=3), ask(bench, model, "schema", PERSON, seed=5)]
    seqs += [bench.ask(model, "The sea is", free, seed=3), ask(bench, model, "schema", PERSON, seed=6)]
    seen = list(bench.events(*seqs))
    texts = {e.seq: e.text for e in seen if isinstance(e, Answered)}
    assert texts[seqs[0]] == texts[seqs[2]] == alone.text
    assert texts[seqs[1]] == first.text != texts[seqs[3]]
    for seq in (seqs[0], seqs[2]):
        drawn = [(e.id, e.logprob) for e in seen if isinstance(e, Token) and e.seq == seq]
        assert drawn == [(t.id, t.logprob) for t in tokens]


@pytest.mark.parametrize("model", [SMOL, GEMMA])
def test_probabilities_are_those_of_the_model_without_the_constraint(bench: Bench, model: str) -> None:
    _, (free, *_) = bench.answer(model, ASKED, Options(max_tokens=1, temperature=0))
    seq = ask(bench, model, "choices", ["Zrqk"], top=3)
    held, *_ = [e for e in bench.events(seq) if isinstance(e, Token)]
    assert held.top[0] == free.top[0]  # what the model would rather have said
    assert held.id != free.id
    assert held.logprob < free.logprob


@pytest.mark.parametrize(
    "options", [GREEDY, Options(repeat_penalty=1.8, max_tokens=60), Options(top_k=1, max_tokens=60)]
)
def test_every_way_of_drawing_keeps_to_it(bench: Bench, options: Options) -> None:
    answered = answer(bench, GEMMA, "regex", "(?:ab|cd|no ){6}", options)
    assert re.fullmatch("(?:ab|cd|no ){6}", answered.text)


def test_max_tokens_and_stop_texts_end_it_as_ever(bench: Bench) -> None:
    cut = answer(bench, SMOL, "regex", "[a-z ]{200,}", Options(max_tokens=7), seed=1)
    assert (cut.finish_reason, cut.usage.completion_tokens) == ("length", 7)
    stopped = answer(bench, SMOL, "regex", "one, two", Options(stop=(", ",)))
    assert (stopped.finish_reason, stopped.text) == ("stop", "one")
    # The last token allowed is the last one needed.
    count = answer(bench, SMOL, "regex", "one, two").usage.completion_tokens
    full = answer(bench, SMOL, "regex", "one, two", Options(max_tokens=count))
    assert (full.finish_reason, full.text) == ("stop", "one, two")


def test_a_choice_is_said_whole_whatever_would_cut_an_answer_off(bench: Bench) -> None:
    whole = answer(bench, SMOL, "choices", ["one, two", "three, four"], Options(max_tokens=1, stop=(", ",)))
    assert whole.finish_reason == "stop"
    assert whole.text in ("one, two", "three, four")
    assert whole.usage.completion_tokens > 1


@pytest.mark.parametrize("model", [SMOL, GEMMA])
def test_choices_get_the_probabilities_of_their_texts(bench: Bench, model: str) -> None:
    choices = [" yes", " no", " yes, of course"]
    answers = [answer(bench, model, "choices", choices, Options(temperature=1.0), seed=seed) for seed in range(8)]
    shares = answers[0].distribution
    assert shares is not None
    assert list(shares) == choices
    assert sum(shares.values()) == pytest.approx(1)
    assert all(each.distribution == shares for each in answers)
    assert answer(bench, model, "choices", choices, GREEDY).text == max(shares, key=lambda name: shares[name])
    # The same numbers come from reading the texts by themselves.
    bench.seq += 1
    bench.pool.measure(Measurement(model, bench.seq, (Segment(ASKED, control=False),), tuple(choices)))
    measured = next(e for e in iter(lambda: bench.pool.next_event(60), None) if isinstance(e, Measured))
    assert ["".join(score.texts) for score in measured.scores] == choices
    yes, no, course = (math.exp(sum(score.logprobs)) for score in measured.scores)
    total = (yes - course) + no + course
    for name, share in zip(choices, (yes - course, no, course), strict=True):
        assert shares[name] == pytest.approx(share / total, rel=1e-4)


def test_what_may_go_on_may_also_end(bench: Bench) -> None:
    even = Options(temperature=100, top_k=0, top_p=1.0, min_p=0.0, max_tokens=400)
    ended = [answer(bench, SMOL, "regex", "x{2,}", even, seed=seed) for seed in range(4)]
    assert {a.finish_reason for a in ended} == {"stop"}
    assert len({a.text for a in ended}) > 1
    assert all(set(a.text) == {"x"} and len(a.text) >= 2 for a in ended)


@pytest.mark.parametrize("model", [SMOL, GEMMA])
def test_a_cancelled_answer_ends_in_the_middle(bench: Bench, model: str) -> None:
    seq = ask(bench, model, "regex", "[a-z ]{900,}", Options(max_tokens=900))
    for event in bench.events(seq):
        if isinstance(event, Token):
            bench.pool.cancel(model, seq)
        if isinstance(event, Answered):
            assert event.finish_reason == "cancelled"
            assert 0 < event.usage.completion_tokens < 900
    assert answer(bench, model, "choices", ["fine"]).text == "fine"


# --- what cannot be followed, and bombs ------------------------------------------------------------------------------


def chain(length: int) -> dict[str, Any]:
    defs: dict[str, Any] = {
        f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}, {"maxLength": i}]} for i in range(length)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{length}": {"type": "string"}}}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


CHILD = {"type": "object", "properties": {"c": {"$ref": "#"}}, "required": ["c"], "additionalProperties": False}
BAD: list[tuple[Kind, Any, str]] = [
    ("schema", {"type": "array", "uniqueItems": True}, "uniqueItems"),
    ("schema", {"not": {"type": "string"}}, "not"),
    ("schema", {"type": "string", "if": {"minLength": 2}, "then": {"maxLength": 9}}, "if"),
    ("schema", {"$schema": "http://json-schema.org/draft-04/schema#", "type": "string", "if": {}}, "if"),
    ("schema", {"items": {"$schema": "http://json-schema.org/draft-04/schema#", "if": {}}}, "only at its top"),
    ("schema", {"x-guidance": {"lenient": True}, "uniqueItems": True}, "uniqueItems"),
    ("schema", {"type": "string", "format": "surprise"}, "surprise"),
    ("schema", {"type": "string", "pattern": "(?=a)b"}, "look-around"),
    ("schema", {"type": "string", "enum": [1, 2]}, "incompatible types"),
    ("schema", {"oneOf": [{"type": "string"}, {"type": "string", "minLength": 2}]}, "oneOf"),
    ("schema", {"$ref": "https://example.com/other"}, "example.com"),
    ("schema", {"$ref": "#"}, "nothing fits"),
    ("regex", r"\bword\b", "word boundaries"),
    ("regex", "a^b", "only at its beginning"),
    ("regex", "a*+a", "possessive"),
    ("regex", "[^\\s\\S]", "nothing fits"),
    ("choices", ["\ud800"], "half a character"),
    ("grammar", "root ::= x", "line 1, column 10: there is no rule 'x'"),
    ("grammar", 'root ::= "x" root', "never ends"),
    ("grammar", "root ::= <think>", "tokens"),
]
BOMBS: list[tuple[Kind, Any]] = [
    ("regex", "(a{1000}){1000}"),
    ("regex", "(" * 400 + "a" + ")" * 400),
    ("schema", {"enum": [f"value {i}" for i in range(100_000)]}),
    ("schema", {"enum": [{"a": i} for i in range(5_000)]}),
    ("schema", {"allOf": [{"type": "string", "pattern": f"a.*{i}"} for i in range(60)]}),
    ("schema", {"allOf": [{"properties": {f"p{i}": {"type": "string", "maxLength": i + 1}}} for i in range(2_000)]}),
    ("schema", chain(3_000)),
    ("schema", nested(150)),
    ("schema", nested(5_000)),
    ("schema", CHILD),
    ("grammar", 'root ::= ((("a"{20}){20}){20}){20}'),
    ("grammar", "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1}{{2}}" for i in range(60)), 'r60 ::= "a"?'])),
    ("grammar", "root ::= (" + " | ".join(f'"{"a" * i}" root' for i in range(1, 180)) + ' | "b")'),
]


@pytest.mark.parametrize(("kind", "value", "reason"), BAD)
def test_what_cannot_be_followed_is_one_line_with_the_reason(bench: Bench, kind: Kind, value: Any, reason: str) -> None:
    assert reason in failure(bench, SMOL, kind, value)


@pytest.mark.parametrize(("kind", "value"), BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_is_one_line_in_good_time_and_the_worker_lives(bench: Bench, kind: Kind, value: Any) -> None:
    pid = bench.pool.pid(SMOL)
    begun = time.monotonic()
    failure(bench, SMOL, kind, value)
    assert time.monotonic() - begun < 30
    assert answer(bench, SMOL, "choices", ["fine"]).text == "fine"
    assert bench.pool.pid(SMOL) == pid


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("schema", {"type": "array", "items": {"type": "integer"}, "maxItems": 100_000}),
        ("schema", {"enum": [f"value {i}" for i in range(8_000)]}),
        ("choices", [f"{i:03d}" + "x" * 1990 + '\n"é' for i in range(1000)]),
        ("regex", "(((((a*)*)*)*)*)*b"),
        ("regex", r"(?:\w+\s*){900}"),
        ("grammar", 'root ::= "(" root ")" | ([^"] | [a-z] | [b-x] | root)* "\\""'),
        ("grammar", "\n".join(["root ::= r0", *(f"r{i} ::= r{i + 1}" for i in range(2000)), "r2000 ::= [a-z]+"])),
    ],
    ids=range(7),
)
def test_what_is_only_large_is_followed(bench: Bench, kind: Kind, value: Any) -> None:
    answered = answer(bench, SMOL, kind, value, Options(max_tokens=12), seed=2)
    if answered.finish_reason == "stop":
        read_answer(answered.text, Constraint(kind, value))
    else:
        assert answered.usage.completion_tokens == 12


def test_every_kind_of_constraint_is_tested_here() -> None:
    assert {kind for kind, *_ in BAD} == set(get_args(Kind))
