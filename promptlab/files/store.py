"""The history: Records in a SQLite file beside the library, appended and never changed.

It is a cache too: `current` finds what has been answered already by the keys of records. Verdicts on records and what
models measured for them are kept beside them, so that checking again asks no model again.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from promptlab.core import codec
from promptlab.core.record import SCHEMA, Record
from promptlab.core.schema import shorten
from promptlab.errors import NotFound, StoreError
from promptlab.files import git

FOLDER = ".promptlab"
FILE = "lab.db"
VERSION = 2
MAX_VALUES = 500
"""Values in one question to the database; old versions of SQLite take 999."""
BUSY_S = 10.0
OUTPUT_START = 200
"""Characters of an output that a listing shows."""

_TABLE = """CREATE TABLE records (
    id TEXT PRIMARY KEY COLLATE NOCASE, prompt TEXT NOT NULL, label TEXT NOT NULL, model TEXT NOT NULL,
    started_at TEXT NOT NULL, sample INTEGER NOT NULL, error TEXT, output_start TEXT NOT NULL, json TEXT NOT NULL
)"""
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
_LISTED = "id, prompt, label, model, started_at, sample, error, output_start"


@dataclass(frozen=True, slots=True)
class Row:
    """A record as a listing shows it."""

    id: str
    prompt: str
    label: str
    model: str
    started_at: str
    sample: int
    error: str | None
    """The message; None when all went well."""
    output_start: str


class Store:
    """The records of one library. Safe to use from several threads, and from several processes at once."""

    def __init__(self, path: Path, connection: sqlite3.Connection | None) -> None:
        self.path = path
        """The database file."""
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, directory: Path, *, create: bool = True) -> Store:
        """Open the history in `directory`/.promptlab, and make it where there is none.

        With `create` false nothing is made: where there is no history, it is empty and takes nothing.
        Raises StoreError when the folder is a link or tracked by git, or the file is damaged, newer or cannot be used.
        """
        folder = directory / FOLDER
        path = folder / FILE
        with _errors(path):
            if create:
                own_folder(directory)
            else:
                _check_folder(folder)
            if not create and not path.is_file():
                return cls(path, None)
            return cls(path, _connect(path, create))

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Keep a record. Raises StoreError; a record with the same id stays as it is."""
        row = _row(record)
        values = (row.id, row.prompt, row.label, row.model, row.started_at, row.sample, row.error, row.output_start)
        case = None if record.case is None else _storable(record.case)
        self._ask(
            f"INSERT INTO records ({_LISTED}, json, key, case_id) VALUES ({_marks(len(values) + 3)})",
            *values,
            json.dumps(codec.dump(record)),
            record.key,
            case,
        )

    def current(self, keys: Sequence[str]) -> dict[str, Record]:
        """The records with these keys: of each, the newest one without an error, or else the newest one.

        A record that cannot be read is as if it were not there. Raises StoreError.
        """
        found: dict[str, Record] = {}
        for some in _parts(list(dict.fromkeys(keys))):
            query = f"SELECT key, id, json FROM records WHERE key IN ({_marks(len(some))}) ORDER BY error IS NULL, id"
            for key, id, text in self._ask(query, *some):
                with contextlib.suppress(StoreError):
                    found[key] = self._load(id, text)
        return found

    def judged(self, record: str, asked: str, outcome: str, score: float | None) -> None:
        """Keep what came of checking a record; `asked` names the expectations. Raises StoreError."""
        self._ask("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", record, asked, outcome, score)

    def measured(self, keys: Sequence[str]) -> dict[str, Any]:
        """What is kept of measurements by their keys, as it was given. Raises StoreError."""
        found: dict[str, Any] = {}
        for some in _parts(list(dict.fromkeys(keys))):
            query = f"SELECT key, json FROM measurements WHERE key IN ({_marks(len(some))})"
            for key, text in self._ask(query, *some):
                with contextlib.suppress(ValueError):
                    found[key] = json.loads(text)
        return found

    def keep_measured(self, key: str, value: Any) -> None:
        """Keep what came of a measurement, as JSON. Raises StoreError."""
        self._ask("INSERT OR REPLACE INTO measurements VALUES (?, ?)", key, json.dumps(value))

    def get(self, id: str) -> Record:
        """Look up a record by its id, or by a beginning that no other has.

        Raises NotFound, and StoreError when the record cannot be read.
        """
        id = _storable(id)
        end = id + "\U0010ffff"
        rows = (
            self._ask("SELECT id, json FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 6", id, end)
            if id
            else []
        )
        exact = [row for row in rows if row[0].lower() == id.lower()]
        if not rows:
            raise NotFound(f"there is no record {shorten(id)!r}", hint="`promptlab runs list` shows what there is")
        if len(rows) > 1 and not exact:
            several = ", ".join(row[0] for row in rows[:5]) + (" and more" if len(rows) > 5 else "")
            raise NotFound(f"{id!r} is the beginning of several records: {several}")
        found, text = (exact or rows)[0]
        return self._load(found, text)

    def recent(self, limit: int, model: str | None = None, prompt: str | None = None) -> list[Row]:
        """The newest records first, at most `limit`; of one model or one prompt when given. Raises StoreError."""
        asked = [(column, value) for column, value in (("model", model), ("prompt", prompt)) if value is not None]
        where = "WHERE " + " AND ".join(f"{column} = ?" for column, _ in asked) if asked else ""
        # An id begins with the time, so its order is that of the clock.
        query = f"SELECT {_LISTED} FROM records {where} ORDER BY id DESC LIMIT ?"
        return [Row(*row) for row in self._ask(query, *(value for _, value in asked), max(limit, 0))]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, _errors(self.path):
            if self._connection:
                self._connection.close()

    def _ask(self, query: str, *values: Any) -> list[Any]:
        with self._lock, _errors(self.path):
            if self._connection:
                # Without a transaction of its own, every statement is one.
                return self._connection.execute(query, values).fetchall()
        if query.startswith("INSERT"):
            raise StoreError(f"{self.path}: there is no history here, and this one was opened only for reading")
        return []

    def _load(self, id: str, text: str) -> Record:
        try:
            data = json.loads(text)
            if data["schema"] > SCHEMA:
                raise StoreError(
                    f"{self.path}: record {id} was written by a newer promptlab", hint="Update promptlab to read it"
                )
            return codec.load(Record, data)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError(f"{self.path}: record {id} cannot be read: {error}") from None


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + MAX_VALUES] for at in range(0, len(values), MAX_VALUES))


def _row(record: Record) -> Row:
    output = record.output if isinstance(record.output, str) else json.dumps(record.output, ensure_ascii=False)
    start = "" if record.output is None else output[:OUTPUT_START]
    error = record.error.message or record.error.type if record.error else None
    texts = (record.id, record.prompt.name, record.prompt.label, record.model.name, record.started_at)
    id, prompt, label, model, started_at = map(_storable, texts)
    return Row(
        id, prompt, label, model, started_at, record.sample, _storable(error) if error else None, _storable(start)
    )


def _storable(text: str) -> str:
    # Half a surrogate pair is no text for SQLite. The JSON keeps it, as an escape.
    return text.encode("utf-8", "replace").decode()


def _check_folder(folder: Path) -> None:
    # A library may come from a stranger, and so may what already lies here.
    for path in (
        folder,
        *(folder / name for name in (".gitignore", FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal")),
    ):
        if path.is_symlink():
            raise StoreError(f"{path} is a link, so the history is not kept there", hint="Remove the link")
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is in the way: it is not a folder", hint="Move it away")
    if folder.exists() and git.is_tracked(folder):
        raise StoreError(
            f"{folder} is tracked by git, so the history is not kept there", hint=f"`git rm -r --cached {FOLDER}`"
        )


def own_folder(directory: Path) -> Path:
    """The folder .promptlab in `directory`, made where there is none.

    Raises StoreError when it is a link or tracked by git, or cannot be made.
    """
    folder = directory / FOLDER
    with _errors(folder):
        _check_folder(folder)
        _make_folder(folder)
    return folder


def _make_folder(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError), (folder / ".gitignore").open("x") as file:
        file.write("*\n")


def _connect(path: Path, create: bool) -> sqlite3.Connection | None:
    """Open the file; None when it is still empty and nothing may be made."""
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")  # a stranger's file brings no code
        version = _version(connection, path)
        if create and version < VERSION:
            _create(connection, path)
        if create:
            _use_wal(connection)
        elif not version:
            connection.close()
            return None
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Which tables are there; 0 for an empty file. Raises StoreError when it holds something else."""
    # In this order: tables and version come in one transaction, so tables that are seen have their version by then.
    tables = connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer promptlab (version {version})", hint="Update promptlab to use it"
        )
    if tables and version == 0:
        raise StoreError(f"{path} is a database of another program", hint="Move it away to begin a new history")
    return version


def _create(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or those that an older version lacks."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection, path)
        if version == VERSION:  # another process has been faster
            return
        for statement in (_TABLE, *_SECOND) if version == 0 else _SECOND:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait here for another process that does the same, so this does.
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


_REASONS = {
    sqlite3.SQLITE_FULL: (
        "the disk is full, so not everything was kept; what was there before is safe",
        "Free some space",
    ),
    sqlite3.SQLITE_READONLY: ("cannot be written", "Look at the permissions of the file and its folder"),
    sqlite3.SQLITE_PERM: ("may not be opened", "Look at the permissions of the file and its folder"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Look at the permissions of the file and its folder"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "Is the disk full, or the folder on a network?"),
    sqlite3.SQLITE_NOTADB: (
        "is not a history, or is damaged",
        "Move it away to begin a new one; nothing in it was changed",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged",
        "Move it away to begin a new one; `sqlite3 FILE .recover` may save what it holds",
    ),
    sqlite3.SQLITE_BUSY: (f"another program has kept it locked for {BUSY_S:g} s", "Try again when that has ended"),
    sqlite3.SQLITE_CONSTRAINT: ("holds a record with this id already, and keeps it as it is", ""),
}


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into StoreError."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        message, hint = _REASONS.get(code, (f"cannot be used: {error}", ""))
        raise StoreError(f"{path}: {message}", hint=hint) from None
    except OSError as error:
        raise StoreError(f"{error.filename or path}: {error.strerror or error}") from None
