"""What can be said of tags by themselves: options, constraints, calls, includes, text outside role tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from jinja2 import nodes

from promptlab.core import schema
from promptlab.core.constraint import KINDS, check_constraint
from promptlab.core.formats import SUFFIXES, examine_file, is_partial
from promptlab.core.language import Tag, as_tag
from promptlab.core.names import Say
from promptlab.core.options import check_option
from promptlab.core.program import NOT_LITERAL
from promptlab.core.prompt import Input, Prompt
from promptlab.core.schema import shorten
from promptlab.core.source import Source
from promptlab.core.tape import AFTER_ANSWER, NOTHING_SAID
from promptlab.errors import SourceError

Pair = tuple[str, nodes.Expr, int]
"""A key of a tag, its value, and the line of the key."""


_Filled = tuple[Source, list[nodes.Node]]
"""A block as a file fills it."""


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
            self._nested(source, source.tree.body)
        if main in self.sources:
            self._order(self.sources[main])
        if has_roles and main in self.sources:
            self._file(main, set(), {})

    def _includes(self, source: Source) -> None:
        for each in source.inclusions:
            lenient = getattr(each.node, "ignore_missing", False) or any(name in self.files for name in each.names)
            named = [name for name in each.names if name is not None]
            unread = [name for name in each.names if name is None]
            # Of several names one must be there; where none is, the first stands for them.
            for name in unread or (named if lenient else named[:1]):
                reason = NOT_LITERAL if name is None else wrong_include(name, name in self.files or lenient)
                if reason:
                    self.say(source.file, each.line, source.column(each.line, name or each.word), reason)

    def _generate(self, source: Source, tag: Tag) -> None:
        given = list(_pairs(tag.node.args[1]))
        kinds = [key for key, _, _ in given if key in KINDS]
        if len(kinds) > 1:
            line = next(line for key, _, line in given if key in KINDS)
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
        found = [tag.target + suffix for suffix in SUFFIXES if tag.target + suffix in self.files]
        if reason := wrong_call(tag.target, found):
            self.say(source.file, tag.line, source.column(tag.line, tag.target), reason)
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
            elif reason := _misfit(value, known[key]):
                self.say(source.file, line, source.column(line, key), f"the input {key!r} of {callee.name}: {reason}")
        for name in [n for n, i in known.items() if i.required and n not in given]:
            message = f"the input {name!r} of {callee.name} is missing. {_takes(callee)}"
            self.say(source.file, tag.line, source.column(tag.line, tag.target), message)

    def _nested(self, source: Source, body: Sequence[nodes.Node]) -> None:
        """Find tags that stand in a role tag and must not."""
        for role, block in pairwise(body):
            outer = as_tag(role)
            if outer is None or outer.kind != "begin":
                continue
            for statement in block.find_all(nodes.ExprStmt):
                if tag := as_tag(statement):
                    word = tag.name if tag.kind == "begin" else tag.kind
                    message = f"{{% {word} %}} stands inside {{% {outer.name} %}}; close that tag before it"
                    self.say(source.file, tag.line, source.column(tag.line, word), message)
        for node in body:
            for inner in _inner(node):
                self._nested(source, inner)

    def _order(self, source: Source) -> None:
        """Find generations before anything is said, and right after another, where there is only one way to them."""
        if any(isinstance(each.node, nodes.Extends) for each in source.inclusions):
            return
        before = "nothing"
        for node in source.tree.body:
            tag = as_tag(node)
            if tag and tag.kind == "generate":
                if before != "something":
                    reason = NOTHING_SAID if before == "nothing" else AFTER_ANSWER
                    self.say(source.file, tag.line, source.column(tag.line, "generate"), reason)
                before = "answer"
            elif tag and tag.kind == "return":
                return
            elif _may_say(node):
                before = "something"

    def _file(self, file: str, seen: set[str], blocks: Mapping[str, _Filled]) -> None:
        """Find text outside role tags in a file that stands outside them, and in what it includes or extends there.

        `blocks` are those that files which extend this one have filled.
        """
        if file not in self.sources or file in seen:
            return
        seen.add(file)
        source = self.sources[file]
        bases = [n for e in source.inclusions if isinstance(e.node, nodes.Extends) for n in e.names if n]
        if not bases:
            self._loose(source, source.tree.body, seen, blocks)
            return
        # What stands beside the blocks of a file that extends another comes out nowhere.
        own = {block.name: (source, block.body) for block in source.tree.find_all(nodes.Block)}
        for base in bases:
            self._file(base, seen, {**own, **blocks})

    def _loose(self, source: Source, body: Sequence[nodes.Node], seen: set[str], blocks: Mapping[str, _Filled]) -> None:
        """Find text outside role tags, where everything that is said must stand in one."""
        skip = 0
        for node in body:
            tag = as_tag(node)
            if tag and tag.kind == "begin":
                skip = 3  # a role tag is three statements: begin, the body, end
            if skip:
                skip -= 1
            elif isinstance(node, nodes.Output):
                self._output(source, node)
            elif isinstance(node, nodes.Include):
                for name in next(e.names for e in source.inclusions if e.node is node):
                    self._file(name or "", seen, {})
            elif isinstance(node, nodes.Block) and node.name in blocks:
                filled = dict(blocks)
                self._loose(*filled.pop(node.name), seen, filled)
            else:
                for inner in _inner(node):
                    self._loose(source, inner, seen, blocks)

    def _output(self, source: Source, node: nodes.Output) -> None:
        for part in node.nodes:
            written = isinstance(part, nodes.TemplateData)
            raw = part.data if isinstance(part, nodes.TemplateData) else getattr(part, "value", "")
            if not isinstance(raw, str) or not (text := raw.strip()):
                continue
            line = part.lineno + (raw[: raw.index(text)].count("\n") if written else 0)
            word = text.split("\n")[0]
            column = source.column_of_text(line, word) if written else source.column(line, word)
            shown = shorten(" ".join(text.split()))
            message = f"text outside the role tags: {shown!r}; put it into {{% user %}} … {{% enduser %}}"
            self.say(source.file, line, column, message)


def _may_say(node: nodes.Node) -> bool:
    """Whether something may be said where a statement stands."""
    if isinstance(node, nodes.Output):
        return any(not isinstance(part, nodes.TemplateData) or part.data.strip() for part in node.nodes)
    if tag := as_tag(node):
        return tag.kind == "begin"
    return not isinstance(node, nodes.Assign | nodes.Macro | nodes.ExprStmt)


def _inner(node: nodes.Node) -> Iterator[list[nodes.Node]]:
    """Bodies of a node whose text comes out where the node stands."""
    if isinstance(node, nodes.If):
        yield node.body
        yield from (branch.body for branch in node.elif_)
        yield node.else_
    elif isinstance(node, nodes.For):
        yield node.body
        yield node.else_
    elif isinstance(node, nodes.With | nodes.Scope | nodes.ScopedEvalContextModifier | nodes.Block | nodes.FilterBlock):
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


def _misfit(node: nodes.Expr, wanted: Input) -> str | None:
    known, value = literal(node)
    absent = value is None and not wanted.required and "default" not in wanted.schema
    if not known or absent or schema.check_schema(wanted.schema):
        return None
    return schema.check(value, wanted.schema)


def wrong_include(name: str, there: bool) -> str | None:
    """Say why a file cannot be included, or None."""
    if not may_be_included(name):
        only = "only files whose name begins with _ can be included, from inside prompts/"
        return f"includes {shorten(repr(name))}, but {only}"
    return None if there else f"includes {shorten(repr(name))}, which is not in prompts/"


def wrong_call(name: str, found: Sequence[str]) -> str | None:
    """Say why a prompt cannot be called, or None; `found` are the files that hold one of that name."""
    if len(found) > 1:
        return f"calls {shorten(repr(name))}, which is both {' and '.join(found)}; rename one of them"
    return None if found else f"calls {shorten(repr(name))}, which is not in prompts/"


def may_be_included(name: str) -> bool:
    """Whether a name can be that of a partial: below prompts/, and beginning with `_`."""
    inside = ".." not in name.split("/") and not name.startswith("/")
    return inside and is_partial(name)


def _takes(prompt: Prompt) -> str:
    return f"It takes {prompt.signature}"
