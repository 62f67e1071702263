from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.app import history
from promptlab.app.lab import Lab
from promptlab.core import codec
from promptlab.core.events import Failure
from promptlab.core.record import Record
from promptlab.core.search import Search
from promptlab.core.session import Session, Unsaved
from promptlab.errors import NotFound, StoreError, UsageError
from promptlab.files.sessions import read_session, session_file, write_session
from tests.files.test_store import record

ODD = [
    record("01A", case="=1+1", output="=HYPERLINK(1)", inputs={"topic": "-x"}),
    record("01B", output={"a": ["ü\ud800\x00\u2028"]}, inputs={}, error=Failure("EngineError", "@died\n, \"quoted\"")),
    record("01C", output="+1", engine=None, steps=()),
    record("01D", output="\tx", prompt=replace(record().prompt, name="-name", label="@label")),
    record("01E", output="\rx"),
    record("01F", output=-5),
    record("01G", output=None, error=Failure("Cancelled", "")),
    record("01H", output="a\r\nb;c,d"),
]  # fmt: skip


@pytest.fixture
def kept(lab: Lab) -> list[Record]:
    """Odd records, in the history."""
    for each in ODD:
        lab.store.append(each)
    lab.store.keep_verdicts([("01A", "x", "fail", 0.0)])
    return ODD


def everything(lab: Lab) -> list[str]:
    return history.chosen(lab, Search())


def test_jsonl_loses_nothing(lab: Lab, kept: list[Record], tmp_path: Path) -> None:
    file = tmp_path / "all.JSONL"
    done = history.export(lab, everything(lab), file)
    assert (done.count, done.unreadable) == (len(kept), ())
    lines = file.read_bytes().decode().splitlines()
    assert [codec.load(Record, json.loads(line)) for line in lines] == kept[::-1]


def test_json_is_a_list(lab: Lab, kept: list[Record], tmp_path: Path) -> None:
    history.export(lab, ["01B", "01A"], tmp_path / "two.json")
    loaded = json.loads((tmp_path / "two.json").read_bytes())
    assert [codec.load(Record, each) for each in loaded] == [kept[1], kept[0]]
    history.export(lab, [], tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_bytes()) == []


def test_no_cell_of_a_table_is_a_formula(lab: Lab, kept: list[Record], tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    history.export(lab, everything(lab)[::-1], file)
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == history.COLUMNS
    assert [row["id"] for row in rows] == [each.id for each in kept]
    outputs = [row["output"] for row in rows]
    assert outputs[:2] == ["'=HYPERLINK(1)", '{"a": ["ü\ufffd\\u0000\u2028"]}']
    assert outputs[2:] == ["'+1", "'\tx", "'\rx", "-5", "", "a\r\nb;c,d"]
    first, second, third, fourth = rows[:4]
    assert (first["case"], first["inputs"], first["verdict"]) == ("'=1+1", '{"topic": "-x"}', "fail")
    assert (first["prompt_tokens"], first["completion_tokens"], first["mode"]) == ("2", "1", "exact")
    assert (second["error"], second["verdict"]) == ('\'@died\n, "quoted"', "")
    assert (third["mode"], third["finish_reason"], third["prompt_tokens"]) == ("", "", "0")
    assert (fourth["prompt"], fourth["label"]) == ("'-name", "'@label")
    assert rows[6]["error"] == "Cancelled"


@pytest.mark.parametrize("name", ["all", "all.txt", ".csv", "all.csv.gz", "all.json "])
def test_a_file_whose_name_says_no_form_is_refused(lab: Lab, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"It ends with \.jsonl, \.json or \.csv"):
        history.export(lab, [], tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_file_is_replaced_by_a_whole_one_or_stays(
    lab: Lab, kept: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    file = folder / "all.json"
    file.write_text("before")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(codec, "dump", fail)
        with pytest.raises(StoreError, match=r"all\.json cannot be written: No space left on device"):
            history.export(lab, ["01A"], file)
    assert [path.name for path in folder.iterdir()] == ["all.json"]
    assert file.read_text() == "before"
    history.export(lab, ["01A"], file)
    assert len(json.loads(file.read_text())) == 1
    assert [path.name for path in folder.iterdir()] == ["all.json"]


def test_a_link_is_replaced_and_what_it_leads_to_stays(lab: Lab, kept: list[Record], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "all.json").symlink_to(tmp_path / "mine")
    history.export(lab, ["01A"], tmp_path / "all.json")
    assert (tmp_path / "mine").read_text() == "mine"
    assert len(json.loads((tmp_path / "all.json").read_text())) == 1


def test_a_file_that_cannot_be_written(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(StoreError, match=r"folder\.json cannot be written: "):
        history.export(lab, [], tmp_path / "folder.json")
    assert list((tmp_path / "folder.json").iterdir()) == []


def test_a_record_that_cannot_be_read_is_left_out_and_named(lab: Lab, kept: list[Record], tmp_path: Path) -> None:
    lab.store._ask("UPDATE records SET json = 'x' WHERE id = '01B'")
    done = history.export(lab, ["01A", "01B", "01X", "01C"], tmp_path / "some.jsonl")
    assert done.count == 2
    assert ["record 01B cannot be read" in done.unreadable[0], "no record '01X'" in done.unreadable[1]] == [True] * 2
    assert len((tmp_path / "some.jsonl").read_text().splitlines()) == 2


def test_search_and_delete(lab: Lab, kept: list[Record]) -> None:
    assert [hit.id for hit in history.search(lab, Search("hyperlink"))] == ["01A"]
    assert history.named(lab, ["01a", "01A", "01B"]) == ["01A", "01B"]
    with pytest.raises(NotFound):
        history.named(lab, ["01A", "02"])
    assert history.delete(lab, ["01A", "01B"]) == 2
    assert history.delete(lab, []) == 0
    assert len(everything(lab)) == len(kept) - 2
    assert history.purge(lab) == len(kept) - 2
    assert everything(lab) == []


# --- looking and pinning


def test_looking_gives_all_ids_and_the_first_hits(lab: Lab, kept: list[Record]) -> None:
    newest = [each.id for each in kept[::-1]]
    found = history.look(lab, Search(), 3)
    assert (list(found.ids), [hit.id for hit in found.hits], found.anything) == (newest, newest[:3], True)
    assert [hit.id for hit in history.look_on(lab, found.wanted, found.ids[3:5])] == newest[3:5]
    nothing = history.look(lab, Search("nowhere"), 3)
    assert (nothing.ids, nothing.hits, nothing.anything) == ((), (), True)
    history.purge(lab)
    assert not history.look(lab, Search(), 3).anything
    assert history.look_on(lab, found.wanted, found.ids) == ()


def test_what_is_pinned_stands_first_and_is_unpinned_by_the_same_word(lab: Lab, kept: list[Record]) -> None:
    assert history.pin(lab, ["01A", "01C"])
    assert history.look(lab, Search(), 0).ids[:3] == ("01C", "01A", "01H")
    assert [hit.pinned for hit in history.look(lab, Search(), 3).hits] == [True, True, False]
    assert history.pin(lab, ["01A", "01B"])
    assert history.pinned(lab, [each.id for each in kept]) == 3
    assert not history.pin(lab, ["01A", "01B"])
    assert history.look(lab, Search(pinned=True), 0).ids == ("01C",)


def test_a_purge_forgets_what_was_typed_in_this_library_alone(lab: Lab, tmp_path: Path) -> None:
    typed = Session("explain", {"explain": {"topic": "secret"}}, sources={"explain": Unsaved("secret", "")})
    for root in (lab.root, tmp_path / "other"):
        write_session(session_file(root), typed)
    assert history.purge(lab) == 0
    assert (read_session(session_file(lab.root)), read_session(session_file(tmp_path / "other"))) == (Session(), typed)
