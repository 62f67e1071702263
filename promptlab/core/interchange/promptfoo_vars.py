"""The variables of promptfoo's tests: lists that stand for several tests, files, and values in values."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from promptlab.core.casefile import MAX_CASES, MAX_VALUE, VAR, Unfit, measure
from promptlab.core.interchange.promptfoo_source import (
    CODE,
    MEDIA,
    SCHEME,
    Node,
    Place,
    Sources,
    local,
    plain,
    suffix,
)
from promptlab.core.schema import shorten

ROUNDS = 5
"""How often values are put into values: as often as promptfoo does it."""
MAX_FILES = 100
"""Files that the variables of one test may come from."""
MAX_FILLING = 64 * MAX_VALUE
"""Characters that are gone through to put values into values, in all tests together."""
MAX_FILLED = 4 * MAX_VALUE
"""Characters of the values of a test together, once values are put into values."""
PACKAGE = "package:"
DEPTH = 4
"""How deep the value of a variable stands in a case file."""

_NAMED = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)


def nodes(layers: tuple[Node, ...], sources: Sources) -> dict[str, Node]:
    """The variables that parts of a test give, the later ones above the earlier ones."""
    found: dict[str, Node] = {}
    for layer in layers:
        given = layer.get("vars")
        if given is not None:
            found |= _given(given, sources)
    return found


def _given(node: Node, sources: Sources) -> dict[str, Node]:
    if isinstance(node.value, dict):
        return dict(node.items())
    found: dict[str, Node] = {}
    for each in islice(node.elements(), MAX_FILES):
        if not isinstance(each.value, str):
            sources.report.lost(each, "vars is a mapping of names to values, or a file of one")
            continue
        for path in sources.paths(each, each.value, each.doc.folder):
            data = sources.data(each, path)
            if data is not None and isinstance(data.value, dict):
                found |= dict(data.items())
            elif data is not None:
                sources.report.lost(each, f"{shorten(path)} is no mapping of names to values")
    return found


def combinations(given: Mapping[str, Node], node: Node, sources: Sources, *, expand: bool) -> Iterator[dict[str, Node]]:
    """The variables of each test that a test stands for: one for each combination of what is in lists of texts."""
    ways = {name: _values(each, sources) if expand else [each] for name, each in given.items()}
    count = math.prod(map(len, ways.values()))
    if count > MAX_CASES:
        sources.report.lost(node, f"its lists stand for {count:,} tests; {MAX_CASES:,} are as many as there may be")
        return
    for chosen in itertools.product(*ways.values()):
        yield dict(zip(ways, chosen, strict=True))


def _values(node: Node, sources: Sources) -> list[Node]:
    if isinstance(node.value, list) and node.value and isinstance(node.value[0], str):
        return list(node.elements())
    if isinstance(node.value, str) and node.value.startswith(SCHEME) and "*" in node.value:
        return [replace(node, value=SCHEME + path) for path in sources.paths(node, node.value)]
    return [node]


class Values:
    """Reads the values of variables; each file once."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.left = MAX_FILLING
        self._files: dict[str, Any] = {}
        self._known: dict[tuple[Place, str], Any] = {}
        """Values that have been read: many tests may have one."""

    def read(self, given: Mapping[str, Node]) -> tuple[dict[str, Any], set[str]]:
        """The values of variables, and the names of those that are not to be had, which is reported."""
        found: dict[str, Any] = {}
        lost: set[str] = set()
        for name, node in given.items():
            value = self._read(node)
            if isinstance(value, Unfit):
                self._lost(node, name, str(value))
                lost.add(name)
            elif value is not None:  # to promptfoo that is nothing at all
                found[name] = value
        lost |= self._fill(found, given)
        lost |= {name for name, value in found.items() if self._is_reference(name, value, given)}
        return {name: value for name, value in found.items() if name not in lost}, lost

    def _lost(self, node: Node, name: str, reason: str) -> None:
        self.sources.report.lost(node, f"{shorten(name)} {reason}")

    def _read(self, node: Node) -> Any:
        """A value, or why it is not to be had."""
        key = (node.place, node.value if isinstance(node.value, str) else "")
        if key not in self._known:
            try:
                value = plain(self._value(node))
                measure(value, DEPTH)
            except Unfit as error:
                value = error
            self._known[key] = value.removesuffix("\n") if isinstance(value, str) else value
        return self._known[key]

    def _value(self, node: Node) -> Any:
        """A value; of a reference, what the file says. Raises Unfit."""
        value = node.value
        if not isinstance(value, str) or not value.startswith((SCHEME, PACKAGE)):
            return value
        if value not in self._files:
            self._files[value] = self._referred(value, node)
        if isinstance(self._files[value], Unfit):
            raise self._files[value]
        return self._files[value]

    def _referred(self, reference: str, node: Node) -> str | Unfit:
        """What a file says, or why that is not to be had."""
        kind = suffix(reference)
        if kind in CODE or not reference.startswith(SCHEME):
            return Unfit(f"is made by code, {shorten(reference)}, and none is run: write it out")
        if kind in MEDIA:
            return Unfit(f"is no text: {shorten(reference)}")
        try:
            path = local(reference)
            if kind not in (".yaml", ".yml"):
                return self.sources.files.read(path).strip()
        except Unfit as error:
            return Unfit(f"cannot be had: {shorten(reference)} {error}")
        data = self.sources.data(node, path)  # promptfoo hands it on as a text of JSON
        return Unfit("cannot be read") if data is None else _json(plain(data.value))

    def _fill(self, found: dict[str, Any], given: Mapping[str, Node]) -> set[str]:
        """Put values into values, as `{{ name }}` says; gives the names of those that grow too large."""
        waiting = [name for name, value in found.items() if isinstance(value, str) and "{{" in value]
        for _ in range(ROUNDS if waiting else 0):
            before = dict(found)
            if not self._fill_once(found, before, waiting):
                self._lost(given[waiting[0]], waiting[0], f"and others grow beyond {MAX_FILLED:,} characters")
                return set(waiting)
            if found == before:
                break
        for name in waiting:
            if "{{" in found[name]:
                self.sources.report.changed(given[name], f"{shorten(name)} is no template here: it stays as it is")
        return set()

    def _fill_once(self, found: dict[str, Any], before: Mapping[str, Any], waiting: list[str]) -> bool:
        """Put the values from before into values; whether there is room for them."""
        room = MAX_FILLED
        for name in waiting:
            text = before[name]
            if self.left < len(text):
                return False
            size = len(text) + sum(len(_text(before[m[1]])) for m in _NAMED.finditer(text) if m[1] in before)
            room -= size
            self.left -= size
            if room < 0 or self.left < 0:
                return False
            found[name] = _NAMED.sub(lambda m: _text(before[m[1]]) if m[1] in before else m[0], text)
        return True

    def _is_reference(self, name: str, value: Any, given: Mapping[str, Node]) -> bool:
        """Whether a case file would take a text for a reference, which is reported."""
        if not isinstance(value, str) or not value.startswith(SCHEME):
            return False
        self._lost(given[name], name, f"would be taken for a file: {shorten(value)}")
        return True


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def is_var(name: str) -> bool:
    """Whether a variable can be called so."""
    return bool(VAR.fullmatch(name))
