"""The file of a baseline: made for git, and read as if a stranger wrote it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.baseline import Baseline, KeptColumn, Tally, make_baseline
from promptlab.errors import SourceError, StoreError, UsageError
from promptlab.files import baseline as files
from promptlab.files.baseline import check_place, parse, read_baseline, render, write_baseline
from tests.views.comparisons import HOSTILE, made_up

COLUMN: dict[str, Any] = {"prompt": "p", "label": "p@1", "model": "a", "cases": {"x": {"passed": 1, "scored": 2}}}


def found(*columns: KeptColumn) -> Baseline:
    return Baseline(columns, ("seeds/x.yaml",))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = make_baseline(made_up(), ["seeds/facts.yaml"])
    write_baseline(tmp_path / "kept" / "base.json", made)
    read = read_baseline(tmp_path / "kept" / "base.json")
    assert sorted(read.columns, key=str) == sorted(made.columns, key=str)
    assert read.files == ("seeds/facts.yaml",)
    assert os.listdir(tmp_path / "kept") == ["base.json"]  # noqa: PTH208


def test_it_is_written_for_git() -> None:
    b = KeptColumn(
        "p", "p@2", "b", {"z": Tally(1, 2, 0.5), "ä": Tally(0, 0), "c": Tally(2, 2, 1.0)}, "h", "s", "exact", 2
    )
    a = KeptColumn("p", "p@2", "a", {"c\u202e": Tally(2, 2, 1.0)}, pass_rate=1.0)
    text = render(found(b, a))
    assert text == render(found(a, b))
    assert text.splitlines() == [
        "{",
        '"columns": [',
        " {",
        '  "cases": {',
        '   "c\\u202e": {"passed": 2, "score": 1.0, "scored": 2}',
        "  },",
        '  "hash": "",',
        '  "label": "p@2",',
        '  "mode": null,',
        '  "model": "a",',
        '  "pass_rate": 1.0,',
        '  "prompt": "p",',
        '  "samples": 0,',
        '  "seed": 0,',
        '  "sha256": null',
        " },",
        " {",
        '  "cases": {',
        '   "c": {"passed": 2, "score": 1.0, "scored": 2},',
        '   "z": {"passed": 1, "score": 0.5, "scored": 2},',
        '   "ä": {"passed": 0, "score": null, "scored": 0}',
        "  },",
        '  "hash": "h",',
        '  "label": "p@2",',
        '  "mode": "exact",',
        '  "model": "b",',
        '  "pass_rate": null,',
        '  "prompt": "p",',
        '  "samples": 2,',
        '  "seed": 0,',
        '  "sha256": "s"',
        " }",
        "],",
        '"files": ["seeds/x.yaml"],',
        '"schema": 1',
        "}",
    ]


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TALLIES = st.tuples(st.integers(0, 9), st.integers(0, 9), st.none() | st.floats(0, 1)).map(
    lambda t: Tally(min(t[:2]), max(t[:2]), t[2])
)


@given(
    st.builds(KeptColumn, NAMES, NAMES, NAMES, st.dictionaries(NAMES, TALLIES, max_size=4), NAMES, seed=st.integers())
)
def test_any_baseline_is_read_as_it_was_written(column: KeptColumn) -> None:
    text = render(found(column))
    assert parse(text, "x") == found(column)
    assert all(line.isprintable() for line in text.split("\n"))


def test_hostile_names_are_kept() -> None:
    names = [text for text in HOSTILE if not any("\ud800" <= each <= "\udfff" for each in text)]
    columns = tuple(KeptColumn(name, name, name, {name: Tally(1, 1)}) for name in names)
    assert sorted(parse(render(found(*columns)), "x").columns, key=str) == sorted(columns, key=str)


def document(**changes: Any) -> str:
    return json.dumps({"schema": 1, "columns": [COLUMN], "files": [], **changes})


def with_case(**tally: Any) -> str:
    return document(columns=[{**COLUMN, "cases": {"x": {"passed": 1, "scored": 2, **tally}}}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f:1:1: JSON: Expecting value"),
        ("<<<<<<< HEAD\n", "f:1:1: JSON: Expecting value"),
        ('{"schema": 1,\n "columns": [1,]}', "f:2:16: JSON: "),
        ("[]", "f: is no baseline: `promptlab compare … --write-baseline FILE` writes one"),
        ("7", "f: is no baseline"),
        ("{}", "f: is no baseline"),
        ('{"schema": 1}', "f: is no baseline"),
        (document(schema="1"), "f: is no baseline"),
        (document(schema=True), "f: is no baseline"),
        (document(schema=2), "f: is of schema 2, and this promptlab reads schema 1"),
        (document(columns=7), "f: is no baseline: columns: Input should be a valid tuple"),
        (document(columns=[{}]), "f: is no baseline: columns.0.prompt: Field required"),
        (
            document(columns=[{**COLUMN, "model": 5}]),
            "f: is no baseline: columns.0.model: Input should be a valid string",
        ),
        (document(columns=[{**COLUMN, "cases": []}]), "f: is no baseline: columns.0.cases: Input should be a valid"),
        (document(columns=[COLUMN, COLUMN]), "f: the column 'p@1 on a' stands here 2 times"),
        (document(files="x"), "f: is no baseline: files"),
        (with_case(passed=3), "f: p@1 on a, case 'x': 3 passed of 2 scored"),
        (with_case(passed=-1), "f: p@1 on a, case 'x': -1 passed of 2 scored"),
        (with_case(scored=10**9), "f: p@1 on a, case 'x': 1 passed of 1000000000 scored"),
        (with_case(scored=None), "f: is no baseline: columns.0.cases.x.scored"),
        (with_case(score=1.5), "f: p@1 on a, case 'x': a score lies between 0 and 1, and this is 1.5"),
        (with_case(score=float("nan")), "f:1:.*: holds a number that is too large, or NaN"),
        (with_case(score=float("-inf")), "f:1:.*: holds a number that is too large, or NaN"),
        (with_case().replace('"scored": 2', '"scored": 1e999'), "holds a number that is too large, or NaN"),
        (with_case(passed=0).replace('"passed": 0', f'"passed": {"9" * 5000}'), "holds a number that is too large"),
        ('{"schema": 1, "schema": 1, "columns": []}', "f:1:15: the key 'schema' stands here a second time"),
        ('{"schema": 1, "columns": ["\\ud800"]}', "half of a surrogate pair"),
        ("[" * 100_000, "is nested deeper than"),
        ('{"schema": 1, "columns": ' + "[" * 60 + "]" * 60 + "}", "is nested deeper than"),
        (document(columns=[{**COLUMN, "cases": {"x\ny" * 500: {"passed": 3, "scored": 2}}}]), r"case 'x\\ny"),
    ],
)
def test_what_is_no_baseline_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message.replace("(", r"\(")) as caught:
        parse(text, "f")
    assert all("\n" not in str(each) and len(str(each)) < 400 for each in caught.value.problems)


def test_all_that_makes_no_sense_is_said_at_once() -> None:
    cases = {f"x{i}": {"passed": 2, "scored": 1} for i in range(50)}
    with pytest.raises(SourceError) as caught:
        parse(document(columns=[{**COLUMN, "cases": cases}]), "f")
    assert len(caught.value.problems) == files.MAX_PROBLEMS


def test_a_file_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"\xff")
    for name, reason in (
        ("none", "is not there"),
        (".", "is not a regular"),
        ("pipe", "is not a reg"),
        ("latin", "UTF-8"),
    ):
        with pytest.raises(SourceError, match=reason):
            read_baseline(tmp_path / name)


def test_a_link_must_not_lead_out_of_a_library(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    write_baseline(outside, found())
    library = tmp_path / "library"
    library.mkdir()
    (library / "base.json").symlink_to(outside)
    with pytest.raises(SourceError, match="is outside the library"):
        read_baseline(library / "base.json", library)
    assert read_baseline(library / "base.json").columns == ()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_baseline(tmp_path / "x.json", found())
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(SourceError, match="is larger than 10 bytes"):
        read_baseline(tmp_path / "x.json")


def test_a_baseline_takes_the_place_of_another_one_and_of_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_baseline(path, found())
    write_baseline(path, found(KeptColumn("p", "p", "a", {})))
    assert len(read_baseline(path).columns) == 1
    for name, text in {"cases.yaml": "tests: []", "other.json": "{}", "newer.json": document(schema=9)}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UsageError, match="is there, and is no baseline"):
            write_baseline(tmp_path / name, found())
        assert (tmp_path / name).read_text() == text
    with pytest.raises(UsageError, match="is no baseline"):
        check_place(tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cases.yaml", "newer.json", "other.json", "x.json"]


def test_a_baseline_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path, before = tmp_path / "x.json", tmp_path / "before.json"
    write_baseline(path, found())
    before.hardlink_to(path)
    write_baseline(path, found(KeptColumn("p", "p", "a", {})))
    assert read_baseline(before).columns == ()  # nobody ever finds half of it


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    write_baseline(target, found())
    for name, leads_to in (("link", target), ("nowhere", tmp_path / "none")):
        (tmp_path / name).symlink_to(leads_to)
        with pytest.raises(UsageError, match="is a link"):
            write_baseline(tmp_path / name, found())
    assert not (tmp_path / "none").exists()


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        write_baseline(tmp_path / "file" / "x.json", found())
    with pytest.raises(UsageError, match="cannot be the name of a file"):
        check_place(tmp_path / "a\0b")
    with pytest.raises((UsageError, StoreError), match="cannot be"):
        write_baseline(tmp_path / ("x" * 300), found())
