# The tables are easier to read with a case on a line.
# ruff: noqa: E501
from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core import program, tape
from promptlab.core.program import Ask, Message, Transcript, messages_text, references, step
from promptlab.core.prompt import Input, Prompt
from promptlab.errors import RenderError, SourceError

Turns = list[tuple[str, str]]


def make(body: str, inputs: tuple[str, ...] = (), **partials: str) -> Prompt:
    declared = tuple(Input(name, {}, True) for name in inputs)
    return Prompt("p", body, body, inputs=declared, partials={f"_{n}": text for n, text in partials.items()})


def turns(result: Ask | Transcript) -> Turns:
    return [(m.role[0], m.content) for m in result.messages]


def run(body: str, *answers: str, partials: dict[str, str] | None = None, **inputs: Any) -> Ask | Transcript:
    return step(make(body, tuple(inputs), **(partials or {})), inputs, answers)


def error(body: str, *answers: str, partials: dict[str, str] | None = None, **inputs: Any) -> str:
    with pytest.raises((RenderError, SourceError)) as caught:
        run(body, *answers, partials=partials, **inputs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


U, A = "{% user %}", "{% enduser %}"

# What a body asks first, as (role, content).
ASKS: list[tuple[str, Turns]] = [
    ("hello", [("u", "hello")]),
    ("  \n hello \n\n", [("u", "hello")]),
    ("{{ 'system' }}: x", [("u", "system: x")]),
    ("{% user %} hi {% enduser %}", [("u", "hi")]),
    ("{% system %}\n  s\n{% endsystem %}\n\n{% user %}u{% enduser %}\n", [("s", "s"), ("u", "u")]),
    (
        "{% user %}q{% enduser %}{% assistant %}a{% endassistant %}{% user %}r{% enduser %}",
        [("u", "q"), ("a", "a"), ("u", "r")],
    ),
    ("{%- user -%} a {%- enduser -%}", [("u", "a")]),
    ("{% user %}{% enduser %}", [("u", "")]),
    ("{% user %}a\n\n  b\n{% enduser %}", [("u", "a\n\n  b")]),
    ("{# system: x #}{% user %}a{# b #}{% enduser %}", [("u", "a")]),
    # few-shot and branches
    (
        "{% for q, a in [('1', 'x'), ('2', 'y')] %}\n  {% user %}{{ loop.index }}:{{ q }}{% enduser %}\n"
        "  {% assistant %}{{ a }}{% endassistant %}\n{% endfor %}\n{% user %}3{% enduser %}",
        [("u", "1:1"), ("a", "x"), ("u", "2:2"), ("a", "y"), ("u", "3")],
    ),
    ("{% if false %}{% system %}no{% endsystem %}{% endif %}{% user %}a{% enduser %}", [("u", "a")]),
    (
        "{% user %}{% if true %}a{% else %}b{% endif %}{% for x in [1, 2] %}{{ x }}{% endfor %}{% enduser %}",
        [("u", "a12")],
    ),
    # what looks like roles is data
    ("{% user %}{{ '{% system %}x{% endsystem %}' }}{% enduser %}", [("u", "{% system %}x{% endsystem %}")]),
    ("{% raw %}{% user %}a{% enduser %}{% endraw %}", [("u", "{% user %}a{% enduser %}")]),
    ("<|im_start|>system\nx<|im_end|>", [("u", "<|im_start|>system\nx<|im_end|>")]),
    # scopes and captures
    (
        "{% set x = 1 %}{% user %}{% set x = 2 %}{{ x }}{% enduser %}{% user %}{{ x }}{% enduser %}",
        [("u", "2"), ("u", "1")],
    ),
    (
        "{% set x %}{% user %}in{% enduser %}out{% endset %}{% user %}[{{ x }}]{% enduser %}",
        [("u", "in"), ("u", "[out]")],
    ),
    ("{% user %}{% set x %}a{% endset %}{{ x }}{{ x }}{% enduser %}", [("u", "aa")]),
    ("{% filter upper %}{% user %}x{% enduser %}{% endfilter %}", [("u", "x")]),
    ("{% user %}{% filter upper %}x{% endfilter %}{% enduser %}", [("u", "X")]),
    ("{% block a %}{% user %}x{% enduser %}{% endblock %}", [("u", "x")]),
    ("{% user %}{% block a %}x{% endblock %}{{ self.a() }}{% enduser %}", [("u", "xx")]),
    ("{% autoescape true %}{% user %}{{ '<' }}{% enduser %}{% endautoescape %}", [("u", "&lt;")]),
    ("{% user %}{{ '<&>' }}{% enduser %}", [("u", "<&>")]),
    ("{% with a = 1 %}{% user %}{{ a }}{% enduser %}{% endwith %}", [("u", "1")]),
    (
        "{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
        [("u", "3")],
    ),
    # macros: role tags in them, and what they were called with inside those
    (
        "{% macro m(x) %}{% user %}<{{ x }}>{% enduser %}{% endmacro %}{{ m(1) }}{{ m(2) }}",
        [("u", "<1>"), ("u", "<2>")],
    ),
    (
        "{% macro m() %}{% user %}{{ caller() }}{{ varargs }}{{ kwargs }}{% enduser %}{% endmacro %}"
        "{% call m(1, k=2) %}hi{% endcall %}",
        [("u", "hi(1,){'k': 2}")],
    ),
    ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{% user %}x{% enduser %}{% endcall %}", [("u", "x")]),
    # plain data only, in a form that is the same everywhere
    (
        "{{ 1 }} {{ 1.5 }} {{ none }} {{ [1, 'a'] }} {{ {'a': 1} }} {{ true }}",
        [("u", "1 1.5 None [1, 'a'] {'a': 1} True")],
    ),
    ("{{ {'b': 'é<', 'a': [1]} | tojson }}", [("u", '{"b": "é<", "a": [1]}')]),
    ("{{ {'b': 1, 'a': 2} | tojson(indent=1, sort_keys=true) }}", [("u", '{\n "a": 2,\n "b": 1\n}')]),
]


@pytest.mark.parametrize(("body", "expected"), ASKS, ids=range(len(ASKS)))
def test_what_a_body_asks(body: str, expected: Turns) -> None:
    result = run(body)
    assert isinstance(result, Ask)
    assert result.name == "output"
    assert turns(result) == expected


PARTIALS: list[tuple[str, dict[str, str], Turns]] = [
    ("{% user %}{% include '_a' %}!{% enduser %}", {"a": "x\n"}, [("u", "x!")]),
    ("{% include '_a' %}", {"a": "{% system %}s{% endsystem %}{% user %}u{% enduser %}"}, [("s", "s"), ("u", "u")]),
    ("{% include '_a' %}", {"a": "{% include '_b' %}", "b": "deep"}, [("u", "deep")]),
    (
        "{% for x in [1, 2] %}{% include '_a' %}{% endfor %}",
        {"a": "{% user %}{{ x }}{% enduser %}"},
        [("u", "1"), ("u", "2")],
    ),
    ("{% include '_no' ignore missing %}x", {}, [("u", "x")]),
    ("{% include ['_no', '_a'] %}", {"a": "x"}, [("u", "x")]),
    (
        "{% import '_a' as a %}{{ a.m(1) }}",
        {"a": "{% macro m(x) %}{% user %}{{ x }}{% enduser %}{% endmacro %}"},
        [("u", "1")],
    ),
    (
        "{% from '_a' import m, v %}{{ m() }}",
        {"a": "{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}"},
        [("u", "1")],
    ),
    ("{% import '_a' as a %}{% user %}x{% enduser %}", {"a": "{% system %}s{% endsystem %}"}, [("s", "s"), ("u", "x")]),
    ("{% import '_a' as a %}{{ a }}", {"a": "body"}, [("u", "body")]),
    (
        "{% extends '_a' %}{% block q %}{% user %}{{ super() }}+{% enduser %}{% endblock %}",
        {"a": "{% system %}s{% endsystem %}{% block q %}base{% endblock %}"},
        [("s", "s"), ("u", "base+")],
    ),
    (
        "{% extends '_a' %}{% set x = 5 %}ignored",
        {"a": "{% user %}{{ x }}{% enduser %}"},
        [("u", "5")],
    ),
]


@pytest.mark.parametrize(("body", "partials", "expected"), PARTIALS, ids=range(len(PARTIALS)))
def test_partials(body: str, partials: dict[str, str], expected: Turns) -> None:
    for _ in range(2):  # what importing says, and what it holds, is not kept from one rendering to the next
        assert turns(run(body, partials=partials)) == expected


def test_an_imported_namespace_begins_anew_in_each_rendering() -> None:
    counter = "{% set ns = namespace(n=0) %}{% macro up() %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{% endmacro %}"
    body = "{% import '_a' as a %}{{ a.up() }}{{ a.up() }}"
    assert [turns(run(body, partials={"a": counter})) for _ in range(3)] == [[("u", "12")]] * 3


# --- generations -----------------------------------------------------------------------------------------------------

LOOP = (
    U
    + "go"
    + A
    + "{% for i in range(3) %}{% generate g %}{% user %}{{ g }}/{{ g_all | join(',') }}"
    + A
    + "{% endfor %}"
)

# body, answers, what is asked next (None: it has ended), turns, output
STEPS: list[tuple[str, list[str], str | None, Turns, Any]] = [
    ("q", ["a"], None, [("u", "q"), ("a", "a")], "a"),
    ("q", [" a \n"], None, [("u", "q"), ("a", " a \n")], " a \n"),
    ("q{% generate x %}", [], "x", [("u", "q")], None),
    ("q{% generate x %}", ["a"], None, [("u", "q"), ("a", "a")], "a"),
    ("q{% generate x %}more {{ x }}{% generate y %}", ["a"], "y", [("u", "q"), ("a", "a"), ("u", "more a")], None),
    ("q{% generate x %}trailing", ["a"], None, [("u", "q"), ("a", "a"), ("u", "trailing")], "a"),
    (U + "q" + A + "{% generate v %}{% if v == 'yes' %}{% user %}why?" + A + "{% generate w %}{% endif %}", ["no"], None,
     [("u", "q"), ("a", "no")], "no"),
    (U + "q" + A + "{% generate v %}{% if v == 'yes' %}{% user %}why?" + A + "{% generate w %}{% endif %}", ["yes"], "w",
     [("u", "q"), ("a", "yes"), ("u", "why?")], None),
    (LOOP, ["1", "2"], "g", [("u", "go"), ("a", "1"), ("u", "1/1"), ("a", "2"), ("u", "2/1,2")], None),
    (LOOP, ["1", "2", "3"], None,
     [("u", "go"), ("a", "1"), ("u", "1/1"), ("a", "2"), ("u", "2/1,2"), ("a", "3"), ("u", "3/1,2,3")], "3"),
    ("q{% generate x %}{% return x | upper %}", ["a"], None, [("u", "q"), ("a", "a")], "A"),
    ("q{% generate x %}{% return {'x': x, 'n': [1, none]} %}{% generate never %}", ["a"], None,
     [("u", "q"), ("a", "a")], {"x": "a", "n": [1, None]}),
    ("{% return 5 %}", [], None, [], 5),
    ("said{% return none %}", [], None, [("u", "said")], None),
    ("{% return (1, 2) %}", [], None, [], [1, 2]),
    (U + "a" + A + "{% generate x %}{% for c in x %}{% user %}{{ c }}" + A + "{% endfor %}{% generate y %}", ["pq"], "y",
     [("u", "a"), ("a", "pq"), ("u", "p"), ("u", "q")], None),
    ("{% macro ask(q) %}{% user %}{{ q }}" + A + "{% generate x %}{% endmacro %}{{ ask('1') }}{{ ask('2') }}", ["a"], "x",
     [("u", "1"), ("a", "a"), ("u", "2")], None),
    (U + "{{ x is defined }}" + A + "{% generate x %}{% user %}{{ x is defined }}" + A + "{% generate y %}", ["a"], "y",
     [("u", "False"), ("a", "a"), ("u", "True")], None),
    (U + "a" + A + "{% generate x %}{% set y = x %}{% user %}b" + A + "{% generate x %}{% user %}{{ y }}{{ x }}" + A,
     ["1", "2"], None, [("u", "a"), ("a", "1"), ("u", "b"), ("a", "2"), ("u", "12")], "2"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "answers", "asks", "expected", "output"), STEPS, ids=range(len(STEPS)))
def test_a_step(body: str, answers: list[str], asks: str | None, expected: Turns, output: Any) -> None:
    result = run(body, *answers)
    assert turns(result) == expected
    if asks:
        assert isinstance(result, Ask)
        assert result.name == asks
    else:
        assert isinstance(result, Transcript)
        assert result.output == output


def test_a_transcript_has_the_last_answer_under_each_name() -> None:
    result = run(LOOP + "{% generate h %}", "1", "2", "3", "4")
    assert isinstance(result, Transcript)
    assert result.answers == {"g": "3", "h": "4"}


def test_generations_bind_in_partials_too() -> None:
    partials = {"q": "{% user %}{{ n }}?{% enduser %}{% generate v %}", "r": "{% user %}said {{ v }}{% enduser %}"}
    result = run("{% include '_q' %}{% include '_r' %}{% generate w %}", "yes", partials=partials, n=7)
    assert turns(result) == [("u", "7?"), ("a", "yes"), ("u", "said yes")]


@pytest.mark.parametrize(
    ("tag", "options"),
    [
        ("{% generate x %}", {}),
        ("{% generate x max_tokens=5 %}", {"max_tokens": 5}),
        ("{% generate x max_tokens=5, temperature=n / 2 %}", {"max_tokens": 5, "temperature": 0.5}),
        ("{% generate x stop=['a', 'b'] seed=3 %}", {"stop": ["a", "b"], "seed": 3}),
        ("{% generate x stop=('a',) %}", {"stop": ("a",)}),
        ("{% generate x top_k = 1 if n else 2 %}", {"top_k": 1}),
    ],
)
def test_options_of_the_generate_tag(tag: str, options: dict[str, Any]) -> None:
    result = run("q" + tag, n=1)
    assert isinstance(result, Ask)
    assert result.options == options


# --- errors ----------------------------------------------------------------------------------------------------------

G = "{% generate g %}"
ERRORS = [
    # roles
    ("{% user %}\n{% system %}x{% endsystem %}\n{% enduser %}", "p.jinja:2: {% system %} stands inside {% user %}; close"),
    ("{% user %}{% macro m() %}{% user %}x{% enduser %}{% endmacro %}{{ m() }}{% enduser %}", "p.jinja:1: {% user %} stands inside {% user %}"),
    ("{% user %}{% generate g %}{% enduser %}", "p.jinja:1: {% generate %} stands inside {% user %}; close that tag"),
    ("out\n{% user %}in{% enduser %}", "p.jinja:2: text outside the role tags: 'out'; put it into {% user %} … {% enduser %}"),
    ("{% user %}in{% enduser %}\nout", "p.jinja: text outside the role tags: 'out'"),
    ("{% user %}in{% enduser %}out{% generate g %}", "p.jinja:1: text outside the role tags: 'out'"),
    ("{% user %}in{% enduser %}out{% return 1 %}", "p.jinja:1: text outside the role tags: 'out'"),
    ("{% if false %}{% user %}in{% enduser %}{% endif %}out", "p.jinja: text outside the role tags: 'out'"),
    ("{% user %}in", "p.jinja:1:1: Unexpected end of template. Jinja was looking for the following tags: 'enduser'"),
    ("{% enduser %}", "p.jinja:1:1: Encountered unknown tag 'enduser'"),
    ("{% user x %}{% enduser %}", "p.jinja:1:1: expected token 'end of statement block', got 'x'"),
    ("{% user %}{% endsystem %}", "p.jinja:1:11: Encountered unknown tag 'endsystem'"),
    # order
    ("", "p.jinja: nothing has been said before the first {% generate %}"),
    ("{% generate g %}", "p.jinja:1: nothing has been said before the first {% generate %}"),
    ("q\n{% generate g %}\n{% generate h %}", "p.jinja:3: {% generate %} right after an answer: put a {% user %} block between them"),
    ("q{% assistant %}a{% endassistant %}", "p.jinja:1: text outside the role tags: 'q'"),
    ("a{% if false %}{% generate g %}{% endif %}", "p.jinja: ended without generating anything: no {% generate %} was reached"),
    ("{{ g }}" + G, "p.jinja:1: 'g' is used before it has been generated"),
    ("a{% if g %}{% endif %}" + G, "p.jinja:1: 'g' is used before it has been generated"),
    # names
    ("q{% generate %}", "p.jinja:1:2: expected token 'name', got 'end of statement block'"),
    ("q{% generate 'g' %}", "p.jinja:1:2: expected token 'name', got 'string'"),
    ("q{% generate _g %}", "p.jinja:1:2: a generation cannot be called '_g'"),
    ("q{% generate loop %}", "p.jinja:1:2: a generation cannot be called 'loop'"),
    ("q{% generate not %}", "p.jinja:1:2: a generation cannot be called 'not'"),
    ("q\n{% set g = 1 %}" + G, "p.jinja:2:1: 'g' is a generation and cannot be set"),
    ("q{% set g_all = 1 %}" + G, "p.jinja:1:2: 'g_all' is a generation and cannot be set"),
    ("q{% set g %}x{% endset %}" + G, "p.jinja:1:2: 'g' is a generation and cannot be set"),
    ("q{% for g in [1] %}{% endfor %}" + G, "p.jinja:1:2: 'g' is a generation and cannot be set"),
    ("q{% macro m(g) %}{% endmacro %}" + G, "p.jinja:1:2: 'g' is a generation and cannot be set"),
    ("q{% macro g() %}{% endmacro %}" + G, "p.jinja:1:2: 'g' is a generation and cannot be set"),
    ("q{% import '_a' as g %}" + G, "p.jinja:1:2: 'g' is a generation and cannot be set"),
    ("q{% from '_a' import x as g %}" + G, "p.jinja:1:2: 'g' is a generation and cannot be set"),
    ("q{% from '_a' import g %}" + G, "p.jinja:1:2: 'g' is a generation and cannot be set"),
    ("q{% generate n %}", "p.jinja: n is both an input and a generation; rename one of them"),
    ("q{% if n_all %}{% generate g_all %}{% generate g %}{% endif %}", "p.jinja: g_all is a generation, and the list of all"),
    # options
    ("q{% generate g max_token=5 %}", "p.jinja:1: 'max_token' is not an option; there are temperature"),
    ("q{% generate g max_tokens=0 %}", "p.jinja:1: max_tokens wants a whole number from 1 to 1000000; got 0"),
    ("q{% generate g max_tokens='5' %}", "p.jinja:1: max_tokens wants a whole number"),
    ("q{% generate g max_tokens=undefined_thing %}", "p.jinja:1: 'undefined_thing' is undefined"),
    ("q{% generate g max_tokens=g %}", "p.jinja:1: 'g' is used before it has been generated"),
    ("q{% generate g temperature=10**400 %}", "p.jinja:1: temperature wants a number from 0 to 100; got 1000"),
    ("q{% generate g stop=['x'] * 50000 %}", "p.jinja:1: stop wants a text or a list of up to 16 texts"),
    ("q{% generate g stop=range %}", "p.jinja:1: stop wants a text or a list of up to 16 texts"),
    ("q{% generate g max_tokens %}", "p.jinja:1:2: expected token '=', got 'end of statement block'"),
    ("q{% generate g 5 %}", "p.jinja:1:2: expected token 'name', got 'integer'"),
    # return
    ("{% return %}", "p.jinja:1:1: unexpected 'end of statement block'"),
    ("\n{% return zork %}", "p.jinja:2: 'zork' is undefined"),
    ("{% return range %}", "p.jinja:1: {% return %} gives a function that is not plain data"),
    ("{% return namespace(a=1) %}", "p.jinja:1: {% return %} gives a Namespace that is not plain data"),
    ("{% set ns = namespace() %}{% set ns.me = ns %}{% return [ns] %}", "p.jinja:1: {% return %} gives a list that is not plain"),
    ("{% return ['x' * 99999] * 21 %}", "p.jinja:1: {% return %} gives more than 2,000,000 characters"),
    ("{% return 1e308 * 10 %}", "p.jinja:1: {% return %} gives a float that is not plain data"),
    (
        "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}{% return ns.x %}",
        "p.jinja:1: {% return %} gives a value that is nested too deeply",
    ),
    # the template language
    ("a\n\n{{ oops }}", "p.jinja:3: 'oops' is undefined"),
    ("{{ 'a'.b }}", "p.jinja:1: 'str object' has no attribute 'b'"),
    ("{{ {}['a\nb'] }}", "p.jinja:1: 'dict object' has no attribute"),
    ("{{ 1 / 0 }}", "p.jinja:1: ZeroDivisionError: division by zero"),
    ("{{ 'a' + 1 }}", "p.jinja:1: TypeError: can only concatenate str"),
    ("a\n  {{ x", "p.jinja:2:3: unexpected end of template, expected 'end of print statement'."),
    ("a {% zork %}", "p.jinja:1:3: Encountered unknown tag 'zork'."),
    ("{% trans %}a{% endtrans %}", "p.jinja:1:1: Encountered unknown tag 'trans'."),
    ("{% do x %}", "p.jinja:1:1: Encountered unknown tag 'do'."),
    ("{% for x in [1] %}{% break %}{% endfor %}", "p.jinja:1:19: Encountered unknown tag 'break'."),
    ("\n\n{{ 1 | zork }}", "p.jinja:3:1: No filter named 'zork'."),
    ("{{ [1, 2] | random }}", "p.jinja:1:1: No filter named 'random'."),
    ("{{ lipsum() }}", "p.jinja:1: 'lipsum' is undefined"),
    ("{{ 'a'.upper }}", "p.jinja:1: upper is not plain data: call it with (), or make it a list with | list"),
    ("{{ [1] | map('string') }}", "p.jinja:1: generator is not plain data"),
    ("{{ self }}", "p.jinja:1: TemplateReference is not plain data"),
    ("{{ namespace() }}", "p.jinja:1: Namespace is not plain data"),
    ("{{ caller() }}", "p.jinja:1: 'caller' is undefined"),
    ("{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "p.jinja:1: No caller defined"),
    ("{% set range.x = 1 %}", "p.jinja:1: cannot assign attribute on non-namespace object"),
    # the sandbox
    ("{{ ''.__class__ }}", "p.jinja:1: access to attribute '__class__' of 'str' object is unsafe."),
    ("{{ ''['__class__'] }}", "p.jinja:1: access to attribute '__class__' of 'str' object is unsafe."),
    ("{{ '' | attr('__class__') }}", "p.jinja:1: access to attribute '__class__' of 'str' object is unsafe."),
    ("{{ cycler.__init__.__globals__ }}", "p.jinja:1: access to attribute '__init__' of 'function' object is unsafe."),
    ("{{ '{0.__class__}'.format(1) }}", "p.jinja:1: access to attribute '__class__' of 'int' object is unsafe."),
    ("{{ ('{0.__class__}' | attr('format'))(1) }}", "p.jinja:1: access to attribute '__class__' of 'int' object is unsafe."),
    ("{{ '{a.__class__}'.format_map({'a': 1}) }}", "p.jinja:1: access to attribute '__class__' of 'int' object is unsafe."),
    ("{% set f = '{0.__class__}'.format %}{{ f(1) }}", "p.jinja:1: access to attribute '__class__' of 'int' object is unsafe."),
    ("{{ [].append(1) }}", "p.jinja:1: access to attribute 'append' of 'list' object is unsafe."),
    ("{{ {}.update(a=1) }}", "p.jinja:1: access to attribute 'update' of 'dict' object is unsafe."),
    ("{{ range(10**9) }}", "p.jinja:1: OverflowError: Range too big."),
    ("{{ 2 ** 99999 }}", "p.jinja:1: the result of ** would be too large"),
    ("{{ 2 ** (2 ** 4000) }}", "p.jinja:1: the result of ** would be too large"),
    ("{{ 'x' * 100001 }}", "p.jinja:1: the result of * would be too large"),
    ("{{ 100001 * [1] }}", "p.jinja:1: the result of * would be too large"),
    # depth
    ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "p.jinja:1: is nested too deeply, or includes or calls itself"),
    ("{{ " + "(" * 5000 + ")" * 5000 + " }}", "p.jinja: the template is nested too deeply"),
    ("{{ " + "-" * 5000 + "1 }}", "p.jinja: the template is nested too deeply"),
    ("{{ a" + ".b" * 2000 + " }}", "p.jinja: the template is nested too deeply"),
    ("{% if 1 %}" * 500 + "{% endif %}" * 500, "p.jinja: the template is nested too deeply"),
    ("{% for x in [1] %}" * 30 + "{% endfor %}" * 30, "p.jinja: the template cannot be compiled: SyntaxError"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "start"), ERRORS, ids=range(len(ERRORS)))
def test_an_error_is_one_line_with_its_place(body: str, start: str) -> None:
    message = error(body, "answer", n=1, partials={"a": "{% set x = 1 %}"})
    assert message.startswith(start)
    assert len(message) < 500


@pytest.mark.parametrize(
    ("body", "partials", "start"),
    [
        ("a\n{% include '_a' %}", {"a": "x\n{{ oops }}"}, "_a:2: 'oops' is undefined"),
        ("{% include '_a' %}", {"a": "\n\n  {% zork %}"}, "_a:3:3: Encountered unknown tag 'zork'."),
        ("{% include '_a' %}", {"a": "\n{{ 1 | zork }}"}, "_a:2:1: No filter named 'zork'."),
        ("{% import '_a' as a %}\n{{ a.m() }}", {"a": "\n{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}"}, "_a:3: ZeroDivision"),
        ("q" + G + "{% include '_a' %}", {"a": "\n{% set g = 1 %}"}, "_a:2:1: 'g' is a generation and cannot be set"),
        ("{% include '_a' %}", {"a": "{% include '_a' %}"}, "_a:1: is nested too deeply, or includes or calls itself"),
        ("{% extends '_a' %}", {"a": "{% extends '_a' %}"}, "_a:1: is nested too deeply, or includes or calls itself"),
        ("{% extends '_a' %}", {"a": "{% extends '_b' %}", "b": "{% extends '_a' %}"}, "_"),
        ("\n{% include '_no' %}", {}, "p.jinja:2: includes '_no', which is not there"),
        ("\n{% include ['_no', '_na'] %}", {}, "p.jinja:2: includes '_na', which is not there"),
        ("\n{% include '/etc/passwd' %}", {}, "p.jinja:2: includes '/etc/passwd', which is not there"),
        ("\n{% include '../p.jinja' %}", {}, "p.jinja:2: includes '../p.jinja', which is not there"),
        ("{% from '_a' import no %}{{ no }}", {"a": ""}, "p.jinja:1: the template '_a'"),
    ],
)  # fmt: skip
def test_an_error_in_a_partial_names_that_file(body: str, partials: dict[str, str], start: str) -> None:
    assert error(body, "x", partials=partials).startswith(start)


@pytest.mark.parametrize(
    ("name", "value", "body", "message"),
    [
        ("MAX_GENERATIONS", 3, U + "a" + A + "{% for i in range(9) %}{% generate g %}{% user %}b" + A + "{% endfor %}",
         "p.jinja:1: generates more than 3 times"),
        ("MAX_MESSAGES", 3, "{% for i in range(9) %}{% user %}b" + A + "{% endfor %}", "p.jinja:1: makes more than 3 messages"),
        ("MAX_TEXT", 100, "{% for i in range(9) %}{{ 'x' * 20 }}{% endfor %}", "p.jinja: renders to more than 100 characters"),
        ("MAX_TEXT", 100, "{% for i in range(9) %}{% user %}{{ 'x' * 20 }}" + A + "{% endfor %}",
         "p.jinja:1: renders to more than 100 characters"),
        ("MAX_TEXT", 100, "{% set x %}{% for i in range(9) %}{% user %}{{ 'x' * 20 }}" + A + "{% endfor %}{% endset %}",
         "p.jinja:1: renders to more than 100 characters"),
    ],
)  # fmt: skip
def test_caps(monkeypatch: pytest.MonkeyPatch, name: str, value: int, body: str, message: str) -> None:
    monkeypatch.setattr(tape, name, value)
    assert error(body, *["x"] * 9) == message


# --- references ------------------------------------------------------------------------------------------------------


def test_references_are_told_once_each_in_order() -> None:
    body = (
        "{% extends '_z' %}{% include '_a' %}{% if x %}{% include ['_b', '_a'] ignore missing %}{% endif %}"
        "{% block q %}{% user %}{% import '_c' as c %}{% from '_d' import e %}{% enduser %}{% endblock %}"
        "{% macro m() %}{% include '_e' %}{% endmacro %}{# {% include '_no' %} #}{{ '{% include \"_no\" %}' }}"
    )
    found = [(r.kind, r.name, r.optional) for r in references(body, "f")]
    assert set(found) == {
        *(("include", name, False) for name in ("_z", "_a", "_c", "_d", "_e")),
        ("include", "_b", True),
    }
    assert len(found) == 6


@pytest.mark.parametrize(
    "tag",
    ["include x", "include '_a' ~ x", "include ['_a', x]", "import x as y", "from x import y", "extends x", "include 5",
     "include '_a' if x else '_b'"],
)  # fmt: skip
def test_a_reference_must_be_literal(tag: str) -> None:
    with pytest.raises(SourceError, match=r"^f:7:[0-9]+: include, import and extends take a literal name"):
        references("\n{% " + tag + " %}", "f", 6)


def test_references_of_what_cannot_be_read() -> None:
    with pytest.raises(SourceError, match=r"^f:4:2: Encountered unknown tag 'zork'"):
        references("\n {% zork %}", "f", 3)


# --- properties ------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["a", "b\n", "{{ n }}", "{{ ns.k }}", "{% set ns.k = ns.k + 1 %}"])
TURN = WORDS.map(lambda w: f"{U}t {w}{A}") | WORDS.map(lambda w: f"{{% system %}}{w}{{% endsystem %}}")
GEN = st.sampled_from(["g", "h"]).map(lambda g: f"{U}q{A}{{% generate {g} %}}{U}got {{{{ {g} }}}} {{{{ {g}_all }}}}{A}")


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    blocks = st.lists(inner, min_size=1, max_size=3).map("".join)
    tests = st.sampled_from(["n > 1", "n == 0", "(g_all | default([])) | length > 1", "(h | default('')) == 'yes'"])
    loops = st.tuples(st.integers(0, 3), blocks).map(lambda p: f"{{% for i in range({p[0]}) %}}{p[1]}{{% endfor %}}")
    branches = st.tuples(tests, blocks, blocks).map(lambda p: f"{{% if {p[0]} %}}{p[1]}{{% else %}}{p[2]}{{% endif %}}")
    return blocks | loops | branches


BODIES = st.recursive(TURN | GEN, compound, max_leaves=6).map(
    lambda b: (
        "{% set ns = namespace(k=0) %}{% import '_m' as m %}" + b + "{{ m.ask() }}{% if false %}" + GENS + "{% endif %}"
    )
)
GENS = "{% generate g %}{% generate h %}"
MACRO = {"m": "{% set ns = namespace(k=0) %}{% macro ask() %}{% set ns.k = ns.k + 1 %}{% user %}{{ ns.k }}{% enduser %}{% generate z %}{% endmacro %}"}  # fmt: skip
ANSWERS = st.lists(st.sampled_from(["yes", "no", "", "{% system %}", "x" * 50]), min_size=60, max_size=60)


@given(BODIES, st.integers(0, 2), ANSWERS)
def test_stepping_through_ends_where_running_through_ends(body: str, n: int, answers: list[str]) -> None:
    prompt = make(body, ("n",), **MACRO)
    used = 0
    result = step(prompt, {"n": n}, ())
    while isinstance(result, Ask):
        before = result.messages
        used += 1
        result = step(prompt, {"n": n}, tuple(answers[:used]))
        assert result.messages[: len(before) + 1] == (*before, Message("assistant", answers[used - 1]))
    assert result == step(prompt, {"n": n}, tuple(answers[:used]))
    program._compile.cache_clear()
    assert result == step(prompt, {"n": n}, tuple(answers[:used]))
    assert result.output == answers[used - 1]


TRAPS = ["{% system %}", "{% endsystem %}", "{% enduser %}", "{{", "}}", "{%", "%}", "{#", "#}", "{{ x }}", "{% raw %}"]
TRAPS += ["{% generate y %}", "<|im_start|>system", "<|im_end|>", "system", "user:"]
FORGED = st.lists(st.sampled_from([*TRAPS, "\n", " ", "user:", "\ud800"]) | st.text(max_size=3), max_size=6).map(
    "".join
)


@given(FORGED, FORGED)
def test_data_changes_neither_the_number_nor_the_roles_of_messages(value: str, answer: str) -> None:
    body = "{% system %}{{ v }}{% endsystem %}{% user %}<{{ v }}>{% enduser %}{% generate x %}{% user %}[{{ x }}]{% enduser %}"
    assert turns(run(body, answer, v=value)) == [
        ("s", value.strip()),
        ("u", f"<{value}>"),
        ("a", answer),
        ("u", f"[{answer}]"),
    ]


@given(st.text(alphabet="{%}#user generate xyz\n='\"-|[]().12", max_size=60) | st.text(max_size=60))
def test_arbitrary_text_steps_or_is_refused_in_one_line(body: str) -> None:
    try:
        result = run(body)
    except (RenderError, SourceError):
        assert "\n" not in error(body)
    else:
        assert isinstance(result, Ask | Transcript)


SHOW = """
from promptlab.core.program import step
from promptlab.core.prompt import Prompt
body = '''{% user %}{{ d }} {{ d | dictsort }} {{ ['b','a','c','a'] | unique | list }} {{ d | xmlattr }}
{% for k, g in l | groupby('k') %}{{ k }}{{ g }}{% endfor %}{{ d | tojson }} {{ dict(b=1, a=2) }}{% enduser %}'''
print(step(Prompt('p', body, body), {'d': {'z': 1, 'b': 'x', 'a': None}, 'l': [{'k': 'z'}, {'k': 'y'}]}, ()))
"""


def test_the_same_in_every_process() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", SHOW], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(seen) == 1
    assert b"Ask(name='output'" in seen.pop()


def test_messages_as_plain_text() -> None:
    messages = [Message("system", "a"), Message("user", ""), Message("user", "b\n")]
    assert messages_text(messages) == "a\n\nb\n"
