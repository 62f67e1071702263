# The tables are easier to read with a case on a line.
# ruff: noqa: E501
"""promptfoo's templates become ours: the same text, and a report of what has no counterpart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.core import checker
from promptlab.core.interchange.jinjatext import JinjaText
from promptlab.core.interchange.promptfoo_expr import Scope
from promptlab.core.interchange.promptfoo_template import Template
from promptlab.core.interchange.promptfoo_values import Value
from promptlab.core.interchange.promptfoo_words import Unmapped
from tests.core.interchange.promptfookit import converted, reported, said

DATA = {
    "name": "Ada",
    "n": 3,
    "pi": 1.5,
    "whole": 2.0,
    "yes": True,
    "no": False,
    "tags": [1, 2, 3],
    "user": {"name": "Bo", "items": ["x", "y"], "age": 0, "note": None},
    "pets": [{"kind": "cat", "name": "Tom"}, {"kind": "dog"}],
    "food": {"milk": 1, "eggs": 6},
    "points": [[1, 2], [3, 4]],
    "lines": "one\ntwo",
}


def config(template: str, *vars: dict[str, Any]) -> str:
    """A config with one prompt, and a test for each of these variables."""
    return json.dumps({"prompts": [template], "tests": [{"vars": each} for each in vars]})


# Template, and the text. Nunjucks itself (3.2.4) says the same, the white space around it aside.
SAME = [
    ("Hello {{name}}!", "Hello Ada!"),
    ("{{ name }}|{{missing}}|{{ user.nothing }}|{{ user.a.b.c }}|{{ tags[7] }}", "Ada||||"),
    ("{{ n }} {{ pi }} {{ whole }} {{ yes }} {{ no }}", "3 1.5 2 true false"),
    ("{{ tags }} {{ user.items }} {{ user.age }}[{{ user.note }}]", "1,2,3 x,y 0[]"),
    ("{{ user['name'] }} {{ pets[0].name }} {{ pets[1].name }}.", "Bo Tom ."),
    ("{{ tags.length }} {{ name.length }} {{ tags | length }}", "3 3 3"),
    ("{{ pets[pets.length - 1].kind }}", "dog"),
    ("{{ name | upper }} {{ name|lower|capitalize }} {{ '  a ' | trim }}", "ADA Ada a"),
    ("{{ name.toUpperCase() }} {{ tags.join('-') }} {{ tags | join(', ') }}", "ADA 1-2-3 1, 2, 3"),
    ("{{ name | default('x') }} {{ missing | default('x') }} {{ missing or 'y' }}", "Ada x y"),
    ("{{ name | replace('A', 'O') }} {{ tags | first }} {{ tags|last }} {{ tags | sum }}", "Oda 1 3 6"),
    ("{{ pets | join(',', 'kind') }} {{ tags | sort(true) }} {{ tags | reverse | join }}", "cat,dog 3,2,1 321"),
    ("{{ 'a' if yes else 'b' }} {{ 'a' if no }}{{ 'c' if no else 'e' }}", "a e"),
    ("{{ n + 1 }} {{ n - 1 }} {{ n * 2 }} {{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 3 }} {{ -n | abs }}", "4 2 6 3 3 8 3"),
    ("{{ n + 1 + '. ' + name }} {{ name ~ n }} {{ '(' + name + ')' }}", "4. Ada Ada3 (Ada)"),
    (
        "{{ n == 3 }} {{ n === 3 }} {{ n !== 3 }} {{ n > 2 and not no }} {{ 2 in tags }} {{ 9 not in tags }}",
        "true true false true true true",
    ),
    ("{{ yes == true and 'x' or 'y' }} {{ (n + 1) * 2 }} {{ [1, 2][1] }} {{ {a: 5}['a'] }}", "x 8 2 5"),
    (
        "{{ name is defined }} {{ missing is defined }} {{ missing is undefined }} {{ n is odd }} {{ n is divisibleby(3) }}",
        "true false true true true",
    ),
    ("{% if yes %}A{% elif n %}B{% else %}C{% endif %}{% if no %}A{% elseif n %}B{% endif %}", "AB"),
    ("{% if missing %}A{% else %}B{% endif %}{% if user.age %}A{% endif %}{% if user.nothing %}A{% endif %}", "B"),
    (
        "{% for pet in pets %}{{ loop.index }}{{ pet.kind }}{{ pet.name }}{% if not loop.last %}, {% endif %}{% endfor %}",
        "1catTom, 2dog",
    ),
    (
        "{% for key, value in food %}{{ key }}={{ value }};{% endfor %}{% for x, y in points %}{{ x }}{{ y }};{% endfor %}",
        "milk=1;eggs=6;12;34;",
    ),
    ("{% for x in missing %}{{ x }}{% else %}none{% endfor %}{% for i in range(0, 3) %}{{ i }}{% endfor %}", "none012"),
    ("{% for x in user.items %}{{ loop.first }}{{ x }}{% endfor %}", "truexfalsey"),
    (
        "{% asyncEach x in tags %}{{ x }}{% endeach %}{% asyncAll x in tags %}{{ x }}{% endall %}{% ifAsync yes %}!{% endif %}",
        "123123!",
    ),
    ("{% set greeting = 'Hi ' + name %}{{ greeting }}{% set block %}<{{ n }}>{% endset %}{{ block }}", "Hi Ada<3>"),
    (
        "{% macro hi(who, mark='!') %}Hi {{ who }}{{ mark }}{% endmacro %}{{ hi(name) }}{{ hi('Bo', mark='?') }}{{ hi() }}",
        "Hi Ada!Hi Bo?Hi !",
    ),
    ("{% macro box(x) %}[{{ caller() }}{{ x }}]{% endmacro %}{% call box(n) %}in{% endcall %}", "[in3]"),
    ("{% filter upper %}loud {{ name }}{% endfilter %}", "LOUD ADA"),
    (
        "{% set c = cycler('a', 'b') %}{% for i in tags %}{{ c.next() }}{% endfor %}{% set j = joiner(', ') %}{% for i in tags %}{{ j() }}{{ i }}{% endfor %}",
        "aba1, 2, 3",
    ),
    ("a\n{% if yes %}\nb\n{% endif %}\nc", "a\n\nb\n\nc"),
    ("x:\n  {% for t in tags %}\n  - {{ t }}\n  {% endfor %}\nend", "x:\n  \n  - 1\n  \n  - 2\n  \n  - 3\n  \nend"),
    ("a  {%- if yes -%}  b  {%- endif -%}  c {{- name -}} d", "abcAdad"),
    (
        "{% raw %}{{ name }}{% endraw %} {% verbatim %}{% if %}{% endverbatim %}{{ '{{' }} { { }",
        "{{ name }} {% if %}{{ { { }",
    ),
    ("a {# {{ name }} #}b{#- c -#} d", "a bd"),
    ("{{ \"it's\" }} {{ 'say \"hi\"' }} {{ 'a\\nb' }} {{ 'a\\\\b' }} {{ '}}' }}", 'it\'s say "hi" a\nb a\\b }}'),
    ("{{ lines }}\n{{ lines | indent(2) }}", "one\ntwo\none\n  two"),
    ("{{ name | safe }}{{ pets[0] | dump(1) }}", 'Ada{\n "kind": "cat",\n "name": "Tom"\n}'),
    ("{{ user.name if user else '' }}{{ pets[9].name if user.nothing }}", "Bo"),
]


@pytest.mark.parametrize(("template", "text"), SAME, ids=[t[:60] for t, _ in SAME])
def test_a_template_says_what_nunjucks_says(template: str, text: str) -> None:
    found = converted(config(template, DATA))
    assert reported(found) == []
    inputs = {name: value for name, value in DATA.items() if name in found.prompts[0].inputs}
    assert said(found, inputs) == [("user", text)]


# Template, what is reported, and what is said all the same.
LOST = [
    ("a {{ env.HOME }}b", "{{ env.HOME }}: environment variables are not read: make it an input", "a b"),
    ("{{ name | shout('!') | upper }}", "there is no filter shout: the value is written without it", "ADA"),
    ("x{{ name | load }}", "{{ name | load }}: the filter load has no counterpart", "x"),
    ("x{{ tags | random }}", "{{ tags | random }}: the filter random has no counterpart", "x"),
    ("x{{ name.split(',')[0] }}", "{{ name.split(',')[0] }}: the method split() has no counterpart", "x"),
    ("x{{ now() }}", "{{ now() }}: there is no function now", "x"),
    (
        "x{{ _conversation.length }}",
        "{{ _conversation.length }}: what was said before is not known here: say the turns in the prompt, with {% generate %}",
        "x",
    ),
    (
        "x{{ name | replace(r/a/g, 'b') }}",
        "{{ name | replace(r/a/g, 'b') }}: regular expressions have no counterpart in templates",
        "x",
    ),
    ("x{{ n is truthy }}", "{{ n is truthy }}: the test `is truthy` has no counterpart", "x"),
    ("x{{ loop }}", "{{ loop }}: loop cannot be the name of an input", "x"),
    ("x{{ }}", "{{ }}: an expression is missing", "x"),
    ("x{{ n n }}", "{{ n n }}: 'n' is not understood", "x"),
    ("x{{ (n }}", "{{ (n }}: ')' is missing", "x"),
    ("x{{ " + "(" * 30 + "n" + ")" * 30 + " }}", "x: is nested too deeply", "x"),
]


@pytest.mark.parametrize(("template", "message", "text"), LOST, ids=[t[:40] for t, _, _ in LOST])
def test_an_expression_without_a_counterpart_is_reported_and_left_out(template: str, message: str, text: str) -> None:
    found = converted(config(template, DATA))
    [line] = reported(found)
    assert line.startswith("promptfooconfig.yaml:1:14: ")
    assert line.endswith(message.removeprefix("x: "))
    inputs = {name: value for name, value in DATA.items() if name in found.prompts[0].inputs}
    assert said(found, inputs) == [("user", text)]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% include 'x.txt' %}", "{% include %} has no counterpart: put all of a prompt into one file"),
        ("{% switch n %}{% case 1 %}{% endswitch %}", "there is no tag {% switch %}"),
        ("{% generate x %}", "there is no tag {% generate %}"),
        ("{% system %}x{% endsystem %}", "there is no tag {% system %}"),
        ("{% if n %}x", "{% if %} is not closed"),
        ("x{% endif %}", "there is no tag {% endif %}"),
        ("{% if n %}{% endfor %}", "there is no tag {% endfor %}"),
        ("{% else %}", "{% else %} stands outside {% if %}"),
        ("{% if n.split() %}x{% endif %}", "the method split() has no counterpart"),
        ("{% set a, b = 1 %}", "{% set %} sets one name at a time here"),
        ("{{ n", "a tag is not closed"),
        ("{# n", "a comment is not closed"),
        ("{% raw %}x", "{% raw %} is not closed"),
        ("{{ n ? 1 : 2 }}", "'? 1 : 2 }}' is not understood"),
        ("{{ n %}", "a tag is closed by %}"),
        ("{% %}", "there is no tag {% %}"),
        ("  ", "it says nothing"),
    ],
)
def test_a_template_without_a_counterpart_is_left_out(template: str, reason: str) -> None:
    found = converted(config(template, {"n": 1}))
    assert found.prompts == ()
    assert reported(found) == [f"promptfooconfig.yaml:1:14: this prompt is left out: {reason}"]


def test_what_may_say_something_else_is_reported_as_changed() -> None:
    found = converted(
        config(
            "{{ name | truncate(2) }} {{ n / 2 }}{% set x = 1 %}{% for t in tags %}{% set x = t %}{% endfor %}", DATA
        )
    )
    changes = [line.partition(": ")[2] for line in reported(found, "changed")]
    assert changes[:3] == [
        "the filter truncate does not always say exactly the same here",
        "a quotient that is whole, like 4 / 2, is written 2.0 here",
        "what is set in a loop is forgotten after each round: x",
    ]


def test_a_value_that_is_sometimes_something_else_is_printed_by_its_type() -> None:
    found = converted(config("{{ a }}|{{ b.c }}", {"a": True, "b": {"c": 1}}, {"a": "x"}, {"a": [1, 2], "b": {}}))
    assert said(found, {"a": True}) == [("user", "true|")]
    assert said(found, {"a": "x", "b": {"c": 1}}) == [("user", "x|1")]
    assert said(found, {"a": {"k": 1}, "b": {}}) == [("user", '{"k": 1}|')]


def test_a_prompt_without_tests_takes_anything() -> None:
    found = converted('prompts: "{{ a }} {{ b.c }}"')
    assert found.cases is None
    assert "inputs:\n  a: any\n  b: any\n" in found.prompts[0].text
    assert said(found, {"a": 1, "b": {}}) == [("user", "1")]


PIECES = st.sampled_from(
    ["{{", "}}", "{%", "%}", "{#", "#}", "-", " if ", " for ", " in ", "x", "n", ".", "(", ")", "[", "]", "|upper", "|default",
     "'a'", '"', "'", " else ", "endif", "endfor", " set ", "=", "+", "~", "1", " is ", "not ", "raw", "endraw", "\n", " ", "{", "}", "é", "\\", ","]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=400, deadline=None)
def test_whatever_a_template_is_what_comes_out_is_one_of_ours(text: str) -> None:
    """Or Unmapped is raised, and nothing else."""
    jinja = JinjaText()
    used: list[str] = []

    def look_up(name: str) -> Value:
        used.append(name)
        return Value(name, (1, "a", [1], {"x": 1}))

    try:
        Template(text, jinja, Scope(look_up, lambda kind, message: None), lambda offset: None).write()
    except Unmapped:
        return
    names = {name: None for name in used if name not in ("if", "for", "in", "is", "set", "else", "not")}
    front = f"---\ninputs: {{{', '.join(f'{name}: any' for name in names)}}}\n---\n"
    errors = [f for f in checker.check("p.jinja", {"p.jinja": front + jinja.finish()}) if f.severity == "error"]
    assert not [f for f in errors if "is undefined" not in f.message and "input" not in f.message]


@given(st.text(alphabet="{}%#- \n\tab", max_size=60))
@settings(max_examples=300, deadline=None)
def test_text_without_tags_comes_out_as_it_is(text: str) -> None:
    if any(mark in text for mark in ("{{", "{%", "{#")) or not text.strip() or text.strip()[0] in "{[":
        return
    found = converted(json.dumps({"prompts": [f"{text}\n!"]}))
    assert said(found, {}) == [("user", f"{text}\n!".strip())]
