"""What a promptfoo config says, and where: the config itself, the files that it refers to, and what is reported.

Everything is a `Node`: a value, and the way to it in the file that it stands in. Files are read by whoever calls, who
answers for what may be read; paths are looked at here too, and none that leads out of the config's folder is asked for.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from promptlab.core import yamltext
from promptlab.core.casefile import MAX_VALUE, Draft, Unfit, read_document, read_json
from promptlab.core.interchange.dotprompt import MAX_FINDINGS, Finding
from promptlab.core.interchange.dotprompt_turns import Kind
from promptlab.core.schema import shorten
from promptlab.core.yamltext import Path
from promptlab.errors import Problem, SourceError

SCHEME = "file://"
DATA = (".yaml", ".yml", ".json")
CODE = frozenset({".py", ".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".rb"})
"""What promptfoo runs wherever it is referred to."""
MEDIA = frozenset(
    {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".svg", ".pdf", ".mp3", ".wav", ".mp4", ".webm", ".ogg", ".mov"}
)
MAX_REFERENCES = 20
"""How often `$ref` may lead to `$ref`."""
_KEPT = 20_000
"""Findings that are remembered at all."""
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_GLOB = re.compile(r"[*?]")


class Files(Protocol):
    """The files in the config's folder, by their paths from there."""

    def read(self, path: str) -> str:
        """The text of a file. Raises Unfit when it may not or cannot be read."""

    def find(self, pattern: str) -> list[str]:
        """The paths that a pattern with `*`, `**` and `?` fits, sorted. Raises Unfit."""


@dataclass(frozen=True, slots=True)
class Doc:
    """A file, read."""

    value: Any
    file: str
    """What messages call it."""
    folder: str
    """The folder that it lies in, from the config's."""
    problem: Callable[[Path, str], Problem]


Place = tuple[str, Path]
"""A file, and the way to a value in it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value, and where it stands."""

    value: Any
    doc: Doc
    path: Path = ()

    @property
    def place(self) -> Place:
        """Where it stands: the same for all that refer to it."""
        return self.doc.file, self.path

    def at(self, key: str | int) -> Node:
        """An entry of this mapping or list. Where it is `{$ref: '#/…'}`, what that leads to."""
        return _followed(Node(self.value[key], self.doc, (*self.path, key)))

    def get(self, key: str) -> Node | None:
        """An entry of what may be a mapping; None where there is none, or nothing in it."""
        return self.at(key) if isinstance(self.value, dict) and self.value.get(key) is not None else None

    def items(self) -> Iterator[tuple[str, Node]]:
        """The entries of this mapping."""
        return ((key, self.at(key)) for key in self.value)

    def elements(self) -> Iterator[Node]:
        """Those of this list; of anything else, itself."""
        if not isinstance(self.value, list):
            yield self
            return
        yield from (self.at(index) for index in range(len(self.value)))

    def problem(self, message: str) -> Problem:
        """Say something about this place."""
        return self.doc.problem(self.path, message)


def _followed(node: Node) -> Node:
    for _ in range(MAX_REFERENCES):
        target = _target(node)
        if target is None:
            break
        node = target
    return node


def _target(node: Node) -> Node | None:
    """What a `$ref` leads to in its file; None where there is none, or it leads nowhere."""
    pointer = node.value.get("$ref") if isinstance(node.value, dict) and len(node.value) == 1 else None
    if not isinstance(pointer, str) or not pointer.startswith("#/"):
        return None
    value, path = node.doc.value, list[str | int]()
    for part in pointer[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
            path.append(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 8 and int(key) < len(value):
            value = value[int(key)]
            path.append(int(key))
        else:
            return None
    return Node(value, node.doc, tuple(path))


@dataclass(slots=True)
class Report:
    """What has no counterpart, each construct once."""

    main: str
    """The config's name in messages."""
    _found: dict[Finding, None] = field(default_factory=dict)

    def lost(self, node: Node, message: str) -> None:
        """Say that something is not there any more."""
        self.add("lost", node.problem(message))

    def changed(self, node: Node, message: str) -> None:
        """Say that something does something else now, or is of no matter here."""
        self.add("changed", node.problem(message))

    def add(self, kind: Kind, problem: Problem) -> None:
        """Say something about a place in any file, on one line."""
        if len(self._found) < _KEPT:
            self._found.setdefault(Finding(kind, replace(problem, message=" ".join(problem.message.split()))))

    def findings(self) -> tuple[Finding, ...]:
        """All of them: those about the config first, in the order of their places."""
        found = sorted(self._found, key=self._order)
        if len(found) > MAX_FINDINGS:
            more = Problem(self.main, 0, 0, f"there are {len(found) - MAX_FINDINGS:,} more of these")
            found[MAX_FINDINGS:] = [Finding("lost", more)]
        return tuple(found)

    def _order(self, finding: Finding) -> tuple[bool, str, int, int]:
        problem = finding.problem
        return problem.file != self.main, problem.file, problem.line or 1_000_000_000, problem.column


@dataclass(frozen=True, slots=True)
class Sources:
    """The config's folder, as what stands in a config may use it."""

    files: Files
    folder: str
    """What stands before a path in messages."""
    report: Report
    _data: dict[str, Node | None] = field(default_factory=dict)

    def label(self, path: str) -> str:
        """What messages call a file."""
        return posixpath.join(self.folder, path)

    def text(self, node: Node, path: str) -> str | None:
        """The text of a file; None, which is reported at the place that refers to it, where there is none to have."""
        try:
            return self.files.read(path)
        except Unfit as error:
            self.report.lost(node, f"{shorten(SCHEME + path)} {error}")
            return None

    def data(self, node: Node, path: str) -> Node | None:
        """What a YAML or JSON file says, likewise; each file is read once."""
        if path not in self._data:
            text = self.text(node, path)
            self._data[path] = None if text is None else self._read(text, path)
        return self._data[path]

    def _read(self, text: str, path: str) -> Node | None:
        try:
            document = read_data(text, self.label(path))
        except SourceError as error:
            self.problems(error)
            return None
        return Node(document.value, Doc(document.value, document.file, posixpath.dirname(path), document.problem))

    def drafted(self, draft: Draft, path: str) -> Node:
        """What a case file says; what could not be read of it is reported."""
        self.problems(SourceError(draft.problems))
        return Node(draft.value, Doc(draft.value, draft.file, posixpath.dirname(path), draft.problem))

    def paths(self, node: Node, reference: str, base: str = "") -> list[str]:
        """The paths that a reference means: several where it has stars; none, which is reported, where it means none.

        `base` is the folder that it begins in.
        """
        try:
            path = local(reference, base)
            if not _GLOB.search(path):
                return [path]
            found = self.files.find(path)
        except Unfit as error:
            self.report.lost(node, f"{shorten(reference)} {error}")
            return []
        if not found:
            self.report.lost(node, f"{shorten(reference)} fits no file")
        return found

    def problems(self, error: SourceError) -> None:
        """Report what cannot be read."""
        for problem in error.problems:
            self.report.add("lost", problem)


def local(reference: str, base: str = "") -> str:
    """The path from the config's folder that a reference means. Raises Unfit when it leads out, or is none."""
    name = reference.removeprefix(SCHEME)
    if "{{" in name:
        raise Unfit("is a template: only paths that are written out are read")
    if _ABSOLUTE.match(name):
        raise Unfit("is an absolute path, and only files in the config's folder are read")
    path = posixpath.normpath(posixpath.join(base, name))
    if path == ".." or path.startswith("../"):
        raise Unfit("leads out of the config's folder, and only files in it are read")
    return path


def suffix(path: str) -> str:
    """What a path ends in, in small letters; the name of a function after a colon is left out."""
    name = path.rpartition("/")[2]
    before, colon, _ = name.partition(":")
    return posixpath.splitext(before if colon else name)[1].lower()


def read_data(text: str, file: str) -> yamltext.Document:
    """Read YAML or, by the file's name, JSON from strangers. Raises SourceError."""
    if not file.endswith(".json"):
        return read_document(text, file)
    value = read_json(text, file)
    try:
        # Nearly all JSON is YAML, and a reader of that knows the places.
        marks = yamltext.read(text, file=file).marks
    except SourceError:
        marks = {}
    return yamltext.Document(value, file, marks)


def plain(value: Any) -> Any:
    """A value as promptfoo sees it: to JavaScript 1.0 is 1. Raises Unfit for a text that is too long."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and len(value) > MAX_VALUE:
        raise Unfit(f"is longer than {MAX_VALUE:,} characters")
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
