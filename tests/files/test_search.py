from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptlab.core.events import Failure
from promptlab.core.program import Message
from promptlab.core.record import ModelRef, Record
from promptlab.core.search import Hit, Piece, Search
from promptlab.errors import StoreError, UsageError
from promptlab.files import search
from promptlab.files.store import FOLDER, Store
from tests.files.test_store import first_version, record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        yield store


def without_fts5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "has_fts5", lambda connection: False)


@pytest.fixture(params=["indexed", "not indexed"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A history with an index, and one of an SQLite that can have none."""
    if request.param == "not indexed":
        without_fts5(monkeypatch)
    with Store.open(tmp_path) as store:
        yield store


def said(id: str, text: str, asked: str = "Hi", **changes: object) -> Record:
    """A record of one step."""
    step = replace(record().steps[0], messages=(Message("user", asked),), text=text)
    return record(id, **{"steps": (step,), "output": text, "inputs": {}, **changes})


def found(store: Store, text: str = "", **filters: object) -> list[str]:
    wanted = Search(text, **filters)  # type: ignore[arg-type]
    ids = [hit.id for hit in store.search(wanted)]
    assert store.matching(wanted) == ids
    return ids


def tables(store: Store, *names: str) -> list[int]:
    return [store._ask(f"SELECT count(*) FROM {name}")[0][0] for name in names]


# --- text


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("rain", ["3", "2", "1"]),
        ("RAIN", ["3", "2", "1"]),
        ("falls rain", ["1"]),
        ("rain falls", ["1"]),
        ("rain fa", ["1"]),
        ('"rain falls"', []),
        ('"falls, the rain"', ["1"]),
        ("rain -falls", ["3", "2"]),
        ("-rain", ["4"]),
        ("-rain -café", []),
        ('-"the rain" rain', ["3", "2"]),
        ("café", ["4"]),
        ("ünder", ["4"]),
        ("explain", ["4", "3", "2", "1"]),
        ("snow", []),
        ("100%", ["4"]),
        ("a_b", ["4"]),
    ],
)
def test_words_are_found_in_whatever_was_said(any_store: Store, text: str, ids: list[str]) -> None:
    any_store.append(said("1", "It falls, the Rain."))
    any_store.append(said("2", "No.", asked="Tell me about rain!"))
    any_store.append(said("3", "No.", inputs={"topic": "rain"}))
    any_store.append(said("4", "Café under the ünder-bridge, 100% a_b"))
    assert found(any_store, text) == ids


def test_with_an_index_words_are_whole_but_the_last_and_accents_do_not_matter(store: Store) -> None:
    store.append(said("1", "Terrain under a café"))
    store.append(said("2", "Rainy"))
    assert found(store, "rain") == ["2"]
    assert found(store, "rain explain") == []
    assert found(store, "CAFE") == ["1"]
    assert found(store, "UNDER Café") == ["1"]


def test_without_an_index_parts_of_words_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_fts5(monkeypatch)
    with Store.open(tmp_path) as store:
        store.append(said("1", "Terrain, 100% and a_b"))
        assert store.search(Search("rain"))[0].pieces[:2] == (Piece("Ter"), Piece("rain", True))
        assert found(store, "10%") == found(store, "aab") == []
        assert "words" not in {name for (name,) in store._ask("SELECT name FROM sqlite_master")}


def test_all_that_belongs_to_a_record_is_searched_and_what_is_said_twice_counts_once(store: Store) -> None:
    first, second = record().steps[0], replace(record().steps[0], text="Because.")
    messages = (*first.messages, Message("assistant", "Rain."), Message("user", "Why?"))
    made = record(
        steps=(first, replace(second, messages=messages)),
        inputs={"a": "one", "b": [2, {"c": True, "d": None, "e": 0.5}]},
        output={"value": ["Rain.", "besides"]},
    )
    assert search.texts_of(made) == ("Rain.\nBecause.\nbesides", "one\n2\ntrue\n0.5", "explain\nHi ☃\nWhy?")
    assert search.texts_of(record(steps=(), output=None, inputs={})) == ("", "", "explain")
    store.append(made)
    assert found(store, "besides one 2 true why because explain hi") == ["01A"]


def test_what_stands_behind_odd_characters_is_found(any_store: Store) -> None:
    any_store.append(said("1", "a\0 \ud800 \x1b[2J rain", inputs={"x": "\0snow"}))
    assert found(any_store, "rain snow") == ["1"]


def test_deep_and_long_values_are_searched_as_far_as_it_goes(store: Store) -> None:
    deep: object = "bottom"
    for _ in range(100):
        deep = [deep]
    store.append(said("1", "x" * search.MAX_TEXT + " beyond", inputs={"deep": deep}))
    assert found(store, "bottom") == ["1"]
    assert found(store, "beyond") == []


HOSTILE = [
    '"', '""', "'", '"a', 'a"b', "(", ")", "a)", "(a OR", "a AND", "OR", "NOT", "NOT a", "NEAR(a b)", "NEAR(a, 1",
    "output:a", "{output inputs}: a", "a*", "*", "^a", "a + b", "- a", "--", "-", "-(", "a:b", "rank", "words", ";",
    "a'; DROP TABLE records; --", "\\", "%", "_", "\0", "a\0b", "\ud800", "a\udcffb", "\x1b[2J", "𝕏", "💧 a", "ẞ",
    "\U00016fe4 a", "\u0345", "ا", "a" * 1000, '"' * 1000, "- " * 500, "a" * 1_000_000,
]  # fmt: skip


def answer(store: Store, text: str) -> list[str] | str:
    try:
        return found(store, text)
    except UsageError as error:
        return str(error)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_query_is_taken_for_anything_but_words(any_store: Store, text: str) -> None:
    any_store.append(said("1", "a b NOT rank"))
    came = answer(any_store, text)
    assert came in ([], ["1"]) or "\n" not in came
    assert tables(any_store, "records") == [1]


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_query_of_any_text_has_an_answer(any_store: Store, text: str, query: str) -> None:
    any_store.append(said(f"{tables(any_store, 'records')[0]:06}", text, inputs={"x": query}))
    assert "\n" not in answer(any_store, query)


@given(st.lists(st.text("abcdéüñ日本", min_size=1, max_size=8), min_size=1, max_size=6), st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_record_is_found_by_each_of_its_words(store: Store, words: list[str], data: st.DataObject) -> None:
    id = f"{tables(store, 'records')[0]:06}"
    store.append(said(id, " ".join(words)))
    some = data.draw(st.lists(st.sampled_from(words), min_size=1))
    start = data.draw(st.integers(0, len(words) - 1))
    assert id in found(store, " ".join(some))
    assert id in found(store, '"' + " ".join(words[start:]) + '"')
    assert id not in found(store, f"-{some[0]}")


def test_the_excerpt_shows_where_it_was_found(store: Store) -> None:
    store.append(said("1", "Water.\nMuch  rainwater."))
    (hit,) = store.search(Search("much rain"))
    assert hit == Hit(
        *("1", "explain", "explain@3", "small", "2026-01-02T03:04:05Z", None, None, None),
        (Piece("Water. "), Piece("Much", True), Piece(" "), Piece("rain", True), Piece("water.")),
        sample=2,
    )
    assert hit.excerpt == "Water. Much rainwater."
    (hit,) = store.search(Search(models=("small",)))
    assert hit.pieces == (Piece("Water. Much rainwater."),)


# --- filters


@pytest.fixture
def many(store: Store) -> Store:
    """Twelve records, 00 to 11, one an hour."""
    for i in range(12):
        prompt = replace(
            record().prompt, name="ab"[i % 2], label=f"{'ab'[i % 2]}@{i % 3}", hash=f"{'ab'[i % 2]}{i % 3}" + "f" * 62
        )
        error = Failure("EngineError", "died") if i % 4 == 0 else None
        made = said(f"{i:02}", "even rain" if i % 2 == 0 else "odd rain", prompt=prompt, error=error)
        model = ModelRef(f"m{i % 3}", None, None)
        store.append(replace(made, model=model, started_at=f"2026-01-02T{i:02}:30:00.123Z", case=f"case-{i % 5}"))
    for i in range(6):
        store.keep_verdicts([(f"{i:02}", "one", "fail", 0.0)])
        store.keep_verdicts([(f"{i:02}", "two", "pass", 1.0)])
    store.keep_verdicts([("00", "one", "unscored", None)])
    store.keep_verdicts([("01", "one", "fail", 0.0)])
    return store


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ({}, range(12)),
        ({"models": ("m1",)}, [1, 4, 7, 10]),
        ({"models": ("m1", "m2", "none")}, [1, 2, 4, 5, 7, 8, 10, 11]),
        ({"prompts": ("b",)}, [1, 3, 5, 7, 9, 11]),
        ({"versions": ("b@1",)}, [1, 7]),
        ({"versions": ("b@1", "a@0")}, [0, 1, 6, 7]),
        ({"versions": ("b1ff",)}, [1, 7]),
        ({"versions": ("B1" + "f" * 62,)}, [1, 7]),
        ({"versions": ("b1f",)}, []),
        ({"versions": ("%", "", "____", "b@")}, []),
        ({"cases": ("case-4",)}, [4, 9]),
        ({"verdict": "pass"}, [2, 3, 4, 5]),
        ({"verdict": "fail"}, [1]),
        ({"verdict": "unscored"}, [0]),
        ({"failed": True}, [0, 4, 8]),
        ({"failed": False}, [1, 2, 3, 5, 6, 7, 9, 10, 11]),
        ({"since": "2026-01-02T09:30:00"}, [9, 10, 11]),
        ({"since": "2026-01-02T09:30:01"}, [10, 11]),
        ({"until": "2026-01-02T01:30:00~"}, [0, 1]),
        ({"since": "2026-01-02", "until": "2026-01-02~"}, range(12)),
        ({"until": "2026-01-01~"}, []),
        ({"limit": 2}, [10, 11]),
        ({"limit": 0}, []),
        ({"text": "odd"}, [1, 3, 5, 7, 9, 11]),
        ({"text": "odd", "models": ("m1",), "failed": False, "limit": 1}, [7]),
        ({"text": "-odd", "failed": True, "verdict": "pass"}, [4]),
        ({"models": ("\ud800",)}, []),
    ],
)
def test_filters_narrow_what_is_found(many: Store, filters: dict[str, object], numbers: list[int]) -> None:
    assert found(many, **filters) == [f"{i:02}" for i in sorted(numbers, reverse=True)]  # type: ignore[arg-type]


def test_a_hit_says_the_newest_verdict_and_the_error(many: Store) -> None:
    hits = {hit.id: (hit.verdict, hit.error, hit.case) for hit in many.search(Search())}
    assert (hits["00"], hits["01"], hits["02"]) == (
        ("unscored", "died", "case-0"),
        ("fail", None, "case-1"),
        ("pass", None, "case-2"),
    )
    assert (hits["08"], hits["11"]) == ((None, "died", "case-3"), (None, None, "case-1"))
    assert many.verdicts(["00", "02", "11", "no"]) == {"00": "unscored", "02": "pass"}


def test_many_records_are_found_at_once(store: Store) -> None:
    for i in range(1203):
        store.append(said(f"{i:04}", "rain"))
    assert found(store, "rain", limit=1100) == [f"{i:04}" for i in range(1202, 102, -1)]
    assert store.delete(store.matching(Search("rain"))) == 1203


# --- the index and the records


def test_a_record_that_is_refused_leaves_nothing_in_the_index(store: Store) -> None:
    store.append(said("1", "rain"))
    with pytest.raises(StoreError, match="holds a record with this id already"):
        store.append(said("1", "snow"))
    assert tables(store, "records", "facts", "texts", "words_docsize") == [1, 1, 1, 1]
    assert found(store, "snow") == []


def test_a_record_that_cannot_be_indexed_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(record: Record) -> tuple[str, str, str]:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(search, "texts_of", fail)
        with pytest.raises(MemoryError):
            store.append(said("1", "rain"))
    assert tables(store, "records", "facts", "texts", "words_docsize") == [0, 0, 0, 0]
    store.append(said("1", "rain"))
    assert found(store, "rain") == ["1"]


def test_what_a_program_without_fts5_kept_is_in_the_index_as_soon_as_one_with_it_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path) as able:
        able.append(said("1", "rain one"))
        with monkeypatch.context() as patch:
            without_fts5(patch)
            with Store.open(tmp_path) as unable:
                unable.append(said("2", "rain two"))
                assert found(unable, "rain") == ["2", "1"]
        able.append(said("3", "rain three"))
        assert tables(able, "stale", "words_docsize") == [1, 1]
        assert found(able, "rain") == ["3", "2", "1"]
        assert tables(able, "stale", "words_docsize") == [0, 3]
        able.append(said("4", "rain four"))
        assert tables(able, "stale", "words_docsize") == [0, 4]


def test_an_index_is_made_for_a_history_that_began_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        without_fts5(patch)
        with Store.open(tmp_path) as store:
            store.append(said("1", "terrain"))
            assert found(store, "rain") == ["1"]
    with Store.open(tmp_path) as store:
        assert found(store, "rain") == []
        assert found(store, "terra") == ["1"]


def test_an_index_that_is_behind_is_done_without_where_it_cannot_be_made(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        without_fts5(patch)
        store.append(said("1", "terrain"))
    assert store._connection
    store._connection.execute("PRAGMA busy_timeout = 20")
    with closing(sqlite3.connect(tmp_path / FOLDER / "lab.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert found(store, "rain") == ["1"]
    assert found(store, "rain") == []


def test_reading_needs_no_history(tmp_path: Path, store: Store) -> None:
    with Store.open(tmp_path / "none", create=False) as none:
        assert found(none, "rain") == []
        with pytest.raises(StoreError, match="there is no history here"):
            none.purge()
    store.append(said("1", "rain"))
    with Store.open(tmp_path, create=False) as reading:
        assert found(reading, "rain") == ["1"]


# --- older versions


def second_version(root: Path, records: list[Record]) -> None:
    first_version(root, records)
    with closing(sqlite3.connect(root / FOLDER / "lab.db")) as db:
        db.executescript("""
            ALTER TABLE records ADD COLUMN key TEXT NOT NULL DEFAULT '';
            ALTER TABLE records ADD COLUMN case_id TEXT;
            UPDATE records SET key = coalesce(json_extract(json, '$.key'), ''),
                case_id = json_extract(json, '$.case') WHERE json_valid(json);
            CREATE INDEX records_by_key ON records (key);
            CREATE TABLE verdicts (
                record TEXT NOT NULL COLLATE NOCASE, asked TEXT NOT NULL, outcome TEXT NOT NULL, score REAL,
                PRIMARY KEY (record, asked)
            ) WITHOUT ROWID;
            CREATE TABLE measurements (key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
            INSERT INTO verdicts VALUES ('01A', 'asked', 'pass', 1.0);
            INSERT INTO measurements VALUES ('m', '[1]');
            PRAGMA user_version = 2;
        """)


@pytest.mark.parametrize("make", [first_version, second_version])
@pytest.mark.parametrize("indexed", [True, False])
def test_what_older_versions_kept_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, indexed: bool
) -> None:
    assert callable(make)
    make(tmp_path, [record("01A", case="lake-1"), said("01B", "snow", prompt=replace(record().prompt, hash="abcdef"))])
    with closing(sqlite3.connect(tmp_path / FOLDER / "lab.db")) as db, db:
        db.execute("UPDATE records SET output_start = 'snowed under' WHERE id = '01Z'")
        db.execute("INSERT INTO records (id, prompt, label, model, started_at, sample, error, output_start, json)"
                   " VALUES ('01Y', 'p', 'p', 'm', '2026', 0, 'died', '', '{\"schema\": 99}')")  # fmt: skip
    if not indexed:
        without_fts5(monkeypatch)
    with Store.open(tmp_path) as store:
        assert found(store, "rain") == ["01A"]
        assert found(store, "snow") == ["01Z", "01B"]
        assert found(store, cases=("lake-1",)) == ["01A"]
        assert found(store, versions=("abcd",)) == ["01B"]
        assert found(store, failed=True) == ["01Y"]
        assert found(store, models=("m",)) == ["01Z", "01Y", "01B", "01A"]
        if make is second_version:
            assert found(store, verdict="pass") == ["01A"]
            assert store.measured(["m"]) == {"m": [1]}
        store.keep_verdicts([("01A", "other", "fail", 0.0)])
        assert found(store, verdict="fail") == ["01A"]
        assert store.delete(["01Z", "01Y"]) == 2
        store.append(record("01C"))
        assert found(store, "rain") == ["01C", "01A"]
