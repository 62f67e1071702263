from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core import casefile, yamltext
from promptlab.core.casefile import MAX_DEPTH, MAX_VALUE, Draft, Unfit, measure, read_json, read_jsonl, read_yaml
from promptlab.errors import SourceError


def wrong(text: str) -> list[str]:
    """What is wrong with a JSON text, without the file's name."""
    with pytest.raises(SourceError) as caught:
        read_json(text, "f")
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


def told(draft: Draft) -> list[str]:
    return [str(problem) for problem in draft.problems]


# --- YAML


def test_yaml_is_a_mapping_or_just_the_tests() -> None:
    whole = read_yaml("description: d\ntests:\n  - vars: {a: 1}\n", "f.yaml")
    assert whole.value == {"description": "d", "tests": [{"vars": {"a": 1}}]}
    assert whole.place(("tests", 0, "vars", "a")) == (3, 12)
    listed = read_yaml("- vars: {a: 1}\n- vars: {}\n", "f.yaml")
    assert listed.value == {"tests": [{"vars": {"a": 1}}, {"vars": {}}]}
    assert listed.place(("tests", 0, "vars", "a")) == (1, 10)
    assert listed.place(("tests", 1, "vars", "not there")) == (2, 3)
    assert not listed.typed


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_yaml_that_says_nothing_has_no_tests(text: str) -> None:
    assert read_yaml(text, "f").value == {"tests": []}


def test_yaml_is_read_up_to_a_size_and_the_others_are_named() -> None:
    with pytest.raises(SourceError, match=r"f: is larger than 1,048,576 characters, .*; write JSONL or CSV"):
        read_yaml("#" * (yamltext.MAX_CHARS + 1), "f")


def test_half_a_surrogate_pair_is_no_text_in_yaml_either() -> None:
    with pytest.raises(SourceError, match=r"f:2:4: is not text: it holds half of a surrogate pair|f:2:7: YAML"):
        read_yaml('- a\n- {b: "\\ud800"}', "f")


# --- JSON


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1,\n "a": 2}', "2:2: the key 'a' stands here a second time"),
        ('{"a": {"b": 1, "\\u0062": 2}}', "1:16: the key 'b' stands here a second time"),
        ('[1, {"x": [NaN]}]', "1:12: holds a number that is too large, or NaN"),
        ("-Infinity", "1:1: holds a number that is too large, or NaN"),
        ('{"a": 1e999}', "1:2: holds a number that is too large, or NaN"),
        ('{"a": ' + "9" * 5000 + "}", "1:2: holds a number that is too large, or NaN"),
        ('["\\ud83d"]', "1:2: is not text: it holds half of a surrogate pair"),
        ('{"\\ud83d": 1}', "1:2: is not text: it holds half of a surrogate pair"),
        ('{"a": 1', "1:8: JSON: Expecting ',' delimiter"),
        ('\n {"a" 1}', "2:7: JSON: Expecting ':' delimiter"),
        ('{"a": "\n"}', "1:8: JSON: Invalid control character at"),
        ("{} {}", "1:4: JSON: Extra data"),
        ("", "1:1: JSON: Expecting value"),
        ("'a'", "1:1: JSON: Expecting value"),
        ('{"a": {"x": 1}, "a": {"x": [2]}}', "1:17: the key 'a' stands here a second time"),
        ("[" * 100_000, "1:1: JSON: is nested deeper than 40 levels"),
    ],
)
def test_what_json_may_not_hold(text: str, problem: str) -> None:
    assert wrong(text) == [problem]


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 300, 900])
def test_deep_nesting_is_refused(depth: int) -> None:
    assert wrong("[" * depth + "]" * depth)[0].endswith("is nested deeper than 40 levels")
    assert read_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f")


def test_each_key_that_stands_there_again_is_told_up_to_a_number() -> None:
    assert wrong('{"a": 1, "b": 2, "a": 3, "c": {"b": 1, "b": 2}}') == [
        "1:18: the key 'a' stands here a second time",
        "1:40: the key 'b' stands here a second time",
    ]
    assert len(wrong("{" + ", ".join('"a": 1' for _ in range(200)) + "}")) == casefile.MAX_PROBLEMS


def test_a_text_may_be_long_but_not_longer() -> None:
    assert measure("x" * MAX_VALUE) > MAX_VALUE
    assert wrong(json.dumps({"a": ["x" * (MAX_VALUE + 1)]})) == ["1:8: is longer than 1,048,576 characters"]


def test_measuring_counts_what_takes_memory() -> None:
    assert measure([0] * 1000) > 1000 * 8
    assert measure({"a" * 500: None}) > 500
    assert measure("x" * 500) > 500
    with pytest.raises(Unfit) as caught:
        measure({"a": [0, {"b": float("inf")}]})
    assert caught.value.path == ("a", 1, "b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_every_value_of_a_json_text_is_found_again_where_it_stands(value: Any, ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    assert read_json(text, "f") == value
    marks = dict(casefile._walk(text))
    assert list(casefile._twice(text)) == []

    def follow(value: Any, path: tuple[str | int, ...]) -> None:
        rest = text[marks[path] :]
        if path and isinstance(path[-1], str):  # the place of an entry is its key
            assert json.JSONDecoder().raw_decode(rest)[0] == path[-1]
        else:
            assert json.JSONDecoder().raw_decode(rest)[0] == value
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, each in items:
            follow(each, (*path, key))

    follow(value, ())


# --- JSONL


def test_jsonl_is_a_test_a_line_with_places() -> None:
    draft = read_jsonl('{"id": "x"}\r\n\n   {"vars": {"a": [1, 2]}}\n\n', "f.jsonl")
    assert draft.value == {"tests": [{"id": "x"}, {"vars": {"a": [1, 2]}}]}
    assert [draft.place(("tests", i)) for i in (0, 1)] == [(1, 1), (3, 4)]
    assert draft.place(("tests", 1, "vars", "a", 1)) == (3, 23)
    assert draft.place(("tests", 1, "vars", "b")) == (3, 5)  # the nearest thing around it
    assert draft.place(("tests",)) == draft.place(()) == (0, 0)
    assert (draft.problems, draft.typed) == ((), False)


def test_each_line_that_cannot_be_read_is_told_and_the_others_are_read() -> None:
    draft = read_jsonl('{"id": 1}\n{"id":\n\n  {"a": 1, "a": 2}\n{"id": NaN}\n[1]\n', "f")
    assert draft.value == {"tests": [{"id": 1}, [1]]}
    assert told(draft) == [
        "f:2:7: JSON: Expecting value",
        "f:4:12: the key 'a' stands here a second time",
        "f:5:2: holds a number that is too large, or NaN",
    ]
    assert draft.place(("tests", 1)) == (6, 1)


def test_lines_are_what_ends_with_a_newline_whatever_else_breaks_lines() -> None:
    draft = read_jsonl('{"a": "\u2028\x85"}\n{"b":1}', "f")
    assert draft.value == {"tests": [{"a": "\u2028\x85"}, {"b": 1}]}
    assert told(read_jsonl("\u00a0{}", "f")) == ["f:1:1: JSON: Expecting value"]


def test_a_line_that_is_too_long_is_not_read() -> None:
    text = '{"id": 1}\n{"a": "' + "x" * casefile.MAX_LINE + '"}'
    assert told(read_jsonl(text, "f")) == ["f:2:1: is longer than 4,194,304 characters"]


def test_reading_ends_where_there_are_too_many_problems() -> None:
    assert len(read_jsonl("{\n" * 10_000, "f").problems) == casefile.MAX_PROBLEMS + 1
