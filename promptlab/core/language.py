"""The template language of prompts: Jinja with tags for roles, generations, calls and the value that is returned.

Roles are block tags. What they render to goes to a tape outside the render context; nothing ever parses rendered text
for roles, so data cannot forge one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pprint import pformat
from typing import Any, Literal

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.filters import make_attrgetter
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer

from promptlab.core import schema
from promptlab.core.constraint import KINDS, Constraint, Kind, check_constraint
from promptlab.core.prompt import NAME, RESERVED
from promptlab.core.schema import shorten
from promptlab.core.tape import ROLES, Return, Tape
from promptlab.core.templates import MAX_TEXT, Complaint, Contained

TAPE: ContextVar[Tape] = ContextVar("tape")
"""The conversation of the program that renders now."""

CALL: ContextVar[Callable[[str, Mapping[str, Any], tuple[str, ...]], Any]] = ContextVar("call")
"""Runs a prompt, by its name, on inputs, below a path of calls; gives its output. Set by `core.program`."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One of our tags in a syntax tree."""

    kind: str
    """`generate`, `call_prompt`, `return` or `begin` (of a role)."""
    name: str
    """Of the generation or call, or the role; empty for return."""
    node: nodes.Call
    line: int

    @property
    def target(self) -> str:
        """The name of the prompt that a call_prompt tag calls."""
        target = self.node.args[1]
        assert isinstance(target, nodes.Const)
        return str(target.value)


def as_tag(statement: nodes.Node) -> Tag | None:
    """Read a statement as one of our tags; None when it is something else."""
    node = statement.node if isinstance(statement, nodes.ExprStmt) else None
    if not isinstance(node, nodes.Call) or not isinstance(node.node, nodes.ExtensionAttribute):
        return None
    kind = {"_generate": "generate", "_call": "call_prompt", "_return": "return", "_begin": "begin"}.get(node.node.name)
    if kind is None:
        return None
    first = node.args[0] if node.args else None
    name = first.value if kind != "return" and isinstance(first, nodes.Const) else ""
    return Tag(kind, name, node, node.lineno)


def generated(tags: Iterable[Tag]) -> frozenset[str]:
    """The names of all generations and calls."""
    return frozenset(tag.name for tag in tags if tag.kind in ("generate", "call_prompt"))


def with_lists(names: Iterable[str]) -> frozenset[str]:
    """Names, and for each the name of the list of all its values."""
    return frozenset(each for name in names for each in (name, f"{name}_all"))


class Language(jinja2.ext.Extension):
    """The tags: system, user, assistant, generate, call_prompt, return."""

    tags = {*ROLES, "generate", "call_prompt", "return"}  # noqa: RUF012  (the base class declares it)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Read one tag."""
        tag = next(parser.stream)
        match tag.value:
            case "generate":
                return self._generate_tag(parser, tag.lineno)
            case "call_prompt":
                return self._call_tag(parser, tag.lineno)
            case "return":
                return self._statement("_return", [parser.parse_expression()], tag.lineno)
        return self._role_tag(parser, tag.value, tag.lineno)

    def _statement(self, method: str, arguments: list[nodes.Expr], line: int) -> nodes.ExprStmt:
        return nodes.ExprStmt(self.call_method(method, arguments, lineno=line), lineno=line)

    def _role_tag(self, parser: Parser, role: str, line: int) -> list[nodes.Node]:
        verbatim = parser.stream.skip_if("name:verbatim")
        # Not a call block, in which `caller`, `varargs` and `kwargs` would no longer be those of a macro around it.
        body = parser.parse_statements((f"name:end{role}",), drop_needle=True)
        content = parser.free_identifier(line)
        return [
            self._statement("_begin", [nodes.Const(role)], line),
            nodes.AssignBlock(content, None, body, lineno=line),
            self._statement("_end", [content, nodes.Const(verbatim)], line),
        ]

    def _generate_tag(self, parser: Parser, line: int) -> nodes.Node:
        name = self._name(parser, "generation", line)
        options = self._pairs(parser)
        # The last argument says whether the prompt's `output:` holds for it; see `mark_last`.
        return self._statement("_generate", [nodes.Const(name), options, nodes.Const(False)], line)

    def _call_tag(self, parser: Parser, line: int) -> nodes.Node:
        name = self._name(parser, "call", line)
        parser.stream.expect("assign")
        if parser.stream.current.type != "string":
            parser.fail("call_prompt takes a literal name, so that a version's hash covers all that it uses", line)
        target = next(parser.stream).value
        if not NAME.fullmatch(target):
            parser.fail(f"{shorten(target)!r} is not the name of a prompt", line)
        return self._statement("_call", [nodes.Const(name), nodes.Const(target), self._pairs(parser)], line)

    def _name(self, parser: Parser, what: str, line: int) -> str:
        name: str = parser.stream.expect("name").value
        if name.startswith("_") or name in RESERVED:
            parser.fail(f"a {what} cannot be called {name!r}", line)
        return name

    def _pairs(self, parser: Parser) -> nodes.Dict:
        """Read `key=value` up to the tag's end, with or without commas."""
        pairs: dict[str, nodes.Pair] = {}
        while parser.stream.current.type != "block_end":
            parser.stream.skip_if("comma")
            token = parser.stream.expect("name")
            if token.value in pairs:
                parser.fail(f"{token.value}= stands here a second time", token.lineno)
            parser.stream.expect("assign")
            value = parser.parse_expression()
            pairs[token.value] = nodes.Pair(nodes.Const(token.value, lineno=token.lineno), value, lineno=token.lineno)
        return nodes.Dict(list(pairs.values()))

    def _begin(self, role: str) -> None:
        tape = TAPE.get()
        tape.outside(role)
        tape.settle()
        tape.role = role

    def _end(self, content: str, verbatim: bool) -> None:
        tape = TAPE.get()
        assert tape.role is not None
        tape.reel.count(content)
        tape.say(tape.role, str(content) if verbatim else str(content).strip())
        tape.role = None

    def _generate(self, name: str, options: dict[str, Any], last: bool) -> None:
        for value in options.values():
            defined(value)
        given: dict[Kind, Any] = {kind: options.pop(kind) for kind in KINDS if kind in options}
        tape = TAPE.get()
        tape.generate(name, options, _constraint(given) if given else tape.output if last else None)

    def _call(self, name: str, target: str, given: dict[str, Any]) -> None:
        for value in given.values():
            defined(value)
        tape = TAPE.get()
        tape.outside("call_prompt")
        values = {key: plain(value, f"the input {key!r} of {target}") for key, value in given.items()}
        tape.bind(name, CALL.get()(target, values, (*tape.path, name)))

    def _return(self, value: Any) -> None:
        defined(value)
        tape = TAPE.get()
        tape.outside("return")
        tape.settle()
        raise Return(plain(value, "{% return %}"))

    def _plain(self, value: Any) -> Any:
        return _printable(value)

    def _value(self, name: str) -> Any:
        """Look a generation's value up when it is used: an ordinary variable would be looked up too early in a loop."""
        values = TAPE.get().values
        if name in values:
            return values[name][-1]
        if name.endswith("_all") and name[:-4] in self.environment.names:  # type: ignore[attr-defined]
            return list(values.get(name[:-4], ()))
        return self.environment.undefined(hint=f"{name!r} is used before it has been generated", name=name)


def _constraint(given: Mapping[Kind, Any]) -> Constraint:
    if len(given) > 1:
        raise Complaint(f"{' and '.join(f'{kind}=' for kind in given)} exclude each other")
    ((kind, value),) = given.items()
    return _sound(kind, json.dumps(plain(value, f"{kind}=")))


@lru_cache(maxsize=256)
def _sound(kind: Kind, text: str) -> Constraint:
    """A constraint from its JSON. Raises Complaint. A loop asks for the same one again and again."""
    value = json.loads(text)
    if kind == "schema":
        try:
            value = schema.picoschema(value)
        except schema.SchemaError as error:
            raise Complaint(f"schema: {error}") from None
    if reason := check_constraint(kind, value):
        raise Complaint(reason)
    return Constraint(kind, value)


class _Binding(NodeTransformer):
    """Turns each reading of a generation's name into a look-up at that moment, and lets `~` join plain data only."""

    def __init__(self, language: Language, names: frozenset[str]) -> None:
        self.language = language
        self.names = names

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802  (the visitor's naming)
        if node.name not in self.names:
            return node
        if node.ctx != "load":
            raise jinja2.TemplateSyntaxError(f"{node.name!r} is a generation and cannot be set", node.lineno)
        return self.language.call_method("_value", [nodes.Const(node.name)], lineno=node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        node = self.generic_visit(node)  # type: ignore[assignment]
        node.nodes = [self.language.call_method("_plain", [each], lineno=each.lineno) for each in node.nodes]
        return node

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if clash := self.names.intersection(bound_by(node)):
            raise jinja2.TemplateSyntaxError(f"{min(clash)!r} is a generation and cannot be set", node.lineno)
        return super().generic_visit(node, *args, **kwargs)


def bound_by(node: nodes.Node) -> list[str]:
    """Names that a macro or an import binds around it; what `set` and `for` bind are names in the tree."""
    match node:
        case nodes.Macro(name=name) | nodes.Import(target=name):
            return [name]
        case nodes.FromImport(names=names):
            return [name if isinstance(name, str) else name[1] for name in names]
    return []


_FRAMES = (
    *(nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block, nodes.With, nodes.AssignBlock),
    *(nodes.FilterBlock, nodes.Scope),
)
"""Nodes whose body is a scope; `if` has none."""


def _load_first(tree: nodes.Template, environment: jinja2.Environment) -> None:
    """Read every name that a scope sets once at its beginning.

    To Jinja a name that is set in a scope is unknown in the scopes within it until then, even where it has a value
    from around; and a role tag is such a scope, so that `{% user %}{{ x }}{% enduser %}{% set x = 1 %}` would fail.
    """
    for node in [tree, *tree.find_all(_FRAMES)]:
        names = sorted(set(_set_in(node.body)))  # type: ignore[attr-defined]
        loads = [nodes.ExprStmt(nodes.Name(name, "load", lineno=node.lineno), lineno=node.lineno) for name in names]
        node.body = [*loads, *node.body]  # type: ignore[attr-defined]
        for load in loads:
            load.set_environment(environment)


def _set_in(body: Sequence[nodes.Node]) -> Iterator[str]:
    """Names that are set in a body, those of the scopes within it left out."""
    for node in body:
        if isinstance(node, nodes.Assign | nodes.AssignBlock):
            targets = [node.target, *node.target.find_all(nodes.Name)]
            yield from (t.name for t in targets if isinstance(t, nodes.Name) and t.ctx == "store")
        elif isinstance(node, nodes.If):
            for branch in (node.body, *(e.body for e in node.elif_), node.else_):
                yield from _set_in(branch)
        yield from bound_by(node)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What generates where `mark_last` does not look."""

    files: frozenset[str]
    """Files that generate, or include one that does."""
    macros: bool
    """Whether any macro generates."""

    def may_follow(self, node: nodes.Node) -> bool:
        """Whether a node may generate in one of these ways."""
        if isinstance(node, nodes.Include | nodes.Import | nodes.FromImport):
            names = (
                node.template.find_all(nodes.Const) if not isinstance(node.template, nodes.Const) else [node.template]
            )
            return any(name.value in self.files for name in names)
        calls = [node, *node.find_all(nodes.Call)] if self.macros else []
        return any(isinstance(c, nodes.Call) and not isinstance(c.node, nodes.ExtensionAttribute) for c in calls)


Reach = Literal["open", "certain", "hidden"]
"""Whether a body may generate nothing, surely generates, or may generate somewhere else (`Elsewhere`)."""


def mark_last(tree: nodes.Template, elsewhere: Elsewhere) -> None:
    """Mark each generate tag that can be the last one to be reached, so that the prompt's `output:` holds for it."""
    for node in _last(tree.body, elsewhere)[0]:
        node.args[2] = nodes.Const(True)


def _last(body: Sequence[nodes.Node], elsewhere: Elsewhere) -> tuple[list[nodes.Call], Reach]:
    """The generate tags that can be the last in a body, and what can be said of all that it generates."""
    found: list[nodes.Call] = []
    for node in reversed(body):
        calls, reach = _last_in(node, elsewhere)
        found += calls
        if reach != "open":
            return found, reach
    return found, "open"


def _last_in(node: nodes.Node, elsewhere: Elsewhere) -> tuple[list[nodes.Call], Reach]:
    if tag := as_tag(node):
        generates = tag.kind in ("generate", "call_prompt")
        return [tag.node] if tag.kind == "generate" else [], "certain" if generates else "open"
    match node:
        case nodes.If():
            bodies = [node.body, *(e.body for e in node.elif_), node.else_]
        case nodes.For():
            bodies = [node.body, node.else_, []]  # it may have no round at all
        case nodes.With() | nodes.Scope() | nodes.Block() | nodes.FilterBlock() | nodes.AssignBlock():
            bodies = [node.body]
        case nodes.Macro():
            bodies = [[]]
        case _:
            return [], "hidden" if elsewhere.may_follow(node) else "open"
    parts = [_last(body, elsewhere) for body in bodies]
    reaches = {reach for _, reach in parts}
    whole: Reach = "hidden" if "hidden" in reaches else "open" if "open" in reaches else "certain"
    return [call for calls, _ in parts for call in calls], whole


class _Template(jinja2.Template):
    """A template that is rendered anew at each import.

    Jinja keeps what importing made from one rendering to the next: the second would not say the messages that it says,
    and would find namespaces as the first left them.
    """

    def _get_default_module(self, ctx: Any = None) -> Any:
        self._module = None
        return super()._get_default_module(ctx)


class Environment(Contained):
    """The only Jinja environment for prompts."""

    template_class = _Template

    def __init__(
        self,
        sources: Mapping[str, str],
        names: frozenset[str] = frozenset(),
        mark: Callable[[str | None, nodes.Template], None] | None = None,
        *,
        binds: bool = True,
    ) -> None:
        """`mark` gets each template's file and tree; without `binds` trees stay as they were read."""
        super().__init__(
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=False,
            autoescape=False,
            extensions=[Language],
            finalize=_printable,
            # With a file name on each template, an error's traceback names the file and line that it arose on.
            loader=jinja2.FunctionLoader(lambda name: (sources[name], name, None) if name in sources else None),
        )
        self.names = names
        """Of generations and calls, and their NAME_all."""
        self.mark = mark
        self.binds = binds
        self.filters |= {"string": _string, "join": _join, "pprint": _pprint}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        if not self.binds:
            return tree
        if self.mark:
            self.mark(name, tree)
        language = next(e for e in self.extensions.values() if isinstance(e, Language))
        try:
            _Binding(language, self.names).visit(tree)
        except jinja2.TemplateSyntaxError as error:
            error.name = error.name or name
            raise
        _load_first(tree, self)
        return tree


def _printable(value: Any) -> Any:
    """Let only plain data into a text: a method or a generator would show its address, another one in each process."""
    if value is None or isinstance(value, str | int | float | jinja2.Undefined | TemplateModule):
        return value
    if isinstance(value, list | tuple | dict):
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            defined(_printable(each))
        return value
    name = getattr(value, "__name__", "") if callable(value) else type(value).__name__
    raise Complaint(f"{shorten(str(name))} is not plain data: call it with (), or make it a list with | list")


def _string(value: Any) -> str:
    """The filter `string`."""
    return str(_printable(value))


def _pprint(value: Any) -> str:
    """The filter `pprint`."""
    return pformat(_printable(value))


@jinja2.pass_environment
def _join(environment: jinja2.Environment, value: Iterable[Any], d: str = "", attribute: Any = None) -> str:
    """The filter `join`."""
    items = map(make_attrgetter(environment, attribute), value) if attribute is not None else value
    return str(d).join(str(_printable(each)) for each in items)


def defined(value: Any) -> None:
    """Let an undefined value complain, where it would be said to have the wrong type."""
    if isinstance(value, jinja2.Undefined):
        str(value)


def plain(value: Any, what: str) -> Any:
    """What goes out of a template must be plain data: the same after writing it as JSON and reading that."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        if len(text) > MAX_TEXT:
            raise Complaint(f"{what} gives more than {MAX_TEXT:,} characters")
        return json.loads(text)
    except (TypeError, ValueError):
        raise Complaint(f"{what} gives a {type(value).__name__} that is not plain data") from None
    except RecursionError:
        raise Complaint(f"{what} gives a value that is nested too deeply") from None


BARE = Environment({}, binds=False)
"""For reading templates, and for what every template has: filters, tests, globals."""
