"""Case files in CSV: a test a row, a column for each variable, and promptfoo's columns whose names begin with `__`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from promptlab.core.casefile import (
    MAX_CASES,
    MAX_LINE,
    MAX_PROBLEMS,
    MAX_SIZE,
    MAX_VALUE,
    TOO_MUCH,
    VAR,
    Draft,
    measure,
)
from promptlab.core.expected import read_expected
from promptlab.core.schema import shorten
from promptlab.core.yamltext import Path
from promptlab.errors import Problem, SourceError

MAX_COLUMNS = 1_000
_COLUMN = re.compile(r"__(?:id|description|expected[0-9]{0,4}|metric|threshold|metadata:.+)", re.DOTALL)
_COLUMNS = "__id, __description, __expected, __expected1…, __metric, __threshold, __metadata:KEY"
_BLANK_LINES = re.compile(r"\n*")
_CELL = re.compile(r' *(?:"[^"]*(?:""[^"]*)*"|[^,\n]*)')


def read_csv(text: str, file: str) -> Draft:
    """Read CSV. A row that cannot be read is among the problems. Raises SourceError where the header is wrong."""
    return _Reader(text, file).draft()


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    start: int
    """Where it begins in the text."""
    cells: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.file = file
        self.line = 1
        """The one that the csv module gets next."""
        self.read = self.begun = 0
        """How much of the text it has had, and where the row begins that it reads."""
        self.header: list[str] = []
        self.rows: list[_Row] = []
        """Those that are tests, in order."""
        self.problems: list[Problem] = []

    def draft(self) -> Draft:
        rows = self._rows()
        self._read_header(next(rows, _Row(1, 0)))
        tests: list[Any] = []
        room = MAX_SIZE
        for row in rows:
            room -= measure(row.cells)
            if len(row.cells) != len(self.header):
                cells = f"{len(row.cells):,} cell{'' if len(row.cells) == 1 else 's'}"
                self._complain(row, row.start, f"has {cells}, and the header has {len(self.header)}")
            elif room < 0:
                self._complain(row, row.start, TOO_MUCH)
            elif any(map(str.strip, row.cells)):  # spreadsheets leave empty rows behind
                self.rows.append(row)
                tests.append(self._test(row))
            if len(tests) > MAX_CASES or len(self.problems) > MAX_PROBLEMS or room < 0:
                break
        return Draft(self.file, {"tests": tests}, self._place, tuple(self.problems), typed=True)

    def _rows(self) -> Iterator[_Row]:
        csv.field_size_limit(max(csv.field_size_limit(), MAX_VALUE))  # the usual is 131,072
        reader = csv.reader(self._lines(), strict=True, skipinitialspace=True)
        while True:
            self._skip_blank_lines()
            row = _Row(self.line, self.begun)
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = "a quotation mark is not closed" if "end of data" in str(error) else str(error)
                self._complain(row, row.start, f"CSV: {reason}")
                return
            yield _Row(row.line, row.start, cells)

    def _skip_blank_lines(self) -> None:
        """Leave out what the csv module would give row by row: there may be millions."""
        match = _BLANK_LINES.match(self.text, self.read)
        assert match
        self.line += match.end() - self.read
        self.read = self.begun = match.end()

    def _lines(self) -> Iterator[str]:
        while self.read < len(self.text):
            end = self.text.find("\n", self.read) + 1 or len(self.text)
            if end - self.begun > MAX_LINE:
                raise csv.Error(f"a row is longer than {MAX_LINE:,} characters")
            line, self.read = self.text[self.read : end], end
            self.line += 1
            yield line

    def _read_header(self, row: _Row) -> None:
        self.header = [name.strip() for name in row.cells]
        if not self.header:
            raise SourceError(self.problems or [Problem(self.file, 0, 0, "is empty: the first row names the columns")])
        if len(self.header) > MAX_COLUMNS:
            raise SourceError([Problem(self.file, row.line, 1, f"has more than {MAX_COLUMNS:,} columns")])
        seen: set[str] = set()
        for i, name in enumerate(self.header):
            if reason := _wrong_column(i, name, seen):
                self._complain(row, self._offset(row, i), reason)
            seen.add(name)
            if len(self.problems) > MAX_PROBLEMS:
                break
        if self.problems:
            raise SourceError(self.problems)

    def _test(self, row: _Row) -> dict[str, Any]:
        """A row in the form that a test has in YAML. Empty cells of columns that are no variables say nothing."""
        cells = dict(zip(self.header, row.cells, strict=True))
        said = {name: text.strip() for name, text in cells.items() if name.startswith("__") and text.strip()}
        test: dict[str, Any] = {"vars": {name: text for name, text in cells.items() if not name.startswith("__")}}
        test |= {name[2:]: text for name, text in said.items() if name in ("__id", "__description")}
        metric = {"metric": said["__metric"]} if "__metric" in said else {}
        test["assert"] = [read_expected(said[name]) | metric for name in said if name.startswith("__expected")]
        if "__threshold" in said:
            try:
                test["threshold"] = float(said["__threshold"])
            except ValueError:
                offset = self._offset(row, self.header.index("__threshold"))
                self._complain(row, offset, f"threshold should be a number; got {shorten(said['__threshold'])!r}")
        kept = [_metadata(name.partition(":")[2], text) for name, text in said.items() if ":" in name]
        return test | ({"metadata": dict(kept)} if kept else {})

    def _place(self, path: Path) -> tuple[int, int]:
        if len(path) < 2:
            return 0, 0
        row = self.rows[int(path[1])]
        column = self._column(row, path)
        offset = self._offset(row, self.header.index(column)) if column in self.header else row.start
        return self._position(row, offset)

    def _column(self, row: _Row, path: Path) -> str:
        """The column that a path leads to; none where it leads to a whole row."""
        match path[2:]:
            case ("vars", str(name), *_):
                return name
            case ("assert", int(index), *_):
                pairs = zip(self.header, row.cells, strict=True)
                return [name for name, text in pairs if name.startswith("__expected") and text.strip()][index]
            case ("metadata", str(key), *_):
                return f"__metadata:{key}" if f"__metadata:{key}" in self.header else f"__metadata:{key}[]"
            case (("id" | "description" | "threshold") as key, *_):
                return f"__{key}"
        return ""

    def _offset(self, row: _Row, column: int) -> int:
        """Where a cell of a row begins in the text."""
        start = row.start
        while True:
            match = _CELL.match(self.text, start)
            assert match
            if not column:
                return match.end() - len(match[0].lstrip(" "))
            column, start = column - 1, match.end() + 1

    def _position(self, row: _Row, offset: int) -> tuple[int, int]:
        line = row.line + self.text.count("\n", row.start, offset)
        return line, offset - self.text.rfind("\n", 0, offset)

    def _complain(self, row: _Row, offset: int, message: str) -> None:
        self.problems.append(Problem(self.file, *self._position(row, offset), message))


def _wrong_column(index: int, name: str, before: set[str]) -> str | None:
    if not name:
        return f"column {index + 1} has no name: the first row names the columns"
    if name in before:
        return f"the column {shorten(name)!r} stands here a second time"
    if name.startswith("__"):
        return (
            None if _COLUMN.fullmatch(name) else f"{shorten(name)!r} is not a column; there are variables, {_COLUMNS}"
        )
    if not VAR.fullmatch(name):
        hint = "letters, digits and _; the first row names the columns, with commas between"
        return f"{shorten(name)!r} is not the name of a variable: {hint}"
    return None


def _metadata(key: str, text: str) -> tuple[str, Any]:
    """`KEY[]` is a list with commas between its entries."""
    return (key[:-2], [each.strip() for each in text.split(",")]) if key.endswith("[]") else (key, text)
