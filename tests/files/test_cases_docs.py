"""What docs/cases.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from promptlab.core import casefile, yamltext
from promptlab.core.case import MAX_ID, CaseSet
from promptlab.errors import SourceError
from promptlab.files import cases, references
from promptlab.files.cases import read_cases
from promptlab.files.paths import shipped_library

PAGE = (Path(__file__).parents[2] / "docs" / "cases.md").read_text()


def block(language: str, number: int = 0) -> str:
    """A code block in a language."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found[number]


def read(folder: Path, name: str, text: str) -> CaseSet:
    (folder / name).write_text(text)
    return read_cases(folder / name, name, folder)


def test_the_three_forms_say_what_the_page_says(tmp_path: Path) -> None:
    blue, clouds = read(tmp_path, "s.yaml", block("yaml")).cases
    assert (blue.id, blue.threshold, blue.metadata) == ("blue", 0.5, {"level": "easy"})
    assert blue.vars == {"topic": "the colour of the sky", "audience": "a child"}
    assert [each.type for each in blue.asserts] == ["max-tokens", "icontains", "not-icontains"]
    assert (clouds.vars["audience"], len(clouds.id), len(clouds.asserts)) == ("a pilot", 12, 1)
    assert read(tmp_path, "s.jsonl", block("json")).cases[1].vars == clouds.vars
    first, second = read(tmp_path, "s.csv", block("csv")).cases
    assert (first.id, first.vars, first.metadata) == ("blue", blue.vars, {"level": "easy"})
    assert first.asserts[1].value == ["green", "red"]
    assert (second.asserts[0].type, second.asserts[0].threshold) == ("similar", 0.6)


def test_the_files_of_the_example_are_there() -> None:
    paths = re.findall(r"file://([a-z./]+)", block("yaml", 1))
    assert paths
    assert all((shipped_library() / "seeds" / path).is_file() for path in paths)


def test_every_key_is_in_a_table(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, "s.yaml", "- {x: 1}\n- assert: [{type: equals, value: a, x: 1}]\n")
    keys = [key for problem in caught.value.problems for key in problem.message.partition("there are ")[2].split(", ")]
    assert len(keys) == 12
    assert all(f"| `{key}` |" in PAGE for key in keys)
    with pytest.raises(SourceError) as caught:
        read(tmp_path, "s.csv", "__x\n")
    columns = re.findall(r"__\w+", caught.value.problems[0].message.partition("there are ")[2])
    assert len(columns) == 7
    assert all(f"`{column}" in PAGE for column in columns)


def test_the_limits_are_as_written() -> None:
    text = " ".join(PAGE.split())
    assert cases.MAX_BYTES == references.MAX_TOTAL == 64 * 1024 * 1024
    assert f"at most 64 MiB and {casefile.MAX_CASES:,} cases, of YAML at most {yamltext.MAX_CHARS:,}" in text
    assert f"a text has at most {casefile.MAX_VALUE:,} characters" in text
    assert f"a row of CSV {casefile.MAX_LINE:,}, a case {cases.MAX_ASSERTS} assertions" in text
    assert f"its cases {casefile.MAX_SIZE // 1024 // 1024} MiB with all" in text
    assert f"1 to {MAX_ID} characters" in text


def test_links_inside_the_page_lead_somewhere() -> None:
    heads = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    wanted = set(re.findall(r"\(#([^)]+)\)", PAGE))
    assert wanted
    assert wanted <= heads
