"""The history: search it, pin what is to stay at hand, export from it, delete from it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from promptlab.app.lab import Lab
from promptlab.core import codec
from promptlab.core.csvcell import harmless
from promptlab.core.record import Record
from promptlab.core.schema import shorten
from promptlab.core.search import Hit, Search
from promptlab.errors import NotFound, StoreError, UsageError
from promptlab.files.sessions import remove_sessions
from promptlab.files.writing import replacing

COLUMNS = (
    *("id", "started_at", "prompt", "label", "hash", "commit", "model", "case", "sample", "seed", "mode"),
    *("inputs", "options", "output", "verdict", "error", "finish_reason", "prompt_tokens", "completion_tokens"),
)
"""Of a CSV file."""
TOGETHER = 500
"""Records that are looked up at once."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found, for a list that shows it bit by bit."""

    wanted: Search
    ids: tuple[str, ...]
    """All of it: what is pinned, then the rest, the newest first."""
    hits: tuple[Hit, ...]
    """The first ones."""
    anything: bool
    """Whether the history holds any record at all."""
    today: str
    """The day of the search, UTC, written as in records."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export."""

    count: int
    unreadable: tuple[str, ...]
    """Why records were left out."""


def search(lab: Lab, wanted: Search) -> list[Hit]:
    """The records that are wanted, the newest first, each with an excerpt. Raises UsageError and StoreError."""
    return lab.store.search(wanted)


def chosen(lab: Lab, wanted: Search) -> list[str]:
    """The ids of the records that are wanted, the newest first. Raises UsageError and StoreError."""
    return lab.store.matching(wanted)


def look(lab: Lab, wanted: Search, first: int) -> Found:
    """Search, and look at the first ones that are found. Raises UsageError and StoreError."""
    ids = tuple(lab.store.matching(wanted, pinned_first=True))
    hits = tuple(lab.store.hits(ids[:first], wanted.text))
    today = datetime.now(UTC).date().isoformat()
    return Found(wanted, ids, hits, bool(ids) or bool(lab.store.recent(1)), today)


def look_on(lab: Lab, wanted: Search, ids: Sequence[str]) -> tuple[Hit, ...]:
    """Some more of what a search has found; what has been deleted since is left out. Raises UsageError, StoreError."""
    return tuple(lab.store.hits(ids, wanted.text))


def pin(lab: Lab, ids: Sequence[str]) -> bool:
    """Pin records, or, where all of them are pinned, unpin them. Says whether they are pinned now. Raises StoreError.

    A pin is a mark: what is pinned stands first, and nobody deletes it without being told.
    """
    pinned = not lab.store.pinned(ids) >= set(ids)
    lab.store.pin(ids, pinned)
    return pinned


def pinned(lab: Lab, ids: Sequence[str]) -> int:
    """How many of these records are pinned. Raises StoreError."""
    return len(lab.store.pinned(ids))


def named(lab: Lab, ids: Sequence[str]) -> list[str]:
    """The whole ids of records, each once, of ids or beginnings that no other has. Raises NotFound and StoreError."""
    return list(dict.fromkeys(lab.store.whole_id(id) for id in ids))


def delete(lab: Lab, ids: Sequence[str]) -> int:
    """Delete records, so that nothing of their text is left in the files. Returns how many there were.

    Raises StoreError.
    """
    return lab.store.delete(ids) if ids else 0


def purge(lab: Lab) -> int:
    """Delete everything, so that no text is left in the files; what was left typed in the playground is forgotten too.
    Returns how many records there were.

    Raises StoreError.
    """
    count = lab.store.purge()
    remove_sessions(lab.root)
    return count


# --- export ----------------------------------------------------------------------------------------------------------


def export(lab: Lab, ids: Sequence[str], file: Path) -> Exported:
    """Write records to a file, in the form that its name ends with; what stood there is replaced by the whole of it.

    Raises UsageError where that is none of .jsonl, .json and .csv, and StoreError.
    """
    write = form(file)
    unreadable: list[str] = []
    with replacing(file) as stream:
        write(stream, _read(lab, ids, unreadable))
    return Exported(len(ids) - len(unreadable), tuple(unreadable))


def export_new(lab: Lab, ids: Sequence[str], name: str) -> Exported:
    """Write records to a file that is not there yet; `~` is the user's folder. Raises UsageError and StoreError."""
    try:
        file = Path(name).expanduser()
        taken = os.path.lexists(file)
    except (RuntimeError, OSError, ValueError):
        raise UsageError(f"{shorten(name)!r} cannot be the name of a file") from None
    if taken:
        raise UsageError(f"{name} is there already", hint="Choose another name; nothing was written")
    return export(lab, ids, file)


Rows = Iterable[tuple[Record, str | None]]
"""Records, and the newest verdict on each."""


def form(file: Path) -> Callable[[TextIO, Rows], None]:
    """How to write a file of this name. Raises UsageError."""
    forms = {".jsonl": _write_jsonl, ".json": _write_json, ".csv": _write_csv}
    if file.suffix.lower() not in forms:
        raise UsageError(f"{file}: the name says nothing about its form", hint="It ends with .jsonl, .json or .csv")
    return forms[file.suffix.lower()]


def _read(lab: Lab, ids: Sequence[str], unreadable: list[str]) -> Iterator[tuple[Record, str | None]]:
    for at in range(0, len(ids), TOGETHER):  # a history may be larger than memory
        some = ids[at : at + TOGETHER]
        verdicts = lab.store.verdicts(some)
        for id in some:
            try:
                yield lab.store.get(id), verdicts.get(id)
            except (StoreError, NotFound) as error:
                unreadable.append(str(error))


def _write_jsonl(stream: TextIO, rows: Rows) -> None:
    for record, _ in rows:
        stream.write(json.dumps(codec.dump(record)) + "\n")


def _write_json(stream: TextIO, rows: Rows) -> None:
    before = "[\n"
    for record, _ in rows:
        stream.write(before + json.dumps(codec.dump(record)))
        before = ",\n"
    stream.write("\n]\n" if before == ",\n" else "[]\n")


def _write_csv(stream: TextIO, rows: Rows) -> None:
    table = csv.writer(stream)
    table.writerow(COLUMNS)
    for record, verdict in rows:
        table.writerow(map(_cell, _row(record, verdict)))


def _row(record: Record, verdict: str | None) -> tuple[Any, ...]:
    """The values of a record under `COLUMNS`."""
    prompt, last = record.prompt, record.steps[-1] if record.steps else None
    usages = [step.usage for step in record.steps if step.usage]
    return (
        *(record.id, record.started_at, prompt.name, prompt.label, prompt.hash, prompt.commit, record.model.name),
        *(record.case, record.sample, record.seed, record.engine.mode if record.engine else None),
        *(dict(record.inputs), dict(record.options), record.output, verdict),
        record.error and (record.error.message or record.error.type),
        last and last.finish_reason,
        *(sum(usage.prompt_tokens for usage in usages), sum(usage.completion_tokens for usage in usages)),
    )


def _cell(value: Any) -> Any:
    """A value as a cell that no spreadsheet takes for a formula: texts as they are, lists and mappings as JSON."""
    if value is None or type(value) in (int, float):
        return value
    return harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
