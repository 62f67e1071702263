"""A prompt as a program: `step` renders until the next thing to ask, and says it. It never calls a model.

`step(prompt, inputs, answers)` renders the template from the start. At the first generation whose answer is not in
`answers` it stops and returns an `Ask`; when all are answered it returns a `Transcript`. The whole state of a running
program is its list of answers: it can be stored, replayed, moved, and run a thousand at a time without a thread each.
A program that it calls takes its answers from the same list.

Templates are deterministic (no clock, no chance, no environment) and reach plain data only. They are still programs of
strangers: run `step` where it can be killed (promptlab.sandbox).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import jinja2
from jinja2 import nodes

from promptlab.core import schema
from promptlab.core.constraint import Constraint, read_answer
from promptlab.core.formats import SUFFIXES, parse_file
from promptlab.core.language import CALL, TAPE, Elsewhere, Environment, generated, mark_last, with_lists
from promptlab.core.prompt import Prompt, complete
from promptlab.core.source import Source, read_source
from promptlab.core.tape import MAX_CALLS, Ask, Message, Reel, Return, Stop, Tape, Transcript
from promptlab.core.templates import Complaint, syntax_error, template_error
from promptlab.errors import InputError, Problem, RenderError, SourceError

BUFFERED = (
    "{% generate %} inside a macro, or a set, filter or call block: put what is said into role tags, "
    "or else it is said after the answer"
)
NOT_LITERAL = "include, import and extends take a literal name, so that a version's hash covers all that it uses"

__all__ = ["Ask", "Message", "Reference", "Transcript", "messages_text", "references", "step"]


def step(prompt: Prompt, inputs: Mapping[str, Any], answers: tuple[str, ...]) -> Ask | Transcript:
    """Run the program up to the first question that `answers` does not answer.

    `answers` are the texts so far, in the order in which they were asked for. Raises SourceError when the template
    cannot be read, RenderError when it fails on these inputs or an answer is not what it must be.
    """
    reel = Reel(answers)

    def call(target: str, given: Mapping[str, Any], path: tuple[str, ...]) -> Any:
        callee = _callee(prompt, target, len(path))
        try:
            values = complete(callee, given)
        except InputError as error:
            raise Complaint(str(error)) from None
        return _run(callee, values, reel, path).output

    token = CALL.set(call)
    try:
        return _run(prompt, inputs, reel, ())
    except Stop as stop:
        return stop.ask
    finally:
        CALL.reset(token)


def _callee(caller: Prompt, target: str, depth: int) -> Prompt:
    """Read a prompt that is called. Everything that it uses is among the files of the one that was started."""
    if depth > MAX_CALLS:
        raise Complaint(f"calls prompts more than {MAX_CALLS} deep; does one call itself without an end?")
    for suffix in SUFFIXES:
        if (source := caller.partials.get(target + suffix)) is not None:
            return _read(source, target + suffix).with_partials(caller.partials)
    raise Complaint(f"calls {target!r}, which is not there")


@lru_cache(maxsize=64)
def _read(source: str, file: str) -> Prompt:
    return parse_file(source, file)


def _run(prompt: Prompt, inputs: Mapping[str, Any], reel: Reel, path: tuple[str, ...]) -> Transcript:
    program = _compile(prompt.file, prompt.body, prompt.body_line, tuple(sorted(prompt.partials.items())))
    if clash := sorted(program.names & {i.name for i in prompt.inputs}):
        raise SourceError([Problem(prompt.file, 0, 0, both(clash[0]))])
    tape = Tape(reel, options=prompt.options, output=prompt.output, has_roles=program.has_roles, path=path)
    token = TAPE.set(tape)
    try:
        return program.run(inputs, tape)
    finally:
        TAPE.reset(token)


@dataclass(frozen=True, slots=True)
class Reference:
    """Another file that a template uses."""

    kind: Literal["include", "call"]
    name: str
    """Of the file below prompts/ that it includes, imports or extends; or of the prompt that it calls."""
    line: int
    optional: bool = False
    """Whether the template goes on where it is not there: `ignore missing`, or one of several names."""


def references(template: str, file: str, first_line: int = 1) -> tuple[Reference, ...]:
    """Name what a template includes, imports, extends or calls, each once, in order.

    Raises SourceError when it cannot be read, or names one by anything but a literal text.
    """
    source = read_source(template, file, first_line)
    once: dict[tuple[str, str], Reference] = {}
    for reference in sorted([*_included(source), *_called(source)], key=lambda r: (r.optional, r.line)):
        once.setdefault((reference.kind, reference.name), reference)
    return tuple(sorted(once.values(), key=lambda r: r.line))


def _included(source: Source) -> Iterator[Reference]:
    for each in source.inclusions:
        for name in each.names:
            if name is None:
                raise SourceError([Problem(source.file, each.line, source.column(each.line, each.word), NOT_LITERAL)])
            yield Reference("include", name, each.line, each.optional)


def _called(source: Source) -> Iterator[Reference]:
    return (Reference("call", tag.target, tag.line) for tag in source.tags if tag.kind == "call_prompt")


@dataclass(frozen=True, slots=True)
class _Program:
    """A prompt, compiled."""

    file: str
    files: frozenset[str]
    template: jinja2.Template
    names: frozenset[str]
    """Of generations and calls, and their NAME_all."""
    generates: bool
    """Whether there is any generate tag."""
    has_roles: bool

    def run(self, inputs: Mapping[str, Any], tape: Tape) -> Transcript:
        try:
            output = self._output(inputs, tape)
        except Return as returned:
            output = returned.value
        except Exception as error:
            raise template_error(error, self.file, self.files) from None
        if reason := _check_output(output, tape.output):
            raise RenderError(f"{self.file}: the output {reason}")
        return Transcript(tuple(tape.messages), {name: values[-1] for name, values in tape.values.items()}, output)

    def _output(self, inputs: Mapping[str, Any], tape: Tape) -> Any:
        for piece in self.template.root_render_func(self.template.new_context(dict(inputs))):
            tape.text(piece)
        tape.settle()
        # A prompt that only calls others, and says nothing itself, asks nothing either.
        if not self.generates and (tape.messages or not tape.last):
            tape.generate("output", {}, tape.output)
        if not tape.last:
            raise Complaint(
                "ended without generating anything: no {% generate %} was reached, "
                "nor a {% call_prompt %} or a {% return %}"
            )
        return tape.last[0]


def _check_output(output: Any, wanted: Constraint | None) -> str | None:
    """Say why an output is not what the prompt's `output:` says, or None."""
    if wanted is None:
        return None
    if wanted.kind == "choices":
        return None if output in wanted.value else f"is none of the choices: {schema.shorten(repr(output))}"
    if wanted.kind == "schema":
        reason = schema.check(output, wanted.value)
        return f"does not fit its schema: {reason}" if reason else None
    if not isinstance(output, str):
        return f"is no text: {schema.shorten(repr(output))}"
    try:
        read_answer(output, wanted)
    except ValueError as error:
        return str(error)
    return None


@lru_cache(maxsize=64)
def _compile(file: str, body: str, body_line: int, partials: tuple[tuple[str, str], ...]) -> _Program:
    """Compile a prompt and what it includes. Raises SourceError."""
    # Empty lines stand for the front matter, so that line numbers are those of the file.
    sources = {file: "\n" * (body_line - 1) + body, **{name: text for name, text in partials if name != file}}
    read = _reachable(file, sources)
    sources = {name: sources[name] for name in read}
    tags = [tag for source in read.values() for tag in source.tags]
    names = generated(tags)
    late = with_lists(names)
    if clash := sorted(name for name in names if f"{name}_all" in names):
        raise SourceError([Problem(file, 0, 0, list_of(clash[0]))])
    kinds = {tag.kind for tag in tags}
    if "begin" not in kinds and (late_text := next((s.buffered for s in read.values() if s.buffered), None)):
        raise SourceError([Problem(late_text.file, late_text.line, late_text.column, BUFFERED)])
    environment = Environment(sources, late, _marker(file, read, kinds))
    try:
        for each in sources:
            environment.get_template(each)
        template = environment.get_template(file)
    except jinja2.TemplateSyntaxError as error:
        raise syntax_error(error, sources, file) from None
    except (RecursionError, MemoryError):
        raise SourceError([Problem(file, 0, 0, "the template is nested too deeply")]) from None
    except (SyntaxError, ValueError, OverflowError) as error:
        raise SourceError([Problem(file, 0, 0, f"the template cannot be compiled: {type(error).__name__}")]) from None
    return _Program(file, frozenset(sources), template, late, "generate" in kinds, "begin" in kinds)


def _marker(
    file: str, read: Mapping[str, Source], kinds: set[str]
) -> Callable[[str | None, nodes.Template], None] | None:
    """What marks the tags that `output:` holds for; None where that is only checked in the end."""
    if "return" in kinds or any(isinstance(each.node, nodes.Extends) for each in read[file].inclusions):
        return None
    generating = {name for name, source in read.items() if generated(source.tags)}
    grown = True
    while grown:  # and what includes them
        more = {name for name, source in read.items() if any(i in generating for _, i in source.includes)} - generating
        generating, grown = generating | more, bool(more)
    elsewhere = Elsewhere(frozenset(generating), any(source.generates_in_macro for source in read.values()))

    def mark(name: str | None, tree: nodes.Template) -> None:
        if name == file:
            mark_last(tree, elsewhere)

    return mark


def both(name: str) -> str:
    """Say that a name is given twice."""
    return f"{name} is both an input and a generation; rename one of them"


def list_of(name: str) -> str:
    """Say that the name of all answers to a generation is one itself."""
    return f"{name}_all is a generation, and the list of all answers to {name}; rename one of them"


def _reachable(file: str, sources: Mapping[str, str]) -> dict[str, Source]:
    """A file and all that it includes, directly or not; what it calls is another program."""
    found: dict[str, Source] = {}
    waiting = [file]
    while waiting:
        each = waiting.pop()
        if each in found or each not in sources:
            continue
        found[each] = read_source(sources[each], each)
        waiting += [name for _, name in found[each].includes]
    return found


def messages_text(messages: Iterable[Message]) -> str:
    """Join messages as plain text: contents with one blank line between them, no role names."""
    return "\n\n".join(m.content for m in messages if m.content)
