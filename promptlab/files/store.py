"""The history: Records in a SQLite file beside the library, appended and never changed.

It is a cache too: `current` finds what has been answered already by the keys of records. Verdicts on records and what
models measured for them are kept beside them, so that checking again asks no model again. What is searched stands in
tables of its own: see `search`.
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
from promptlab.core.search import Hit, Search
from promptlab.errors import NotFound, StoreError
from promptlab.files import git, search, tables
from promptlab.files.search import marks, parts, storable
from promptlab.files.tables import VERSION

FOLDER = ".promptlab"
FILE = "lab.db"
BUSY_S = 10.0
OUTPUT_START = 200
"""Characters of an output that a listing shows."""
_READ_ONLY = "{}: there is no history here, and this one was opened only for reading"

_JUDGED = "INSERT OR REPLACE INTO verdicts (record, asked, outcome, score) VALUES (?, ?, ?, ?)"
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
        values: tuple[Any, ...] = (
            row.id,
            row.prompt,
            row.label,
            row.model,
            row.started_at,
            row.sample,
            row.error,
            row.output_start,
        )
        case = None if record.case is None else storable(record.case)
        run = None if record.run is None else storable(record.run)
        values = (*values, json.dumps(codec.dump(record)), record.key, case, run)
        with self._writing() as connection:
            query = f"INSERT INTO records ({_LISTED}, json, key, case_id, run) VALUES ({marks(len(values))})"
            connection.execute(query, values)
            search.add(connection, record)

    def current(self, keys: Sequence[str]) -> dict[str, Record]:
        """The records with these keys: of each, the newest one without an error, or else the newest one.

        A record that cannot be read is as if it were not there. Raises StoreError.
        """
        found: dict[str, Record] = {}
        for some in parts(list(dict.fromkeys(keys))):
            query = f"SELECT key, id, json FROM records WHERE key IN ({marks(len(some))}) ORDER BY error IS NULL, id"
            for key, id, text in self._ask(query, *some):
                with contextlib.suppress(StoreError):
                    found[key] = self._load(id, text)
        return found

    def keep_verdicts(self, rows: Sequence[tuple[str, str, str, float | None]]) -> None:
        """Keep what came of checking records, all in one transaction: of each its id, a name for what was expected, the
        outcome and the score. Raises StoreError."""
        with self._writing() as connection:
            connection.executemany(_JUDGED, rows)

    def measured(self, keys: Sequence[str]) -> dict[str, Any]:
        """What is kept of measurements by their keys, as it was given. Raises StoreError."""
        found: dict[str, Any] = {}
        for some in parts(list(dict.fromkeys(keys))):
            query = f"SELECT key, json FROM measurements WHERE key IN ({marks(len(some))})"
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
        return self._load(*self._named(id))

    def whole_id(self, id: str) -> str:
        """The id of which this is a beginning that no other has, whether the record can be read or not.

        Raises NotFound and StoreError.
        """
        return self._named(id)[0]

    def _named(self, id: str) -> tuple[str, str]:
        """The id and the JSON of a record, of a beginning of its id."""
        id = storable(id)
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
        return found, text

    def recent(self, limit: int, model: str | None = None, prompt: str | None = None) -> list[Row]:
        """The newest records first, at most `limit`; of one model or one prompt when given. Raises StoreError."""
        asked = [(column, value) for column, value in (("model", model), ("prompt", prompt)) if value is not None]
        where = "WHERE " + " AND ".join(f"{column} = ?" for column, _ in asked) if asked else ""
        # An id begins with the time, so its order is that of the clock.
        query = f"SELECT {_LISTED} FROM records {where} ORDER BY id DESC LIMIT ?"
        return [Row(*row) for row in self._ask(query, *(value for _, value in asked), max(limit, 0))]

    def search(self, wanted: Search) -> list[Hit]:
        """The records that are wanted, the newest first. Raises UsageError and StoreError."""
        with self._lock, _errors(self.path):
            return search.find(self._connection, wanted) if self._connection else []

    def matching(self, wanted: Search, *, pinned_first: bool = False) -> list[str]:
        """The ids of the records that are wanted, the newest first; with `pinned_first` behind all that are pinned.

        Raises UsageError and StoreError.
        """
        with self._lock, _errors(self.path):
            return search.matching(self._connection, wanted, pinned_first=pinned_first) if self._connection else []

    def hits(self, ids: Sequence[str], text: str = "") -> list[Hit]:
        """These records as a search for `text` shows them, in their order; those that are gone are left out.

        Raises UsageError and StoreError.
        """
        with self._lock, _errors(self.path):
            return search.hits(self._connection, ids, text) if self._connection else []

    def pin(self, ids: Sequence[str], pinned: bool = True) -> None:
        """Keep records at hand, or no longer. What is no record stays none. Raises StoreError."""
        with self._writing() as connection:
            for some in parts(ids):
                those = f"WHERE record IN ({marks(len(some))})"
                change = f"INSERT OR IGNORE INTO pins SELECT record FROM facts {those}"
                connection.execute(change if pinned else f"DELETE FROM pins {those}", some)

    def pinned(self, ids: Sequence[str]) -> set[str]:
        """Which of these records are pinned. Raises StoreError."""
        rows = (self._ask(f"SELECT record FROM pins WHERE record IN ({marks(len(s))})", *s) for s in parts(ids))
        return {record for some in rows for (record,) in some}

    def alike(self, record: Record, since: str, until: str) -> list[str]:
        """The ids of records like this one that started within a time, the oldest first: of its prompt and case, and
        with inputs that read the same. Raises StoreError.
        """
        query = (
            "SELECT f.record FROM facts f JOIN texts t ON t.number = f.number WHERE f.prompt = ? AND f.case_id IS ?"
            " AND f.started_at >= ? AND f.started_at <= ? AND t.inputs = ? ORDER BY f.started_at, f.record"
        )
        case = None if record.case is None else storable(record.case)
        values = (storable(record.prompt.name), case, since, until, search.texts_of(record)[1])
        return [id for (id,) in self._ask(query, *values)]

    def of_run(self, record: Record) -> list[str]:
        """The ids of the records of its run that are of its prompt and case, the oldest first; none where it does not
        say which run. Raises StoreError.
        """
        query = "SELECT id FROM records WHERE run = ? AND prompt = ? AND case_id IS ? ORDER BY started_at, id"
        case = None if record.case is None else storable(record.case)
        run = "" if record.run is None else storable(record.run)
        return [id for (id,) in self._ask(query, run, storable(record.prompt.name), case)] if run else []

    def runs_by_weights(self) -> dict[str, tuple[int, str]]:
        """By a file's hash, how many records there are of it, and when the last one began. Raises StoreError."""
        query = (
            "SELECT json_extract(json, '$.model.sha256') AS weights, count(*), max(started_at) FROM records"
            " WHERE json_valid(json) AND weights IS NOT NULL GROUP BY weights"
        )
        return {weights: (count, last) for weights, count, last in self._ask(query)}

    def verdicts(self, ids: Sequence[str]) -> dict[str, str]:
        """The newest verdicts on these records, where there are any. Raises StoreError."""
        found: dict[str, str] = {}
        for some in parts(ids):
            query = f"SELECT record, outcome FROM verdicts WHERE record IN ({marks(len(some))}) ORDER BY at"
            found.update(self._ask(query, *some))
        return found

    def delete(self, ids: Sequence[str]) -> int:
        """Delete records with all that is kept of them, and leave no trace of their text in the files.

        Returns how many there were. Raises StoreError, also when they are deleted and traces may be left.
        """
        with self._writing() as connection:
            count = search.remove(connection, ids)
        self._scrub()
        return count

    def purge(self) -> int:
        """Delete everything, and leave no trace of any text in the files.

        Returns how many records there were. Raises StoreError, also when they are deleted and traces may be left.
        """
        with self._writing() as connection:
            count = search.remove_all(connection)
        self._scrub()
        return count

    def _scrub(self) -> None:
        """Write the file anew and empty the log. In deleted pages nothing is left as it is (`secure_delete`), but where
        rows have moved from page to page, pieces of them stay behind."""
        try:
            self._ask("VACUUM")
            ((busy, *_),) = self._ask("PRAGMA wal_checkpoint(TRUNCATE)")
            if busy:
                raise StoreError(f"{self.path}: another program reads it")
        except StoreError as error:
            raise StoreError(
                f"the records are deleted, but traces of their text may be left: {error.message}",
                hint="The next `promptlab runs delete` or `purge` removes them too",
            ) from None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, _errors(self.path):
            if self._connection:
                self._connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, of which all is kept or nothing."""
        with self._lock, _errors(self.path):
            if self._connection is None:
                raise StoreError(_READ_ONLY.format(self.path))
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection

    def _ask(self, query: str, *values: Any) -> list[Any]:
        with self._lock, _errors(self.path):
            if self._connection:
                # Without a transaction of its own, every statement is one.
                return self._connection.execute(query, values).fetchall()
        if query.startswith("INSERT"):
            raise StoreError(_READ_ONLY.format(self.path))
        return []

    def _load(self, id: str, text: str) -> Record:
        return _read(self.path, id, text)


def _read(path: Path, id: str, text: str) -> Record:
    try:
        data = json.loads(text)
        if data["schema"] > SCHEMA:
            hint = "Update promptlab to read it"
            raise StoreError(f"{path}: record {id} was written by a newer promptlab", hint=hint)
        return codec.load(Record, data)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StoreError(f"{path}: record {id} cannot be read: {error}") from None


def _row(record: Record) -> Row:
    output = record.output if isinstance(record.output, str) else json.dumps(record.output, ensure_ascii=False)
    start = "" if record.output is None else output[:OUTPUT_START]
    error = record.error.message or record.error.type if record.error else None
    texts = (record.id, record.prompt.name, record.prompt.label, record.model.name, record.started_at)
    id, prompt, label, model, started_at = map(storable, texts)
    return Row(id, prompt, label, model, started_at, record.sample, storable(error) if error else None, storable(start))


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
        connection.execute("PRAGMA secure_delete = ON")
        version = tables.version(connection, path)
        if create and version < VERSION:
            tables.create(connection, path, _read)
        if create:
            _use_wal(connection)
        elif not version:
            connection.close()
            return None
    except BaseException:
        connection.close()
        raise
    return connection


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
