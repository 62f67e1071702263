"""Changes the text of a models.yaml by one entry or one value; everything else stays byte for byte, comments included.

The text is read before and afterwards: what comes out says what was there and what was asked for, and nothing else, or
an error is raised. Nothing here touches a file; `files.registry.edit` writes what comes out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from promptlab.core import yamltext
from promptlab.core.interchange.yamlwrite import write
from promptlab.core.schema import shorten
from promptlab.errors import NotFound, Problem, SourceError, UsageError

LABEL = "models.yaml"


def add_entry(text: str, name: str, values: Mapping[str, Any], *, label: str = LABEL) -> str:
    """Add an entry after the last one. `values` are what stands in YAML: texts, numbers, lists, mappings.

    Raises UsageError when there is one of this name, or it cannot be done; SourceError when the text is no YAML.
    """
    old = _Text(text, label)
    if name in old.entries:
        raise UsageError(f"{label} has an entry {shorten(name)!r} already", hint="Give it another name")
    wanted = {**old.document, "models": {**old.entries, name: dict(values)}}
    return old.checked(wanted, old.added(name, values))


def remove_entry(text: str, name: str, *, label: str = LABEL) -> str:
    """Take an entry out, with the comments inside it; a comment above it stays.

    Raises NotFound when there is none, UsageError when it cannot be done, SourceError when the text is no YAML.
    """
    old = _Text(text, label)
    old.entry(name)
    rest = {key: value for key, value in old.entries.items() if key != name}
    return old.checked({**old.document, "models": rest or None}, old.without(name))


def set_value(text: str, name: str, key: str, value: Any, *, label: str = LABEL) -> str:
    """Give a key of an entry a value, in the place of the one that it has, or after the others.

    Raises NotFound when there is no such entry, UsageError when it cannot be done, SourceError when the text is no
    YAML.
    """
    old = _Text(text, label)
    entry = old.entry(name)
    wanted = {**old.document, "models": {**old.entries, name: {**entry, key: value}}}
    return old.checked(wanted, old.with_value(name, key, value))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a key and its value stand in the text."""

    key: yaml.ScalarNode
    value: yaml.Node
    start: int
    """Where the line of the key begins."""
    end: int
    """Where the line ends on which the value ends."""


class _Text:
    """A models.yaml as text, with what it says and where."""

    def __init__(self, text: str, label: str) -> None:
        self.text, self.label = text, label
        self.line_end = "\r\n" if "\r\n" in text else "\n"
        value = yamltext.read(text, file=label).value  # bounded, and without anchors: only then the other reader
        if not isinstance(value, dict | None):
            raise SourceError([Problem(label, 1, 1, "is not a mapping with `models:`")])
        self.document: dict[str, Any] = value or {}
        models = self.document.get("models")
        if not isinstance(models, dict | None):
            raise SourceError([Problem(label, 0, 0, "models is not a mapping of entries")])
        self.entries: dict[str, Any] = models or {}
        self.root: yaml.Node | None = _compose(text) if value else None

    def entry(self, name: str) -> dict[str, Any]:
        """The values of an entry that must be there."""
        if name not in self.entries:
            raise NotFound(f"there is no entry {shorten(name)!r} in {self.label}")
        if not isinstance(self.entries[name], dict):
            raise self.by_hand(f"the entry {name!r} is not a mapping")
        entry: dict[str, Any] = self.entries[name]
        return entry

    def checked(self, wanted: Mapping[str, Any], tries: Iterator[str]) -> str:
        """The first of some texts that says what is wanted, no more and no less."""
        for new in tries:
            try:
                value = yamltext.read(new, file=self.label).value
            except SourceError:
                continue
            if repr(value) == repr(wanted):  # the order too, and 1 is not true
                return new
        raise self.by_hand("it is not written in the usual way")

    def by_hand(self, why: str) -> UsageError:
        return UsageError(f"{self.label} cannot be changed: {why}", hint="Change it by hand")

    # --- the changes, each as texts to be tried in turn

    def added(self, name: str, values: Mapping[str, Any]) -> Iterator[str]:
        if not self.entries:
            yield from self.first(self.written(name, values, 2))
            return
        places = self.places("models")
        if not places:
            raise self.by_hand("its entries stand in braces")
        lines = self.written(name, values, places[-1].key.start_mark.column)
        at = self.after(places[-1])
        yield self.inserted(at, "\n" + lines)
        yield self.inserted(at, lines)  # where the line between would belong to a text above it

    def first(self, lines: str) -> Iterator[str]:
        if "models" not in self.document:
            yield self.inserted(len(self.text), "models:\n" + lines)
            return
        models = self.only("models")
        if not isinstance(models.value, yaml.MappingNode):
            yield self.inserted(self.after(models), lines)
            return
        bare = self.text[: models.value.start_mark.index] + self.text[models.value.end_mark.index :]  # without the {}
        yield from _Text(bare, self.label).first(lines)

    def without(self, name: str) -> Iterator[str]:
        place = self.place(name)
        start, end = place.start, self.after(place)
        before, after = self.text[:start], self.text[end:]
        blank = self.line_end * 2
        if before.endswith(blank) and (not after.strip() or after.startswith(self.line_end)):
            yield before[: -len(self.line_end)] + after  # of the empty lines around it one is enough
        yield before + after

    def with_value(self, name: str, key: str, value: Any) -> Iterator[str]:
        entry = self.place(name)
        written = write({key: value}).rstrip("\n")
        if isinstance(entry.value, yaml.MappingNode) and entry.value.flow_style:
            yield from self.in_braces(entry.value, key, written)
            return
        places = self.places("models", name)
        there = next((each for each in places if each.key.value == key), None)
        if not places:
            raise self.by_hand(f"the entry {name!r} has no values")
        lines = self.indented(written, places[-1].key.start_mark.column)
        if there is None:
            yield self.inserted(places[-1].end, lines)
        elif written.count("\n") == 0 and _on_one_line(there.value):
            yield self.replaced(there.value, written.removeprefix(f"{key}:").strip())
        else:
            yield self.text[: there.start] + self.native(lines) + self.text[there.end :]

    def in_braces(self, entry: yaml.MappingNode, key: str, written: str) -> Iterator[str]:
        there = next((value for name, value in entry.value if name.value == key), None)
        if "\n" in written:
            raise self.by_hand("the entry stands in braces")
        if there is not None:
            yield self.replaced(there, written.removeprefix(f"{key}:").strip())
            return
        at = entry.value[-1][1].end_mark.index if entry.value else entry.start_mark.index + 1
        yield self.text[:at] + (", " if entry.value else "") + written + self.text[at:]

    # --- places

    def places(self, *path: str) -> list[_Place]:
        """The entries of a block mapping below some keys; none where it is written in another way."""
        node = self.root
        for step in path:
            inside = node.value if isinstance(node, yaml.MappingNode) else []
            node = next((value for key, value in inside if key.value == step), None)
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            return []
        return [self.at(key, value) for key, value in node.value]

    def place(self, name: str) -> _Place:
        """Where an entry stands."""
        found = [each for each in self.places("models") if each.key.value == name]
        if not found:
            raise self.by_hand("its entries stand in braces")
        return found[0]

    def only(self, key: str) -> _Place:
        """Where a key at the top stands."""
        found = [each for each in self.places() if each.key.value == key]
        if not found:
            raise self.by_hand("it stands in braces")
        return found[0]

    def at(self, key: yaml.ScalarNode, value: yaml.Node) -> _Place:
        start = key.start_mark.index - key.start_mark.column
        if self.text[start : key.start_mark.index].strip(" "):
            raise self.by_hand(f"the key {shorten(key.value)!r} does not begin its line")
        last = max(key.end_mark.index, _end(value))
        return _Place(key, value, start, self.line_after(last))

    def line_after(self, index: int) -> int:
        """Where the next line begins, seen from a place in the text; where a line begins, that one."""
        if index and self.text[index - 1] == "\n":
            return index
        return self.line_end_after(index)

    def line_end_after(self, index: int) -> int:
        """Where the line ends that has this place."""
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1

    def after(self, place: _Place) -> int:
        """Where an entry ends with the comments that are indented deeper than its key."""
        end = place.end
        while line := self.text[end : self.line_end_after(end)]:
            inside = len(line) - len(line.lstrip(" ")) > place.key.start_mark.column
            if not inside or not line.lstrip(" ").startswith("#"):
                break
            end += len(line)
        return end

    # --- text

    def written(self, name: str, values: Mapping[str, Any], column: int) -> str:
        return self.indented(write({name: dict(values)}, spread=name), column)

    def indented(self, lines: str, column: int) -> str:
        return "".join(f"{' ' * column}{line}\n" for line in lines.rstrip("\n").split("\n"))

    def native(self, lines: str) -> str:
        return lines.replace("\n", self.line_end)

    def inserted(self, at: int, lines: str) -> str:
        before = self.text[:at]
        ended = before if not before or before.endswith("\n") else before + self.line_end
        return ended + self.native(lines) + self.text[at:]

    def replaced(self, node: yaml.Node, written: str) -> str:
        start, end = node.start_mark.index, node.end_mark.index
        space = " " if start == end else ""  # a value that is not there yet
        return self.text[:start] + space + written + self.text[end:]


def _compose(text: str) -> yaml.Node | None:
    """Read the text with its places, by libyaml where that takes it: it is quicker, and refuses a little more."""
    try:
        return yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeEncodeError):
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _on_one_line(node: yaml.Node) -> bool:
    flat = isinstance(node, yaml.ScalarNode) and node.style not in ("|", ">")
    return flat or bool(getattr(node, "flow_style", False))


def _end(node: yaml.Node) -> int:
    """Where the last thing of a value ends: a block's own end is where the next one begins, comments later."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return max(map(_end, last)) if isinstance(last, tuple) else _end(last)
    end: int = node.end_mark.index
    return end
