"""A prompt as a program: `step` renders until the next thing to ask, and says it. It never calls a model.

`step(prompt, inputs, answers)` renders the template from the start. At the first generation whose answer is not in
`answers` it stops and returns an `Ask`; when all are answered it returns a `Transcript`. The whole state of a running
program is its list of answers: it can be stored, replayed, moved, and run a thousand at a time without a thread each.

Roles are block tags. What they render to goes to a list outside the render context; nothing ever parses rendered text
for roles, so data cannot forge one.

Templates are deterministic (no clock, no chance, no environment) and reach plain data only. They are still programs of
strangers: run `step` where it can be killed (promptlab.sandbox).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.environment import TemplateModule
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer

from promptlab.core.options import check_option
from promptlab.core.prompt import RESERVED, Prompt
from promptlab.core.schema import shorten
from promptlab.core.templates import MAX_TEXT, Complaint, Contained, syntax_error, template_error
from promptlab.errors import Problem, RenderError, SourceError

MAX_GENERATIONS = 256
"""Steps of one program: a loop that generates must end."""
MAX_MESSAGES = 4096
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Ask:
    """The program wants a model's answer, given these messages."""

    name: str
    messages: tuple[Message, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the generate tag says; it wins over the prompt's own options."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """The program has ended."""

    messages: tuple[Message, ...]
    answers: Mapping[str, str]
    """The last answer under each name."""
    output: Any
    """The value of the last generation, or of the return tag."""


def step(prompt: Prompt, inputs: Mapping[str, Any], answers: tuple[str, ...]) -> Ask | Transcript:
    """Run the program up to the first question that `answers` does not answer.

    `answers` are the texts so far, in the order in which they were asked for. Raises SourceError when the template
    cannot be read, RenderError when it fails on these inputs.
    """
    program = _compile(prompt.name, prompt.body, prompt.body_line, tuple(sorted(prompt.partials.items())))
    if clash := sorted(program.names & {i.name for i in prompt.inputs}):
        raise SourceError(
            [Problem(prompt.file, 0, 0, f"{clash[0]} is both an input and a generation; rename one of them")]
        )
    tape = _Tape(answers, program.has_roles)
    token = _TAPE.set(tape)
    try:
        return program.run(inputs, tape)
    finally:
        _TAPE.reset(token)


def references(source: str, file: str, first_line: int = 1) -> tuple[str, ...]:
    """Name the templates that a body includes, imports or extends, each once, in order.

    Raises SourceError when it cannot be read, or names one by anything but a literal text.
    """
    tree = _parse(source, file, first_line)
    found: dict[str, None] = {}
    for node in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        target = node.template  # type: ignore[attr-defined]
        names = target.items if isinstance(target, nodes.List | nodes.Tuple) else [target]
        for name in names:
            if not (isinstance(name, nodes.Const) and isinstance(name.value, str)):
                message = (
                    "include, import and extends take a literal name, so that a version's hash covers all that it uses"
                )
                raise SourceError([Problem(file, node.lineno, 0, message)])
            found[name.value] = None
    return tuple(found)


class _Stop(BaseException):
    """Leaves a template at a question. Not an Exception, so that Jinja passes it through untouched."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask


class _Return(BaseException):
    """Leaves a template at its return tag."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Tape:
    """What one rendering has said so far: messages, and the answers still to be handed out."""

    def __init__(self, answers: tuple[str, ...], has_roles: bool) -> None:
        self.answers = answers
        self.has_roles = has_roles
        self.messages: list[Message] = []
        self.named: dict[str, list[str]] = {}
        self.used = 0
        self.role: str | None = None
        self.loose: list[str] = []
        """Text outside any role tag."""
        self.size = 0

    def text(self, piece: str) -> None:
        self.count(piece)
        self.loose.append(piece)

    def count(self, piece: str) -> None:
        self.size += len(piece)
        if self.size > MAX_TEXT:
            raise Complaint(f"renders to more than {MAX_TEXT:,} characters")

    def say(self, role: str, content: str) -> None:
        if len(self.messages) >= MAX_MESSAGES:
            raise Complaint(f"makes more than {MAX_MESSAGES:,} messages")
        self.messages.append(Message(role, content))

    def settle(self) -> None:
        """Deal with the text outside role tags: a user message where no role tag is used, otherwise an error."""
        text = "".join(self.loose).strip()
        self.loose.clear()
        if not text:
            return
        if self.has_roles:
            raise Complaint(
                f"text outside the role tags: {shorten(text)!r}; put it into {{% user %}} … {{% enduser %}}"
            )
        self.say("user", text)

    def generate(self, name: str, options: Mapping[str, Any]) -> None:
        if self.role:
            raise Complaint(f"{{% generate %}} stands inside {{% {self.role} %}}; close that tag before it")
        for key, value in options.items():
            if reason := check_option(key, value):
                raise Complaint(reason)
        self.settle()
        if not self.messages:
            raise Complaint("nothing has been said before the first {% generate %}")
        if self.messages[-1].role == "assistant":
            raise Complaint("{% generate %} right after an assistant's turn: put a {% user %} block between them")
        if self.used >= MAX_GENERATIONS:
            raise Complaint(f"generates more than {MAX_GENERATIONS} times")
        if self.used == len(self.answers):
            raise _Stop(Ask(name, tuple(self.messages), dict(options)))
        answer = self.answers[self.used]
        self.used += 1
        self.say("assistant", answer)
        self.named.setdefault(name, []).append(answer)


_TAPE: ContextVar[_Tape] = ContextVar("tape")


class _Language(jinja2.ext.Extension):
    """The tags: system, user, assistant, generate, return."""

    tags = {*ROLES, "generate", "return"}  # noqa: RUF012  (the base class declares it)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """Read one tag."""
        tag = next(parser.stream)
        if tag.value in ROLES:
            return self._role_tag(parser, tag.value, tag.lineno)
        if tag.value == "generate":
            return self._generate_tag(parser, tag.lineno)
        value = parser.parse_expression()
        return nodes.ExprStmt(self.call_method("_return", [value], lineno=tag.lineno), lineno=tag.lineno)

    def _role_tag(self, parser: Parser, role: str, line: int) -> list[nodes.Node]:
        # Not a call block, in which `caller`, `varargs` and `kwargs` would no longer be those of a macro around it.
        body = parser.parse_statements((f"name:end{role}",), drop_needle=True)
        content = parser.free_identifier(line)
        begin = self.call_method("_begin", [nodes.Const(role)], lineno=line)
        end = self.call_method("_end", [content], lineno=line)
        return [
            nodes.ExprStmt(begin, lineno=line),
            nodes.AssignBlock(content, None, body, lineno=line),
            nodes.ExprStmt(end, lineno=line),
        ]

    def _generate_tag(self, parser: Parser, line: int) -> nodes.Node:
        name = parser.stream.expect("name").value
        if name.startswith("_") or name in RESERVED:
            parser.fail(f"a generation cannot be called {name!r}", line)
        options = []
        while parser.stream.current.type != "block_end":
            parser.stream.skip_if("comma")
            key = parser.stream.expect("name").value
            parser.stream.expect("assign")
            if key in ("choices", "schema", "regex"):
                parser.fail(
                    f"{key}= is not in this version of promptlab: ask in words, and test the answer with if", line
                )
            options.append(nodes.Pair(nodes.Const(key), parser.parse_expression()))
        call = self.call_method("_generate", [nodes.Const(name), nodes.Dict(options)], lineno=line)
        return nodes.ExprStmt(call, lineno=line)

    def _begin(self, role: str) -> None:
        tape = _TAPE.get()
        if tape.role:
            raise Complaint(f"{{% {role} %}} stands inside {{% {tape.role} %}}; close that tag before it")
        tape.settle()
        tape.role = role

    def _end(self, content: str) -> None:
        tape = _TAPE.get()
        assert tape.role is not None
        tape.count(content)
        tape.say(tape.role, str(content).strip())
        tape.role = None

    def _generate(self, name: str, options: dict[str, Any]) -> None:
        for value in options.values():
            _defined(value)
        _TAPE.get().generate(name, options)

    def _return(self, value: Any) -> None:
        _defined(value)
        _TAPE.get().settle()
        raise _Return(_plain(value))

    def _answer(self, name: str) -> Any:
        """Look a generation's value up when it is used: an ordinary variable would be looked up too early in a loop."""
        named = _TAPE.get().named
        if name.endswith("_all") and name[:-4] in named and name not in named:
            return list(named[name[:-4]])
        if name in named:
            return named[name][-1]
        return self.environment.undefined(hint=f"{name!r} is used before it has been generated", name=name)


class _LateBinding(NodeTransformer):
    """Turns each reading of a generation's name into a look-up at that moment."""

    def __init__(self, language: _Language, names: frozenset[str]) -> None:
        self.language = language
        self.names = names

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802  (the visitor's naming)
        if node.name not in self.names:
            return node
        if node.ctx != "load":
            raise jinja2.TemplateSyntaxError(f"{node.name!r} is a generation and cannot be set", node.lineno)
        return self.language.call_method("_answer", [nodes.Const(node.name)], lineno=node.lineno)

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        bound: list[str] = []
        match node:
            case nodes.Macro(name=name) | nodes.Import(target=name):
                bound = [name]
            case nodes.FromImport(names=names):
                bound = [name if isinstance(name, str) else name[1] for name in names]
        if clash := self.names.intersection(bound):
            raise jinja2.TemplateSyntaxError(f"{min(clash)!r} is a generation and cannot be set", node.lineno)
        return super().generic_visit(node, *args, **kwargs)


class _Template(jinja2.Template):
    """A template that is rendered anew at each import.

    Jinja keeps what importing made from one rendering to the next: the second would not say the messages that it says,
    and would find namespaces as the first left them.
    """

    def _get_default_module(self, ctx: Any = None) -> Any:
        self._module = None
        return super()._get_default_module(ctx)


class _Environment(Contained):
    """The only Jinja environment for prompts."""

    template_class = _Template

    def __init__(self, sources: Mapping[str, str], generations: frozenset[str] = frozenset()) -> None:
        super().__init__(
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=False,
            autoescape=False,
            extensions=[_Language],
            finalize=_printable,
            # With a file name on each template, an error's traceback names the file and line that it arose on.
            loader=jinja2.FunctionLoader(lambda name: (sources[name], name, None) if name in sources else None),
        )
        self.generations = generations

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        language = next(e for e in self.extensions.values() if isinstance(e, _Language))
        try:
            return _LateBinding(language, self.generations).visit(tree)  # type: ignore[no-any-return]
        except jinja2.TemplateSyntaxError as error:
            error.name = error.name or name
            raise


def _printable(value: Any) -> Any:
    """Let only plain data into a text: a method or a generator would show its address, another one in each process."""
    if value is None or isinstance(value, str | int | float | list | tuple | dict | jinja2.Undefined | TemplateModule):
        return value
    name = getattr(value, "__name__", "") if callable(value) else type(value).__name__
    raise Complaint(f"{shorten(str(name))} is not plain data: call it with (), or make it a list with | list")


def _defined(value: Any) -> None:
    """Let an undefined value complain, where it would be said to have the wrong type."""
    if isinstance(value, jinja2.Undefined):
        str(value)


class _Program:
    """A prompt, compiled."""

    def __init__(
        self, file: str, files: frozenset[str], template: jinja2.Template, names: frozenset[str], has_roles: bool
    ) -> None:
        self.file = file
        self.template = template
        self.files = files
        self.names = names
        """Of generations, and their NAME_all."""
        self.has_roles = has_roles

    def run(self, inputs: Mapping[str, Any], tape: _Tape) -> Ask | Transcript:
        try:
            return self._run(inputs, tape)
        except _Stop as stop:
            return stop.ask
        except _Return as returned:
            return self._transcript(tape, returned.value)

    def _run(self, inputs: Mapping[str, Any], tape: _Tape) -> Transcript:
        try:
            for piece in self.template.root_render_func(self.template.new_context(dict(inputs))):
                tape.text(piece)
            if not self.names:
                tape.generate("output", {})
            tape.settle()
        except Exception as error:
            raise template_error(error, self.file, self.files) from None
        if not tape.named:
            raise RenderError(
                f"{self.file}: ended without generating anything: no {{% generate %}} was reached, nor a {{% return %}}"
            )
        return self._transcript(tape, tape.answers[tape.used - 1])

    def _transcript(self, tape: _Tape, output: Any) -> Transcript:
        return Transcript(tuple(tape.messages), {name: texts[-1] for name, texts in tape.named.items()}, output)


@lru_cache(maxsize=64)
def _compile(name: str, body: str, body_line: int, partials: tuple[tuple[str, str], ...]) -> _Program:
    """Compile a prompt and what it includes. Raises SourceError."""
    file = name + ".jinja"
    # Empty lines stand for the front matter, so that line numbers are those of the file.
    sources = {file: "\n" * (body_line - 1) + body, **dict(partials)}
    trees = [_parse(source, each) for each, source in sources.items()]
    calls = [call for tree in trees for call in tree.find_all(nodes.Call)]
    methods = [(call.node.name, call.args) for call in calls if isinstance(call.node, nodes.ExtensionAttribute)]
    generations = frozenset(
        args[0].value for method, args in methods if method == "_generate" and isinstance(args[0], nodes.Const)
    )
    has_roles = any(method == "_begin" for method, _ in methods)
    late = generations | {f"{g}_all" for g in generations}
    if clash := sorted(g for g in generations if f"{g}_all" in generations):
        message = f"{clash[0]}_all is a generation, and the list of all answers to {clash[0]}; rename one of them"
        raise SourceError([Problem(file, 0, 0, message)])
    environment = _Environment(sources, late)
    try:
        for each in sources:
            template = environment.get_template(each)
        template = environment.get_template(file)
    except jinja2.TemplateSyntaxError as error:
        raise syntax_error(error, sources, file) from None
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise SourceError([Problem(file, 0, 0, f"the template cannot be compiled: {type(error).__name__}")]) from None
    return _Program(file, frozenset(sources), template, late, has_roles)


def _parse(source: str, file: str, first_line: int = 1) -> nodes.Template:
    text = "\n" * (first_line - 1) + source
    try:
        return _Environment({}).parse(text, file, file)
    except jinja2.TemplateSyntaxError as error:
        raise syntax_error(error, {file: text}, file) from None
    except (RecursionError, MemoryError):
        raise SourceError([Problem(file, 0, 0, "the template is nested too deeply")]) from None


def _plain(value: Any) -> Any:
    """A returned value must be plain data."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        if len(text) > MAX_TEXT:
            raise Complaint(f"{{% return %}} gives more than {MAX_TEXT:,} characters")
        return json.loads(text)
    except (TypeError, ValueError):
        raise Complaint(f"{{% return %}} gives a {type(value).__name__} that is not plain data") from None
    except RecursionError:
        raise Complaint("{% return %} gives a value that is nested too deeply") from None


def messages_text(messages: Iterable[Message]) -> str:
    """Join messages as plain text: contents with one blank line between them, no role names."""
    return "\n\n".join(m.content for m in messages if m.content)
