"""The tables of the history, version by version."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from promptlab.core.record import Record
from promptlab.errors import StoreError
from promptlab.files import search

VERSION = 5

_FIRST = (
    """CREATE TABLE records (
        id TEXT PRIMARY KEY COLLATE NOCASE, prompt TEXT NOT NULL, label TEXT NOT NULL, model TEXT NOT NULL,
        started_at TEXT NOT NULL, sample INTEGER NOT NULL, error TEXT, output_start TEXT NOT NULL, json TEXT NOT NULL
    )""",
)
_SECOND = (
    "ALTER TABLE records ADD COLUMN key TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE records ADD COLUMN case_id TEXT",
    "UPDATE records SET key = coalesce(json_extract(json, '$.key'), ''), case_id = json_extract(json, '$.case')"
    " WHERE json_valid(json)",
    "CREATE INDEX records_by_key ON records (key)",
    """CREATE TABLE verdicts (
        record TEXT NOT NULL COLLATE NOCASE, asked TEXT NOT NULL, outcome TEXT NOT NULL, score REAL,
        PRIMARY KEY (record, asked)
    ) WITHOUT ROWID""",
    "CREATE TABLE measurements (key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID",
)
"""What version 2 has besides."""
_THIRD = (
    """CREATE TABLE ordered (
        at INTEGER PRIMARY KEY, record TEXT NOT NULL COLLATE NOCASE, asked TEXT NOT NULL, outcome TEXT NOT NULL,
        score REAL, UNIQUE (record, asked)
    )""",
    "INSERT INTO ordered (record, asked, outcome, score) SELECT record, asked, outcome, score FROM verdicts",
    "DROP TABLE verdicts",
    "ALTER TABLE ordered RENAME TO verdicts",
    "CREATE INDEX verdicts_by_age ON verdicts (record, at, outcome)",
    *search.TABLES,
)
"""What version 3 has besides: `at`, which is greater the newer a verdict is, and the tables of the search."""
_FOURTH = ("CREATE TABLE pins (record TEXT PRIMARY KEY COLLATE NOCASE) WITHOUT ROWID",)
"""What version 4 has besides: which records are to be kept at hand."""
_FIFTH = (
    "ALTER TABLE records ADD COLUMN run TEXT",
    "CREATE INDEX records_by_run ON records (run) WHERE run IS NOT NULL",
)
"""What version 5 has besides: which run a record came of; none, where it was kept before that."""
_VERSIONS = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)
_SEARCHED = 3
"""The first version with the tables of the search."""

Read = Callable[[Path, str, str], Record]


def version(connection: sqlite3.Connection, path: Path) -> int:
    """Which tables are there; 0 for an empty file. Raises StoreError when it holds something else."""
    # In this order: tables and version come in one transaction, so tables that are seen have their version by then.
    tables = connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise StoreError(
            f"{path} was written by a newer promptlab (version {found})", hint="Update promptlab to use it"
        )
    if tables and found == 0:
        raise StoreError(f"{path} is a database of another program", hint="Move it away to begin a new history")
    return found


def create(connection: sqlite3.Connection, path: Path, read: Read) -> None:
    """Make the tables, or those that an older version lacks. `read` makes a record of the file, an id and JSON."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        old = version(connection, path)
        if old == VERSION:  # another process has been faster
            return
        for statement in chain.from_iterable(_VERSIONS[old:]):
            connection.execute(statement)
        if old < _SEARCHED:
            search.fill(connection, lambda id, text: read(path, id, text))
        connection.execute(f"PRAGMA user_version = {VERSION}")
