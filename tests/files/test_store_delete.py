"""Deleting from the history, which leaves nothing behind."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.core.events import Failure
from promptlab.core.record import Record
from promptlab.core.search import Search
from promptlab.errors import NotFound, StoreError
from promptlab.files.store import FOLDER, Store
from tests.files.test_search import found, said, tables, without_fts5
from tests.files.test_store import record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        yield store


@pytest.fixture(params=["indexed", "not indexed"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A history with an index, and one of an SQLite that can have none."""
    if request.param == "not indexed":
        without_fts5(monkeypatch)
    with Store.open(tmp_path) as store:
        yield store


def bytes_of(root: Path) -> bytes:
    """All that is in the files of a history."""
    return b"".join(path.read_bytes() for path in (root / FOLDER).glob("lab.db*"))


def secret(i: int) -> Record:
    """A record that holds words of its own, of the same length each, wherever it holds text."""
    word, rnd = f"qz{i:04}", random.Random(i)
    text = f"{word}out " * 2 + "filling " * rnd.choice([1, 1, 5, 20, 100, 600]) + f"{word}end"
    prompt = replace(record().prompt, name=f"{word}name", source=f"{word}source")
    failure = Failure("EngineError", f"{word}failure") if i % 3 == 0 else None
    id = f"{rnd.choice('ABC')}{i:04}"
    return said(id, text, f"{word}asked", prompt=prompt, inputs={"x": f"{word}in"}, case=f"{word}case", error=failure)


def test_nothing_of_what_is_deleted_is_left_in_the_files(tmp_path: Path, any_store: Store) -> None:
    rnd = random.Random(17)  # with this seed, pieces are left in the pages of a file that is not written anew
    kept: dict[int, str] = {}
    gone: set[int] = set()
    for _ in range(2):
        for i in range(len(kept) + len(gone), len(kept) + len(gone) + rnd.choice([5, 50, 150])):
            any_store.append(secret(i))
            any_store.keep_verdicts([(secret(i).id, f"qz{i:04}asked for", "pass", 1.0)])
            kept[i] = secret(i).id
        data = bytes_of(tmp_path)
        assert all(f"qz{i:04}{what}".encode() in data for i in kept for what in ("out", "in", "name", "source", "end"))
        chosen = rnd.sample(sorted(kept), min(len(kept) - 1, rnd.choice([1, 20, 100])))
        assert any_store.delete([kept.pop(i) for i in chosen]) == len(chosen)
        gone.update(chosen)
        data = bytes_of(tmp_path)
        assert not [i for i in gone if f"qz{i:04}".encode() in data]
        assert all(f"qz{i:04}out".encode() in data for i in kept)
        assert found(any_store, "filling") == sorted(kept.values(), reverse=True)
        assert tables(any_store, "records", "facts", "texts", "verdicts") == [len(kept)] * 4


def test_nothing_at_all_is_left_after_a_purge(tmp_path: Path, any_store: Store) -> None:
    for i in range(50):
        any_store.append(secret(i))
        any_store.keep_verdicts([(secret(i).id, f"qz{i:04}asked", "pass", 1.0)])
        any_store.keep_measured(f"qz{i:04}", "qz measured")
    assert b"qz" in bytes_of(tmp_path)
    assert any_store.purge() == 50
    assert b"qz" not in bytes_of(tmp_path)
    assert b"filling" not in bytes_of(tmp_path)
    assert (tmp_path / FOLDER / "lab.db-wal").stat().st_size == 0
    assert tables(any_store, "records", "facts", "texts", "verdicts", "measurements") == [0] * 5
    any_store.append(said("1", "rain"))
    assert found(any_store, "rain") == ["1"]
    assert any_store.purge() == 1
    assert any_store.purge() == 0


def test_what_is_not_there_is_not_deleted(store: Store) -> None:
    store.append(said("1", "rain"))
    assert store.delete(["2", "1' OR 1=1"]) == store.delete([]) == 0
    assert found(store, "rain") == ["1"]
    with pytest.raises(NotFound):
        store.whole_id("2")


def test_a_record_that_cannot_be_read_can_be_deleted(tmp_path: Path, store: Store) -> None:
    store.append(said("01ABC", "rain"))
    store._ask("UPDATE records SET json = 'unreadable text'")
    assert store.whole_id("01a") == "01ABC"
    assert store.delete([store.whole_id("01a")]) == 1
    assert b"unreadable" not in bytes_of(tmp_path)


def test_without_fts5_nothing_is_deleted_that_would_stay_in_an_index(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(said("1", "rain"))
    without_fts5(monkeypatch)
    with pytest.raises(StoreError, match=r"nothing was deleted: .* lacks FTS5"):
        store.delete(["1"])
    with pytest.raises(StoreError, match=r"nothing was deleted: .* lacks FTS5"):
        store.purge()
    assert found(store, "rain") == ["1"]


def test_while_another_program_writes_nothing_is_deleted(tmp_path: Path, store: Store) -> None:
    store.append(said("1", "rain"))
    assert store._connection
    store._connection.execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(tmp_path / FOLDER / "lab.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"^\S+lab\.db: another program has kept it locked"):
            store.delete(["1"])
        with pytest.raises(StoreError, match=r"^\S+lab\.db: another program has kept it locked"):
            store.purge()
    assert found(store, "rain") == ["1"]


@pytest.mark.parametrize("purge", [True, False])
def test_while_another_program_reads_traces_may_be_left_and_that_is_said(
    tmp_path: Path, store: Store, purge: bool
) -> None:
    store.append(secret(1))
    store.append(said("X", "rain"))
    assert store._connection
    store._connection.execute("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(tmp_path / FOLDER / "lab.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM records").fetchone() == (2,)
        with pytest.raises(
            StoreError, match=r"the records are deleted, but traces of their text may be left: .*reads it"
        ):
            _ = store.purge() if purge else store.delete([secret(1).id])
    assert found(store) == ([] if purge else ["X"])
    _ = store.purge() if purge else store.delete(["X"])
    assert b"qz" not in bytes_of(tmp_path)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.files.test_search import said
from promptlab.files.store import Store
with Store.open(Path(sys.argv[1])) as store:
    for number in range(60):
        store.append(said(f"W{number:03}", f"qzwriter{number:03}"))
        store.keep_verdicts([(f"W{number:03}", "x", "pass", 1.0)])
        print(number, flush=True)
"""


def test_one_process_may_delete_while_another_writes(tmp_path: Path, store: Store) -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", WRITER, str(tmp_path), root]
    deleted = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            assert line.strip().isdigit(), line + process.stdout.read()
            if line.strip().endswith("5"):
                deleted += store.delete(store.matching(Search("qzwriter", limit=3)))
            if line.strip() == "40":
                deleted += store.purge()
    assert process.returncode == 0
    left = found(store, "qzwriter")
    assert deleted + len(left) == 60
    assert deleted > 20
    assert tables(store, "records", "facts", "texts", "words_docsize") == [len(left)] * 4
    assert store._ask("PRAGMA integrity_check") == [("ok",)]
    store._ask("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
    assert store.purge() == len(left)
    assert b"qzwriter" not in bytes_of(tmp_path)
