from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pytest

from promptlab.core.program import Ask, Message, step
from promptlab.core.prompt import NAME, RESERVED, Input, Prompt, complete, parse, split
from promptlab.errors import InputError, RenderError, SourceError

FULL = """\
---
description: "  Judge a claim. "
inputs:
  claim: string, the statement
  audience: {type: string, default: a reader}
  n?: integer
  kind(enum, which): [a, b]
output: text
options: {temperature: 0.7, stop: [x]}
metadata: {tags: [a], nested: {b: null}}
---
{% user %}{{ claim }}{% enduser %}
"""


def problems(source: str) -> list[str]:
    with pytest.raises(SourceError) as caught:
        parse(source, "dir/p")
    return [str(p) for p in caught.value.problems]


def test_a_full_file() -> None:
    assert parse(FULL, "dir/p") == Prompt(
        name="dir/p",
        source=FULL,
        body="{% user %}{{ claim }}{% enduser %}\n",
        body_line=12,
        description="Judge a claim.",
        inputs=(
            Input("claim", {"type": "string", "description": "the statement"}, True),
            Input("audience", {"type": "string", "default": "a reader"}, False),
            Input("n", {"type": "integer"}, False),
            Input("kind", {"enum": ["a", "b"], "description": "which"}, True),
        ),
        options={"temperature": 0.7, "stop": ["x"]},
        metadata={"tags": ["a"], "nested": {"b": None}},
    )


def test_the_signature_reads_like_a_function() -> None:
    signature = 'dir/p(claim: string, audience: string = "a reader", n?: integer, kind: "a" | "b") -> text'
    assert parse(FULL, "dir/p").signature == signature


def test_a_signature_is_short_whatever_stands_in_the_file() -> None:
    long = "x" * 10_000
    prompt = parse(f"---\ninputs: {{a: {{enum: [{long}], default: {long}}}}}\n---\n", "p")
    assert len(prompt.signature) < 400


def test_descriptions_and_defaults_of_inputs() -> None:
    claim, audience, *_ = parse(FULL, "p").inputs
    assert (claim.description, claim.default) == ("the statement", None)
    assert (audience.description, audience.default) == ("", "a reader")


@pytest.mark.parametrize(
    ("source", "front", "body", "line"),
    [
        ("", "", "", 1),
        ("body", "", "body", 1),
        ("\n---\na: b\n---\n", "", "\n---\na: b\n---\n", 1),
        ("---\n---\n", "", "", 3),
        ("---\n---", "", "", 3),
        ("---\na: b\n---\nx\n---\ny", "a: b", "x\n---\ny", 4),
        ("--- \t\na: b\n---  \nx", "a: b", "x", 4),
        ("---\r\na: b\r\n---\r\nx\r\n", "a: b\r", "x\r\n", 4),
        ("----\nx", "", "----\nx", 1),
        ("--- # comment\nx", "", "--- # comment\nx", 1),
        ("---\na: |\n  --- \n---\nx", "a: |\n  --- ", "x", 5),
    ],
)
def test_where_the_body_begins(source: str, front: str, body: str, line: int) -> None:
    assert split(source, "f") == (front, body, line)


@pytest.mark.parametrize(
    "source", ["---", "---\n", "---\ndescription: x\n", "---\ndescription: x\n--\nbody ---\n ---\n"]
)
def test_front_matter_must_be_closed(source: str) -> None:
    message = "the front matter that begins here is not closed: put a line `---` after it"
    assert problems(source) == [f"dir/p.jinja:1:1: {message}"]


@pytest.mark.parametrize("front", ["", "\n", "# nothing\n", "null\n", "{}\n", "inputs:\noptions:\nmetadata:\n"])
def test_nothing_in_the_front_matter(front: str) -> None:
    prompt = parse(f"---\n{front}---\nhello", "p")
    assert (prompt.body, prompt.inputs, prompt.options, prompt.metadata) == ("hello", (), {}, {})


@pytest.mark.parametrize(
    "source", [FULL, FULL.replace("\n", "\r\n"), "\ufeff" + FULL, "\ufeff" + FULL.replace("\n", "\r\n")]
)
def test_line_ends_and_a_byte_order_mark_make_no_difference(source: str) -> None:
    prompt = parse(source, "p")
    assert (prompt.inputs, prompt.options, prompt.body_line) == (parse(FULL, "p").inputs, parse(FULL, "p").options, 12)
    ask = step(prompt, {"claim": "x"}, ())
    assert ask == Ask("output", (Message("user", "x"),), prompt.options)


NO_OUTPUT = "2:1: output is `text`, `json`, {choices: [a, b]}, {schema: {…}} or {grammar: …}"
BAD = [
    ("a", "2:1: the front matter is a mapping: `description: …`, `inputs: …`"),
    ("- a", "2:1: the front matter is a mapping: `description: …`, `inputs: …`"),
    (
        "description: x\nmodel: y",
        "3:1: 'model' is not a key of a prompt file; there are description, inputs, output, options, metadata",
    ),
    ("description: [x]", "2:1: description is a text"),
    ("description:", "2:1: description is a text"),
    ("output: number", NO_OUTPUT),
    ("output:", NO_OUTPUT),
    ("output: {regex: a}", NO_OUTPUT),
    ("output: {choices: [a], schema: {}}", NO_OUTPUT),
    ("output: {choices: [1]}", "2:10: output: choices wants a list of texts, such as ['yes', 'no']; got [1]"),
    ("output:\n  choices: []", "3:3: output: choices wants a list of texts, such as ['yes', 'no']; got []"),
    ("output: {schema: []}", "2:10: output: a type is a word (string, integer, …) or a mapping"),
    ("metadata: [a]", "2:1: metadata is a mapping"),
    ("inputs: [a]", "2:1: inputs is a mapping of names to types"),
    ("inputs: x", "2:1: inputs is a mapping of names to types"),
    (
        "inputs:\n  a: strnig",
        "3:3: input a: 'strnig' is not a type: use one of string, integer, number, boolean, null, any, "
        "or a JSON Schema",
    ),
    (
        "inputs:\n  a:\n    type: whole",
        "4:5: input a: 'whole' is not a type: use one of string, integer, number, boolean, null, any, array, object",
    ),
    ("inputs:\n  a: {enum: 5}", "3:7: input a: an enum needs a list of values"),
    ("inputs: {_a: string}", "2:10: input _a: names that begin with _ are for promptlab"),
    ("inputs: {not: string}", "2:10: input not: this is a word of the template language"),
    ("inputs: {'self': string}", "2:10: input self: this is a word of the template language"),
    ('inputs: {a: string, "a?": string}', "2:21: input a is declared twice"),
    (
        'inputs: {"a\\nb": string}',
        "2:10: input 'a\\nb': 'a\\nb' is not a name: use letters, digits and underscores, as in `topic` or `topic?`",
    ),
    ("options: [a]", "2:1: options is a mapping, such as {temperature: 0.7}"),
    ("options: {temperature: 101}", "2:11: temperature wants a number from 0 to 100; got 101"),
    ("options: {temperature: no}", "2:11: temperature wants a number from 0 to 100; got 'no'"),
    ("options: {temperature: 1e999}", "2:24: YAML: too large a number; put it in quotes if it is a text"),
    (
        "options:\n  max_token: 5",
        "3:3: 'max_token' is not an option; there are temperature, top_k, top_p, min_p, repeat_penalty, max_tokens, "
        "stop, seed",
    ),
    ("description: x: y", "2:15: YAML: mapping values are not allowed here"),
    ("description: x\ndescription: y", "3:1: YAML: the key 'description' stands here a second time"),
    ("description: x\n\tinputs: {}", "3:1: YAML: found character '\\t' that cannot start any token"),
    ("description: \x07", "2:14: YAML: unacceptable character #x0007: special characters are not allowed"),
]


@pytest.mark.parametrize(("front", "problem"), BAD)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_problem_in_the_front_matter_has_its_place(front: str, problem: str, newline: str) -> None:
    source = f"---\n{front}\n---\nbody\n".replace("\n", newline)
    assert problems(source) == [f"dir/p.jinja:{problem}"]


def test_all_problems_are_told_at_once() -> None:
    source = "---\nfoo: 1\ninputs:\n  a: x\n  1b: string\noptions: {bar: 1}\noutput: y\n---\n"
    assert [p.split(": ")[0] for p in problems(source)] == [
        f"dir/p.jinja:{place}" for place in ("2:1", "4:3", "5:3", "6:11", "7:1")
    ]


@pytest.mark.parametrize(
    ("source", "place"), [("x" * (256 * 1024 + 1), ""), (f"---\n{'#' * (64 * 1024 + 1)}\n---\n", ":1:1")]
)
def test_too_large_a_file(source: str, place: str) -> None:
    (problem,) = problems(source)
    assert problem.startswith(f"dir/p.jinja{place}: ")
    assert "is larger than" in problem


def test_dense_front_matter_of_the_largest_size_is_read_in_seconds() -> None:
    front = "".join(f"k{i}: 1\n" for i in range(10_000))[: 64 * 1024]
    begin = time.monotonic()
    assert problems(f"---\nmetadata: 1\n{front[:-100]}\n---\n")
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("head", ["", "---\n---\n", "---\ndescription: |\n  a\n\n  b\n\n---\n"])
@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("{{ oops }}", 0),
        ("\n\n{{ oops }}\n", 2),
        ("{% if true %}\n{% user %}\n\n{{ oops }}{% enduser %}{% endif %}", 3),
    ],
)
def test_an_error_in_the_body_names_the_line_of_the_file(head: str, body: str, line: int) -> None:
    prompt = parse(head + body, "p")
    with pytest.raises(RenderError) as caught:
        step(prompt, {}, ())
    expected = head.count("\n") + line + 1
    assert str(caught.value).startswith(f"p.jinja:{expected}: ")


def test_the_hash_is_of_the_text_and_all_that_it_includes() -> None:
    text = json.dumps({"source": "hällo", "partials": {"_a": "1", "_b": "2"}}, sort_keys=True, ensure_ascii=False)
    prompt = parse("hällo", "p").with_partials({"_b": "2", "_a": "1"})
    assert prompt.hash == hashlib.sha256(text.encode()).hexdigest()


def test_what_changes_the_hash_and_what_does_not() -> None:
    base = parse("---\ndescription: x\n---\nhi", "p").with_partials({"_a": "1"})
    same = parse(base.source, "other/name").with_partials({"_a": "1"})
    others = [
        base.with_partials({"_a": "2"}),
        base.with_partials({"_b": "1"}),
        base.with_partials({}),
        parse(base.source + " ", "p").with_partials({"_a": "1"}),
        parse(base.source.replace("x", "y"), "p").with_partials({"_a": "1"}),
        parse("\ud800", "p"),
    ]
    assert same.hash == base.hash
    assert len({p.hash for p in [base, *others]}) == len(others) + 1


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("explain", True),
        ("a/b/c", True),
        ("v1.2-x_y", True),
        ("", False),
        ("_style", False),
        (".hidden", False),
        ("a/../b", False),
        ("a/_b", False),
        ("/etc/passwd", False),
        ("a//b", False),
        ("a@2", False),
        ("a b", False),
        ("a\n", False),
        ("é", False),
        ("a" * 101, False),
        ("/".join("a" * 11), False),
    ],
)
def test_what_a_prompt_may_be_called(name: str, fits: bool) -> None:
    assert bool(NAME.fullmatch(name)) is fits


# --- complete --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"claim": "c", "kind": "a"}, {"claim": "c", "audience": "a reader", "n": None, "kind": "a"}),
        ({"claim": "c", "kind": "a", "n": 0}, {"claim": "c", "audience": "a reader", "n": 0, "kind": "a"}),
        (
            {"kind": "b", "audience": "", "n": None, "claim": ""},
            {"claim": "", "audience": "", "n": None, "kind": "b"},
        ),
    ],
)
def test_values_are_completed_in_the_order_of_the_file(given: dict[str, Any], values: dict[str, Any]) -> None:
    completed = complete(parse(FULL, "p"), given)
    assert list(completed.items()) == list(values.items())
    assert complete(parse(FULL, "p"), completed) == completed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "p: the input 'claim' is missing; the input 'kind' is missing"),
        ({"claim": None, "kind": "a"}, "p: the input 'claim': None is not of type 'string'"),
        ({"claim": "x", "kind": "a", "audience": None}, "p: the input 'audience': None is not of type 'string'"),
        (
            {"claim": 5, "kind": "c"},
            "p: the input 'claim': 5 is not of type 'string'; the input 'kind': 'c' is not one of",
        ),
        ({"claim": "x", "kind": "a", "clam\n": 1}, "p: there is no input 'clam\\n'"),
        ({"claim": "x", "kind": "a", "n": 1.5}, "p: the input 'n': 1.5 is not of type 'integer'"),
        ({"claim": "x", "kind": "a", "n": True}, "p: the input 'n': True is not of type 'integer'"),
    ],
)
def test_wrong_values(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        complete(parse(FULL, "p"), given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.hint == f"It takes {parse(FULL, 'p').signature}"


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ("a: {type: string, minLength: x}", "p.jinja:3:3: input a: not a JSON Schema: 'x' is not of type 'integer'"),
        ("a: {type: string, pattern: '('}", "p.jinja:3:3: input a: not a JSON Schema: '(' is not a 'regex'"),
        ("a: {type: integer, default: x}", "p.jinja:3:3: input a: the default 'x' is not of type 'integer'"),
        ("a: {type: string, $ref: 'http://x/', default: x}", "p.jinja:3:3: input a: the default its schema refers to"),
    ],
)
def test_unsound_types_are_the_files_fault(inputs: str, problem: str) -> None:
    with pytest.raises(SourceError) as caught:
        complete(parse(f"---\ninputs:\n  {inputs}\n---\n", "p"), {"a": "x"})
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_words_of_the_template_language_are_not_inputs(name: str) -> None:
    assert problems(f"---\ninputs: {{'{name}': string}}\n---\n")


@pytest.mark.parametrize(("given", "value"), [(2.0, 2), (2, 2), (1e2, 100)])
def test_a_whole_number_is_one_to_a_template(given: float, value: int) -> None:
    prompt = parse("---\ninputs: {n: integer, d: {type: integer, default: 3.0}}\n---\n", "p")
    values = complete(prompt, {"n": given})
    assert values == {"n": value, "d": 3}
    assert [type(each) for each in values.values()] == [int, int]


@pytest.mark.parametrize("front", ["inputs: []", "inputs: ''", "options: []", "options: 0"])
def test_nothing_of_the_wrong_kind(front: str) -> None:
    assert len(problems(f"---\n{front}\n---\n")) == 1
