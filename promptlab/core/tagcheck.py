"""What can be said of tags by themselves: options, constraints, calls, includes, text outside role tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from promptlab.core import schema
from promptlab.core.constraint import KINDS, check_constraint
from promptlab.core.formats import SUFFIXES, examine_file
from promptlab.core.language import Tag, as_tag
from promptlab.core.names import Say
from promptlab.core.options import check_option
from promptlab.core.program import NOT_LITERAL
from promptlab.core.prompt import Prompt
from promptlab.core.schema import shorten
from promptlab.core.source import Source
from promptlab.errors import SourceError

Pair = tuple[str, nodes.Expr, int]
"""A key of a tag, its value, and the line of the key."""


class TagCheck:
    """Looks at each tag of a prompt and of what it includes."""

    def __init__(self, sources: Mapping[str, Source], files: Mapping[str, str], say: Say) -> None:
        self.sources = sources
        self.files = files
        self.say = say

    def run(self, main: str) -> None:
        """Say what is wrong. `main` is the file that is rendered, and not included."""
        has_roles = any(tag.kind == "begin" for s in self.sources.values() for tag in s.tags)
        for source in self.sources.values():
            self._includes(source)
            for tag in source.tags:
                if tag.kind == "generate":
                    self._generate(source, tag)
                elif tag.kind == "call_prompt":
                    self._call(source, tag)
        if has_roles and main in self.sources:
            self._loose(self.sources[main], self.sources[main].tree.body)

    def _includes(self, source: Source) -> None:
        for each in source.inclusions:
            for name in each.names:
                if reason := self._wrong_include(name, each.optional):
                    self.say(source.file, each.line, source.column(each.line, name or each.word), reason)

    def _wrong_include(self, name: str | None, optional: bool) -> str | None:
        if name is None:
            return NOT_LITERAL
        if not may_be_included(name):
            return (
                f"includes {shorten(repr(name))}, but only files whose name begins with _ can be included, "
                "from inside prompts/"
            )
        missing = name not in self.files and not optional
        return f"includes {shorten(repr(name))}, which is not in prompts/" if missing else None

    def _generate(self, source: Source, tag: Tag) -> None:
        given = list(_pairs(tag.node.args[1]))
        kinds = [key for key, _, _ in given if key in KINDS]
        if len(kinds) > 1:
            line = given[0][2]
            self.say(
                source.file,
                line,
                source.column(line, kinds[0]),
                f"{' and '.join(f'{k}=' for k in kinds)} exclude each other",
            )
        for key, value, line in given:
            if reason := self._wrong_option(key, value):
                self.say(source.file, line, source.column(line, key), reason)

    def _wrong_option(self, key: str, node: nodes.Expr) -> str | None:
        known, value = literal(node)
        if key not in KINDS:
            # Whatever it will be, a name that is none is wrong already.
            reason = check_option(key, value)
            return reason if known or (reason and "is not an option" in reason) else None
        if not known:
            return None
        if key == "schema":
            try:
                value = schema.picoschema(value)
            except schema.SchemaError as error:
                return f"schema: {error}"
        return check_constraint(key, value)

    def _call(self, source: Source, tag: Tag) -> None:
        place = (tag.line, source.column(tag.line, tag.target))
        found = [tag.target + suffix for suffix in SUFFIXES if tag.target + suffix in self.files]
        shown = shorten(repr(tag.target))
        if not found:
            self.say(source.file, *place, f"calls {shown}, which is not in prompts/")
        elif len(found) > 1:
            self.say(source.file, *place, f"calls {shown}, which is both {' and '.join(found)}; rename one of them")
        else:
            self._arguments(source, tag, found[0])

    def _arguments(self, source: Source, tag: Tag, file: str) -> None:
        try:
            callee, _ = examine_file(self.files[file], file)
        except SourceError as error:
            self.say(
                source.file,
                tag.line,
                source.column(tag.line, tag.target),
                f"calls what cannot be read: {error.problems[0]}",
            )
            return
        given = {key: (value, line) for key, value, line in _pairs(tag.node.args[2])}
        known = {i.name: i for i in callee.inputs}
        for key, (value, line) in given.items():
            if key not in known:
                self.say(
                    source.file, line, source.column(line, key), f"{callee.name} has no input {key!r}. {_takes(callee)}"
                )
            elif reason := _misfit(value, known[key].schema):
                self.say(source.file, line, source.column(line, key), f"the input {key!r} of {callee.name}: {reason}")
        for name in [n for n, i in known.items() if i.required and n not in given]:
            message = f"the input {name!r} of {callee.name} is missing. {_takes(callee)}"
            self.say(source.file, tag.line, source.column(tag.line, tag.target), message)

    def _loose(self, source: Source, body: Sequence[nodes.Node]) -> None:
        """Find text outside role tags, where everything that is said must stand in one."""
        skip = 0
        for node in body:
            tag = as_tag(node)
            if tag and tag.kind == "begin":
                skip = 3  # a role tag is three statements: begin, the body, end
            if skip:
                skip -= 1
                continue
            if isinstance(node, nodes.Output):
                self._output(source, node)
            for inner in _inner(node):
                self._loose(source, inner)

    def _output(self, source: Source, node: nodes.Output) -> None:
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData) and (text := part.data.strip()):
                line = part.lineno + part.data[: part.data.index(text)].count("\n")
                column = source.column_of_text(line, text.split("\n")[0])
                shown = shorten(" ".join(text.split()))
                message = f"text outside the role tags: {shown!r}; put it into {{% user %}} … {{% enduser %}}"
                self.say(source.file, line, column, message)


def _inner(node: nodes.Node) -> Iterator[list[nodes.Node]]:
    """Bodies of a node whose text comes out where the node stands."""
    if isinstance(node, nodes.If):
        yield node.body
        yield from (branch.body for branch in node.elif_)
        yield node.else_
    elif isinstance(node, nodes.For):
        yield node.body
        yield node.else_
    elif isinstance(node, nodes.With | nodes.Scope | nodes.ScopedEvalContextModifier):
        yield node.body


def _pairs(node: nodes.Expr) -> Iterator[Pair]:
    assert isinstance(node, nodes.Dict)
    for pair in node.items:
        assert isinstance(pair.key, nodes.Const)
        yield pair.key.value, pair.value, pair.lineno


def literal(node: nodes.Expr) -> tuple[bool, Any]:
    """The value of an expression that is written out, and whether it is."""
    try:
        return True, node.as_const()
    except Exception:  # whatever evaluating it provokes: it is looked at again when the program runs
        return False, None


def _misfit(node: nodes.Expr, wanted: schema.Schema) -> str | None:
    known, value = literal(node)
    if not known or schema.check_schema(wanted):
        return None
    return schema.check(value, wanted)


def may_be_included(name: str) -> bool:
    """Whether a name can be that of a partial: below prompts/, and beginning with `_`."""
    inside = ".." not in name.split("/") and not name.startswith("/")
    return inside and name.rpartition("/")[2].startswith("_")


def _takes(prompt: Prompt) -> str:
    return f"It takes {prompt.signature}"
