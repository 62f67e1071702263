"""The file of a baseline: JSON that is kept in git, a case a line, in one order; read as if a stranger wrote it."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptlab.core.baseline import SCHEMA, Baseline, KeptColumn
from promptlab.core.casefile import read_json
from promptlab.core.codec import load
from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError, UsageError
from promptlab.files.references import read_inside
from promptlab.files.writing import replace_file

MAX_BYTES = 64 * 1024 * 1024
MAX_SAMPLES = 1_000_000
"""Of one case."""
MAX_PROBLEMS = 20
ANYWHERE = Path("/")
NO_BASELINE = "is no baseline"


def read_baseline(path: Path, root: Path | None = None) -> Baseline:
    """Read a baseline. With `root`, it must lie below that once links are followed. Raises SourceError."""
    return parse(read_inside(path, root or ANYWHERE, MAX_BYTES, str(path)), str(path))


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline, in place of one that is there. Raises UsageError as `check_place` does, and StoreError."""
    check_place(path)
    replace_file(path, render(baseline))


def check_place(path: Path) -> None:
    """Say before anything runs whether a baseline can be written there.

    Raises UsageError when something else is there: a slip of the keyboard must not cost a case file.
    """
    try:
        linked = stat.S_ISLNK(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError):
        raise UsageError(f"{shorten(str(path))!r} cannot be the name of a file") from None
    if linked:
        raise UsageError(f"{path} is a link, and a baseline is written only to a file", hint="Name the file itself")
    try:
        read_baseline(path)
    except SourceError:
        raise UsageError(f"{path} is there, and {NO_BASELINE}", hint="Delete it first, or name another file") from None


# --- the text --------------------------------------------------------------------------------------------------------


def render(baseline: Baseline) -> str:
    """Write a baseline as text: the same one for the same numbers, in whatever order the columns were named."""
    ordered = sorted(baseline.columns, key=lambda each: (each.prompt, each.label, each.model))
    columns = ",\n".join(map(_render_column, ordered))
    return f'{{\n"columns": [\n{columns}\n],\n"files": {_json(sorted(baseline.files))},\n"schema": {SCHEMA}\n}}\n'


def _render_column(column: KeptColumn) -> str:
    cases = ",\n".join(f"   {_json(id)}: {_json(asdict(tally))}" for id, tally in sorted(column.cases.items()))
    values = {name: _json(value) for name, value in asdict(column).items()} | {"cases": f"{{\n{cases}\n  }}"}
    return " {\n" + ",\n".join(f"  {_json(name)}: {value}" for name, value in sorted(values.items())) + "\n }"


def _json(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def parse(text: str, file: str) -> Baseline:
    """Read what `render` wrote; `file` is what problems call it. Raises SourceError."""
    data = read_json(text, file)
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int or "columns" not in data:
        raise _wrong(file, f"{NO_BASELINE}: `promptlab compare … --write-baseline FILE` writes one")
    if schema != SCHEMA:
        raise _wrong(file, f"is of schema {schema}, and this promptlab reads schema {SCHEMA}")
    try:
        found = load(Baseline, data)
    except ValueError as error:
        raise _wrong(file, f"{NO_BASELINE}: {error}") from None
    if reasons := list(_reasons(found)):
        raise _wrong(file, *reasons)
    return found


def _wrong(file: str, *reasons: str) -> SourceError:
    return SourceError(Problem(file, 0, 0, shorten(" ".join(each.split()), 300)) for each in reasons[:MAX_PROBLEMS])


def _reasons(baseline: Baseline) -> Iterator[str]:
    """What makes no sense in it."""
    for name, times in Counter(each.name for each in baseline.columns).items():
        if times > 1:
            yield f"the column {shorten(name)!r} stands here {times} times"
    for column in baseline.columns:
        for case, tally in column.cases.items():
            where = f"{shorten(column.name)}, case {shorten(case)!r}"
            if not 0 <= tally.passed <= tally.scored <= MAX_SAMPLES:
                yield f"{where}: {tally.passed} passed of {tally.scored} scored"
            if tally.score is not None and not 0 <= tally.score <= 1:
                yield f"{where}: a score lies between 0 and 1, and this is {tally.score:g}"
