"""A comparison as a file: what other programs read of it, whatever models have said."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from promptlab.core.baseline import compare_baseline, make_baseline
from promptlab.core.case import Case
from promptlab.core.codec import load
from promptlab.core.compare import Column, Comparison, Likeness, Result, compare
from promptlab.core.csvcell import harmless
from promptlab.core.record import Record
from promptlab.core.verdict import Check, Verdict
from promptlab.errors import UsageError
from promptlab.views.exports import SUFFIXES, export, format_of
from promptlab.views.markdown import MAX_FAILURES, as_markdown, escape, fenced
from promptlab.views.table import grid
from tests.views.comparisons import HOSTILE, hostile, judged, made_up, record

COMPARISONS = {"usual": made_up(cases=4, likeness=True), "hostile": hostile(), "structured": judged()}
FORMATS = [name for name in SUFFIXES.values() if name != "html"]


def one(output: Any, **vars: Any) -> Comparison:
    """One answer, which failed."""
    column, case = Column("ask", "m"), Case("c", vars)
    verdict = Verdict("fail", 0.25, (Check("equals", "fail", 0.25, "is not it"),))
    made = (
        record(column, case, 0, "x", output=output) if output != "" else replace(record(column, case, 0, ""), output="")
    )
    return compare([column], [case], [Result(0, 0, 0, made, verdict)])


# --- names


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.html", "html"),
        ("a.json", "json"),
        ("a.jsonl", "jsonl"),
        ("out/a.b.csv", "csv"),
        ("A.MD", "md"),
        ("a.junit.xml", "junit"),
    ],
)
def test_the_end_of_the_name_says_what_is_written(name: str, wanted: str) -> None:
    assert format_of(Path(name)) == wanted


@pytest.mark.parametrize("name", ["a.xml", "a", "a.txt", "json", "a.json.gz", "a" * 500])
def test_another_end_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape("there are .html, .json, .jsonl, .csv, .md, .junit.xml")) as caught:
        format_of(Path(name))
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("format", FORMATS)
def test_every_file_can_be_written_and_ends_its_last_line(name: str, format: str) -> None:
    text = export(COMPARISONS[name], format)
    assert text.encode().endswith(b"\n")


def test_html_is_not_written_here() -> None:
    with pytest.raises(ValueError, match="'html' is not written here"):
        export(COMPARISONS["usual"], "html")


# --- JSON


@pytest.mark.parametrize("name", COMPARISONS)
def test_json_has_every_record_with_its_checks_and_verdict(name: str) -> None:
    found = COMPARISONS[name]
    data = json.loads(export(found, "json"))
    assert data["schema"] == 1
    assert len(data["cells"]) == len(found.results)
    for cell, result in zip(data["cells"], found.results, strict=True):
        own = json.loads(json.dumps(asdict(result.record)))
        checks = json.loads(json.dumps([asdict(each) for each in result.verdict.checks]))
        assert {key: cell[key] for key in own} == {**own, "case": found.cases[result.case].id, "checks": checks}
        assert (cell["column"], cell["sample"], cell["cached"]) == (result.column, result.sample, result.cached)
        assert cell["verdict"] == {"outcome": result.verdict.outcome, "score": result.verdict.score}


def test_a_cell_is_a_record() -> None:
    found = COMPARISONS["usual"]
    cell = json.loads(export(found, "jsonl").splitlines()[0])
    read = load(Record, {key: value for key, value in cell.items() if key not in ("column", "cached", "verdict")})
    assert replace(read, checks=()) == found.results[0].record


def test_json_has_columns_pairs_and_who_agrees_with_whom() -> None:
    found = COMPARISONS["usual"]
    data = json.loads(export(found, "json"))
    assert data["columns"][0]["prompt"] == "answer@1"
    assert data["columns"][0]["model"] == "smollm2-135m"
    assert data["columns"][0]["pass_rate"] == found.summaries[0].pass_rate
    assert data["columns"][0]["interval"] == asdict(found.summaries[0].interval)  # type: ignore[arg-type]
    assert [each["decision"] for each in data["pairs"]] == [each.decision for each in found.pairs]
    assert [each["case"] for each in data["splits"]] == [each.case for each in found.splits]
    assert data["agreement"] == [list(row) for row in found.agreement]
    assert data["likeness"]["models"] == ["smollm2-135m", "gemma3-270m"]
    assert data["bias"] is None
    assert [each["id"] for each in data["cases"]] == [each.id for each in found.cases]
    assert "regressions" not in data


def test_json_has_a_cell_on_a_line() -> None:
    found = COMPARISONS["hostile"]
    lines = export(found, "json").split("\n")
    assert len([line for line in lines if line.startswith('{"schema"')]) == len(found.results)


def test_jsonl_has_a_cell_a_line_and_the_same_as_json() -> None:
    for found in COMPARISONS.values():
        lines = export(found, "jsonl").split("\n")[:-1]
        assert [json.loads(line) for line in lines] == json.loads(export(found, "json"))["cells"]


def test_json_for_a_terminal_of_ascii() -> None:
    for format in ("json", "jsonl"):
        text = export(COMPARISONS["hostile"], format, ascii_only=True)
        assert text.isascii()
        whole = export(COMPARISONS["hostile"], format)
        assert not whole.isascii()
        assert [json.loads(each) for each in _documents(text, format)] == [
            json.loads(each) for each in _documents(whole, format)
        ]


def _documents(text: str, format: str) -> list[str]:
    return text.split("\n")[:-1] if format == "jsonl" else [text]


def test_a_number_that_json_does_not_have_costs_only_itself() -> None:
    found = one("x")
    result = found.results[0]
    (step,) = result.record.steps
    drawn = replace(step.tokens[0], logprob=-math.inf)
    step = replace(step, tokens=(drawn, *step.tokens[1:]))
    odd = replace(result, record=replace(result.record, steps=(step,)))
    found = replace(found, results=(odd,), likeness=Likeness(("m",), ((math.nan,),)))
    data = json.loads(export(found, "json"))
    assert data["likeness"]["bits"] == [[None]]
    (cell,) = data["cells"]
    assert [each["logprob"] for each in cell["steps"][0]["tokens"]] == [None, *(t.logprob for t in step.tokens[1:])]
    assert cell["output"] == "x"


def test_what_became_of_a_baseline_is_in_json_and_markdown() -> None:
    found = COMPARISONS["usual"]
    changed = compare_baseline(make_baseline(made_up(cases=4, blemishes=False)), found)
    data = json.loads(export(found, "json", regressions=changed))["regressions"]
    assert (data["worse"], data["new"], data["gone"]) == (changed.worse, [], [])
    assert [each["now"] for each in data["columns"]] == [each.name for each in found.columns]
    kinds = [each["kind"] for each in data["columns"][0]["cases"]]
    assert kinds == [each.kind for each in changed.columns[0].cases]
    assert "## answer@1 on smollm2-135m since the baseline" in export(found, "md", regressions=changed)
    assert "baseline" not in export(found, "md")


# --- CSV


def rows(text: str) -> list[dict[str, str]]:
    csv.field_size_limit(10_000_000)
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_csv_has_a_row_for_each_answer() -> None:
    found = COMPARISONS["usual"]
    read = rows(export(found, "csv"))
    assert list(read[0]) == [
        "case", "vars.question", "prompt", "model", "sample", "output", "state", "score", "reasons",
    ]  # fmt: skip
    assert len(read) == len(found.results)
    for row, result in zip(read, found.results, strict=True):
        assert row["case"] == found.cases[result.case].id
        assert row["vars.question"] == found.cases[result.case].vars["question"]
        assert (row["prompt"], row["model"]) == (result.record.prompt.label, result.record.model.name)
        assert row["output"] == ("" if result.record.error else result.record.output)
        assert row["state"] == result.state
        assert row["score"] == ("" if result.verdict.score is None else str(result.verdict.score))
        if result.record.error:
            assert row["reasons"] == "the worker died while it computed (SIGKILL)"
        else:
            assert row["reasons"] == "\n".join(f"{c.outcome} {c.type}: {c.reason}" for c in result.verdict.checks)


def test_csv_keeps_hostile_text_in_its_cell() -> None:
    found = COMPARISONS["hostile"]
    read = rows(export(found, "csv"))
    assert len(read) == len(found.results)
    kept = [row["output"] for row, result in zip(read, found.results, strict=True) if not result.record.error]
    said = [result.record.output for result in found.results if not result.record.error]
    assert kept == [re.sub("[\ud800-\udfff]", "\ufffd", harmless(text)) for text in said]


@pytest.mark.parametrize("begin", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "－1"])
def test_no_cell_is_a_formula(begin: str) -> None:
    found = one(begin, **{"=var": begin})
    found = replace(found, cases=(replace(found.cases[0], id=begin),), columns=(Column(begin, begin),))
    text = export(found, "csv")
    (row,) = rows(text)
    assert row["output"] == row["case"] == row["prompt"] == row["model"] == row["vars.=var"] == f"'{begin}"
    assert not [
        cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line if cell[:1] in tuple("=+-@\t\r")
    ]


@given(st.text(), st.text())
def test_any_text_comes_back_from_csv(output: str, value: str) -> None:
    (row,) = rows(export(one(output, x=value), "csv"))
    wanted = [
        each if each[:1] not in tuple("=+-@\t\r\n＝＋－＠") or not each else f"'{each}" for each in (output, value)
    ]
    assert [row["output"], row["vars.x"]] == [re.sub("[\ud800-\udfff]", "\ufffd", each) for each in wanted]


def test_values_that_are_no_text_are_json_in_csv() -> None:
    (row,) = rows(export(one({"a": [1, "ä"]}, n=3, flag=True, none=None), "csv"))
    assert row["output"] == '{"a": [1, "ä"]}'
    assert (row["vars.n"], row["vars.flag"], row["vars.none"]) == ("3", "true", "null")


def test_a_variable_that_a_case_lacks_is_empty_in_csv() -> None:
    column, cases = Column("ask", "m"), [Case("a", {"x": "1"}), Case("b", {"y": "2"})]
    results = [Result(0, k, 0, record(column, case, 0, "-"), Verdict("pass", 1.0)) for k, case in enumerate(cases)]
    read = rows(export(compare([column], cases, results), "csv"))
    assert [(row["vars.x"], row["vars.y"]) for row in read] == [("1", ""), ("", "2")]


# --- JUnit


@pytest.mark.parametrize("name", COMPARISONS)
def test_junit_has_a_suite_for_each_column_and_a_test_for_each_answer(name: str) -> None:
    found = COMPARISONS[name]
    root = ElementTree.fromstring(export(found, "junit").encode())
    assert root.tag == "testsuites"
    tags = {"fail": "failure", "error": "error", "unscored": "skipped"}
    for index, (suite, summary) in enumerate(zip(root, found.summaries, strict=True)):
        own = [each for each in found.results if each.column == index]
        counts = [int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")]
        assert counts == [len(own), summary.failed, summary.errors, summary.unscored]
        for test, result in zip(suite, own, strict=True):
            assert [each.tag for each in test] == ([tags[result.state]] if result.state in tags else [])
            assert test.attrib["classname"] == suite.attrib["name"]
            assert float(test.attrib["time"]) >= 0


def test_junit_says_why() -> None:
    found = one("no", x="1")
    (test,) = ElementTree.fromstring(export(found, "junit").encode())[0]
    assert test.attrib["name"] == "c"
    assert test[0].attrib["message"] == "is not it"
    assert test[0].text == "fail equals: is not it\n\nno"


def test_junit_names_samples_from_1() -> None:
    suite = ElementTree.fromstring(export(made_up(cases=1, samples=2), "junit").encode())[0]
    assert [test.attrib["name"] for test in suite] == ["france [sample 1]", "france [sample 2]"]


@given(st.text())
@example("\ufffe \uffff \x00 \x1b \ud800 ]]> &amp;")
def test_any_text_is_legal_xml(text: str) -> None:
    found = one(text)
    found = replace(found, cases=(Case(text),), columns=(Column(text, text),))
    (test,) = ElementTree.fromstring(export(found, "junit").encode())[0]
    if text.isalnum() and text.isascii():
        assert test.attrib["name"] == text
        assert (test[0].text or "").endswith(f"\n\n{text}")


# --- Markdown


def rendered(text: str) -> Any:
    """The tokens that GitHub's tables and CommonMark see."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


@pytest.mark.parametrize("name", COMPARISONS)
def test_markdown_holds_tables_and_nothing_that_a_model_made(name: str) -> None:
    tokens = rendered(export(COMPARISONS[name], "md"))
    kinds = {token.type for token in tokens} | {each.type for token in tokens for each in token.children or []}
    assert {"table_open", "heading_open"} <= kinds
    assert kinds <= {
        *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "fence"),
        *("table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close"),
        *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "text", "text_special"),
    }


def test_markdown_begins_with_the_summary() -> None:
    text = export(COMPARISONS["usual"], "md")
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads[0] == "# Comparison"
    assert heads[1].startswith("## 4 cases · 4 samples")
    assert heads[2:4] == ["## Which is better", "## Case by case"]
    assert "## What failed" in heads


def test_a_table_in_markdown() -> None:
    table = grid(("a|b", "n"), [("`x` | *y*", "1"), ("line\nbreak", "22")], right=(1,))
    assert as_markdown(table) == ("| a\\|b | n |\n| :--- | ---: |\n| \\`x\\` \\| \\*y\\* | 1 |\n| line␊break | 22 |")


@pytest.mark.parametrize(
    "text", [*HOSTILE[:12], "a|b", "\\", "\\|", "a\\", "`|`", "||", "[x](http://y)", "<b>", "&lt;", "~~a~~"]
)
def test_any_text_is_one_cell_that_says_just_that(text: str) -> None:
    table = grid(("h", "other"), [(text, "end")])
    tokens = [token for token in rendered(as_markdown(table)) if token.type == "inline"]
    said = ["".join(each.content for each in token.children or []) for token in tokens]
    assert said == ["h", "other", " ".join(table.rows[0][0].split(" ")).strip(), "end"]


def test_nobody_is_notified() -> None:
    assert escape("@octocat and mail@host, explain@2") == "@&#8203;octocat and mail@host, explain@2"


@given(st.text(st.sampled_from("`a\n~ \r")))
def test_a_fence_holds_any_text(text: str) -> None:
    (token,) = rendered(fenced(text))
    assert token.type == "fence"
    assert token.content.rstrip("\n") == text.replace("\r\n", "\n").replace("\r", "␍").rstrip("\n")


def test_what_failed_is_shown_up_to_a_limit() -> None:
    found = made_up(cases=12)
    failed = sum(each.state in ("fail", "error") for each in found.results)
    text = export(found, "md")
    assert text.count("\n### ") == MAX_FAILURES < failed
    assert text.endswith(f"and {failed - MAX_FAILURES} answers more.\n")
