from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.core import codec
from promptlab.core.events import Alternative, Engine, Failure, Timings, Usage
from promptlab.core.program import Message
from promptlab.core.record import Drawn, ModelRef, PromptRef, Record, Step
from promptlab.core.search import Search
from promptlab.errors import NotFound, StoreError
from promptlab.files.store import FOLDER, Row, Store
from promptlab.files.tables import VERSION


def record(id: str = "01A", **changes: object) -> Record:
    step = Step(
        name="output",
        messages=(Message("user", "Hi ☃"),),
        prompt_ids=(1, 2),
        seed=7,
        options={"temperature": 0.5, "stop": ["x"]},
        tokens=(Drawn(5, -0.1, (Alternative(5, -0.1),)),),
        text="Rain.",
        finish_reason="stop",
        usage=Usage(2, 0, 1),
        timings=Timings(0.1, 0.2, 0.3, 0.4, 80.0),
    )
    made = Record(
        schema=1,
        id=id,
        key="k" * 64,
        started_at="2026-01-02T03:04:05Z",
        prompt=PromptRef("explain", "explain@3", "h" * 64, "source", {"_a.jinja": "b"}, "c" * 40, False),
        case=None,
        inputs={"topic": "rain", "n": [1, {"a": None}]},
        sample=2,
        seed=0,
        options={"temperature": 0.7},
        model=ModelRef("small", "a" * 64, None),
        engine=Engine("exact", "1.0", "AVX", "cpu", 2, {"kv_unified": False}),
        steps=(step,),
        output="Rain.",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        yield store


def test_what_goes_in_comes_out(tmp_path: Path, store: Store) -> None:
    first = record()
    store.append(first)
    store.close()
    with Store.open(tmp_path) as again:
        assert again.get("01A") == first
        assert again.recent(10) == [
            Row("01A", "explain", "explain@3", "small", "2026-01-02T03:04:05Z", 2, None, "Rain."),
        ]


def test_odd_records_survive(store: Store) -> None:
    odd = [
        record("01B", output=None, engine=None, steps=(), error=Failure("EngineError", "died", "SIGKILL", ("a", "b"))),
        record("01C", output={"a": ["ü"]}),
        record("01D", output="x" * 1000 + "\ud800"),
        record("01E", output="\ud800\x00\n'", error=Failure("Cancelled", "")),
    ]
    for each in odd:
        store.append(each)
    assert [store.get(each.id) for each in odd] == odd
    rows = {row.id: row for row in store.recent(10)}
    assert (rows["01B"].error, rows["01B"].output_start) == ("died", "")
    assert rows["01C"].output_start == '{"a": ["ü"]}'
    assert rows["01D"].output_start == "x" * 200
    assert (rows["01E"].error, rows["01E"].output_start) == ("Cancelled", "?\x00\n'")


def test_the_folder(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / FOLDER
    assert (folder / ".gitignore").read_text() == "*\n"
    assert folder.stat().st_mode & 0o077 == 0
    with sqlite3.connect(folder / "lab.db") as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()
    (folder / ".gitignore").write_text("mine\n")
    Store.open(tmp_path).close()
    assert (folder / ".gitignore").read_text() == "mine\n"
    Store.open(tmp_path / "not" / "there").close()
    assert (tmp_path / "not" / "there" / FOLDER / "lab.db").is_file()


def test_get_by_a_unique_beginning(store: Store) -> None:
    for id in ("01ABC", "01ABCD", "01XYZ"):
        store.append(record(id))
    assert store.get("01x").id == "01XYZ"
    assert store.get("01abc").id == "01ABC"
    with pytest.raises(NotFound, match=r"'01' is the beginning of several records: 01ABC, 01ABCD, 01XYZ$"):
        store.get("01")
    for unknown in ("", "02", "%", "_1", "01XYZZ", "\udcff"):
        with pytest.raises(NotFound, match="there is no record"):
            store.get(unknown)
    for number in range(9):
        store.append(record(f"05{number}"))
    with pytest.raises(NotFound, match=r"054 and more$"):
        store.get("05")


def test_recent(store: Store) -> None:
    for number in range(6):
        model = ModelRef("even" if number % 2 == 0 else "odd", None, None)
        prompt = replace(record().prompt, name="a" if number < 3 else "b")
        store.append(record(f"0{number}", model=model, prompt=prompt))
    assert [row.id for row in store.recent(3)] == ["05", "04", "03"]
    assert [row.id for row in store.recent(9, model="odd")] == ["05", "03", "01"]
    assert [row.id for row in store.recent(9, prompt="a")] == ["02", "01", "00"]
    assert [row.id for row in store.recent(9, model="odd", prompt="a")] == ["01"]
    assert store.recent(0) == store.recent(-1) == store.recent(9, model="none") == []


def test_reading_makes_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path, create=False) as store:
        assert store.recent(5) == []
        with pytest.raises(NotFound):
            store.get("01")
        with pytest.raises(StoreError, match="there is no history here"):
            store.append(record())
    assert list(tmp_path.iterdir()) == []


def test_reading_what_is_there(tmp_path: Path, store: Store) -> None:
    store.append(record())
    with Store.open(tmp_path, create=False) as reader:
        assert [row.id for row in reader.recent(5)] == ["01A"]
    store.close()
    with Store.open(tmp_path, create=False) as reader:
        assert reader.get("01A") == record()


def test_reading_a_file_that_is_still_empty(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "lab.db").touch()
    with Store.open(tmp_path, create=False) as store:
        assert store.recent(5) == []
    assert (tmp_path / FOLDER / "lab.db").read_bytes() == b""


def test_an_id_is_never_overwritten(store: Store) -> None:
    store.append(record())
    with pytest.raises(StoreError, match="holds a record with this id already"):
        store.append(record(output="other"))
    assert store.get("01A").output == "Rain."


@pytest.mark.parametrize("name", ["", ".gitignore", "lab.db", "lab.db-wal", "lab.db-shm"])
@pytest.mark.parametrize("create", [True, False])
def test_links_are_refused(tmp_path: Path, name: str, create: bool) -> None:
    library, target = tmp_path / "lib", tmp_path / "target"
    (library / FOLDER if name else library).mkdir(parents=True)
    (library / FOLDER / name).symlink_to(target)
    with pytest.raises(StoreError, match="is a link, so the history is not kept there"):
        Store.open(library, create=create)
    assert not target.exists()


def test_a_tracked_folder_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    for command in (["init", "-q"], ["add", "-f", f"{FOLDER}/.gitignore"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    for create in (True, False):
        with pytest.raises(StoreError, match=r"is tracked by git, .*git rm -r --cached \.promptlab"):
            Store.open(tmp_path, create=create)


def spoil(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / FOLDER / "lab.db"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_damaged_file_is_left_alone(tmp_path: Path) -> None:
    path = spoil(tmp_path, b"not a database " * 100)
    for create in (True, False):
        with pytest.raises(StoreError, match=r"lab\.db: is not a history, or is damaged\. Move it away"):
            Store.open(tmp_path, create=create)
    assert path.read_bytes() == b"not a database " * 100


def test_damaged_pages(tmp_path: Path, store: Store) -> None:
    for number in range(50):
        store.append(record(f"{number:04}"))
    store.close()
    path = tmp_path / FOLDER / "lab.db"
    data = path.read_bytes()
    spoil(tmp_path, data[:4096] + b"\xff" * (len(data) - 4096))
    with Store.open(tmp_path) as damaged, pytest.raises(StoreError, match="is damaged"):
        damaged.recent(5)


def test_a_newer_file_is_left_alone(tmp_path: Path, store: Store) -> None:
    store.append(record())
    store.close()
    db = sqlite3.connect(tmp_path / FOLDER / "lab.db")
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    with pytest.raises(
        StoreError, match=rf"was written by a newer promptlab \(version {VERSION + 1}\)\. Update promptlab"
    ):
        Store.open(tmp_path)


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = spoil(tmp_path, b"")
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is a database of another program"):
        Store.open(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", ["schema = 2", "inputs = 3"])
def test_a_record_that_cannot_be_read(tmp_path: Path, store: Store, change: str) -> None:
    store.append(record())
    field, value = change.split(" = ")
    db = sqlite3.connect(tmp_path / FOLDER / "lab.db")
    with db:
        db.execute(f"UPDATE records SET json = json_set(json, '$.{field}', {value})")
    db.close()
    with pytest.raises(StoreError, match=r"record 01A (was written by a newer promptlab|cannot be read: inputs)"):
        store.get("01A")
    assert len(store.recent(5)) == 1


def test_a_full_disk(store: Store) -> None:
    store.append(record("01"))
    assert store._connection
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full, so not everything was kept; what was there before is safe"):
        store.append(record("02", output="x" * 100_000))
    assert [row.id for row in store.recent(5)] == ["01"]


def test_a_file_that_cannot_be_written(store: Store) -> None:
    assert store._connection
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match=r"lab\.db: cannot be written\. Look at the permissions"):
        store.append(record())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Store.open(tmp_path / "file")
    (tmp_path / FOLDER).write_text("")
    with pytest.raises(StoreError, match=rf"{FOLDER} is in the way: it is not a folder\. Move it away"):
        Store.open(tmp_path)


def test_a_closed_store(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.recent(1)


def test_a_file_that_stays_locked(tmp_path: Path, store: Store) -> None:
    assert store._connection
    store._connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / FOLDER / "lab.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program has kept it locked"):
        store.append(record())
    other.execute("ROLLBACK")
    other.close()
    store.append(record())


def test_many_threads(store: Store) -> None:
    start = threading.Barrier(4, timeout=60)

    def work(name: int) -> int:
        start.wait()
        for number in range(25):
            store.append(record(f"{name}-{number:02}"))
            assert store.get(f"{name}-{number:02}").id
        return len(store.recent(200))

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(4))) == 100


def test_many_that_begin_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(4, timeout=60)

    def work(name: int) -> None:
        for number in range(20):
            start.wait()
            with Store.open(tmp_path / str(number)) as store:
                store.append(record(f"{name}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    for number in range(20):
        with Store.open(tmp_path / str(number)) as store:
            assert len(store.recent(9)) == 4


WRITER = """
import sys, itertools
from pathlib import Path
from promptlab.files.store import Store
sys.path.insert(0, sys.argv[4])
from test_store import record
store = Store.open(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    store.append(record(f"{sys.argv[2]}-{number:05}"))
    print(number, flush=True)
"""


def writer(tmp_path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(tmp_path), name, str(count), str(Path(__file__).parent)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_processes_that_begin_at_once(tmp_path: Path) -> None:
    writers = [writer(tmp_path, name, 15) for name in "abc"]
    said = [w.communicate(timeout=60)[0] for w in writers]
    assert [w.returncode for w in writers] == [0, 0, 0], said
    with Store.open(tmp_path) as store:
        assert len(store.recent(1000)) == 45


def test_what_was_appended_survives_kill(tmp_path: Path) -> None:
    with writer(tmp_path, "a", 100_000) as process:
        assert process.stdout
        heard = [process.stdout.readline() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        heard += process.stdout.readlines()
    with Store.open(tmp_path) as store:
        kept = {row.id for row in store.recent(100_000)}
        assert {f"a-{int(number):05}" for number in heard if number.endswith("\n")} <= kept
        assert set(store.matching(Search("rain"))) == kept
        store.append(record())


FIRST = """CREATE TABLE records (
    id TEXT PRIMARY KEY COLLATE NOCASE, prompt TEXT NOT NULL, label TEXT NOT NULL, model TEXT NOT NULL,
    started_at TEXT NOT NULL, sample INTEGER NOT NULL, error TEXT, output_start TEXT NOT NULL, json TEXT NOT NULL
)"""
"""As version 1 made it."""


def first_version(root: Path, records: list[Record]) -> None:
    with Store.open(root):
        pass
    path = root / FOLDER / "lab.db"
    for name in ("lab.db", "lab.db-wal", "lab.db-shm"):
        (root / FOLDER / name).unlink(missing_ok=True)
    db = sqlite3.connect(path)
    db.execute(FIRST)
    for each in records:
        text = json.dumps(codec.dump(each))
        db.execute("INSERT INTO records VALUES (?, 'p', 'p', 'm', '2026', 0, NULL, '', ?)", (each.id, text))
    db.execute("INSERT INTO records VALUES ('01Z', 'p', 'p', 'm', '2026', 0, NULL, '', 'no json')")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


def test_a_history_of_version_1_is_read_as_it_is_and_taken_along_when_it_is_written_to(tmp_path: Path) -> None:
    old = record("01A", key="one", case="lake-1")
    first_version(tmp_path, [old])
    with Store.open(tmp_path, create=False) as reading:
        assert reading.get("01A") == old
    with Store.open(tmp_path) as writing:
        assert writing.current(["one", "two"]) == {"one": old}
        writing.append(record("01B", key="two"))
        assert [row.id for row in writing.recent(5)] == ["01Z", "01B", "01A"]
    with Store.open(tmp_path) as again:
        assert set(again.current(["one", "two"])) == {"one", "two"}


def test_of_a_key_the_newest_answer_is_the_current_one(store: Store) -> None:
    failure = Failure("EngineError", "no")
    store.append(record("01A", key="answered"))
    store.append(record("01B", key="answered", sample=3))
    store.append(record("01C", key="answered", error=failure))
    store.append(record("01D", key="failed", error=failure))
    store.append(record("01E", key="failed", error=replace(failure, message="again")))
    found = store.current(["answered", "failed", "never"])
    assert {key: each.id for key, each in found.items()} == {"answered": "01B", "failed": "01E"}


def test_many_keys_at_once(store: Store) -> None:
    for i in range(1203):
        store.append(record(f"{i:05}", key=f"key {i}"))
    found = store.current([f"key {i}" for i in range(0, 1203)] * 2)
    assert len(found) == 1203
    assert store.current([]) == {}


def test_an_unreadable_record_is_not_current(tmp_path: Path, store: Store) -> None:
    store.append(record("01A", key="k"))
    store._ask("UPDATE records SET json = 'x'")
    assert store.current(["k"]) == {}


def test_what_was_measured_is_kept(store: Store) -> None:
    assert store.measured(["a"]) == {}
    store.keep_measured("a", [[-0.1, -2.5], [1, 2]])
    store.keep_measured("a", [[-0.2, -2.5], [1, 2]])
    store.keep_measured("b", None)
    assert store.measured(["a", "b", "c"]) == {"a": [[-0.2, -2.5], [1, 2]], "b": None}


def test_a_verdict_is_kept_once_for_what_was_asked(store: Store) -> None:
    store.append(record("01A"))
    store.keep_verdicts([("01A", "asked", "pass", 1.0)])
    store.keep_verdicts([("01A", "asked", "fail", 0.25)])
    store.keep_verdicts([("01A", "other", "unscored", None)])
    assert sorted(store._ask("SELECT asked, outcome, score FROM verdicts")) == [
        ("asked", "fail", 0.25),
        ("other", "unscored", None),
    ]
