"""A prompt file: YAML front matter between `---` lines, then a Jinja body. Text in, `Prompt` out."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from promptlab.core import schema, yamltext
from promptlab.core.constraint import KINDS, Constraint, check_constraint
from promptlab.core.options import check_option
from promptlab.core.schema import Schema
from promptlab.errors import InputError, Problem, SourceError

SUFFIX = ".jinja"
MAX_CHARS = 256 * 1024
MAX_FRONT = 64 * 1024
"""Characters of the front matter: it is read where nothing kills us, and YAML is slow (2 s for 256 KB)."""
KEYS = ("description", "inputs", "output", "options", "metadata")
RESERVED = frozenset(
    ["and", "or", "not", "in", "is", "if", "else", "elif", "true", "false", "none", "True", "False", "None"]
) | {"loop", "self", "super", "caller", "varargs", "kwargs"}
"""Words of the template language: neither an input nor a generation can have such a name."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}){0,9}")
"""What a prompt may be called: its path below prompts/, without the suffix. `@` is kept for versions."""


@dataclass(frozen=True, slots=True)
class Input:
    """One value that a prompt takes."""

    name: str
    schema: Schema
    required: bool
    place: tuple[int, int] = field(default=(0, 0), compare=False)
    """Line and column of its declaration; 0 where they are not known."""
    varies: bool = False
    """Of versions that are asked together: each has a value of its own when none is given."""

    @property
    def description(self) -> str:
        """What it is for, in the author's words, or an empty text."""
        return str(self.schema.get("description", ""))

    @property
    def default(self) -> Any:
        """The value when none is given; None if there is none."""
        return self.schema.get("default")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt program: typed inputs, a body with control flow, options, and everything that it includes."""

    name: str
    source: str
    """The whole file."""
    body: str
    """What follows the front matter."""
    body_line: int = 1
    """The line of the file on which `body` begins."""
    description: str = ""
    inputs: tuple[Input, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    partials: Mapping[str, str] = field(default_factory=dict)
    """Sources of all that it includes and calls, directly or not, by their paths below prompts/."""
    output: Constraint | None = None
    """What the output must be; None for any text."""
    output_place: tuple[int, int] = field(default=(0, 0), compare=False)
    """Line and column that say so."""
    suffix: str = SUFFIX
    """What the file's name ends in."""
    label: str = ""
    """What a reader calls this version, such as `explain@3`; the name where it has no other."""
    commit: str | None = None
    """The commit that it is from; of a working copy, the one checked out. None without git."""
    dirty: bool | None = None
    """Whether it, or what it uses, differs from that commit; None without git."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.name)

    @property
    def file(self) -> str:
        """The file's path below prompts/."""
        return self.name + self.suffix

    @property
    def hash(self) -> str:
        """The version's identity: SHA-256, in hex, over the file and everything that it includes."""
        return text_hash(self.source, self.partials)

    @property
    def signature(self) -> str:
        """How it would look as a function: `explain(topic: string, audience: string = "a curious reader") -> text`."""
        return f"{self.name}({', '.join(_parameter(i) for i in self.inputs)}) -> {_output_name(self.output)}"

    def with_partials(self, partials: Mapping[str, str]) -> Prompt:
        """The same prompt, with the sources of what it includes and calls."""
        return replace(self, partials=dict(partials))


def text_hash(source: str, partials: Mapping[str, str]) -> str:
    """SHA-256, in hex, over the text of a prompt and of everything that it uses, by their paths."""
    text = json.dumps({"source": source, "partials": dict(partials)}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def parse(source: str, name: str) -> Prompt:
    """Read a prompt file.

    Raises SourceError with every problem in the front matter. The body is not looked at.
    """
    prompt, problems = examine(source, name)
    if problems:
        raise SourceError(sorted(problems, key=lambda p: (p.line, p.column)))
    return prompt


def examine(source: str, name: str) -> tuple[Prompt, list[Problem]]:
    """Read as much of a prompt file as can be read, and say what cannot.

    Raises SourceError when the front matter is no YAML at all.
    """
    file = name + SUFFIX
    if len(source) > MAX_CHARS:
        raise SourceError([Problem(file, 0, 0, f"is larger than {MAX_CHARS:,} characters")])
    front, body, body_line = split(source.removeprefix("\ufeff"), file)
    if len(front) > MAX_FRONT:
        raise SourceError([Problem(file, 1, 1, f"the front matter is larger than {MAX_FRONT:,} characters")])
    document = yamltext.read(front, file=file, first_line=2) if front.strip() else yamltext.Document({}, file)
    head = document.value if document.value is not None else {}
    if not isinstance(head, dict):
        raise SourceError([document.problem((), "the front matter is a mapping: `description: …`, `inputs: …`")])
    problems = [
        document.problem((key,), f"{schema.shorten(key)!r} is not a key of a prompt file; there are {', '.join(KEYS)}")
        for key in head
        if key not in KEYS
    ]
    if not isinstance(head.get("description", ""), str):
        problems.append(document.problem(("description",), "description is a text"))
    if not isinstance(head.get("metadata") or {}, dict):
        problems.append(document.problem(("metadata",), "metadata is a mapping"))
    inputs = _inputs(document, {} if head.get("inputs") is None else head["inputs"], problems)
    options = _options(document, {} if head.get("options") is None else head["options"], problems)
    output = _output(document, head.get("output", "text"), problems)
    description = head.get("description", "")
    prompt = Prompt(
        name=name,
        source=source,
        body=body,
        body_line=body_line,
        description=description.strip() if isinstance(description, str) else "",
        inputs=inputs,
        options=options,
        metadata=head.get("metadata") or {},
        output=output,
        output_place=document.marks.get(("output",), (0, 0)),
    )
    return prompt, problems


def split(source: str, file: str) -> tuple[str, str, int]:
    """Cut a file into front matter, body, and the line on which the body begins.

    Raises SourceError when the front matter is not closed.
    """
    lines = source.split("\n")
    if lines[0].rstrip() != "---":
        return "", source, 1
    for number, line in enumerate(lines[1:], 2):
        if line.rstrip() == "---":
            return "\n".join(lines[1 : number - 1]), "\n".join(lines[number:]), number + 1
    raise SourceError(
        [Problem(file, 1, 1, "the front matter that begins here is not closed: put a line `---` after it")]
    )


def _inputs(document: yamltext.Document, entries: Any, problems: list[Problem]) -> tuple[Input, ...]:
    if not isinstance(entries, dict):
        problems.append(document.problem(("inputs",), "inputs is a mapping of names to types"))
        return ()
    inputs: dict[str, Input] = {}
    for key, spec in entries.items():
        path: yamltext.Path = ("inputs", key)
        try:
            field = schema.read_field(key, spec)
        except schema.SchemaError as error:
            name = schema.shorten(key if key.isprintable() else repr(key))
            problems.append(document.problem((*path, *error.path), f"input {name}: {error}"))
            if word := re.match(r"[A-Za-z][A-Za-z0-9_]*", key):  # so that it is not called undefined, too
                inputs.setdefault(word[0], Input(word[0], {}, True, document.marks.get(path, (0, 0))))
            continue
        if field.name.startswith("_"):
            problems.append(document.problem(path, f"input {field.name}: names that begin with _ are for promptlab"))
        if field.name in RESERVED:
            problems.append(document.problem(path, f"input {field.name}: this is a word of the template language"))
        if field.name in inputs:
            problems.append(document.problem(path, f"input {field.name} is declared twice"))
        # Whether the schema itself is sound, and the default fits, is checked where schemas are applied.
        inputs[field.name] = Input(field.name, field.schema, field.required, document.marks.get(path, (0, 0)))
    return tuple(inputs.values())


def _options(document: yamltext.Document, entries: Any, problems: list[Problem]) -> Mapping[str, Any]:
    if not isinstance(entries, dict):
        problems.append(document.problem(("options",), "options is a mapping, such as {temperature: 0.7}"))
        return {}
    for key, value in entries.items():
        if reason := check_option(key, value):
            problems.append(document.problem(("options", key), reason))
    return entries


def _output(document: yamltext.Document, spec: Any, problems: list[Problem]) -> Constraint | None:
    """Read `text`, `json`, `{choices: […]}`, `{schema: {…}}` or `{grammar: …}`."""
    if spec == "text":
        return None
    if spec == "json":
        return Constraint("schema", {})
    kind = next(iter(spec), None) if isinstance(spec, dict) and len(spec) == 1 else None
    if kind not in KINDS or kind == "regex":
        message = "output is `text`, `json`, {choices: [a, b]}, {schema: {…}} or {grammar: …}"
        problems.append(document.problem(("output",), message))
        return None
    path: yamltext.Path = ("output", kind)
    value = spec[kind]
    if kind == "schema":
        try:
            value = schema.picoschema(value)
        except schema.SchemaError as error:
            problems.append(document.problem((*path, *error.path), f"output: {error}"))
            return None
    # Whether a schema or a grammar is sound is checked where it is applied.
    elif kind == "choices" and (reason := check_constraint(kind, value)):
        problems.append(document.problem(path, f"output: {reason}"))
    return Constraint(kind, value)


def complete(prompt: Prompt, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check values against the prompt's inputs and fill in defaults; an optional input without one becomes None.

    Raises InputError naming every value that is missing, unknown or of the wrong type, and SourceError where the
    prompt's own types are unsound. A schema may hold a pattern that never ends: call this where it can be killed.
    """
    if wrong := unsound(prompt):
        raise SourceError(wrong)
    known = {i.name for i in prompt.inputs}
    given = {name: value for name, value in given.items() if value is not None or not _may_be_absent(prompt, name)}
    problems = [f"there is no input {schema.shorten(name)!r}" for name in given if name not in known]
    problems += [f"the input {i.name!r} is missing" for i in prompt.inputs if i.required and i.name not in given]
    problems += [
        f"the input {i.name!r}: {reason}"
        for i in prompt.inputs
        if i.name in given and (reason := schema.check(given[i.name], i.schema))
    ]
    if problems:
        raise InputError(f"{prompt.name}: {'; '.join(problems)}", hint=f"It takes {prompt.signature}")
    return {i.name: _whole(given.get(i.name, deepcopy(i.default)), i.schema) for i in prompt.inputs}


def _whole(value: Any, wanted: Schema) -> Any:
    """To JSON Schema 2.0 is an integer; a template wants one that it can count to."""
    is_float = wanted.get("type") == "integer" and isinstance(value, float)
    return int(value) if is_float and value.is_integer() else value


def unsound(prompt: Prompt) -> list[Problem]:
    """What is wrong with the types of a prompt: schemas and grammars that are none, defaults that do not fit theirs.

    A schema may hold a pattern that never ends: call this where it can be killed.
    """
    problems = []
    for each in prompt.inputs:
        reason = schema.check_schema(each.schema)
        if reason is None and "default" in each.schema and (misfit := schema.check(each.default, each.schema)):
            reason = f"the default {misfit}"
        if reason:
            problems.append(Problem(prompt.file, *each.place, f"input {each.name}: {reason}"))
    wanted = prompt.output
    if wanted and wanted.kind != "choices" and (reason := check_constraint(wanted.kind, wanted.value)):
        problems.append(Problem(prompt.file, *prompt.output_place, f"output: {reason}"))
    return problems


def _may_be_absent(prompt: Prompt, name: str) -> bool:
    """Whether None stands for no value: so that what `complete` has made is complete."""
    return any(i.name == name and not i.required and "default" not in i.schema for i in prompt.inputs)


def _parameter(input: Input) -> str:
    optional = "" if input.required or "default" in input.schema else "?"
    text = f"{input.name}{optional}: {schema.shorten(schema.type_name(input.schema), 200)}"
    if "default" in input.schema:
        text += f" = {schema.shorten(json.dumps(input.default, ensure_ascii=False))}"
    return text


def _output_name(output: Constraint | None) -> str:
    if output is None or output.kind == "grammar":
        return "text"
    if output.kind == "choices":
        return schema.shorten(schema.type_name({"enum": output.value}), 200)
    return schema.shorten(schema.type_name(output.value), 200) if output.value else "json"
