"""YAML from strangers: bounded, literal, and with positions.

A safe loader is not enough: a file of 849 bytes with nested merge keys keeps PyYAML's busy for longer than 8 seconds,
duplicate keys silently win, `no` becomes False and `12:30` becomes 750. So values are built here straight from the
parser's events: no anchors, aliases, merge keys or tags; duplicate keys are problems; plain scalars follow the YAML 1.2
core schema (https://yaml.org/spec/1.2.2/#103-core-schema), in which only null, true, false and numbers are special.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError

MAX_CHARS = 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 200_000
MAX_PROBLEMS = 50
"""A file wrong in more places than this is not worth a longer list."""
MAX_NUMBER = 100
"""Characters of a number."""

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

Path = tuple[str | int, ...]
"""The way to a value: keys and indices from the top of the document."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML text says, and where it says it."""

    value: Any
    """Mappings, lists, str, int, float, bool and None."""
    file: str
    marks: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """Line and column (from 1) of each value; of a mapping's entry, of its key."""

    def problem(self, path: Path, message: str) -> Problem:
        """Say what is wrong with the value at `path`, or with the nearest thing around it that has a place."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.marks:
                return Problem(self.file, *self.marks[path[:end]], message)
        return Problem(self.file, 0, 0, message)


def read(text: str, *, file: str, first_line: int = 1) -> Document:
    """Read one YAML document. `first_line` is the line of `file` at which `text` begins.

    Raises SourceError with every problem found.
    """
    offset = first_line - 1
    if len(text) > MAX_CHARS:
        raise SourceError([Problem(file, 0, 0, f"is larger than {MAX_CHARS:,} characters")])
    if (document := _read_fast(text, file, offset)) is not None:
        return document
    builder = _Builder(file, offset)
    try:
        value = builder.document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(error.problem or error).split())
        line, column = (mark.line + 1 + offset, mark.column + 1) if mark else (0, 0)
        raise SourceError([*builder.problems, Problem(file, line, column, f"YAML: {shorten(reason, 200)}")]) from None
    except yaml.YAMLError as error:  # a character that YAML does not take
        position = getattr(error, "position", None)
        line = column = 0
        if isinstance(position, int):
            line, column = text.count("\n", 0, position) + first_line, position - text.rfind("\n", 0, position)
        reason = " ".join(str(error).split("\n")[0].split())
        raise SourceError([*builder.problems, Problem(file, line, column, f"YAML: {reason}")]) from None
    except RecursionError:
        raise SourceError([Problem(file, 0, 0, f"YAML: is nested deeper than {MAX_DEPTH} levels")]) from None
    if builder.problems:
        raise SourceError(builder.problems)
    return Document(value, file, builder.marks)


def _read_fast(text: str, file: str, offset: int) -> Document | None:
    """Read it with libyaml, 10 times as fast; None where that is missing or refuses, as the other says why in words."""
    loader = getattr(yaml, "CSafeLoader", None)
    builder = _Builder(file, offset)
    try:
        value = builder.document(yaml.parse(text, Loader=loader)) if loader else None
    except (yaml.YAMLError, UnicodeEncodeError, RecursionError):
        return None
    if builder.problems:
        raise SourceError(builder.problems)
    return Document(value, file, builder.marks) if loader else None


class _Builder:
    """Turns parser events into plain values, and keeps what is wrong with them."""

    def __init__(self, file: str, offset: int) -> None:
        self.file = file
        self.offset = offset
        self.problems: list[Problem] = []
        self.marks: dict[Path, tuple[int, int]] = {}
        self.nodes = 0

    def document(self, events: Iterator[yaml.Event]) -> Any:
        value = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self.nodes:
                    self.complain(event, "YAML: only one document in a file, please")
                    break
            elif isinstance(event, yaml.NodeEvent):
                value = self.node(event, events, ())
        return value

    def node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> Any:
        self.nodes += 1
        self.marks.setdefault(path, self.place(event))
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            limit = (
                f"has more than {MAX_NODES:,} values"
                if self.nodes > MAX_NODES
                else f"is nested deeper than {MAX_DEPTH} levels"
            )
            raise self.end(event, f"YAML: {limit}")
        self.no_references(event)
        if isinstance(event, yaml.AliasEvent):
            return None
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(events, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(events, path)
        assert isinstance(event, yaml.ScalarEvent)
        plain = event.implicit[0] and not event.style and event.tag is None  # `! 5` is the text "5"
        return self.scalar(event) if plain else event.value

    def no_references(self, event: yaml.Event) -> None:
        """Complain of an alias, an anchor or a tag, on a value or a key."""
        anchor = shorten(getattr(event, "anchor", None) or "")
        if isinstance(event, yaml.AliasEvent):
            self.complain(event, f"YAML: aliases (*{anchor}) are not allowed here; write the value out")
        elif anchor:
            self.complain(event, f"YAML: anchors (&{anchor}) are not allowed here; write the value out")
        if getattr(event, "tag", None) not in (None, "!"):
            self.complain(
                event, "YAML: tags (!…) are not allowed here; quote the value if it begins with an exclamation mark"
            )

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        try:
            return _scalar(event.value)
        except OverflowError:
            self.complain(event, "YAML: too large a number; put it in quotes if it is a text")
            return None

    def sequence(self, events: Iterator[yaml.Event], path: Path) -> list[Any]:
        values: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self.node(event, events, (*path, len(values))))
        return values

    def mapping(self, events: Iterator[yaml.Event], path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise self.end(event, "YAML: a key must be a plain word or a string")
            self.no_references(event)
            # Keys keep their text: `no: x` has the key "no", and `1: x` the key "1".
            key = event.value
            if key == "<<" and not event.style:
                self.complain(event, "YAML: merge keys (<<) are not allowed here; write the values out")
            elif key in values:
                self.complain(event, f"YAML: the key {shorten(key)!r} stands here a second time")
            self.marks[(*path, key)] = self.place(event)
            values[key] = self.node(next(events), events, (*path, key))
        return values

    def place(self, event: yaml.Event) -> tuple[int, int]:
        assert event.start_mark is not None
        return event.start_mark.line + 1 + self.offset, event.start_mark.column + 1

    def complain(self, event: yaml.Event, message: str) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            raise self.end(event, "YAML: there are more problems from here on")
        self.problems.append(Problem(self.file, *self.place(event), message))

    def end(self, event: yaml.Event, message: str) -> SourceError:
        """Everything so far, and a problem after which nothing more can be read."""
        return SourceError([*self.problems, Problem(self.file, *self.place(event), message)])


def _scalar(text: str) -> Any:
    """Resolve a plain scalar by the YAML 1.2 core schema. Raises OverflowError where a number is too large."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if not _FLOAT.fullmatch(text) and not _INT.fullmatch(text):
        return text
    if len(text) > MAX_NUMBER:
        raise OverflowError
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)
    if math.isinf(number := float(text)):
        raise OverflowError
    return number
