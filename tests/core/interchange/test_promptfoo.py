# The tables are easier to read with a case on a line.
# ruff: noqa: E501
"""promptfoo's configs become prompts and cases: configs as people write them, in our own words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.core import yamltext
from promptlab.core.interchange.dotprompt import MAX_FINDINGS
from promptlab.core.interchange.promptfoo import convert
from promptlab.core.interchange.promptfoo_write import write_jsonl, write_yaml
from promptlab.errors import SourceError
from tests.core.interchange.promptfookit import FILE, Folder, case_set, converted, reported, said

TRANSLATE = """\
# yaml-language-server: $schema=https://promptfoo.dev/config-schema.json
description: Into other languages
prompts:
  - 'Put this into {{language}}: {{input}}'
  - |-
    You translate.
    Into {{language}}, please: {{input}}
providers:
  - openai:gpt-4.1
  - id: anthropic:messages:claude
    config: {temperature: 0}
tests:
  - vars: {language: French, input: Good morning}
    assert:
      - {type: icontains, value: bonjour}
  - description: a question
    vars:
      language: Spanish
      input: Where is the library?
    assert:
      - {type: contains-any, value: [biblioteca, Biblioteca], weight: 2, metric: words}
      - {type: not-contains, value: library}
    threshold: 0.5
    metadata: {level: easy}
"""


def test_a_config_as_a_beginner_writes_it() -> None:
    found = converted(TRANSLATE)
    assert [made.name for made in found.prompts] == ["it/1", "it/2"]
    assert found.prompts[0].text == (
        "---\ninputs:\n  language: string\n  input: string\n---\nPut this into {{ language }}: {{ input }}\n"
    )
    cases = case_set(found)
    assert cases.description == "Into other languages"
    first, second = cases.cases
    assert [(a.type, a.value) for a in first.asserts] == [("icontains", "bonjour")]
    assert second.description == "a question"
    assert (second.threshold, second.metadata) == (0.5, {"level": "easy"})
    assert [(a.type, a.weight, a.metric) for a in second.asserts] == [
        ("contains-any", 2, "words"),
        ("not-contains", 1, None),
    ]
    assert said(found, second.vars, 1) == [("user", "You translate.\nInto Spanish, please: Where is the library?")]
    assert reported(found) == []
    models = "providers: models are chosen when a prompt is run: -m NAME; their options with -o, or in the prompt"
    assert reported(found, "changed") == [f"{FILE}:9:5: {models}", f"{FILE}:10:5: {models}"]


def test_the_case_file_is_one_that_people_can_read() -> None:
    found = converted(TRANSLATE)
    assert found.cases is not None
    assert found.cases.text == (
        "description: Into other languages\n"
        "tests:\n"
        "- vars: {language: French, input: Good morning}\n"
        "  assert:\n"
        "  - {type: icontains, value: bonjour}\n"
        "- description: a question\n"
        "  vars: {language: Spanish, input: 'Where is the library?'}\n"
        "  assert:\n"
        "  - type: contains-any\n"
        "    value: [biblioteca, Biblioteca]\n"
        "    weight: 2\n"
        "    metric: words\n"
        "  - {type: not-contains, value: library}\n"
        "  threshold: 0.5\n"
        "  metadata: {level: easy}\n"
    )


# --- prompts ---------------------------------------------------------------------------------------------------------

CHAT = """\
[
  {"role": "system", "content": "You help {{ who }}.\\nBe brief."},
  {"role": "user", "content": [{"type": "text", "text": "{{ q }}"}, {"type": "image_url", "image_url": {"url": "x"}}]},
  {"role": "assistant", "content": "Say \\"more\\"."},
  {"role": "user", "content": "And {{ q }}", "name": "Bo"}
]
"""


def test_a_chat_in_a_file_becomes_turns() -> None:
    found = converted(
        "prompts: file://a/chat.json\ntests: [{vars: {who: Ada, q: 'Why \"x\"?'}}]", {"a/chat.json": CHAT}
    )
    [made] = found.prompts
    assert made.name == "it"
    assert said(found, {"who": "Ada", "q": 'Why "x"?'}) == [
        ("system", "You help Ada.\nBe brief."),
        ("user", 'Why "x"?'),
        ("assistant", 'Say "more".'),
        ("user", 'And Why "x"?'),
    ]
    assert reported(found) == [
        "a/chat.json:3:3: a part of a message that is no text is left out: image_url",
        "a/chat.json:5:3: name of a message has no counterpart",
    ]


def test_a_chat_may_be_inline_or_in_yaml() -> None:
    text = """\
prompts:
  - '[{"role": "developer", "content": "Rhyme."}, {"role": "user", "content": "{{q}}"}]'
  - id: file://chat.yaml
    label: From YAML, twice
"""
    found = converted(text, {"chat.yaml": "- {role: user, content: '{{q}}'}\n- {role: assistant, content: Well}\n"})
    assert [made.name for made in found.prompts] == ["it/1", "it/From-YAML-twice"]
    assert said(found, {"q": "x"}) == [("system", "Rhyme."), ("user", "x")]
    assert said(found, {"q": "x"}, 1) == [("user", "x"), ("assistant", "Well")]
    assert yamltext.read(found.prompts[1].text.split("---\n")[1], file="x").value["description"] == "From YAML, twice"
    assert reported(found, "changed") == [
        f"{FILE}:2:5: the role developer is system here",
        "chat.yaml:2:3: the last message is the assistant's: the model goes on with it here",
    ]


FILES = {
    "p/several.txt": "One {{a}}\n---\n\nTwo {{a}}\n{{ env.X }}\n---\n",
    "p/whole.md": "# Title\n---\n{{a}}\n",
    "p/old.j2": "{% if a %}{{a}}{% endif %}",
    "p/lines.jsonl": '[{"role": "user", "content": "L {{a}}"}]\n\n[{"role": "user", "content": "M"}]\n',
    "p/table.csv": 'prompt,label\n"Comma, {{a}}",With a comma\nPlain,\n',
    "p/empty.txt": "\n---\n",
    "p/object.json": '{"model": "x", "input": "{{a}}"}',
    "p/looped.json": '[{% for m in ms %}{"role": "user", "content": "{{m}}"},{% endfor %}]',
    "p/tool.json": '[{"role": "tool", "content": "x"}]',
    "p/bad.yaml": "a: &x 1\n",
    "p/x.prompty": "",
}


def test_prompts_in_files() -> None:
    found = converted("prompts: ['file://p/*.txt', p/whole.md, p/old.j2, 'file://p/lines.jsonl', p/table.csv]", FILES)
    names = [made.name.removeprefix("it/") for made in found.prompts]
    assert names == ["several-1", "several-2", "whole", "old", "lines-1", "lines-2", "With-a-comma", "table-2"]
    texts = [said(found, {"a": "x"} if made.inputs else {}, i)[0][1] for i, made in enumerate(found.prompts)]
    assert texts == ["One x", "Two x", "# Title\n---\nx", "x", "L x", "M", "Comma, x", "Plain"]
    assert reported(found) == [
        f"{FILE}:1:11: p/empty.txt is empty",
        "p/several.txt:5:1: {{ env.X }}: environment variables are not read: make it an input",
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("file://make.py:create", "file://make.py:create is code, and none is run: write out the prompt that it makes"),
        ("make.js", "make.js is code, and none is run: write out the prompt that it makes"),
        ("exec:./make.sh", "exec:./make.sh is code, and none is run: write out the prompt that it makes"),
        ("langfuse://greeting:3", "langfuse://…: prompts that a service keeps are not fetched"),
        ("file://../up.txt", "file://../up.txt leads out of the config's folder, and only files in it are read"),
        ("file:///etc/passwd", "file:///etc/passwd is an absolute path, and only files in the config's folder are read"),
        ("file://C:\\x.txt", "file://C:\\x.txt is an absolute path, and only files in the config's folder are read"),
        ("file://{{ env.DIR }}/x.txt", "file://{{ env.DIR }}/x.txt is a template: only paths that are written out are read"),
        ("file://nope.txt", "file://nope.txt is not there"),
        ("file://p/*.nope", "file://p/*.nope fits no file"),
        ("file://p", "p: prompts are read from .txt, .md, .j2, .json, .jsonl, .yaml, .yml, .csv"),
        ("file://p/x.prompty", "p/x.prompty needs no import: put it into prompts/"),
        ("file://p/empty.txt", "p/empty.txt is empty"),
        ("file://p/object.json", "this prompt is left out: it is data, and no list of messages with role and content"),
        ("file://p/looped.json", "this prompt is left out: tags around its JSON make its turns: write them with {% user %} … here"),
        ("file://p/tool.json", "this prompt is left out: messages of the role 'tool' have no counterpart"),
        ("file://p/bad.yaml", "YAML: anchors (&x) are not allowed here; write the value out"),
        ({"function": "x"}, "a prompt is a text, a file, or a mapping with id or raw"),
        (["x"], "a prompt is a text, a file, or a mapping with id or raw"),
    ],
)  # fmt: skip
def test_a_prompt_without_a_counterpart_is_reported_and_the_others_are_taken(entry: Any, message: str) -> None:
    found = converted(json.dumps({"prompts": ["Fine", entry]}), FILES)
    assert [made.text for made in found.prompts] == ["Fine\n"]
    [line] = reported(found)
    assert line.partition(": ")[2] == message
    assert line.startswith((f"{FILE}:1:", "p/"))


def test_labels_and_options_of_prompts() -> None:
    text = """\
prompts:
  - {raw: A, label: Kind & short, config: {temperature: 1}}
  - {raw: B, label: 'Kind, short'}
  - {raw: C, label: '???'}
  - {raw: D, id: d}
"""
    found = converted(text)
    assert [made.name for made in found.prompts] == ["it/Kind-short", "it/Kind-short-2", "it/3", "it/4"]
    assert reported(found) == [
        f"{FILE}:2:35: config of a prompt has no counterpart; see its options in docs/prompts.md"
    ]


def test_a_config_has_at_most_100_prompts() -> None:
    found = converted(json.dumps({"prompts": [f"p{i}" for i in range(150)]}))
    assert len(found.prompts) == 100
    assert reported(found) == [f"{FILE}:1:704: from here on there are more than 100 prompts"]


def test_the_old_form_of_prompts_names_files() -> None:
    found = converted("prompts: {a.txt: First, b.txt: Second}", {"a.txt": "A", "b.txt": "B"})
    assert [made.name for made in found.prompts] == ["it/First", "it/Second"]


def test_without_prompts_the_variable_is_the_prompt() -> None:
    found = converted("tests: [{vars: {prompt: Hi}}]")
    assert [made.text for made in found.prompts] == ["---\ninputs:\n  prompt: string\n---\n{{ prompt }}\n"]


def test_inputs_have_the_types_of_the_tests() -> None:
    text = """\
prompts: '{{a}}{{b}}{{c}}{{d}}{{e}}{{f}}{{g}}{{h}}'
tests:
  - vars: {a: x, b: 1, c: 1.5, d: true, e: [[1]], f: {x: 1}, g: x, h: x}
  - vars: {a: y, b: 2, c: 2, d: false, e: [[2]], f: {}, g: 1}
"""
    inputs = yamltext.read(converted(text).prompts[0].text.split("---\n")[1], file="x").value["inputs"]
    assert inputs == {
        "a": "string",
        "b": "integer",
        "c": "number",
        "d": "boolean",
        "e": {"type": "array"},
        "f": {"type": "object"},
        "g": "any",
        "h": {"type": "string", "default": ""},
    }


def test_a_variable_that_no_test_gives_is_named() -> None:
    found = converted("prompts: 'Hi {{ nmae }}'\ntests: [{vars: {name: Ada}}]")
    assert said(found, {}) == [("user", "Hi")]
    assert reported(found, "changed") == [
        f"{FILE}:1:1: no test gives nmae: it is nothing unless it is given",
        f"{FILE}:2:9: no prompt and no assertion uses name: it is kept as metadata",
    ]


# --- the rest of a config --------------------------------------------------------------------------------------------

TOP = """\
prompts: [x]
tags: {team: a}
metadata: {x: 1}
outputPath: out.html
evaluateOptions: {repeat: 3}
commandLineOptions: {verbose: true}
sharing: true
writeLatestResults: true
whatever: 1
env: {KEY: x}
extensions: ['file://x.js:f']
nunjucksFilters: {shout: ./shout.js}
derivedMetrics: [{name: a, value: b}]
redteam: {plugins: []}
tracing: {enabled: true}
targets: {id: x, prompts: [y], transform: json.x, config: {tools: [1]}}
"""


def test_what_is_not_about_prompts_or_cases_is_named_with_its_line() -> None:
    found = converted(TOP)
    assert [int(line.split(":")[1]) for line in reported(found, "changed")] == [2, 3, 4, 5, 6, 7, 8, 9, 16]
    assert [int(line.split(":")[1]) for line in reported(found)] == [10, 11, 12, 13, 14, 15, 16, 16, 16]
    assert f"{FILE}:11:1: extensions: they are code, and none is run" in reported(found)
    assert f"{FILE}:16:60: prompts here call no tools" in reported(found)
    assert str(found.findings[0]).endswith("(changed)")


def test_a_long_list_of_findings_is_cut() -> None:
    prompts = "\n".join(f"  - '{{{{ env.X{i} }}}}!'" for i in range(90))
    tests = "\n".join(f"  - {{provider: x, k{i}: 1}}" for i in range(90))
    found = converted(f"prompts:\n{prompts}\ntests:\n{tests}")
    assert len(found.findings) == MAX_FINDINGS + 1
    assert str(found.findings[-1].problem) == f"{FILE}: there are 70 more of these"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", f"{FILE}:1:1: is no config of promptfoo's: it has neither prompts nor tests"),
        ("[]", f"{FILE}:1:1: is no config of promptfoo's: it has neither prompts nor tests"),
        ("", "is no config of promptfoo's: it has neither prompts nor tests"),
        ("prompts: [a, &x b]", f"{FILE}:1:14: YAML: anchors (&x) are not allowed here; write the value out"),
        ("prompts: {<<: 1}", f"{FILE}:1:11: YAML: merge keys (<<) are not allowed here; write the values out"),
        ("prompts: !!python/object x", f"{FILE}:1:10: YAML: tags (!…) are not allowed here"),
        ("prompts: a\nprompts: b", f"{FILE}:2:1: YAML: the key 'prompts' stands here a second time"),
        ("prompts: " + "[" * 60 + "]" * 60, "is nested deeper than 40 levels"),
        ("prompts: [" + "a," * 300_000 + "]", "YAML: has more than 200,000 values"),
        ("prompts: [x" + "x" * 2_000_000 + "]", "is larger than 1,048,576 characters"),
        ("prompts: [" + '"' + "x" * 1_048_570 + '"' + "]", "is larger than 1,048,576 characters"),
        ("prompts: [1e999]", f"{FILE}:1:11: YAML: too large a number"),
        ('prompts: ["\\ud800"]', "half of a surrogate pair"),
        ("prompts: ['{{ env.X']", f"{FILE}: nothing in it has a counterpart"),
    ],
    ids=range(14),
)
def test_a_config_that_cannot_be_read_is_refused_in_a_line_for_each_problem(text: str, message: str) -> None:
    with pytest.raises(SourceError) as error:
        convert(text, FILE, "it", Folder({}))
    assert message in str(error.value)
    assert all("\n" not in problem.message for problem in error.value.problems)


def test_a_config_may_be_json() -> None:
    text = json.dumps({"prompts": ["{{a}}"], "tests": [{"vars": {"a": "🎈"}}], "env": {}}, indent="\t")
    found = converted(text, file="promptfooconfig.json")
    assert case_set(found).cases[0].vars == {"a": "🎈"}
    assert reported(found) == ["promptfooconfig.json: env: environment variables are neither read nor set"]
    found = converted(json.dumps({"prompts": ["{{a}}"], "env": {"X": 1}}, indent=1), file="c.json")
    assert reported(found) == ["c.json:5:2: env: environment variables are neither read nor set"]


def test_files_are_called_as_seen_from_where_the_config_was_named() -> None:
    found = converted("prompts: file://p/a.txt", {"p/a.txt": "{{ env.X }}!"}, file="../other/promptfooconfig.yaml")
    [line] = reported(found)
    assert line.startswith("../other/p/a.txt:1:1: ")


# --- writing ---------------------------------------------------------------------------------------------------------

ODD = [
    "no",
    "1e3",
    "0o17",
    "0x1f",
    "12:30",
    "~",
    "null",
    "True",
    "- a",
    "a: b",
    "#x",
    "a #b",
    "'",
    '"',
    "|",
    ">",
    "&a",
    "*a",
    "!a",
    "%",
]
BROKEN = [
    "a\nb",
    "a\n",
    "\na",
    " a",
    "a ",
    "a\n b\n",
    "\t",
    "é\nü",
    "a\u2028b",
    "\x85",
    "\ufeff",
    "=",
    "<<",
    "{a}",
    "[a",
    "?",
    "...",
    "---",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from([*ODD, *BROKEN])
LEAF = (
    TEXT | st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
)
DATA = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(TEXT, DATA, max_size=5))
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_as_the_same(value: dict[str, Any]) -> None:
    text = write_yaml(value)
    assert text is not None
    assert yamltext.read(text, file="x").value == (value or {})
    lines = write_jsonl([value])
    assert lines is not None
    assert [json.loads(line) for line in lines.split("\n")[:-1]] == [value]


def test_what_is_too_much_for_yaml_is_written_as_jsonl() -> None:
    rows = "\n".join(f"word{i},icontains:{'x' * 300}" for i in range(4_000))
    text = (
        "prompts: '{{w}}'\ndefaultTest: {assert: [{type: not-equals, value: no}], threshold: 0.5, metadata: {a: 1}}\n"
    )
    found = converted(text + "tests: file://t.csv", {"t.csv": f"w,__expected\n{rows}\n"})
    assert found.cases is not None
    assert (found.cases.suffix, found.cases.count) == (".jsonl", 4_000)
    last = case_set(found).cases[-1]
    assert (last.vars, last.threshold, last.metadata) == ({"w": "word3999"}, 0.5, {"a": 1})
    assert [a.type for a in last.asserts] == ["not-equals", "icontains"]
