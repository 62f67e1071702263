"""A template, read: its syntax tree, what stands in it, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jinja2
from jinja2 import nodes

from promptlab.core.language import BARE, Tag, as_tag, bound_by
from promptlab.core.templates import syntax_error
from promptlab.errors import Problem, SourceError


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A tag that includes, imports or extends."""

    node: nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends
    line: int
    names: tuple[str | None, ...]
    """Of files below prompts/; None for one that is not written out."""
    optional: bool
    """Whether the template goes on where a file is not there: `ignore missing`, or one of several names."""

    @property
    def word(self) -> str:
        """The word that its tag begins with."""
        kind = type(self.node).__name__.lower()
        return "from" if kind == "fromimport" else kind


@dataclass(frozen=True)
class Source:
    """A file with a template. Nobody changes the tree: it is kept."""

    file: str
    """Below prompts/."""
    text: str
    """The template, with empty lines where the file holds something else before it."""
    tree: nodes.Template
    tags: tuple[Tag, ...]
    """Our tags, in the order of the tree."""
    inclusions: tuple[Inclusion, ...]
    defined: frozenset[str]
    """Names that are given values anywhere in it."""
    depth: int
    """How deep its statements are nested."""

    @property
    def includes(self) -> Iterator[tuple[int, str]]:
        """Lines and names of the files that it includes, imports and extends."""
        return ((each.line, name) for each in self.inclusions for name in each.names if name is not None)

    @cached_property
    def lines(self) -> list[str]:
        """All lines of the file, those before the template empty."""
        return self.text.split("\n")

    def column(self, line: int, word: str) -> int:
        """Where a word of the template language stands on a line, from 1; the first tag where it is not found."""
        if not 0 < line <= len(self.lines):
            return 0
        text = self.lines[line - 1]
        tag = re.search(r"\{[{%#]", text)
        start = tag.start() if tag else 0
        if word:
            before, after = (r"(?<![\w.])", r"(?!\w)") if word.isidentifier() else ("", "")
            pattern = re.compile(before + re.escape(word) + after)
            if found := pattern.search(text, start) or pattern.search(text):
                return found.start() + 1
        return start + 1 if tag else len(text) - len(text.lstrip()) + 1

    def column_of_text(self, line: int, word: str) -> int:
        """Where a text outside tags stands on a line, from 1."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return text.find(word) + 1 or 1


@lru_cache(maxsize=512)
def read_source(template: str, file: str, first_line: int = 1) -> Source:
    """Read a template that begins on a line of a file; lines of the tree are those of the file. Raises SourceError."""
    text = "\n" * (first_line - 1) + template
    try:
        tree = BARE.parse(text, file, file)
        return _survey(tree, file, text)
    except jinja2.TemplateSyntaxError as error:
        raise syntax_error(error, {file: text}, file) from None
    except (RecursionError, MemoryError):
        raise SourceError([Problem(file, 0, 0, "the template is nested too deeply")]) from None


_INCLUSIONS = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_BINDERS = (nodes.Macro, nodes.Import, nodes.FromImport)
_NESTED = (nodes.For, nodes.Macro, nodes.CallBlock, nodes.With, nodes.Block)
_LEAVES = (nodes.Name, nodes.Const, nodes.TemplateData, nodes.ExtensionAttribute, nodes.InternalName)


def _survey(tree: nodes.Template, file: str, text: str) -> Source:
    """Look at each node once: walking a tree is slow."""
    tags: list[Tag] = []
    inclusions: list[Inclusion] = []
    defined: set[str] = set()
    deepest = 0
    waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, _LEAVES):
            if isinstance(node, nodes.Name) and node.ctx == "store":
                defined.add(node.name)
            continue
        if isinstance(node, nodes.ExprStmt) and (tag := as_tag(node)):
            tags.append(tag)
        elif isinstance(node, _INCLUSIONS):
            inclusions.append(_inclusion(node))
        if isinstance(node, _BINDERS):
            defined.update(bound_by(node))
        if isinstance(node, _NESTED):
            depth += 1
            deepest = max(deepest, depth)
        waiting += [(child, depth) for child in _children(node)[::-1]]
    return Source(file, text, tree, tuple(tags), tuple(inclusions), frozenset(defined), deepest)


def _children(node: nodes.Node) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    for name in node.fields:
        value: Any = getattr(node, name, None)
        if isinstance(value, nodes.Node):
            found.append(value)
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, nodes.Node)]
    return found


def _inclusion(node: nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends) -> Inclusion:
    target = node.template
    items: Iterable[nodes.Expr] = target.items if isinstance(target, nodes.List | nodes.Tuple) else [target]
    names = tuple(n.value if isinstance(n, nodes.Const) and isinstance(n.value, str) else None for n in items)
    return Inclusion(node, node.lineno, names, len(names) > 1 or getattr(node, "ignore_missing", False))
