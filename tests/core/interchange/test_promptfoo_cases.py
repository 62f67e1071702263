# The tables are easier to read with a case on a line.
# ruff: noqa: E501
"""promptfoo's tests and assertions become cases: what is asked and expected is the same, the rest is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.core.case import Case
from promptlab.core.interchange.promptfoo import Converted, convert
from promptlab.errors import SourceError
from tests.core.interchange.promptfookit import FILE, Folder, case_set, converted, reported


def cases(found: Converted) -> tuple[Case, ...]:
    return case_set(found).cases


def asked(text: str, files: dict[str, str] | None = None) -> Converted:
    """A config whose prompt takes every variable that these tests may have."""
    return converted("prompts: '{{a}}{{b}}{{c}}'\n" + text, files)


# --- variables -------------------------------------------------------------------------------------------------------


def test_lists_of_texts_stand_for_a_test_each_in_all_combinations() -> None:
    found = asked("tests: [{vars: {a: [x, y], b: [1, 2], c: ['1', 2]}, description: d}]")
    assert [tuple(case.vars.values()) for case in cases(found)] == [
        ("x", [1, 2], "1"),
        ("x", [1, 2], 2),
        ("y", [1, 2], "1"),
        ("y", [1, 2], 2),
    ]
    assert {case.description for case in cases(found)} == {"d"}
    assert reported(found) == []


def test_lists_stay_lists_where_a_test_or_all_of_them_say_so() -> None:
    one = asked("tests: [{vars: {a: [x, y]}, options: {disableVarExpansion: true}}, {vars: {a: [x, y]}}]")
    assert [case.vars["a"] for case in cases(one)] == [["x", "y"], "x", "y"]
    every = asked("defaultTest: {options: {disableVarExpansion: true}}\ntests: [{vars: {a: [x, y]}}]")
    assert [case.vars["a"] for case in cases(every)] == [["x", "y"]]


def test_values_are_put_into_values() -> None:
    text = """\
defaultTest: {vars: {a: 'about {{ b }}', b: rain}}
tests:
  - vars: {c: 1}
  - vars: {b: '{{c}} and snow', c: 2.0}
  - vars: {b: '{{ nothing }}', c: [[1]]}
"""
    found = asked(text)
    assert [case.vars["a"] for case in cases(found)] == ["about rain", "about 2 and snow", "about {{ nothing }}"]
    assert cases(found)[1].vars["c"] == 2
    assert isinstance(cases(found)[1].vars["c"], int)
    assert reported(found, "changed") == [
        f"{FILE}:2:22: a is no template here: it stays as it is",
        f"{FILE}:6:12: b is no template here: it stays as it is",
    ]


def test_files_are_read_where_their_text_is_wanted() -> None:
    files = {
        "a.txt": " text\n",
        "b.yaml": "x: [1, 2.0]\n",
        "c.json": '{"y": 1}\n',
        "in/1.txt": "one",
        "in/2.txt": "two",
        "vars/v1.yaml": "a: from v1\nb: 1\n",
        "vars/v2.yaml": "b: from v2\n",
    }
    text = """\
tests:
  - vars: {a: file://a.txt, b: file://b.yaml, c: file://c.json}
  - vars: {a: 'file://in/*.txt', b: null}
  - vars: ['file://vars/v1.yaml', vars/v2.yaml]
  - vars: file://vars/*.yaml
"""
    found = asked(text, files)
    assert [case.vars for case in cases(found)] == [
        {"a": "text", "b": '{"x":[1,2]}', "c": '{"y": 1}'},
        {"a": "one"},
        {"a": "two"},
        {"a": "from v1", "b": "from v2"},
        {"a": "from v1", "b": "from v2"},
    ]
    assert cases(found)[-1].id == "test-5"
    assert reported(found) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("file://x.py", "a is made by code, file://x.py, and none is run: write it out"),
        ("file://x.js:f", "a is made by code, file://x.js:f, and none is run: write it out"),
        ("package:@a/b:f", "a is made by code, package:@a/b:f, and none is run: write it out"),
        ("file://x.PNG", "a is no text: file://x.PNG"),
        ("file://x.pdf", "a is no text: file://x.pdf"),
        ("file://nope.txt", "a cannot be had: file://nope.txt is not there"),
        ("file://../x.txt", "a cannot be had: file://../x.txt leads out of the config's folder, and only files in it are read"),
        ("file:///x.txt", "a cannot be had: file:///x.txt is an absolute path, and only files in the config's folder are read"),
        ("file://looks.txt", "a would be taken for a file: file://inner.txt"),
        ("{{b}}", "a would be taken for a file: file://inner.txt"),
        ("x" * 2_000, None),
    ],
)  # fmt: skip
def test_a_value_that_is_not_to_be_had_is_named_and_its_input_wanted(value: str, reason: str | None) -> None:
    text = json.dumps(
        {
            "prompts": ["{{a}}{{b}}"],
            "tests": [{"vars": {"a": value, "b": "{{c}}", "c": "file:{{d}}", "d": "//inner.txt"}}],
        }
    )
    found = converted(text, {"looks.txt": "file://inner.txt"})
    if reason is None:
        assert cases(found)[0].vars["a"] == value
        return
    assert any(line.endswith(f": {reason}") for line in reported(found))
    assert "a" not in cases(found)[0].vars
    assert "  a: any\n" in found.prompts[0].text  # required, so that nobody asks without it


def test_a_variable_that_no_template_can_name_or_nothing_uses_is_kept_as_metadata() -> None:
    text = "tests: [{vars: {a: x, 'first name': Ada, other: 1}, metadata: {vars: 5, z: 1}}, {vars: {a: y, other: 2}}]"
    found = asked(text)
    first, second = cases(found)
    assert (first.vars, second.vars) == ({"a": "x"}, {"a": "y"})
    assert second.metadata == {"vars": {"other": 2}}
    assert first.metadata == {"vars": 5, "z": 1, "unused_vars": {"first name": "Ada", "other": 1}}
    assert f"{FILE}:2:23: 'first name' can be no variable here: kept as metadata" in reported(found, "changed")


def test_tests_with_the_same_variables_get_ids() -> None:
    found = asked("tests: [{vars: {a: x}}, {vars: {a: x}, description: again}, {vars: {a: y}}]")
    assert [case.id for case in cases(found)][1] == "test-2"


def test_too_many_combinations_are_refused() -> None:
    many = [str(i) for i in range(50)]
    found = asked(f"tests: [{{vars: {{a: {many}, b: {many}, c: {many}}}}}, {{vars: {{a: x}}}}]")
    assert len(cases(found)) == 1
    assert reported(found) == [f"{FILE}:2:9: its lists stand for 125,000 tests; 100,000 are as many as there may be"]


def test_values_that_grow_without_measure_are_refused() -> None:
    vars = {"a": "{{b}}" * 4000, "b": "{{c}}" * 4000, "c": "x" * 4000}
    found = converted(json.dumps({"prompts": ["{{a}}"], "tests": [{"vars": vars}]}))
    assert [line.partition(": ")[2] for line in reported(found)] == ["a and others grow beyond 4,194,304 characters"]


# --- where tests are -------------------------------------------------------------------------------------------------

CSV = """\
a,Expected Answer,__expected,__expected2,__description,__metric,__threshold,__metadata:tags[],__prefix
x,"one, two",icontains:yes,not-contains:no,first,tone,0.5,"p,q",Hi
y,three,similar(0.9):near,javascript:output,,,,,
"""


def test_tests_in_csv() -> None:
    found = asked("tests: file://t/t.csv", {"t/t.csv": CSV})
    first, second = cases(found)
    assert [(a.type, a.value, a.metric) for a in first.asserts] == [
        ("icontains", "yes", "tone"),
        ("not-contains", "no", "tone"),
    ]
    assert (first.description, first.threshold) == ("first", 0.5)
    assert first.metadata == {"tags": ["p", "q"], "vars": {"Expected_Answer": "one, two", "prefix": "Hi"}}
    assert [(a.type, a.threshold) for a in second.asserts] == [("similar", 0.9)]
    assert reported(found) == [
        "t/t.csv:1:95: the column '__prefix' has no counterpart: its cells are the variable prefix",
        "t/t.csv:3:27: 'javascript' is a check of promptfoo's that promptlab does not have: it runs JavaScript; python checks run with --allow-code",
    ]


def test_tests_in_other_files() -> None:
    files = {
        "t/a.yaml": "- {vars: {a: 1}}\n- {vars: 'file://v.yaml'}\n",
        "t/v.yaml": "a: beside the tests",
        "t/b.json": '{"vars": {"a": 3}}',
        "t/c.jsonl": '{"vars": {"a": 4}}\n{"vars": \n',
        "t/d.xlsx": "",
    }
    found = asked(
        "tests: ['file://t/a.yaml', t/b.json, 't/*.jsonl', {vars: {a: 5}}, t/d.xlsx, t/make.py:f, {path: 'file://m.js'}, huggingface://datasets/x, 7]",
        files,
    )
    assert [case.vars["a"] for case in cases(found)] == [1, "beside the tests", 3, 4, 5]
    assert [line.partition(": ")[2] for line in reported(found)] == [
        "t/d.xlsx: tests are read from .yaml, .json, .jsonl and .csv: save it as CSV",
        "t/make.py:f makes tests: it is code, and none is run",
        "file://m.js makes tests: it is code, and none is run",
        "huggingface://…: tests that a service keeps are not fetched",
        "a test is a mapping",
        "JSON: Expecting value",
    ]


def test_scenarios_are_each_test_on_all_data() -> None:
    text = """\
defaultTest: {vars: {c: all}, threshold: 1}
tests: [{vars: {a: alone}}]
scenarios:
  - description: s
    config:
      - {vars: {a: French, b: chien}, metadata: {l: fr}, threshold: 0.5}
      - {vars: {a: German, b: Hund}, assert: [{type: contains, value: '{{b}}'}]}
      - $values: file://more.yaml
    tests:
      - {vars: {c: dog}, assert: [{type: icontains, value: '{{b}}'}], metadata: {m: 1}}
      - description: own
        vars: {b: katze}
  - file://s.yaml
"""
    found = asked(text, {"s.yaml": "config: [{vars: {a: only data}}]\n"})
    rows = [(tuple(c.vars[k] for k in "abc" if k in c.vars), len(c.asserts), c.threshold) for c in cases(found)]
    assert rows == [
        (("alone", "all"), 0, 1),
        (("French", "chien", "dog"), 1, 0.5),
        (("French", "katze", "all"), 0, 0.5),
        (("German", "Hund", "dog"), 2, 1),
        (("German", "katze", "all"), 1, 1),
        (("only data", "all"), 0, 1),
    ]
    assert cases(found)[1].metadata == {"l": "fr", "m": 1}
    assert reported(found) == [f"{FILE}:9:9: the data of a scenario is a mapping"]


def test_what_all_tests_share_stays_shared() -> None:
    text = """\
defaultTest:
  vars: {b: shared, c: [x, y]}
  assert: [{type: not-contains, value: sorry}, {type: icontains, value: '{{ expected }}'}]
  metadata: {m: 1}
tests:
  - vars: {a: '1', expected: E}
  - vars: {a: '2', b: own}
  - vars: {a: '3', c: z}
    options: {disableDefaultAsserts: true}
"""
    found = asked(text)
    assert found.cases is not None
    assert found.cases.text.startswith("defaultTest:\n  vars: {b: shared}\n  metadata: {m: 1}\ntests:\n")
    rows = [(c.vars["a"], c.vars["b"], c.vars["c"], [a.type for a in c.asserts]) for c in cases(found)]
    assert rows == [
        ("1", "shared", "x", ["not-contains", "icontains"]),
        ("1", "shared", "y", ["not-contains", "icontains"]),
        ("2", "own", "x", ["not-contains"]),
        ("2", "own", "y", ["not-contains"]),
        ("3", "shared", "z", []),
    ]
    assert reported(found) == [
        f"{FILE}:4:48: icontains is left out of some cases: not every test has the variable expected"
    ]


def test_what_all_tests_share_may_be_in_a_file() -> None:
    found = asked("defaultTest: file://d.yaml\ntests: [{vars: {a: x}}]", {"d.yaml": "assert: [{type: is-json}]\n"})
    assert [a.type for a in cases(found)[0].asserts] == ["is-json"]
    lost = asked("defaultTest: [x]\ntests: [{vars: {a: x}}]")
    assert reported(lost) == [f"{FILE}:2:1: defaultTest is a mapping, or a file of one"]


def test_keys_and_options_of_tests_that_have_no_counterpart() -> None:
    text = """\
tests:
  - vars: {a: x}
    provider: p
    prompts: [q]
    threshold: 3
    odd: 1
    metadata: [x]
    options: {transform: output.x, prefix: Hi, runSerially: true, provider: openai:x, storeOutputAs: y, temperature: 1}
"""
    found = converted("prompts: '{{a}}'\n" + text)
    assert [line.partition(": ")[2] for line in reported(found)] == [
        "provider: models are chosen for all cases, with -m",
        "prompts: each case is for each prompt that is named with `promptlab compare`",
        "a threshold is a number from 0 to 1; got 3",
        "odd of a test has no counterpart",
        "metadata is a mapping",
        "transform: it is code, and none is run",
        "prefix: write it into the prompt",
        "storeOutputAs: a prompt can say several turns itself, with {% generate %}",
        "temperature: this option has no counterpart",
    ]
    assert [line.partition(": ")[2] for line in reported(found, "changed")] == [
        "runSerially: cases do not depend on each other",
        "provider: a judge is a model of models.yaml here; name one with --judge",
    ]


# --- assertions ------------------------------------------------------------------------------------------------------


def asserted(
    *assertions: Any, models: tuple[str, ...] = (), files: dict[str, str] | None = None, **config: Any
) -> Converted:
    tests = [{"vars": {"a": "x"}, "assert": list(assertions)}]
    return converted(json.dumps({"prompts": ["{{a}}"], "tests": tests, **config}), files, models)


TAKEN: list[dict[str, Any]] = [
    {"type": "equals", "value": "x"},
    {"type": "equals", "value": {"k": [1, None]}},
    {"type": "not-equals", "value": False},
    {"type": "contains", "value": 0, "weight": 0},
    {"type": "icontains-any", "value": ["a", "{{ a }}"], "metric": "M"},
    {"type": "contains-all", "value": ["a"], "weight": 2.5},
    {"type": "starts-with", "value": "x"},
    {"type": "regex", "value": "\\d{2}"},
    {"type": "is-json"},
    {"type": "contains-json", "value": {"required": ["a"]}},
    {"type": "levenshtein", "value": "x", "threshold": 3},
    {"type": "rouge-n", "value": "x", "threshold": 0.5},
    {"type": "latency", "threshold": 1000},
    {"type": "perplexity", "threshold": 1.5},
    {"type": "finish-reason", "value": "stop"},
    {"type": "llm-rubric", "value": "is {{ a }}", "threshold": 0.7, "provider": "wise"},
    {"type": "select-best", "value": "the shorter one"},
]


@pytest.mark.parametrize("assertion", TAKEN, ids=[f"{a['type']}-{i}" for i, a in enumerate(TAKEN)])
def test_an_assertion_that_maps_is_taken_as_it_is(assertion: dict[str, Any]) -> None:
    found = asserted(assertion, models=("wise",))
    [made] = cases(found)[0].asserts
    assert {key: getattr(made, key) for key in assertion} == assertion
    assert found.findings == ()


@pytest.mark.parametrize(
    ("assertion", "message"),
    [
        ({"type": "javascript", "value": "1"}, "'javascript' is a check of promptfoo's that promptlab does not have: it runs JavaScript"),
        ({"type": "not-is-refusal"}, "'is-refusal' is a check of promptfoo's that promptlab does not have"),
        ({"type": "factuality", "value": "x"}, "llm-rubric, with the criterion in words"),
        ({"type": "cost", "threshold": 1}, "models on your own machine have no price"),
        ({"type": "trajectory:tool-used"}, "there are no traces here"),
        ({"type": "icontain", "value": "x"}, "'icontain' is not a check; did you mean icontains?"),
        ({"type": "latency"}, "latency wants a threshold"),
        ({"type": "contains"}, "contains wants a text as its value"),
        ({"type": "regex", "value": "(?=x)"}, "regex"),
        ({"type": "contains", "value": "{{ a | upper }}"}, "contains: only {{ name }} is filled in here"),
        ({"type": "contains", "value": "{{ vars.a }}"}, "contains: only {{ name }} is filled in here"),
        ({"type": "contains-any", "value": ["x", "{% if a %}x{% endif %}"]}, "contains-any: only {{ name }} is filled in here"),
        ({"type": "python", "value": "'{{a}}' in output"}, "python: only {{ name }} is filled in here, and nothing in schemas and code"),
        ({"type": "contains", "value": "{{ gone }}"}, "contains is left out of some cases: not every test has the variable gone"),
        ({"type": "python", "value": "file://x.py"}, "python: file://x.py is code, and none is run on import"),
        ({"type": "equals", "value": "file://x.js:f"}, "equals: file://x.js:f is code, and none is run on import"),
        ({"type": "equals", "value": "file://nope.txt"}, "file://nope.txt is not there"),
        ({"type": "contains", "value": "file://braces.txt"}, "contains: its text would be filled in here, and is not there"),
        ({"type": "contains", "value": "x", "transform": "output.y"}, "contains of a transformed output: transforms are code, and none is run"),
        ({"type": "contains", "value": "x", "weight": -1}, "contains wants as its weight a number from 0 to 1,000,000; got -1"),
        ({"type": "contains", "value": "x", "weight": "2"}, "contains wants as its weight a number"),
        ({"type": "assert-set", "threshold": 0.5, "assert": [{"type": "is-json"}]}, "an assert-set with a threshold of its own has no counterpart"),
        ({"type": "assert-set"}, "an assert-set with a threshold of its own has no counterpart"),
        ({"$ref": "#/assertionTemplates/none"}, "an assertion is a mapping with a type: #/assertionTemplates/none leads nowhere"),
        ("is-json", "an assertion is a mapping with a type"),
        ({"value": "x"}, "an assertion is a mapping with a type"),
    ],
)  # fmt: skip
def test_an_assertion_that_does_not_map_is_left_out_and_named(assertion: Any, message: str) -> None:
    found = asserted({"type": "is-json"}, assertion, files={"braces.txt": "{{ a }}"})
    assert [a.type for a in cases(found)[0].asserts] == ["is-json"]
    assert message in reported(found)[0]
    assert reported(found)[0].startswith(f"{FILE}:1:")


def test_parts_of_an_assertion_that_do_not_map_are_named_and_the_rest_is_taken() -> None:
    found = asserted(
        {
            "type": "llm-rubric",
            "value": "x",
            "provider": {"id": "openai:x"},
            "rubricPrompt": "y",
            "config": {},
            "odd": 1,
        },
        {"type": "icontains", "value": "x", "threshold": 0.5, "metric": "{{ a }}"},
        {"type": "similar", "value": "x"},
        {"type": "python", "value": "len(output) > 1"},
    )
    assert [(a.type, a.threshold, a.metric, a.provider) for a in cases(found)[0].asserts] == [
        ("llm-rubric", None, None, None),
        ("icontains", None, None, None),
        ("similar", None, None, None),
        ("python", None, None, None),
    ]
    assert [line.partition(": ")[2] for line in reported(found)] == [
        "rubricPrompt: the judge is asked in words of our own",
        "config: it is for code that is not run",
        "odd of an assertion has no counterpart",
        "a metric is a name that is written out; it is left out",
    ]
    assert [line.partition(": ")[2] for line in reported(found, "changed")] == [
        "provider: a judge is a model of models.yaml here; name one with --judge",
        "icontains takes no such threshold: it is left out",
        "similar needs a model tagged `embedding` in models.yaml; without one it is unscored",
        "python runs with --allow-code only",
    ]


def test_values_in_files_are_written_out() -> None:
    files = {"s.json": '{"type": "object"}', "t.txt": " words \n", "l.yaml": "- a\n- b\n"}
    found = asserted(
        {"type": "is-json", "value": "file://s.json"},
        {"type": "contains", "value": "file://t.txt"},
        {"type": "contains-any", "value": "file://./l.yaml"},
        files=files,
    )
    assert [a.value for a in cases(found)[0].asserts] == [{"type": "object"}, "words", ["a", "b"]]


def test_a_reference_leads_to_its_template_and_problems_are_said_there() -> None:
    templates = {
        "polite": {"type": "llm-rubric", "value": "is polite"},
        "same": {"$ref": "#/assertionTemplates/polite"},
        "js": {"type": "javascript"},
    }
    refs = [{"$ref": f"#/assertionTemplates/{name}"} for name in ("same", "js", "js")]
    found = asserted(*refs, assertionTemplates=templates)
    assert [a.value for a in cases(found)[0].asserts] == ["is polite"]
    assert len(reported(found)) == 1


def test_a_reference_in_a_circle_ends() -> None:
    found = asserted({"$ref": "#/t/a"}, t={"a": {"$ref": "#/t/b"}, "b": {"$ref": "#/t/a"}})
    assert "leads nowhere" in reported(found)[0]


def test_a_set_of_assertions_counts_as_much_as_before() -> None:
    members = [
        {"type": "contains", "value": "a"},
        {"type": "contains", "value": "b", "weight": 3, "metric": "own"},
        {"type": "cost"},
    ]
    found = asserted({"type": "assert-set", "weight": 2, "metric": "all", "assert": members}, {"type": "is-json"})
    assert [(a.type, a.weight, a.metric) for a in cases(found)[0].asserts] == [
        ("contains", 0.5, "all"),
        ("contains", 1.5, "own"),
        ("is-json", 1, None),
    ]


def test_more_assertions_than_a_case_can_have_are_left_out() -> None:
    found = asserted(*[{"type": "contains", "value": str(i)} for i in range(210)])
    assert len(cases(found)[0].asserts) == 200
    assert "has more than 200 assertions: the others are left out" in reported(found)[0]


# --- anything --------------------------------------------------------------------------------------------------------

WORD = st.sampled_from(["a", "b", "{{a}}", "{{ b | upper }}", "file://f.txt", "file://f.yaml", "file://../x", "file://g.csv", "x\ny", "", "é", "icontains", "equals", "javascript", "not-regex", "(", "1e3", "#/x/y"])  # fmt: skip
SCALAR: st.SearchStrategy[Any] = (
    WORD | st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
)
KEY = st.sampled_from(["prompts", "tests", "scenarios", "defaultTest", "vars", "assert", "type", "value", "threshold", "weight", "metric", "provider", "options", "config", "a", "b", "x", "$ref", "raw", "id", "label", "metadata", "description", "role", "content", "path", "disableVarExpansion", "providers", "transform", "assertionTemplates"])  # fmt: skip
ANYTHING = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4), max_leaves=15
)
TEST = st.fixed_dictionaries(
    {},
    optional={
        "vars": st.dictionaries(st.sampled_from(["a", "b", "c d", "_e", "if"]), ANYTHING, max_size=3) | ANYTHING,
        "assert": st.lists(
            st.dictionaries(KEY, SCALAR, max_size=3).map(lambda d: {"type": "equals", **d}) | ANYTHING, max_size=3
        ),
        "threshold": SCALAR,
        "metadata": ANYTHING,
        "options": ANYTHING,
        "description": SCALAR,
    },
)
CONFIG = st.fixed_dictionaries(
    {
        "prompts": st.lists(WORD.map(lambda word: f"Say {word}") | ANYTHING, max_size=3) | ANYTHING,
        "tests": st.lists(TEST | ANYTHING, max_size=4) | ANYTHING,
    },
    optional={"defaultTest": TEST | ANYTHING, "scenarios": ANYTHING, "x": ANYTHING, "providers": ANYTHING},
)
ANY_FILES = {
    "f.txt": "{{a}} text\n---\nmore",
    "f.yaml": "a: 1\nvars: {a: 2}\n",
    "g.csv": "a,b c,__expected\n1,2,icontains:x\n",
}


@given(CONFIG)
@settings(max_examples=400, deadline=None)
def test_whatever_a_config_is_what_is_written_can_be_read(config: dict[str, Any]) -> None:
    """Or it is refused with lines that say why; `converted` looks at what is written."""
    text = json.dumps(config)
    try:
        convert(text, FILE, "it", Folder(ANY_FILES))
    except SourceError:
        return
    found = converted(text, ANY_FILES)
    assert all("\n" not in each.problem.message for each in found.findings)
