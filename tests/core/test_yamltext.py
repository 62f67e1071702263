from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core import yamltext
from promptlab.errors import SourceError


def read(text: str) -> Any:
    return yamltext.read(text, file="f").value


def problems(text: str, first_line: int = 1) -> list[str]:
    with pytest.raises(SourceError) as caught:
        yamltext.read(text, file="f", first_line=first_line)
    return [str(p) for p in caught.value.problems]


VALUES = [
    ("", None),
    ("# only a comment\n", None),
    ("a", "a"),
    ("a: 1", {"a": 1}),
    ("[no, yes, on, off, y, n]", ["no", "yes", "on", "off", "y", "n"]),
    ("[true, True, TRUE, false, False, FALSE]", [True, True, True, False, False, False]),
    ("[null, Null, NULL, ~]", [None, None, None, None]),
    ("a:", {"a": None}),
    ("[12:30, 1:2:3, 190:20:30]", ["12:30", "1:2:3", "190:20:30"]),
    ("[2024-01-01, 2001-12-14t21:59:43.10-05:00]", ["2024-01-01", "2001-12-14t21:59:43.10-05:00"]),
    ("[1, -1, +1, 007, 0x1F, 0o17, 1_000, 0b1]", [1, -1, 1, 7, 31, 15, "1_000", "0b1"]),
    ("[9223372036854775808, 12345678901234567890]", [9223372036854775808, 12345678901234567890]),
    ("[1.5, .5, 5., 1e3, -1.5E-3]", [1.5, 0.5, 5.0, 1000.0, -0.0015]),
    ("[.inf, -.inf, .nan, 1.2.3, 1e, '.']", [".inf", "-.inf", ".nan", "1.2.3", "1e", "."]),
    ("['1', \"true\", ! 5, ! null]", ["1", "true", "5", "null"]),
    ("no: 1\n1: 2\nnull: 3\ntrue: 4\n", {"no": 1, "1": 2, "null": 3, "true": 4}),
    ('"<<": {a: 1}', {"<<": {"a": 1}}),
    ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    ("a: >\n  x\n  y\n", {"a": "x y\n"}),
    ("a: |\n  1\n", {"a": "1\n"}),
    ("---\na: 1\n...\n", {"a": 1}),
    ("a: 1\r\nb: x\r\n", {"a": 1, "b": "x"}),
    ("😀: é\n", {"😀": "é"}),
    ("=: =\n", {"=": "="}),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_only_null_true_false_and_numbers_are_special(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(("text", "kind"), [("1", int), ("1.0", float), ("true", bool), ("'1'", str)])
def test_types_are_exact(text: str, kind: type) -> None:
    assert type(read(text)) is kind


ANCHOR = "anchors (&a) are not allowed here; write the value out"
TAG = "tags (!…) are not allowed here; quote the value if it begins with an exclamation mark"
LARGE = "too large a number; put it in quotes if it is a text"

PROBLEMS = [
    ("x: &a 1\ny: *a\n", [f"1:4: YAML: {ANCHOR}", "2:4: YAML: aliases (*a) are not allowed here; write the value out"]),
    ("x: &a [1]\n", [f"1:4: YAML: {ANCHOR}"]),
    ("x: &a {b: 1}\n", [f"1:4: YAML: {ANCHOR}"]),
    ("&a x: 1\n", [f"1:1: YAML: {ANCHOR}"]),
    ("x: !!python/object/apply:os.system [ls]\n", [f"1:4: YAML: {TAG}"]),
    ("x: !!str 1\n", [f"1:4: YAML: {TAG}"]),
    ("!!str x: 1\n", [f"1:1: YAML: {TAG}"]),
    ("x: !boom\n", [f"1:4: YAML: {TAG}"]),
    ("x: !!binary aGk=\n", [f"1:4: YAML: {TAG}"]),
    ("x:\n  <<: {a: 1}\n", ["2:3: YAML: merge keys (<<) are not allowed here; write the values out"]),
    ("a: 1\nb: 2\na: 3\n", ["3:1: YAML: the key 'a' stands here a second time"]),
    ("a: 1\n'a': 3\n", ["2:1: YAML: the key 'a' stands here a second time"]),
    ("x: {b: 1, c: 2, b: 3}\n", ["1:17: YAML: the key 'b' stands here a second time"]),
    ("? [a]\n: 1\n", ["1:3: YAML: a key must be a plain word or a string"]),
    ("? {a: 1}\n: 1\n", ["1:3: YAML: a key must be a plain word or a string"]),
    ("*a : 1\n", ["1:1: YAML: a key must be a plain word or a string"]),
    ("a: 1\n---\nb: 2\n", ["2:1: YAML: only one document in a file, please"]),
    ("---\n---\nb: 2\n", ["2:1: YAML: only one document in a file, please"]),
    ("a:\n\tb: 1\n", ["2:1: YAML: found character '\\t' that cannot start any token"]),
    ("a: b: c\n", ["1:5: YAML: mapping values are not allowed here"]),
    ("a: [1, 2\n", ["2:1: YAML: expected ',' or ']', but got '<stream end>'"]),
    ("a: 'x\n", ["2:1: YAML: found unexpected end of stream"]),
    ('a: "\\q"\n', ["1:6: YAML: found unknown escape character 'q'"]),
    ("%YAML 2.0\n---\na: 1\n", ["1:1: YAML: found incompatible YAML document (version 1.* is required)"]),
    ("a: 1\nb: \x07\n", ["2:4: YAML: unacceptable character #x0007: special characters are not allowed"]),
    ("\x00", ["1:1: YAML: unacceptable character #x0000: special characters are not allowed"]),
    ("ab\x1b[2J", ["1:3: YAML: unacceptable character #x001b: special characters are not allowed"]),
    ("é: \ud800\n", ["1:4: YAML: unacceptable character #xd800: special characters are not allowed"]),
    ("a: 1e999\n", [f"1:4: YAML: {LARGE}"]),
    (f"a: {'9' * 101}\n", [f"1:4: YAML: {LARGE}"]),
    (f"a: 0x{'f' * 200}\n", [f"1:4: YAML: {LARGE}"]),
    ("[" * 100_000, ["1:42: YAML: is nested deeper than 40 levels"]),
    ("{a: " * 50, ["1:165: YAML: is nested deeper than 40 levels"]),
    ("- " * 50_000, ["1:83: YAML: is nested deeper than 40 levels"]),
    ("? " * 50_000, ["1:3: YAML: a key must be a plain word or a string"]),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_a_problem_is_at_its_line_and_column(text: str, expected: list[str]) -> None:
    assert problems(text) == [f"f:{e}" for e in expected]


def test_all_problems_are_told_at_once_and_a_fatal_one_does_not_hide_them() -> None:
    assert problems("a: 1\na: &x 2\nb: !t 3\nc: [\n", first_line=10) == [
        "f:11:1: YAML: the key 'a' stands here a second time",
        "f:11:4: YAML: anchors (&x) are not allowed here; write the value out",
        f"f:12:4: YAML: {TAG}",
        "f:14:1: YAML: expected the node content, but found '<stream end>'",
    ]


def test_the_depth_limit_does_not_hide_earlier_problems() -> None:
    assert problems("a: !t 1\nb: " + "[" * 60)[0] == f"f:1:4: YAML: {TAG}"


def test_a_list_of_problems_ends() -> None:
    found = problems("- &a b\n" * 30_000)
    assert len(found) == yamltext.MAX_PROBLEMS + 1
    assert found[-1] == "f:51:3: YAML: there are more problems from here on"


@pytest.mark.parametrize("text", ["x" * 3000 + ": 1\n", f"? {'x' * 50_000}\n: 1\n"])
def test_a_message_is_short_whatever_it_quotes(text: str) -> None:
    assert all(len(p) < 300 and "\n" not in p for p in problems(text * 2))


def test_deep_but_allowed() -> None:
    value = read("[" * 40 + "1" + "]" * 40)
    for _ in range(40):
        (value,) = value
    assert value == 1


def test_too_large_a_text() -> None:
    assert problems(" " * (yamltext.MAX_CHARS + 1)) == ["f: is larger than 1,048,576 characters"]


def test_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamltext, "MAX_NODES", 3)
    assert read("[1, 2]") == [1, 2]
    assert problems("[1, 2, 3]") == ["f:1:8: YAML: has more than 3 values"]


def billion_laughs() -> str:
    lines = ["a0: &a0 {x: 1}"]
    return "\n".join(lines + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 30)])


@pytest.mark.parametrize(
    "text",
    [
        billion_laughs(),
        "a: &a [" + ", ".join(["x"] * 9) + "]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(2000)),
        "&a [*a]",
        ":" * 50_000,
        "[a: b, " * 20_000,
        "*a " * 20_000,
        "!a " * 20_000,
        "[" + "a, " * 10,
        '"' + "a" * 50_000,
        "a:\t" * 20_000,
    ],
)
def test_a_bomb_is_refused_in_no_time(text: str) -> None:
    begin = time.monotonic()
    assert problems(text)
    assert time.monotonic() - begin < 3  # some take PyYAML's own loader longer than 8 s, or for ever


def test_marks_lead_to_the_nearest_thing_that_has_a_place() -> None:
    document = yamltext.read("a:\n  b: [1, 2]\n", file="f", first_line=5)
    assert [str(document.problem(path, "!")) for path in [("a", "b", 1), ("a", "b"), ("a", "zzz"), ("q",), ()]] == [
        "f:6:10: !",
        "f:6:3: !",
        "f:5:1: !",
        "f:5:1: !",
        "f:5:1: !",
    ]


def test_an_empty_document_has_no_place_but_its_file() -> None:
    assert str(yamltext.read("", file="f").problem(("a",), "!")) == "f: !"


SYNTAX = st.text(alphabet="ab1:-?[]{},&*!|>'\"%@`#~<=. \t\n\\\r\ud800\x85\u2028é0xe+", max_size=60)


@given(st.one_of(SYNTAX, st.text(max_size=60)))
def test_arbitrary_text_gives_plain_data_or_a_source_error(text: str) -> None:
    try:
        value = read(text)
    except SourceError:
        assert all("\n" not in p for p in problems(text))
        return
    assert_plain(value)


def assert_plain(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            assert_plain(item)
    elif isinstance(value, list):
        for item in value:
            assert_plain(item)
    else:
        assert value is None or type(value) in (str, int, float, bool)
        assert value not in (float("inf"), -float("inf"))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(alphabet="ab 1:#-é😀", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="abc1", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(PLAIN)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert read(json.dumps(value, ensure_ascii=False)) == value
