"""Case files as text: what YAML and JSONL say, as plain data of one form, and where they say it.

The form is `{description?, defaultTest?, tests: […]}`, in promptfoo's words; CSV (core/casecsv.py) is brought into it
too. Whether it makes sense is looked at afterwards, in the same way for all three (files/cases.py).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from promptlab.core import yamltext
from promptlab.core.schema import shorten
from promptlab.core.yamltext import Path
from promptlab.errors import Problem, SourceError

MAX_CASES = 100_000
MAX_VALUE = 1024 * 1024
"""Characters of a text."""
MAX_LINE = 4 * MAX_VALUE
"""Characters of a line of JSONL, or of a row of CSV."""
MAX_SIZE = 256 * MAX_VALUE
"""Bytes that all cases together take, roughly, with what they share and refer to in each of them."""
TOO_MUCH = (
    f"up to here the cases take {MAX_SIZE // MAX_VALUE} MiB, with all that they share and refer to; split the file"
)
MAX_DEPTH = yamltext.MAX_DEPTH
MAX_NUMBER = yamltext.MAX_NUMBER
MAX_PROBLEMS = yamltext.MAX_PROBLEMS
VAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a variable can be called: the same as an input of a prompt."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_NODE = 64
"""Bytes that a value takes at least."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a case file says, before anybody has looked whether it makes sense."""

    file: str
    value: Any
    place: Callable[[Path], tuple[int, int]]
    """Line and column of what a path leads to, or of the nearest thing around it; 0 where there is none."""
    problems: tuple[Problem, ...] = ()
    """What could not be read, and is left out."""
    typed: bool = False
    """Whether values are text as somebody typed it."""

    def problem(self, path: Path, message: str) -> Problem:
        """Say what is wrong with what a path leads to."""
        return Problem(self.file, *self.place(path), message)


class Unfit(ValueError):
    """Something in a value that no text or number may be; `path` leads there."""

    def __init__(self, reason: str, path: Path = ()) -> None:
        super().__init__(reason)
        self.path = path


def measure(value: Any, depth: int = 0) -> int:
    """Say roughly how many bytes plain data takes. Raises Unfit where it is too deep, too long, or no text at all."""
    if isinstance(value, str):
        return _measure_text(value)
    if isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise Unfit(f"is nested deeper than {MAX_DEPTH} levels")
        size = _NODE
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            try:
                size += measure(each, depth + 1) + (_measure_text(key) if isinstance(key, str) else 0)
            except Unfit as error:
                raise Unfit(str(error), (key, *error.path)) from None
        return size
    if isinstance(value, float) and not math.isfinite(value):
        raise Unfit("holds a number that is too large, or NaN")
    return _NODE


def _measure_text(text: str) -> int:
    if len(text) > MAX_VALUE:
        raise Unfit(f"is longer than {MAX_VALUE:,} characters")
    if not text.isascii() and _SURROGATE.search(text):
        raise Unfit("is not text: it holds half of a surrogate pair")
    return _NODE + len(text)


# --- YAML


def read_yaml(text: str, file: str) -> Draft:
    """Read YAML: a mapping, or just the list of tests. Raises SourceError with every problem."""
    if len(text) > yamltext.MAX_CHARS:
        limit = f"is larger than {yamltext.MAX_CHARS:,} characters, as much as is read of YAML"
        raise SourceError([Problem(file, 0, 0, f"{limit}; write JSONL or CSV")])
    document = read_document(text, file)
    if isinstance(document.value, list):
        return Draft(file, {"tests": document.value}, lambda path: _nearest(document, path[1:]))
    value = {"tests": []} if document.value is None else document.value
    return Draft(file, value, lambda path: _nearest(document, path))


def read_document(text: str, file: str) -> yamltext.Document:
    """Read a YAML text from strangers: also nothing in it is too long, and all text is text. Raises SourceError."""
    document = yamltext.read(text, file=file)
    try:
        measure(document.value)
    except Unfit as error:
        raise SourceError([document.problem(error.path, str(error))]) from None
    return document


def _nearest(document: yamltext.Document, path: Path) -> tuple[int, int]:
    problem = document.problem(path, "")
    return problem.line, problem.column


# --- JSON and JSONL


def read_jsonl(text: str, file: str) -> Draft:
    """Read JSONL, a test a line. A line that cannot be read is among the problems."""
    return _Jsonl(text, file).draft()


def read_json(text: str, file: str) -> Any:
    """Read a JSON text from strangers: bounded, no key twice, no NaN. Raises SourceError with the place."""
    return _parse(text, file, 1, 1)[0]


def _parse(text: str, file: str, first_line: int, first_column: int) -> tuple[Any, int]:
    """The value, and its size."""

    def problem(offset: int, message: str) -> Problem:
        column = offset - (text.rfind("\n", 0, offset) + 1) + 1
        line = text.count("\n", 0, offset)
        return Problem(file, first_line + line, column if line else column + first_column - 1, message)

    twice = False

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        found = dict(pairs)
        twice = twice or len(found) < len(pairs)
        return found

    try:
        value = json.loads(text, object_pairs_hook=mapping, parse_int=_whole, parse_constant=float)
        size = measure(value)
    except json.JSONDecodeError as error:
        raise SourceError([problem(error.pos, f"JSON: {error.msg}")]) from None
    except RecursionError:
        raise SourceError([problem(0, f"JSON: is nested deeper than {MAX_DEPTH} levels")]) from None
    except Unfit as error:
        raise SourceError([problem(_offset(text, error.path), str(error))]) from None
    if twice:
        again = "stands here a second time"
        found = islice(_twice(text), MAX_PROBLEMS)
        raise SourceError(problem(at, f"the key {shorten(key)!r} {again}") for at, key in found)
    return value, size


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_NUMBER else math.inf


_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s"{}\[\],:]+')


def _offset(text: str, path: Path) -> int:
    """Where what a path leads to begins, or the nearest thing around it."""
    nearest = begin = 0
    try:
        for each, start in _walk(text):
            if each == path[: len(each)] and len(each) > nearest:
                nearest, begin = len(each), start
            if nearest == len(path):
                break
    except RecursionError:  # it is nested so deeply that it is refused anyway
        return 0
    return begin


def _twice(text: str) -> Iterator[tuple[int, str]]:
    """The keys that stand a second time in a mapping, and where."""
    seen: set[Path] = set()
    again: Path = ()
    for path, start in _walk(text):
        if again and path[: len(again)] == again and path != again:
            continue  # what stands in it has been there before, too
        if path in seen:
            again = path
            yield start, str(path[-1])
        seen.add(path)


def _walk(text: str) -> Iterator[tuple[Path, int]]:
    """Everything in a JSON text that is known to be right, and where it, or the key before it, begins."""
    tokens = _TOKEN.finditer(text)
    first = next(tokens)
    yield (), first.start()
    yield from _inside(first, tokens, ())


def _inside(token: re.Match[str], tokens: Iterator[re.Match[str]], path: Path) -> Iterator[tuple[Path, int]]:
    if token[0] == "{":
        for key in tokens:
            if key[0] == "}":
                break
            if key[0] != ",":
                here = (*path, json.loads(key[0]))
                yield here, key.start()
                next(tokens)  # the colon
                yield from _inside(next(tokens), tokens, here)
    elif token[0] == "[":
        index = 0
        for each in tokens:
            if each[0] == "]":
                break
            if each[0] != ",":
                yield (*path, index), each.start()
                yield from _inside(each, tokens, (*path, index))
                index += 1


_BEGUN_LINE = re.compile(r"[^ \t\r\n][^\n]*")
"""A line that is not blank, from its first character that is none."""


class _Jsonl:
    """A test a line; blank lines count as lines and are nothing else."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.spans: list[tuple[int, int, int]] = []
        """Of each test: its line, and where it begins and ends in the text."""

    def draft(self) -> Draft:
        tests: list[Any] = []
        problems: list[Problem] = []
        room = MAX_SIZE
        for line, start, end in self._lines():
            try:
                if end - start > MAX_LINE:
                    raise SourceError([Problem(self.file, line, 1, f"is longer than {MAX_LINE:,} characters")])
                value, size = _parse(self.text[start:end], self.file, line, self._column(start))
                room -= size
                if room < 0:
                    raise SourceError([Problem(self.file, line, 1, TOO_MUCH)])
                tests.append(value)
                self.spans.append((line, start, end))
            except SourceError as error:
                problems += error.problems
            if len(tests) > MAX_CASES or len(problems) > MAX_PROBLEMS or room < 0:
                break
        return Draft(self.file, {"tests": tests}, self._place, tuple(problems))

    def _lines(self) -> Iterator[tuple[int, int, int]]:
        line, counted = 1, 0
        for match in _BEGUN_LINE.finditer(self.text):
            line += self.text.count("\n", counted, match.start())
            counted = match.start()
            yield line, match.start(), match.end()

    def _column(self, offset: int) -> int:
        return offset - self.text.rfind("\n", 0, offset)

    def _place(self, path: Path) -> tuple[int, int]:
        if len(path) < 2:
            return 0, 0
        line, start, end = self.spans[int(path[1])]
        return line, self._column(start) + (_offset(self.text[start:end], path[2:]) if len(path) > 2 else 0)
