"""How much work a search of a long history is, whatever the machine: what SQLite reads, and how many steps it takes.

benchmarks/history.py says how long that is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from promptlab.app.history import look, look_on
from promptlab.app.lab import Lab
from promptlab.core.search import read_search
from promptlab.files import search
from promptlab.tui.history_work import FIRST
from tests.files.test_store import record

RUNS = 10_000
STEPS = 1_000
"""As exactly as they are counted."""
MOST = 40
"""Steps for each run of the history that a search may take; looking into its texts would be many more."""
SEARCHES = {
    "": RUNS,
    "r": RUNS,
    "rain": RUNS,
    "rain snow": RUNS,
    "rain w77": 111,
    "rain -w7": RUNS - 1,
    '"it is rain"': 0,
    "zebra": 0,
    "model:m1": RUNS // 4,
    "model:m1,m2 rain failed:no": RUNS // 2,
    "prompt:p2 since:2026-01-01 rain": RUNS // 5,
    "prompt:p2 until:2025-12-31": 0,
    "version:p2@1 case:c7": RUNS // 10,
    "version:ffff": 0,
    "failed:": 0,
    "pinned:": RUNS // 500,
    "pinned:no rain": RUNS - RUNS // 500,
    "verdict:pass": RUNS // 2,
}
"""What may be typed into the history screen, and how many runs it finds."""
_FILL = (
    "CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)"
    " SELECT n, printf('01K%06d', n) AS id, 'p' || (n % 5) AS prompt, 'p' || (n % 5) || '@' || (n % 2) AS label,"
    " 'm' || (n % 4) AS model, 'Rain and snow w' || n AS text FROM n",
    "INSERT INTO records SELECT n.id, n.prompt, n.label, n.model, r.started_at, 0, NULL, n.text, r.json, n.id,"
    " 'c' || (n % 10), 'r' || n FROM n, records r WHERE r.id = '01A'",
    "INSERT INTO facts SELECT 10 + n, id, prompt, label, 'h', model, '2026-01-02T03:04:05Z', 'c' || (n % 10), 0 FROM n",
    "INSERT INTO texts SELECT 10 + n, text || ' ' || hex(zeroblob(500)), 'rain', prompt FROM n",
    "INSERT INTO verdicts (record, asked, outcome) SELECT id, 'first', 'fail' FROM n",
    "INSERT INTO verdicts (record, asked, outcome) SELECT id, 'then', iif(n % 4 < 2, 'pass', 'fail') FROM n",
    "INSERT INTO pins SELECT id FROM n WHERE n % 500 = 0",
    "INSERT OR IGNORE INTO stale VALUES (1)",
)


@pytest.fixture
def history(lab: Lab) -> tuple[Lab, sqlite3.Connection]:
    """A library with so many runs, made in the database: appending them one by one takes long."""
    lab.store.append(record())
    connection = lab.store._connection
    assert connection is not None
    with connection:
        for statement in _FILL:
            connection.execute(statement)
    lab.store.delete(["01A"])
    return lab, connection


def steps(connection: sqlite3.Connection, work: Callable[[], object]) -> int:
    """How many steps of SQLite's machine it takes, about."""
    count = 0

    def step() -> None:
        nonlocal count
        count += STEPS

    connection.set_progress_handler(step, STEPS)
    try:
        work()
    finally:
        connection.set_progress_handler(None, 0)
    return count


def read(connection: sqlite3.Connection, work: Callable[[], object]) -> set[str]:
    """The tables of which anything is read; those of the index count as `words`."""
    tables: set[str] = set()

    def note(action: int, table: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_READ and table is not None:
            tables.add(table.partition("_")[0])
        return sqlite3.SQLITE_OK

    connection.set_authorizer(note)
    try:
        work()
    finally:
        connection.set_authorizer(None)
    return tables - {"pragma", "sqlite"}


def test_what_is_searched_are_short_rows_and_the_index(history: tuple[Lab, sqlite3.Connection]) -> None:
    lab, connection = history
    for text, count in SEARCHES.items():
        wanted = read_search(text)
        found = look(lab, wanted, FIRST)  # which makes the index anew, the first time
        assert (len(found.ids), len(found.hits)) == (count, min(count, FIRST)), text
        tables = read(connection, lambda: lab.store.matching(wanted, pinned_first=True))  # noqa: B023
        assert "facts" in tables, text
        assert tables <= {"facts", "pins", "stale", "verdicts", "words"}, text  # neither records nor texts
        assert steps(connection, lambda: look(lab, wanted, FIRST)) <= MOST * RUNS, text  # noqa: B023
        # Of what is shown, texts are read; that is as much at the end of a long history as at its beginning.
        assert steps(connection, lambda: look_on(lab, wanted, found.ids[-FIRST:])) <= 10 * STEPS, text  # noqa: B023


def test_what_counts_the_work_sees_it(history: tuple[Lab, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch) -> None:
    lab, connection = history
    monkeypatch.setattr(search, "has_fts5", lambda connection: False)  # then each text is looked into
    assert "texts" in read(connection, lambda: lab.store.matching(read_search("rain")))
    assert steps(connection, lambda: lab.store.runs_by_weights()) > MOST * RUNS / 8
