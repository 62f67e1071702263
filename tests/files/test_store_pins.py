"""Pins: marks on records that are to stay at hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from promptlab.core.record import Record
from promptlab.core.search import Search
from promptlab.files.store import FOLDER, Store
from promptlab.files.tables import VERSION
from tests.files.test_search import said, second_version
from tests.files.test_store import first_version, record


def third_version(root: Path, records: list[Record]) -> None:
    """As a program made it that knew no pins."""
    with Store.open(root) as store:
        for each in records:
            store.append(each)
        store.keep_verdicts([("01A", "asked", "pass", 1.0)])
    with closing(sqlite3.connect(root / FOLDER / "lab.db")) as db, db:
        db.execute("DROP INDEX records_by_run")
        db.execute("ALTER TABLE records DROP COLUMN run")
        db.execute("DROP TABLE pins")
        db.execute("PRAGMA user_version = 3")


@pytest.mark.parametrize("make", [first_version, second_version, third_version])
def test_a_history_of_any_older_version_can_be_pinned_and_loses_nothing(
    tmp_path: Path, make: Callable[[Path, list[Record]], None]
) -> None:
    make(tmp_path, [record("01A"), said("01B", "snow")])
    with Store.open(tmp_path) as store:
        assert store._ask("PRAGMA user_version") == [(VERSION,)]
        assert store.matching(Search("snow")) == ["01B"]
        assert store.get("01A") == record("01A")
        store.pin(["01A"])
        assert store.matching(Search(models=("m", "small")), pinned_first=True)[0] == "01A"
        if make is third_version:
            assert store.verdicts(["01A"]) == {"01A": "pass"}
    with Store.open(tmp_path) as again:
        assert again.pinned(["01A", "01B"]) == {"01A"}


def test_pins_and_searches(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        for number in range(700):
            store.append(said(f"{number:04}", "rain" if number % 2 else "snow"))
        store.pin(["0001", "0002", "0003", "none"])
        store.pin(["0003"], False)
        store.pin(["0001"])
        everything = [f"{number:04}" for number in range(700)]
        assert store.pinned(everything) == {"0001", "0002"}
        assert store.matching(Search(), pinned_first=True)[:3] == ["0002", "0001", "0699"]
        assert store.matching(Search())[:2] == ["0699", "0698"]
        assert store.matching(Search("rain", pinned=True)) == ["0001"]
        assert len(store.matching(Search("rain", pinned=False))) == 349
        assert [(h.id, h.pinned) for h in store.hits(["0003", "gone", "0001"])] == [("0003", False), ("0001", True)]
        assert [hit.pieces[0].matched for hit in store.hits(["0001"], "rain")] == [True]


def test_what_is_deleted_is_no_longer_pinned(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        for id in ("01A", "01B", "01C"):
            store.append(said(id, "rain"))
        store.pin(["01A", "01B"])
        store.delete(["01A"])
        assert store._ask("SELECT record FROM pins") == [("01B",)]
        store.purge()
        assert store._ask("SELECT count(*) FROM pins") == [(0,)]


def test_records_alike(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        wanted = said("01A", "rain", inputs={"a": "x"}, started_at="2026-01-02T03:00:00Z")
        store.append(wanted)
        store.append(said("01B", "snow", inputs={"a": "x"}, started_at="2026-01-02T02:00:00Z"))
        store.append(said("01C", "rain", inputs={"a": "y"}, started_at="2026-01-02T03:00:00Z"))
        store.append(said("01D", "rain", inputs={"a": "x"}, started_at="2026-01-02T03:00:00Z", case="c"))
        store.append(said("01E", "rain", inputs={"a": "x"}, started_at="2026-01-02T05:00:00Z"))
        assert store.alike(wanted, "2026-01-02T02", "2026-01-02T04") == ["01B", "01A"]


def test_a_run_is_found_and_older_records_say_none(tmp_path: Path) -> None:
    third_version(tmp_path, [record("01A")])
    with Store.open(tmp_path) as store:
        made = [record(id, run="r") for id in ("01B", "01C")]
        others = [record("01D", run="r", case="a"), record("01E", run="s"), record("01F", run="\ud800")]
        for each in (*made, *others):
            store.append(each)
        assert store.of_run(made[1]) == ["01B", "01C"]
        assert store.of_run(others[0]) == ["01D"]
        assert store.of_run(others[2]) == ["01F"]
        assert store.of_run(store.get("01A")) == []
        (plan,) = store._ask("EXPLAIN QUERY PLAN SELECT id FROM records WHERE run = 'r'")
        assert "records_by_run" in plan[3]
        store.delete(["01B"])
        assert store.of_run(made[1]) == ["01C"]
