from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core import casefile
from promptlab.core.casecsv import MAX_COLUMNS, read_csv
from promptlab.core.checks import KINDS
from promptlab.core.expected import read_expected
from promptlab.errors import SourceError


def rows_of(text: str) -> list[Any]:
    draft = read_csv(text, "f.csv")
    assert (draft.problems, draft.typed) == ((), True)
    found: list[Any] = draft.value["tests"]
    return found


def wrong(text: str) -> list[str]:
    try:
        found = read_csv(text, "f").problems
    except SourceError as error:
        found = error.problems
    return [str(problem).removeprefix("f:") for problem in found]


# --- what is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("blue", ("equals", "blue")),
        ("A: b", ("equals", "A: b")),
        ("note: b", ("equals", "note: b")),
        ("python", ("equals", "python")),
        ("icontains blue", ("equals", "icontains blue")),
        ("f(2): x", ("equals", "f(2): x")),
        ("is-json", ("is-json", None)),
        ("icontains:blue", ("icontains", "blue")),
        ("icontains: blue ", ("icontains", "blue")),
        ("not-icontains:blue", ("not-icontains", "blue")),
        ("equals:icontains:blue", ("equals", "icontains:blue")),
        ("regex:^a:b$", ("regex", "^a:b$")),
        ("contains:a\nb", ("contains", "a\nb")),
        ("contains-any:a, b,c", ("contains-any", ["a", "b", "c"])),
        ("not-icontains-all:a", ("not-icontains-all", ["a"])),
        ("contains-any:file://words.json", ("contains-any", "file://words.json")),
        ("is-json:file://schema.json", ("is-json", "file://schema.json")),
        ('contains-json:{"type": "object"}', ("contains-json", '{"type": "object"}')),
        ("max-tokens:50", ("max-tokens", 50)),
        ("javascript:output", ("javascript", "output")),
        ("not-a: b", ("equals", "not-a: b")),
        ("grade: is polite", ("llm-rubric", "is polite")),
        ("llm-rubric:is polite", ("llm-rubric", "is polite")),
        ("fn:output.length", ("javascript", "output.length")),
        ("python:len(output)", ("python", "len(output)")),
        ("contains:", ("contains", None)),
    ],
)
def test_a_cell_says_what_is_expected(text: str, expected: tuple[str, Any]) -> None:
    read = read_expected(text)
    assert (read["type"], read.get("value")) == expected
    assert "threshold" not in read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("similar(0.8):Hello world", {"type": "similar", "threshold": 0.8, "value": "Hello world"}),
        ("not-levenshtein(3):a", {"type": "not-levenshtein", "threshold": 3.0, "value": "a"}),
        ("latency(500)", {"type": "latency", "threshold": 500.0}),
        ("logprob(-5):yes", {"type": "logprob", "threshold": -5.0, "value": "yes"}),
        ("similar(much):x", {"type": "equals", "value": "similar(much):x"}),
        ("latency(5) or so", {"type": "equals", "value": "latency(5) or so"}),
    ],
)
def test_a_threshold_stands_in_brackets(text: str, expected: dict[str, Any]) -> None:
    assert read_expected(text) == expected


@given(st.text())
def test_any_text_is_a_type_with_a_value_or_just_text(text: str) -> None:
    read = read_expected(text)
    if read["type"] == "equals" and not text.startswith("equals"):
        assert read == {"type": "equals", "value": text}
    else:
        assert read["type"].removeprefix("not-") in KINDS


# --- rows and columns


def test_a_row_is_a_test() -> None:
    text = (
        "question,__id,__expected,__expected1,__description,__metric,__threshold,__metadata:topic,__metadata:tags[]\n"
        'What?,w,icontains:x,grade:nice,About,tone,0.5,sky,"a, b"\n'
        "And?,,,,,,,,\n"
    )
    assert rows_of(text) == [
        {
            "vars": {"question": "What?"},
            "id": "w",
            "description": "About",
            "assert": [
                {"type": "icontains", "value": "x", "metric": "tone"},
                {"type": "llm-rubric", "value": "nice", "metric": "tone"},
            ],
            "threshold": 0.5,
            "metadata": {"topic": "sky", "tags": ["a", "b"]},
        },
        {"vars": {"question": "And?"}, "assert": []},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_cells_may_hold_commas_quotes_and_lines(end: str) -> None:
    lines = ["a, b", '"x, ""y""', 'z",  2', "", "' ', \" q\"", ",", ""]
    assert [test["vars"] for test in rows_of(end.join(lines))] == [
        {"a": 'x, "y"\nz', "b": "2"},
        {"a": "' '", "b": " q"},
    ]


def test_an_empty_cell_of_a_variable_is_an_empty_text() -> None:
    assert [test["vars"] for test in rows_of("a,b\n,x\n")] == [{"a": "", "b": "x"}]


def test_a_cell_may_be_as_long_as_any_value() -> None:
    long = "x" * casefile.MAX_VALUE
    assert rows_of(f"a\n{long}\n")[0]["vars"]["a"] == long
    assert wrong(f"a\n{long}y\n") == ["2:1: CSV: field larger than field limit (1048576)"]


def test_everything_has_its_place() -> None:
    header = "question , __expected,__expected1,__expected2,__threshold,__metadata:k[]"
    draft = read_csv(f'\n{header}\n"a\n""b""",,  is-json,x,1,m\n', "f")
    places = {
        ("tests", 0): (3, 1),
        ("tests", 0, "vars", "question"): (3, 1),
        ("tests", 0, "assert", 0): (4, 11),
        ("tests", 0, "assert", 1, "value"): (4, 19),
        ("tests", 0, "threshold"): (4, 21),
        ("tests", 0, "metadata", "k"): (4, 23),
        ("tests", 0, "metadata", "other"): (3, 1),
        ("tests", 0, "id"): (3, 1),
        ("tests",): (0, 0),
    }
    assert {path: draft.place(path) for path in places} == places


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", [" is empty: the first row names the columns"]),
        ("\n\n", [" is empty: the first row names the columns"]),
        ("a,,b\n", ["1:3: column 2 has no name: the first row names the columns"]),
        ("a,b, a\n", ["1:6: the column 'a' stands here a second time"]),
        (
            "a;b\n",
            [
                "1:1: 'a;b' is not the name of a variable: letters, digits and _; "
                "the first row names the columns, with commas between"
            ],
        ),
        (
            "a,__expect\n",
            [
                "1:3: '__expect' is not a column; there are variables, __id, __description, __expected, "
                "__expected1…, __metric, __threshold, __metadata:KEY"
            ],
        ),
        ("a,b\n1\n\n1,2,3\n", ["2:1: has 1 cell, and the header has 2", "4:1: has 3 cells, and the header has 2"]),
        ('a\n1\n"x\ny\n', ["3:1: CSV: a quotation mark is not closed"]),
        ('a\n"x"y\n', ["2:1: CSV: ',' expected after '\"'"]),
        ('"a\n', ["1:1: CSV: a quotation mark is not closed"]),
        ("a,__threshold\nx, much\n", ["2:4: threshold should be a number; got 'much'"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, problems: list[str]) -> None:
    assert wrong(text) == problems


def test_there_are_limits() -> None:
    names = ",".join(f"v{i}" for i in range(MAX_COLUMNS + 1))
    assert wrong(names) == ["1:1: has more than 1,000 columns"]
    assert wrong("a,b\n1,2\n" + ",," * casefile.MAX_LINE) == ["3:1: CSV: a row is longer than 4,194,304 characters"]
    assert len(wrong("a,b\n" + "x\n" * 10_000)) == casefile.MAX_PROBLEMS + 1


CELL = st.text(st.sampled_from("ab,\"\n 'é"), max_size=6).filter(lambda text: text == text.lstrip(" "))


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_what_the_csv_module_writes_is_read_and_found_again(rows: list[list[str]], end: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator=end).writerows([["a", "b", "c"], *rows])
    text = stream.getvalue()
    draft = read_csv(text, "f")
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    assert [list(test["vars"].values()) for test in draft.value["tests"]] == kept
    lines = text.replace("\r\n", "\n").split("\n")
    for index, row in enumerate(kept):
        for name, cell in zip("abc", row, strict=True):
            line, column = draft.place(("tests", index, "vars", name))
            rest = lines[line - 1][column - 1 :]
            assert rest.startswith(cell.replace('"', '""').partition("\n")[0]) or rest.startswith('"')
