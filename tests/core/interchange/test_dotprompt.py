# The tables are easier to read with a case on a line.
# ruff: noqa: E501
"""dotprompt's files become ours: the same messages, and a report of what does not map."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.core import checker, prompt, yamltext
from promptlab.core.interchange import yamlwrite
from promptlab.core.interchange.dotprompt import MAX_FINDINGS, Converted, convert
from promptlab.core.interchange.jinjatext import JinjaText
from promptlab.core.program import step
from promptlab.errors import RenderError, SourceError

FILE = Path(__file__).with_name("dotprompt.yaml")
SUITES: list[dict[str, Any]] = yamltext.read(FILE.read_text("utf-8"), file=FILE.name).value

Turns = list[list[str]]


def messages(converted: Converted, inputs: Mapping[str, Any], partials: Mapping[str, str] | None = None) -> Turns:
    """What a converted prompt says first."""
    files = {f"_{name}.jinja": convert(source, f"_{name}").text for name, source in (partials or {}).items()}
    program = prompt.parse(converted.text, "t").with_partials(files)
    return [[m.role, m.content] for m in step(program, prompt.complete(program, inputs), ()).messages]


def source_of(suite: Mapping[str, Any]) -> str:
    head = f"---\n{suite['head']}---\n" if "head" in suite else ""
    return f"{head}{suite['template']}"


def reported(converted: Converted, kind: str) -> list[str]:
    found = [str(f.problem).removeprefix("t.prompt:").strip() for f in converted.findings if f.kind == kind]
    return [each for each in found if "is not declared" not in each]


@pytest.mark.parametrize("suite", SUITES, ids=[suite["from"] for suite in SUITES])
def test_a_published_template_says_what_it_says_there(suite: dict[str, Any]) -> None:
    converted = convert(source_of(suite), "t")
    for case in suite["cases"]:
        assert messages(converted, case["inputs"], suite.get("partials")) == case["messages"]
    for kind in ("lost", "changed"):
        found, wanted = reported(converted, kind), suite.get(kind, [])
        assert len(found) == len(wanted), found
        assert all(each.startswith(start) for each, start in zip(found, wanted, strict=True)), found


def rendered(template: str, head: str = "", /, **inputs: Any) -> str:
    """The one user message that a template makes, of which nothing is lost."""
    converted = convert(f"---\n{head}\n---\n{template}" if head else template, "t")
    assert not reported(converted, "lost")
    [[role, text]] = messages(converted, inputs)
    assert role == "user"
    return text


TYPED = """
input:
  schema:
    name?: string
    on?: boolean
    n?: integer
    tags?(array): string
    user?: {name: string, pets(array): {name: string}}
    ages?(object):
      (*): integer
"""
ADA = {"name": "Ada", "pets": [{"name": "Rex"}, {"name": "Tom"}]}

# Template, inputs, text. Handlebars itself says the same.
BODIES: list[tuple[str, dict[str, Any], str]] = [
    (">{{name}}{{on}}{{n}}{{tags}}<", {}, "><"),
    (">{{name}} {{on}} {{n}} {{tags}}<", {"name": "x", "on": False, "n": 0, "tags": ["a", "b"]}, ">x false 0 a,b<"),
    ("{{#if name}}a{{else if on}}b{{else unless n}}c{{else}}d{{/if}}", {"name": ""}, "c"),
    ("{{#if name}}a{{else if on}}b{{else unless n}}c{{else}}d{{/if}}", {"on": True}, "b"),
    ("{{#if name}}a{{else if on}}b{{else unless n}}c{{else}}d{{/if}}", {"n": 1}, "d"),
    ("{{#if n}}y{{else}}n{{/if}}{{#if n includeZero=true}}y{{else}}n{{/if}}", {"n": 0}, "ny"),
    ("{{#if tags}}y{{else}}n{{/if}}{{#if user}}y{{else}}n{{/if}}{{#if ages}}y{{/if}}", {"tags": [], "ages": {}}, "nny"),
    ("{{^if on}}off{{else}}on{{/if}}{{^on}}off{{/on}}", {}, "offoff"),
    (
        "{{#each user.pets}}{{@index}}{{name}} of {{../user.name}}{{#unless @last}}, {{/unless}}{{/each}}",
        {"user": ADA},
        "0Rex of Ada, 1Tom of Ada",
    ),
    (">{{#each tags}}{{this}}{{else}}none{{/each}}", {}, ">none"),
    ("{{#each ages}}{{@key}}: {{this}}{{#if @first}}; {{/if}}{{/each}}", {"ages": {"a": 1, "b": 2}}, "a: 1; b: 2"),
    (
        "{{#with user}}{{name}}, {{pets.length}}, {{pets.[1].name}}, {{../name}}{{else}}nobody{{/with}}",
        {"user": ADA, "name": "x"},
        "Ada, 2, Tom, x",
    ),
    ("{{#with user}}{{name}}{{else}}nobody{{/with}}", {}, "nobody"),
    (">{{#with this as |all|}}{{name}}{{tags.length}}{{all.n}}{{/with}}", {"n": 1}, ">1"),
    ("{{#each this}}{{@key}} {{/each}}", {}, "name on n tags user ages"),
    (
        "{{#each user.pets as |pet i|}}{{#each ../tags as |t j|}}{{i}}{{j}}{{pet.name}}{{t}} {{/each}}{{/each}}",
        {"user": ADA, "tags": ["x", "y"]},
        "00Rexx 01Rexy 10Tomx 11Tomy",
    ),
    (
        "{{#each tags}}{{#each @root.tags}}{{@../index}}{{@index}}{{#if @../first}}! {{/if}}{{/each}}{{/each}}",
        {"tags": ["x", "y"]},
        "00! 01! 1011",
    ),
    (
        "{{#tags}}<{{this}}>{{/tags}}{{#user}}{{name}}{{/user}}{{#on}}on{{/on}}",
        {"tags": ["x"], "user": ADA, "on": True},
        "<x>Adaon",
    ),
    (
        "{{#ifEquals n 1}}one{{else}}other{{/ifEquals}}{{#ifEquals on true}}on{{/ifEquals}}{{#unlessEquals name 'x'}}no{{/unlessEquals}}",
        {"n": 1, "on": True, "name": "x"},
        "oneon",
    ),
    (
        "{{json name}} {{json n}} {{json on}} {{json tags indent=2}}",
        {"name": 'a"é', "n": 1, "on": True, "tags": ["x"]},
        '"a\\"é" 1 true [\n  "x"\n]',
    ),
    ("{{lookup ages name}}{{#if (lookup ages 'b')}}b{{/if}}", {"ages": {"a": 1}, "name": "a"}, "1"),
    ("{{{name}}} {{&name}} {{this.name}} {{./name}} {{@root.name}}", {"name": "<&>"}, "<&> <&> <&> <&> <&>"),
    # text
    (r"\{{name}} \\{{name}} {% if %} {{name}} {# #} { {{~name}}", {"name": "x"}, r"{{name}} \x {% if %} x {# #} {x"),
    ("{{! note #} }}a{{!-- b }} --}}c", {}, "ac"),
    # lines
    ("a\n  {{#if on}}\n  b\n  {{else}}\n  c\n  {{/if}}\nd", {"on": True}, "a\n  b\nd"),
    ("a {{#if on}}\nb\n{{/if}}\nc", {"on": True}, "a \nb\nc"),
    ("a\n  {{#if on}} b {{/if}}\nc", {"on": True}, "a\n   b \nc"),
    ("a\n{{! note }}\nb\n\n{{#if on}}\n\nc\n{{/if}}\n\nd", {"on": True}, "a\nb\n\n\nc\n\nd"),
    ("a\n    {{name}}\n  {{#each tags}}{{this}}\n{{/each}}b", {"name": "x", "tags": ["y"]}, "a\n    x\n  y\nb"),
    ("{{#each tags}}\n- {{this}}\n{{/each}}", {"tags": ["x", "y"]}, "- x\n- y"),
]


@pytest.mark.parametrize(("template", "inputs", "text"), BODIES, ids=range(len(BODIES)))
def test_a_body_renders_the_same(template: str, inputs: dict[str, Any], text: str) -> None:
    assert rendered(template, TYPED, **inputs) == text


def turns_of(template: str, **inputs: Any) -> tuple[Turns, list[str]]:
    converted = convert(template, "t")
    return messages(converted, inputs), reported(converted, "lost") + reported(converted, "changed")


S, U, M = (f'{{{{role "{role}"}}}}' for role in ("system", "user", "model"))

TURNS: list[tuple[str, dict[str, Any], Turns]] = [
    (f"before {S}s{U}u", {}, [["user", "before"], ["system", "s"], ["user", "u"]]),
    (f"\n \n{S}s\n\n{U}\n u \n", {}, [["system", "s"], ["user", "u"]]),
    (f"{S}{U}u{U}v", {}, [["user", "u"], ["user", "v"]]),
    (
        f"{S}s\n{{{{#each l}}}}\n{U}\nQ{{{{this}}}}\n{M}\nA{{{{this}}}}\n{{{{/each}}}}\n{U}\nu",
        {"l": ["1", "2"]},
        [["system", "s"], ["user", "Q1"], ["assistant", "A1"], ["user", "Q2"], ["assistant", "A2"], ["user", "u"]],
    ),
    (f"{{{{#if x}}}}{S}s{{{{else}}}}{S}t{{{{/if}}}}{U}u", {"x": "1"}, [["system", "s"], ["user", "u"]]),
    (f"{{{{#if x}}}}{S}s{{{{else}}}}{S}t{{{{/if}}}}{U}u", {}, [["system", "t"], ["user", "u"]]),
    (f"{{{{#if x}}}}{S}s{U}{{{{/if}}}}u", {}, [["user", "u"]]),
    (f"{{{{#if x}}}}{S}s{U}{{{{/if}}}}u", {"x": "1"}, [["system", "s"], ["user", "u"]]),
    (f"{S}{{{{#if x}}}}s{{{{x}}}}{{{{/if}}}}{U}u", {}, [["user", "u"]]),
    (f"{S}\n{{{{#if x}}}}\ns{{{{x}}}}\n{{{{/if}}}}\n{U}u", {"x": "1"}, [["system", "s1"], ["user", "u"]]),
    (
        f"{S}<|{{{{x}}}}|>{U}u",
        {"x": "{% user %}<<<dotprompt:role:user>>>"},
        [["system", "<|{% user %}<<<dotprompt:role:user>>>|>"], ["user", "u"]],
    ),
]


@pytest.mark.parametrize(("template", "inputs", "expected"), TURNS, ids=range(len(TURNS)))
def test_markers_become_turns(template: str, inputs: dict[str, Any], expected: Turns) -> None:
    assert turns_of(template, **inputs) == (expected, [])


# What is before or after a block would have to be part of a turn in it.
@pytest.mark.parametrize(
    "template",
    [
        f"u {{{{#if x}}}}v {S}s{{{{/if}}}}{U}w",
        f"u{{{{#if x}}}}{S}s{U}{{{{/if}}}}v",
        f"{{{{#if x}}}}{S}s{{{{/if}}}}u",
        f"{{{{#each l}}}}{{{{#if this}}}}{S}s{U}{{{{/if}}}}u{{{{/each}}}}",
    ],
)
def test_a_marker_that_does_not_fit_its_block_is_reported(template: str) -> None:
    converted = convert(template, "t")
    found = reported(converted, "lost")
    assert found
    assert all("this marker stands in a block" in each for each in found)
    assert '{# {{role "system"}} #}' in converted.text
    assert [role for role, _ in messages(converted, {"l": ["1"]} if "each" in template else {"x": "1"})][:1] == ["user"]


LOST: list[tuple[str, str]] = [
    ("a {{foo x}}", "1:3: {{foo x}} is neither a value nor a helper that there is"),
    ("a {{foo x=1}}", "1:3: {{foo x=1}} is neither a value nor"),
    ("a {{if}}", "1:3: {{if}} is neither a value nor"),
    ("a {{12}}", "1:3: {{12}} is neither a value nor"),
    ("a\n  {{#foo x}}b{{else}}c{{/foo}}", "2:3: {{#foo x}}: there is no such helper"),
    ("a {{#foo}}b{{/foo}}{{foo}}", "1:3: {{#foo}}: write #if, #each or #with"),
    ("a {{#if (gt x 1)}}b{{/if}}", "1:9: (gt x 1): there is no such helper for values"),
    ("a {{#if}}b{{/if}}", "1:3: {{#if}} takes one value"),
    ("a {{#if x y}}b{{/if}}", "1:3: {{#if x y}} takes one value"),
    ("a {{#ifEquals x}}b{{/ifEquals}}", "1:3: {{#ifEquals x}} takes two values"),
    ("a {{role x}}", "1:3: {{role x}}: a role is system, user or model here, as a text"),
    ('a {{role "tool"}}', '1:3: {{role "tool"}}: a role is system, user or model here'),
    ("a {{json}}", "1:3: {{json}}: json takes one value"),
    ("a {{json x indent=y}}", "1:3: {{json x indent=y}}: indent is a number from 0 to 10 here"),
    ("a {{log x}}", "1:3: {{log x}}: there is no log here"),
    ("a {{../x}}", "1:5: ../x leads out of the template"),
    ("a {{@index}}", "1:5: @index stands outside any {{#each}}"),
    ("a {{#each l}}{{@../index}}{{/each}}", "1:16: @../index stands outside any {{#each}}"),
    ("a {{@auth.email}}", "1:5: @auth.email is known only to the app around a prompt"),
    ("a {{> (x)}}", "1:3: {{> (x)}}: a partial has a plain name here, and takes key=value"),
    ("a {{> x y}}", "1:3: {{> x y}}: a partial has a plain name here"),
    ("a {{> x if=1}}", "1:3: {{> x if=1}}: 'if' cannot be a name here"),
    ("a {{#> x}}b{{/x}}", "1:3: {{#> x}}: a partial block has no counterpart"),
    ('a {{#*inline "x"}}b{{/inline}}', '1:3: {{#*inline "x"}}: a decorator has no counterpart'),
    ("a {{* x}}", "1:3: {{* x}}: decorators have no counterpart"),
    ("a {{{{x}}}} {{y}} {{{{/x}}}}", "1:3: {{{{x}}}}: a raw block has no counterpart"),
    ("{{#if x}}a{{/if}}{{role 'model'}}b", "the body may end with a turn of the model's"),
    (" \n", "the body says nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "message"), LOST, ids=[message for _, message in LOST])
def test_what_does_not_map_is_reported_where_it_stands(template: str, message: str) -> None:
    converted = convert(template, "t")
    [found] = reported(converted, "lost")
    assert found.startswith(message)
    assert checker.check("t.jinja", {"t.jinja": converted.text, "_x.jinja": ""}) == [] or "a" not in template
    if "{{" in template and "role '" not in template:
        assert "{# {{" in converted.text  # it is still there to be read


CHANGED: list[tuple[str, str]] = [
    ("{{user}}", "1:1: {{user}}: a mapping is written as JSON; Handlebars writes [object Object]"),
    ("{{user.pets}}", "1:1: {{user.pets}}: a list of what is not text may be written differently"),
    ("{{json tags}}", "1:1: {{json tags}}: JSON has a space after each comma and colon here"),
    ("{{#ifEquals n null}}x{{/ifEquals}}a", "1:1: {{#ifEquals n null}}: null and what is missing are the same here"),
    ("{{#each tags}}{{> x}}{{/each}}", "1:15: {{> x}}: a partial sees the inputs here, not `this`"),
    ("a\n  {{> x}}\nb", "2:3: {{> x}}: only its first line is indented here"),
    ('{{role "system"}}{{name}}{{role "user"}}a', "1:1: this turn may have no text, and is said all the same"),
]


@pytest.mark.parametrize(("template", "message"), CHANGED, ids=[message for _, message in CHANGED])
def test_what_maps_with_a_difference_is_reported(template: str, message: str) -> None:
    head = f"---{TYPED}---\n"
    [found] = reported(convert(head + template, "t"), "changed")
    line, rest = message.split(":", 1)
    assert found.startswith(f"{int(line) + head.count(chr(10))}:{rest}")


HEAD = """\
# A licence
---
name: other
model: some/model
description: "What it is: a test"
tools: [search]
config:
  temperature: 0.5
  maxOutputTokens: 99
  topK: 3
  topP: 0.5
  stopSequences: [END]
  version: v1
  temprature: 1
input:
  schema:
    topic: string, what about
    mood?: string
    tags(array, words): string
    size(enum): [S, L]
    first-name: string
    box(object): {a b: string}
    what: Thing
    (*): any
  default: {mood: calm, extra: 5}
output:
  format: json
  schema:
    title: string
    notes?(array): string
metadata: {owner: me}
my.ext.key: {a: [1, two]}
---
{{topic}} {{mood}} {{tags}} {{size}} {{first-name}} {{box.[a b]}} {{what}} {{extra}} {{other}}
"""


def test_front_matter_becomes_ours() -> None:
    converted = convert(HEAD, "t")
    program = prompt.parse(converted.text, "t")
    assert converted.text.startswith("---\n# A licence\ndescription: ")
    assert program.description == "What it is: a test"
    assert program.options == {"temperature": 0.5, "max_tokens": 99, "top_k": 3, "top_p": 0.5, "stop": ["END"]}
    kept = {"name": "other", "model": "some/model", "tools": ["search"], "config": {"version": "v1", "temprature": 1}}
    assert program.metadata == {"owner": "me", "dotprompt": {**kept, "my.ext.key": {"a": [1, "two"]}}}
    assert program.signature == (
        't(topic: string, mood: string = "calm", tags: array of string, size: "S" | "L", first_name: string, '
        'box: {a b: string}, what: any, extra: any = 5, other: any = "") -> {title: string, notes?: array of string}'
    )
    given = {"topic": "x", "tags": ["a", "b"], "size": "S", "first_name": "Ada", "box": {"a b": "c"}, "what": 1}
    assert messages(converted, given) == [["user", "x calm a,b S Ada c 1 5"]]
    assert checker.check("t.jinja", {"t.jinja": converted.text}) == []


def test_what_front_matter_loses_is_reported_in_the_order_of_the_file() -> None:
    lines = [str(finding) for finding in convert(HEAD, "t").findings]
    assert lines == [
        "t.prompt:3:1: name: a prompt is called by its file; kept under metadata (changed)",
        "t.prompt:4:1: model: models are chosen when a prompt is run; kept under metadata (changed)",
        "t.prompt:6:1: tools: there are no tools; kept under metadata (lost)",
        "t.prompt:13:3: config version: there is no such option; kept under metadata (lost)",
        "t.prompt:14:3: config temprature: there is no such option; kept under metadata (lost)",
        "t.prompt:21:5: input first-name: this cannot be a name here; it is called first_name (changed)",
        "t.prompt:23:5: input what: 'Thing' is not a type: use one of string, integer, number, boolean, null, any, or "
        "fields; named schemas are not supported; it is anything here (lost)",
        "t.prompt:24:5: input (*): inputs are named (lost)",
        "t.prompt:32:1: my.ext.key: a key of an extension; kept under metadata (changed)",
        "t.prompt:34:88: input other is not declared: it is anything here, and may be left out (changed)",
    ]


FRONTS: list[tuple[str, str, str]] = [
    # front matter, ours, the end of what is reported
    ("input: {schema: string}", "", "input schema: inputs are named, so this is a mapping of names to types"),
    ("input: {schema: {type: string}}", "", "input schema: inputs are named, so this is an object with properties"),
    (
        "input: {schema: {type: object, properties: {a: {type: string}, b: {type: integer, minimum: 1}, c: true}, required: [b]}}",
        "inputs:\n  a?: string\n  b: {type: integer, minimum: 1}\n  c?: any\n",
        "",
    ),
    (
        "input: {schema: {properties: {a: {$ref: '#/$defs/x'}}}}",
        "inputs:\n  a?: any\n",
        "input a: its schema cannot be read here; it is anything",
    ),
    ("input: {schema: {a: 'string, what: x'}, default: {a: null}}", 'inputs:\n  a: "string, what: x"\n', ""),
    ("input: {default: 5, other: 1}", "", "input other: this has no counterpart"),
    (
        "input: {schema: {loop: string, 'loop ': integer, _x: any}}",
        "inputs:\n  loop_: string\n  loop_2: integer\n  x: any\n",
        "it is called x",
    ),
    ("output: {format: json}", "output: json\n", ""),
    ("output: {format: text}", "", ""),
    ("output: {schema: {type: string}}", "output:\n  schema: {type: string}\n", ""),
    ("output: {schema: string}", "output: {schema: string}\n", ""),
    ("output: {schema: Thing}", "output: json\n", "named schemas are not supported"),
    ("output: {format: text, schema: string}", "", "output schema: a text has none"),
    ("output: {format: enum, schema: {type: string, enum: [a, b]}}", "output:\n  choices: [a, b]\n", ""),
    ("output: {format: enum}", "", "output format enum: its schema does not name the texts"),
    ("output: {format: jsonl, contentType: x}", "", "output contentType: this has no counterpart"),
    (
        "config: {temperature: hot, topK: 1.5}",
        "metadata:\n  dotprompt:\n    config: {temperature: hot, topK: 1.5}\n",
        "config topK: top_k wants a whole number from 0 to 1000000; got 1.5; kept under metadata",
    ),
    (
        "description: [a]\ninput: 5",
        "metadata:\n  dotprompt:\n    description: [a]\n    input: 5\n",
        "input: this has no counterpart; kept under metadata",
    ),
    ("", "", ""),
]


@pytest.mark.parametrize(("front", "ours", "finding"), FRONTS, ids=range(len(FRONTS)))
def test_a_front_matter_becomes(front: str, ours: str, finding: str) -> None:
    converted = convert(f"---\n{front}\n---\nx\n", "t")
    assert converted.text == (f"---\n{ours}---\nx\n" if ours else "x\n")
    messages_found = [f.problem.message for f in converted.findings]
    assert any(each.endswith(finding) for each in messages_found) if finding else not messages_found


def test_a_readable_program_comes_out() -> None:
    source = f"""\
---
input:
  schema:
    question: string, what to answer
    style?: string
    examples?(array): {{q: string, a: string}}
---
{S}
You answer{{{{#if style}}}} in a {{{{style}}}} way{{{{/if}}}}.

{{{{#each examples}}}}
  {U}
  {{{{q}}}}
  {M}
  {{{{a}}}}
{{{{/each}}}}

{U}
{{{{> rules level=1}}}}
Question: {{{{question}}}}
"""
    assert (
        convert(source, "t").text
        == """\
---
inputs:
  question: string, what to answer
  style?: string
  examples?(array): {q: string, a: string}
---
{% system %}You answer{% if style %} in a {{ style or "" }} way{% endif %}.{% endsystem %}
{% for example in examples or [] %}
{% user %}{{ example.q }}{% enduser %}
{% assistant %}{{ example.a }}{% endassistant %}
{% endfor %}
{% user %}
{% with level = 1 %}
{% include "_rules.jinja" %}
{% endwith %}
Question: {{ question }}
{% enduser %}
"""
    )


def test_a_partial_takes_what_it_is_given() -> None:
    partial = convert("---\nmodel: x\n---\n{{name}}{{#if n}}!{{/if}}{{a.b}}{{> more}}\n", "parts/_p")
    assert "---" not in partial.text
    assert partial.partials == ("_more",)
    assert [f.problem.message for f in partial.findings] == ["model: a partial has no front matter here"]
    main = convert("{{> p name=who n=1}}", "t")
    assert main.partials == ("_p",)
    program = prompt.parse(main.text, "t").with_partials({"_p.jinja": partial.text, "_more.jinja": "."})
    assert step(program, {"who": None}, ()).messages[0].content == "!."
    assert step(program, {"who": 0}, ()).messages[0].content == "0!."


BAD: list[tuple[str, str]] = [
    ("{{", "t.prompt:1:1: this tag is not closed"),
    ("a\n{{b", "t.prompt:2:1: this tag is not closed"),
    ("{{b}}}", "t.prompt:1:4: }} is expected here"),
    ("{{{b}}", "t.prompt:1:5: }}} is expected here"),
    ("{{}}", "t.prompt:1:1: {{}} is not complete"),
    ("{{a b=}}", "t.prompt:1:1: {{a b=}} is not complete"),
    ("{{a b=1 c}}", "t.prompt:1:9: c is not expected here"),
    ("{{a ; b}}", "t.prompt:1:5: ';' cannot stand in a tag"),
    ("{{a 'b}}", "t.prompt:1:5: \"'\" cannot stand in a tag"),
    ("{{a.this}}", "t.prompt:1:3: a.this is not a path"),
    ("{{(a b}}", "t.prompt:1:1: {{(a b}} is not complete"),
    ("{{! a", "t.prompt:1:1: this comment is not closed"),
    ("{{!-- a }}", "t.prompt:1:1: this comment is not closed"),
    ("{{#if a}}b", "t.prompt:1:1: {{#if a}} is not closed"),
    ("{{#if\n a}}b", "t.prompt:1:1: {{#if a}} is not closed"),
    ("b{{/if}}", "t.prompt:1:2: {{/if}} closes nothing"),
    ("{{#if a}}{{/each}}", "t.prompt:1:10: {{/each}} stands where {{/if}} is expected"),
    ("{{else}}", "t.prompt:1:1: {{else}} stands outside any block"),
    ("{{#if a}}{{else}}{{else}}{{/if}}", "t.prompt:1:18: {{#if a}} has a second {{else}}"),
    ("{{{{a}}}}", "t.prompt:1:1: {{{{a}}}} is not closed"),
    ("{{{{a", "t.prompt:1:3: this tag is not closed"),
    ("a\0", "t.prompt:1: contains a NUL character"),
    ("---\nx: 1\n", "t.prompt:1:1: the front matter that begins here is not closed: put a line `---` after it"),
    ("\n# x\n---\n- 1\n---\n", "t.prompt:4:1: the front matter is a mapping: `model: …`, `input: …`"),
    ("---\na: &x 1\n---\n", "t.prompt:2:4: YAML: anchors (&x) are not allowed here; write the value out"),
    ("{{#if a}}" * 16, "t.prompt:1:136: blocks are nested deeper than 15 levels"),
    ("{{#if a}}" + "{{else if a}}" * 51, "t.prompt:1:660: a block has more than 50 {{else …}}"),
    ("{{a " + "(b " * 11 + ")" * 11 + "}}", "t.prompt:1:35: brackets are nested deeper than 10 levels"),
    ("x" * 300_000, "t.prompt: is larger than 262,144 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "message"), BAD, ids=[message for _, message in BAD])
def test_what_cannot_be_read_is_one_line(source: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        convert(source, "t")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 100_000,
        "{" * 200_000,
        "{{a}}" * 50_000,
        "{{x y}}" * 30_000,
        "\n" * 200_000 + "{{#if a}}\n{{/if}}" + "\n" * 50_000,
        ("\n" * 100 + "{{#if a}}{{/if}}") * 2000,
        "{{#if a}}{{/if}}\n" * 14_000,
        "{{a" + ".b" * 100_000 + "}}",
        "{{a " + "b " * 100_000 + "}}",
        '{{a "' + '\\"' * 100_000,
        "{{!--" + "-" * 200_000,
        "\\" * 200_000 + "{{a}}",
        "\\{{" * 80_000,
        "{{a.[" + "]" * 200_000,
        '{{role "user"}}x' * 15_000,
        "---\n" + "a.b: 1\n" * 9000 + "---\n",
        "---\ninput:\n  schema:\n" + "".join(f"    a-{n}: string\n" for n in range(2000)) + "---\nx",
        "".join(f"{{{{x-{n}}}}}" for n in range(3000)),
        "{{#each a}}" * 15 + "{{@../../../../index}}{{b.c}}" * 2000 + "{{/each}}" * 15,
        "#" * 200_000 + "\n---",
    ],
    ids=range(20),
)
def test_hostile_files_end_quickly(source: str) -> None:
    begin = time.monotonic()
    try:
        converted = convert(source, "t")
    except SourceError as error:
        assert all("\n" not in str(problem) and len(str(problem)) < 400 for problem in error.problems)  # noqa: PT017
    else:
        assert len(converted.findings) <= MAX_FINDINGS + 1
    assert time.monotonic() - begin < 10


# Templates made of what dotprompt has, well formed.
NAMES = st.sampled_from(
    [
        "a",
        "b.c",
        "this",
        "../a",
        "this.x",
        "loop",
        "x-y",
        "items",
        "a.items",
        "@index",
        "l",
        "l.length",
        "recursive",
        "@root.a",
        "a.[b c]",
        "key",
    ]
)
WORDS = st.sampled_from(
    ["x", " ", "\n", "\n\n", "  \n", "{", "}", "{%", "{#", "#}", "%}", "\\", "---\n", "é", "-", "{% user %}"]
)
STRIP = st.sampled_from(["", "", "", "~"])


def tags(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{{{{{}{}{}}}}}".format, STRIP, inside, STRIP)


OUTPUTS = tags(
    NAMES
    | st.builds("json {}{}".format, NAMES, st.sampled_from(["", " indent=2"]))
    | st.builds('role "{}"'.format, st.sampled_from(["user", "system", "model"]))
    | st.sampled_from(["! note ", "history", "media url=a", "foo 1", "> p", "> p q=a"])
) | st.builds("{{{{{{{}}}}}}}".format, NAMES)


def blocks(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def block(head: str, name: str, body: str, otherwise: str, end: str) -> str:
        return f"{{{{#{head} {name}}}}}{end}{body}{otherwise}{{{{/{head.split()[0]}}}}}{end}"

    otherwise = (
        st.just("")
        | st.builds("{{{{else}}}}{}".format, inside)
        | st.builds("{{{{else if {}}}}}{}".format, NAMES, inside)
    )
    heads = st.sampled_from(["if", "unless", "each", "with", "ifEquals 1", "foo"])
    return st.builds(block, heads, NAMES, inside, otherwise, st.sampled_from(["", "\n"]))


TEMPLATES = st.recursive(
    WORDS | OUTPUTS,
    lambda inside: st.lists(inside, max_size=4).map("".join) | blocks(inside),
    max_leaves=25,
)


VALUES = st.recursive(
    st.sampled_from(["", "x", 0, 1.5, True, None]),
    lambda inside: (
        st.lists(inside, max_size=2) | st.dictionaries(st.sampled_from(["c", "x", "b c", "items"]), inside, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(
    TEMPLATES,
    st.sampled_from(["", "---\ninput: {schema: {a: string}}\n---\n"]),
    st.lists(VALUES, min_size=8, max_size=8),
)
def test_what_is_converted_is_a_program(template: str, head: str, values: list[Any]) -> None:
    try:
        converted = convert(head + template, "t")
    except SourceError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert all("\n" not in str(finding) for finding in converted.findings)
    program = prompt.parse(converted.text, "t").with_partials({"_p.jinja": "p"})
    given = {i.name: value for i, value in zip(program.inputs, values, strict=False) if fits(value, i.schema)}
    try:
        result = step(program, prompt.complete(program, {"a": "x"} | given if "a: string" in head else given), ())
    except RenderError as error:
        # What a template could not say elsewhere is reported; what it says of no value, or of a wrong one, is not.
        if "is not iterable" in str(error):
            return
        lost = [finding.problem.message for finding in converted.findings if finding.kind == "lost"]
        ends = any("the body" in message for message in lost)
        assert "nothing has been said" in str(error) or ("assistant's turn" in str(error) and ends)  # noqa: PT017
        return
    assert all(message.role in ("system", "user", "assistant") for message in result.messages)


def fits(value: Any, declared: Mapping[str, Any]) -> bool:
    kind = declared.get("type")
    return kind is None or isinstance(value, {"string": str, "array": list, "object": dict}.get(str(kind), str))


@settings(deadline=None)
@given(st.lists(WORDS | st.text(max_size=3), max_size=8).map("".join))
def test_text_is_text(text: str) -> None:
    text = text.replace("\0", "")
    if "{{" in text or text.lstrip().startswith(("---", "#")) or not text.strip("\ufeff").strip():
        return
    converted = convert(text, "t")
    normal = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    assert messages(converted, {}) == [["user", normal.strip()]]
    assert converted.findings == ()


@given(st.lists(st.tuples(st.sampled_from(["text", "code", "if", "note"]), WORDS), max_size=12))
def test_layout_takes_and_adds_no_white_space(pieces: list[tuple[str, str]]) -> None:
    jinja = JinjaText()
    expected = ""
    for kind, text in pieces:
        match kind:
            case "text":
                jinja.text(text)
                expected += text
            case "code":
                jinja.code("'v'")
                expected += "v"
            case "if":
                jinja.tag("if true", newline=jinja.at_start)
                jinja.text(text)
                jinja.tag("endif")
                expected += text
            case "note":
                jinja.note("note")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    assert environment.from_string(jinja.finish()).render() == expected


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=9), inside, max_size=4),
    max_leaves=15,
)
TRICKY = st.sampled_from(
    [
        "null",
        "no",
        "~",
        "0o17",
        "1e3",
        ".5",
        "- a",
        "a: b",
        "a #b",
        "#",
        "[",
        "{a}",
        "&a",
        "*a",
        "!a",
        "%",
        "@",
        "`",
        "a ",
        " a",
        "'",
        '"',
        "\\",
        "a\nb",
        "\x85",
        "\u2028",
        "\ufeff",
        "?",
        "? a",
        "=",
        "<<",
        "12:30",
        "-",
        "---",
    ]
)


@given(
    st.dictionaries(
        TRICKY | st.text(min_size=1, max_size=9),
        PLAIN | TRICKY | st.lists(TRICKY) | st.dictionaries(TRICKY, TRICKY),
        max_size=5,
    )
)
def test_what_is_written_as_yaml_is_read_as_the_same(value: dict[str, Any]) -> None:
    text = yamlwrite.write(value)
    assert yamltext.read(text, file="x").value == (value or None)


def test_a_key_too_long_for_yaml_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the key 'kkk.*…' is longer than 500 characters$"):
        yamlwrite.write({"k" * 501: 1})
    with pytest.raises(SourceError, match=r"^t\.prompt: the key 'kkk"):
        convert(f"---\nmetadata:\n  ? {'k' * 1500}\n  : 1\n---\nx", "t")
