"""A template, read: its syntax tree, what stands in it, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
    sometimes: bool
    """Whether it stands under a condition."""

    @property
    def word(self) -> str:
        """The word that its tag begins with."""
        kind = type(self.node).__name__.lower()
        return "from" if kind == "fromimport" else kind


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file."""

    file: str
    line: int
    column: int


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
    buffered: Place | None
    """A generation where text is kept back before it is said: in a macro, or a set, filter or call block."""
    generates_in_macro: bool

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
        if word and len(text) <= MAX_LINE:
            before, after = (r"(?<![\w.])", r"(?!\w)") if word.isidentifier() else ("", "")
            places = [found.start() for found in re.finditer(before + re.escape(word) + after, text[start:])]
            # Rather in a tag than in a text or a comment; and a name rather not in quotes, nor where a tag gives it.
            is_name = word.isidentifier()
            places.sort(key=lambda at: (_is_outside(text, start + at), is_name and _is_no_use(text, start + at)))
            if places:
                return start + places[0] + 1
        return start + 1 if tag else len(text) - len(text.lstrip()) + 1

    def column_of_text(self, line: int, word: str) -> int:
        """Where a text outside tags stands on a line, from 1."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        outside = _TAG.sub(lambda tag: "\0" * len(tag[0]), text)
        return outside.find(word) + 1 or text.find(word) + 1 or 1


MAX_LINE = 2000
"""Characters of a line within which columns are looked for."""
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}")
_NAMED = re.compile(r"\b(?:generate|call_prompt|for|set|macro)\s+$")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def _is_outside(text: str, at: int) -> bool:
    """Whether a place on a line is in a comment, or behind all tags that end before it."""
    for tag in _TAG.finditer(text):
        if tag.start() < at < tag.end():
            return tag[0].startswith("{#")
    last = max(text.rfind(mark, 0, at) for mark in ("{{", "{%"))
    return ("{" in text and last < text.rfind("}", 0, at)) or last < 0 <= text.find("{%")


def _is_no_use(text: str, at: int) -> bool:
    """Whether a name there is in quotes, or given by a tag of ours."""
    quoted = any(each.start() < at < each.end() for each in _QUOTED.finditer(text))
    return quoted or bool(_NAMED.search(text[:at]))


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
_KEEPING = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock)
_LEAVES = (nodes.Name, nodes.Const, nodes.TemplateData, nodes.ExtensionAttribute, nodes.InternalName)


def _survey(tree: nodes.Template, file: str, text: str) -> Source:
    """Look at each node once: walking a tree is slow."""
    tags: list[Tag] = []
    inclusions: list[Inclusion] = []
    defined: set[str] = set()
    deepest = 0
    kept: Tag | None = None
    in_macro = False
    waiting: list[tuple[nodes.Node, int, str, bool]] = [(tree, 0, "", False)]
    while waiting:
        node, depth, around, sometimes = waiting.pop()
        if isinstance(node, _LEAVES):
            if isinstance(node, nodes.Name) and node.ctx == "store":
                defined.add(node.name)
            continue
        if isinstance(node, nodes.ExprStmt) and (tag := as_tag(node)):
            tags.append(tag)
            if tag.kind == "generate" and around:
                kept = kept or tag
            in_macro = in_macro or (around == "macro" and tag.kind in ("generate", "call_prompt"))
        elif isinstance(node, _INCLUSIONS):
            inclusions.append(_inclusion(node, sometimes))
        if isinstance(node, _BINDERS):
            defined.update(bound_by(node))
        if isinstance(node, _NESTED):
            depth += 1
            deepest = max(deepest, depth)
        if isinstance(node, _KEEPING):
            around = "macro" if isinstance(node, nodes.Macro) else around or "block"
        sometimes = sometimes or isinstance(node, nodes.If | nodes.For | nodes.Macro | nodes.CallBlock)
        waiting += [(child, depth, around, sometimes) for child in _children(node)[::-1]]
    source = Source(file, text, tree, tuple(tags), tuple(inclusions), frozenset(defined), deepest, None, in_macro)
    if kept is None:
        return source
    return replace(source, buffered=Place(file, kept.line, source.column(kept.line, "generate")))


def _children(node: nodes.Node) -> list[nodes.Node]:
    found: list[nodes.Node] = []
    for name in node.fields:
        value: Any = getattr(node, name, None)
        if isinstance(value, nodes.Node):
            found.append(value)
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, nodes.Node)]
    return found


def _inclusion(node: nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends, sometimes: bool) -> Inclusion:
    if isinstance(node, nodes.Include) and not node.with_context:
        # Jinja lets its text escape from whatever is around it: role tags, macros, set blocks.
        raise jinja2.TemplateSyntaxError(
            "include cannot be `without context` here: use import, or a macro", node.lineno
        )
    target = node.template
    items: Iterable[nodes.Expr] = target.items if isinstance(target, nodes.List | nodes.Tuple) else [target]
    names = tuple(n.value if isinstance(n, nodes.Const) and isinstance(n.value, str) else None for n in items)
    return Inclusion(node, node.lineno, names, len(names) > 1 or getattr(node, "ignore_missing", False), sometimes)
