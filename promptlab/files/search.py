"""Search in the history: the tables for it, what of a record they hold, and how a question is asked of them.

Three tables stand beside the records and change with them, in the same transactions: `facts`, a short row for each
record, with what filters ask; `texts`, what it was given and what it said; and `words`, an index over the texts. The
index needs FTS5, which not every SQLite has. One without it leaves the index alone, notes in `stale` that it is
behind, and looks into each text instead.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from promptlab.core.record import Record
from promptlab.core.search import Hit, Search, Term, excerpt, pattern, read_query
from promptlab.errors import StoreError

MAX_TEXT = 1_000_000
"""Characters of what was given, put in or said that are searched; far more than models can read."""
MAX_VALUES = 500
"""Values in one question to the database; old versions of SQLite take 999."""

TABLES = (
    """CREATE TABLE facts (
        number INTEGER PRIMARY KEY, record TEXT NOT NULL UNIQUE COLLATE NOCASE, prompt TEXT NOT NULL,
        label TEXT NOT NULL, hash TEXT NOT NULL, model TEXT NOT NULL, started_at TEXT NOT NULL, case_id TEXT,
        failed INTEGER NOT NULL
    )""",
    "CREATE TABLE texts (number INTEGER PRIMARY KEY, output TEXT NOT NULL, inputs TEXT NOT NULL, prompt TEXT NOT NULL)",
    "CREATE TABLE stale (yes INTEGER PRIMARY KEY)",
    "INSERT INTO stale VALUES (1)",
)
_WORDS = (
    "DROP TABLE IF EXISTS words",
    """CREATE VIRTUAL TABLE words USING fts5(
        output, inputs, prompt, content = 'texts', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2'
    )""",
    "INSERT INTO words (words) VALUES ('rebuild')",
    "DELETE FROM stale",
)
_PINNED = "f.record IN (SELECT record FROM pins)"
_NEWEST = "(SELECT outcome FROM verdicts v WHERE v.record = f.record ORDER BY v.at DESC LIMIT 1)"


def storable(text: str) -> str:
    """A text as SQLite takes it: half a surrogate pair is none."""
    return text.encode("utf-8", "replace").decode()


def parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut values into as many as fit into one question."""
    return (values[at : at + MAX_VALUES] for at in range(0, len(values), MAX_VALUES))


def marks(count: int) -> str:
    """Places for so many values."""
    return ", ".join("?" * count)


# --- the tables ------------------------------------------------------------------------------------------------------


def has_fts5(connection: sqlite3.Connection) -> bool:
    """Whether this SQLite can use the index."""
    return connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is not None


def fill(connection: sqlite3.Connection, read: Callable[[str, str], Record]) -> None:
    """Take in the records that are there already; `read` makes one of an id and its JSON, or raises StoreError."""
    rows = connection.execute(
        "SELECT json, output_start, id, prompt, label, model, started_at, case_id, error FROM records"
    )
    for json, start, id, prompt, label, model, started_at, case, error in rows:
        try:
            record = read(id, json)
            hash, texts = record.prompt.hash, texts_of(record)
        except StoreError:
            hash, texts = "", (start, "", "")
        _insert(connection, (id, prompt, label, storable(hash), model, started_at, case, error is not None), texts)
    refresh(connection)


def add(connection: sqlite3.Connection, record: Record) -> None:
    """Take in a record."""
    about = (record.id, record.prompt.name, record.prompt.label, record.prompt.hash)
    facts = map(storable, (*about, record.model.name, record.started_at))
    case = None if record.case is None else storable(record.case)
    _insert(connection, (*facts, case, record.error is not None), texts_of(record))


def _insert(connection: sqlite3.Connection, facts: tuple[Any, ...], texts: tuple[str, str, str]) -> None:
    columns = "record, prompt, label, hash, model, started_at, case_id, failed"
    number = connection.execute(f"INSERT INTO facts ({columns}) VALUES ({marks(len(facts))})", facts).lastrowid
    connection.execute("INSERT INTO texts VALUES (?, ?, ?, ?)", (number, *texts))
    if _in_step(connection):
        connection.execute("INSERT INTO words (rowid, output, inputs, prompt) VALUES (?, ?, ?, ?)", (number, *texts))
    else:
        _fall_behind(connection)


def texts_of(record: Record) -> tuple[str, str, str]:
    """What is searched: what a record's steps said, the values of its inputs, and what it was given with its name."""
    said = [step.text for step in record.steps]
    given = [message.content for step in record.steps for message in step.messages]
    heard = {text.strip() for text in said}  # the messages of a later step repeat earlier answers
    prompt = [record.prompt.name, *(text for text in given if text.strip() not in heard)]
    return _text([*said, *_values(record.output)]), _text(_values(dict(record.inputs))), _text(prompt)


def _text(lines: Iterable[str]) -> str:
    return storable("\n".join(dict.fromkeys(lines))[:MAX_TEXT]).replace("\0", " ")


def _values(value: Any) -> Iterator[str]:
    """The values in a piece of JSON, in their order, however deep they lie."""
    left = [value]
    while left:
        match left.pop():
            case str(text):
                yield text
            case bool(yes):
                yield str(yes).lower()
            case int() | float() as number:
                yield str(number)
            case dict() as mapping:
                left += reversed(mapping.values())
            case list() | tuple() as items:
                left += reversed(items)


def remove(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Delete records with all that belongs to them. Returns how many there were. Raises StoreError."""
    indexed = _changeable(connection)
    count = 0
    for some in parts(ids):
        chosen = f"(SELECT number FROM facts WHERE record IN ({marks(len(some))}))"
        if indexed:
            old = f"SELECT 'delete', number, output, inputs, prompt FROM texts WHERE number IN {chosen}"
            connection.execute(f"INSERT INTO words (words, rowid, output, inputs, prompt) {old}", some)
        connection.execute(f"DELETE FROM texts WHERE number IN {chosen}", some)
        for table in ("facts", "verdicts", "pins"):
            connection.execute(f"DELETE FROM {table} WHERE record IN ({marks(len(some))})", some)
        count += connection.execute(f"DELETE FROM records WHERE id IN ({marks(len(some))})", some).rowcount
    if indexed:
        # Until its parts are merged, an index holds the words of what was deleted.
        connection.execute("INSERT INTO words (words) VALUES ('optimize')")
    return count


def remove_all(connection: sqlite3.Connection) -> int:
    """Delete everything. Returns how many records there were. Raises StoreError."""
    _changeable(connection)
    count = connection.execute("SELECT count(*) FROM records").fetchone()[0]
    for table in ("texts", "facts", "verdicts", "pins", "measurements", "records"):
        connection.execute(f"DELETE FROM {table}")
    _fall_behind(connection)
    refresh(connection)
    return int(count)


def _changeable(connection: sqlite3.Connection) -> bool:
    """Whether there is an index; it is made anew if it is behind.

    Raises StoreError where it could not be changed, so that it would keep words of what is deleted.
    """
    if refresh(connection):
        return True
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone():
        raise StoreError(
            "nothing was deleted: words of it would stay in the index of the history, which this Python's SQLite cannot"
            " change, as it lacks FTS5",
            hint="Use the Python that has made the history, or delete the whole folder .promptlab",
        )
    return False


def _fall_behind(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR IGNORE INTO stale VALUES (1)")


def refresh(connection: sqlite3.Connection) -> bool:
    """Make the index anew if it is behind, inside a transaction. Returns whether there is one that can be used."""
    if not has_fts5(connection):
        return False
    if not _in_step(connection):
        for statement in _WORDS:
            connection.execute(statement)
    return True


def _in_step(connection: sqlite3.Connection) -> bool:
    return has_fts5(connection) and connection.execute("SELECT 1 FROM stale").fetchone() is None


def usable(connection: sqlite3.Connection) -> bool:
    """Whether there is an index to search with; one that is behind is made anew if the file can be written."""
    if _in_step(connection):
        return True
    try:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            return refresh(connection)
    except sqlite3.OperationalError:
        return False


# --- searching -------------------------------------------------------------------------------------------------------


def matching(connection: sqlite3.Connection, wanted: Search, *, pinned_first: bool = False) -> list[str]:
    """The ids of the records that are wanted, the newest first; with `pinned_first` behind all that are pinned."""
    ids = _matching(connection, wanted, read_query(storable(wanted.text)), usable(connection))
    if not pinned_first:
        return ids
    pinned = {record for (record,) in connection.execute("SELECT record FROM pins")}
    # Not in the query: there it would sort all of them instead of reading an index, which takes three times as long.
    return [*(id for id in ids if id in pinned), *(id for id in ids if id not in pinned)] if pinned else ids


def find(connection: sqlite3.Connection, wanted: Search) -> list[Hit]:
    """The records that are wanted, the newest first, with the place where the text was found."""
    terms = read_query(storable(wanted.text))
    indexed = usable(connection)
    return _hits(connection, _matching(connection, wanted, terms, indexed), terms, indexed)


def hits(connection: sqlite3.Connection, ids: Sequence[str], text: str) -> list[Hit]:
    """These records, in their order, as far as they are there, each with the place where the text stands."""
    return _hits(connection, ids, read_query(storable(text)), usable(connection))


def _hits(connection: sqlite3.Connection, ids: Sequence[str], terms: Sequence[Term], indexed: bool) -> list[Hit]:
    patterns = [pattern(term, anywhere=not indexed) for term in terms if not term.without]
    found: dict[str, Hit] = {}
    for some in parts(ids):
        query = (
            f"SELECT f.record, f.prompt, f.label, f.model, f.started_at, f.case_id, {_NEWEST}, r.error, {_PINNED},"
            f" r.sample, {'t.output, t.prompt, t.inputs' if patterns else 'r.output_start'}"
            " FROM facts f JOIN records r ON r.id = f.record JOIN texts t ON t.number = f.number"
            f" WHERE f.record IN ({marks(len(some))})"
        )
        for id, prompt, label, model, started_at, case, verdict, error, pinned, sample, *texts in connection.execute(
            query, some
        ):
            pieces = excerpt(texts, patterns)
            found[id] = Hit(id, prompt, label, model, started_at, case, verdict, error, pieces, bool(pinned), sample)
    return [found[id] for id in ids if id in found]


def _matching(connection: sqlite3.Connection, wanted: Search, terms: Sequence[Term], indexed: bool) -> list[str]:
    conditions = [*_text_conditions(terms, indexed), *_conditions(wanted)]
    where = " AND ".join(f"({condition})" for condition, _ in conditions) or "true"
    values = [value for _, values in conditions for value in values]
    limit = -1 if wanted.limit is None else max(wanted.limit, 0)
    # An id begins with the time, so its order is that of the clock.
    query = f"SELECT f.record FROM facts f WHERE {where} ORDER BY f.record DESC LIMIT ?"
    return [id for (id,) in connection.execute(query, (*values, limit))]


def _text_conditions(terms: Sequence[Term], indexed: bool) -> Iterator[tuple[str, list[str]]]:
    if not indexed:
        for term in terms:
            like = "%" + re.sub(r"([\\%_])", r"\\\1", term.text) + "%"
            inside = (
                "SELECT number FROM texts WHERE output || char(10) || inputs || char(10) || prompt LIKE ? ESCAPE '\\'"
            )
            yield f"f.number {'NOT IN' if term.without else 'IN'} ({inside})", [like]
        return
    wanted = [_quoted(term) for term in terms if not term.without]
    unwanted = [_quoted(term) for term in terms if term.without]
    matched = "IN (SELECT rowid FROM words WHERE words MATCH ?)"
    if wanted:
        yield f"f.number {matched}", [" ".join(wanted)]
    if unwanted:
        yield f"f.number NOT {matched}", [" OR ".join(unwanted)]


def _quoted(term: Term) -> str:
    """As FTS5 reads it: what stands in quotes is never taken for a part of its language."""
    text = term.text.replace('"', " ")
    return f'"{text}" *' if term.beginning else f'"{text}"'


def _conditions(wanted: Search) -> Iterator[tuple[str, list[Any]]]:
    for column, values in (("model", wanted.models), ("prompt", wanted.prompts), ("case_id", wanted.cases)):
        if values:
            yield f"f.{column} IN ({marks(len(values))})", list(map(storable, values))
    if wanted.versions:
        versions = [condition for each in wanted.versions for condition in _version(storable(each))]
        yield " OR ".join(condition for condition, _ in versions), [value for _, value in versions]
    if wanted.verdict is not None:
        yield f"{_NEWEST} = ?", [wanted.verdict]
    if wanted.failed is not None:
        yield "f.failed = ?", [wanted.failed]
    if wanted.pinned is not None:
        yield _PINNED if wanted.pinned else f"NOT {_PINNED}", []
    if wanted.since is not None:
        yield "f.started_at >= ?", [wanted.since]
    if wanted.until is not None:
        yield "f.started_at < ?", [wanted.until]


def _version(version: str) -> Iterator[tuple[str, str]]:
    yield "f.label = ?", version
    if re.fullmatch("[0-9A-Fa-f]{4,64}", version):
        yield "f.hash LIKE ?", version + "%"
