"""Microsoft's `.prompty` files, version 2, read as prompts of ours where they mean the same; whatever else is refused.

The format is that of microsoft/prompty on GitHub: `spec/spec.md` (0.1.0-draft), `spec/jinja-subset.md` and the Python
runtime, which is the reference. Here as there, text before the first role marker is the system's, so is a body without
a marker, blocks keep the line ends around them, an input that was left out renders as nothing, and `example` is never
used. What differs, on purpose:

- A role marker is a line of the file. Prompty looks for markers in the rendered text, and only a nonce keeps a value
  from forging one; here markers become role tags before anything is rendered, and a value that holds `system:` on a
  line is text.
- No reference (`${env:…}`, `${file:…}`) is ever followed. They may stand in `model.connection`, which nothing here
  uses; anywhere else they are refused.
- A name that is neither an input nor set in the body is an error, where prompty renders nothing; values are checked
  against their kinds; keys that are not known are refused.
- A message's text is stripped, not only of its blank lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from promptlab.core import yamltext
from promptlab.core.constraint import Constraint
from promptlab.core.interchange.rolemarks import Body
from promptlab.core.options import check_option
from promptlab.core.prompt import MAX_CHARS, MAX_FRONT, RESERVED, Input, Prompt, split
from promptlab.core.schema import shorten
from promptlab.core.yamltext import MAX_PROBLEMS, Path
from promptlab.errors import Problem, SourceError

SUFFIX = ".prompty"

UNREAD: Path = ("model", "connection")
"""Where references may stand, because nothing here uses it: most published files have their API key there."""
_REFERENCE = re.compile(r"\$\{(env|file):", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

KEYS = ("name", "displayName", "description", "metadata", "model", "inputs", "outputs", "tools", "template")
_LOOSE = ("authors", "tags", "version")
"""What belongs into `metadata`, and stands at the top in many files."""
_KEPT = ("name", "displayName", *_LOOSE)
_MODEL = ("id", "provider", "apiType", "connection", "options")
_OPTIONS = {
    "temperature": "temperature",
    "maxOutputTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "seed": "seed",
    "stopSequences": "stop",
}
_NO_OPTIONS = ("frequencyPenalty", "presencePenalty", "allowMultipleToolCalls", "additionalProperties")
_FIELDS = (
    *("name", "kind", "description", "required", "nullable", "default", "example", "enumValues"),
    *("items", "properties"),
)
_KINDS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "string": ("string", str),
    "integer": ("integer", int),
    "float": ("number", (int, float)),
    "boolean": ("boolean", bool),
    "array": ("array", list),
    "object": ("object", dict),
}
"""Each kind as JSON Schema calls it, and what its values are."""

_PROPERTY = "a property is a mapping with `kind: …`"

# Keys of version 1, and what is written instead.
_OLD = {"sample": "`default` with each input", "inputSchema": "`inputs`", "outputSchema": "`outputs`"}
_OLD_MODEL = {"api": "`apiType`", "configuration": "`connection`", "parameters": "`options`"}
_OLD_OPTIONS = {"max_tokens": "`maxOutputTokens`", "top_p": "`topP`", "stop": "`stopSequences`"}
_OLD_FIELDS = {"type": "`kind`", "sample": "`default`"}


def parse_prompty(source: str, name: str) -> Prompt:
    """Read a `.prompty` file.

    Raises SourceError with every problem of the front matter, and of the body's tags and role markers. Expressions
    are first looked at when the program runs.
    """
    prompt, problems = examine_prompty(source, name)
    if problems:
        raise SourceError(problems)
    return prompt


def examine_prompty(source: str, name: str) -> tuple[Prompt, list[Problem]]:
    """Read as much of a `.prompty` file as can be read, and say what cannot.

    With problems, the body may be one that does not compile. Raises SourceError when the front matter is no YAML.
    """
    file = name + SUFFIX
    if len(source) > MAX_CHARS:
        raise SourceError([Problem(file, 0, 0, f"is larger than {MAX_CHARS:,} characters")])
    front, text, front_line, body_line = _split(source.removeprefix("\ufeff"), file)
    document = (
        yamltext.read(front, file=file, first_line=front_line) if front.strip() else yamltext.Document(None, file)
    )
    head = _Front(document)
    head.read()
    inputs, output, options, metadata = head.inputs(), head.output(), head.options(), head.metadata()
    if _REFERENCE.match(text.strip()) and text.strip().endswith("}"):
        head.problems.append(Problem(file, body_line, 1, "the body is a reference: promptlab reads no other files"))
    marked = Body(text, file, body_line)
    body = marked.rewrite()
    if absent := _absent(inputs, marked.guarded):
        # Onto the line of the `---` that ends the front matter: every line of the body keeps its number.
        body, body_line = f"{absent}\n{body}", body_line - 1
    prompt = Prompt(
        name=name,
        source=source,
        body=body,
        body_line=body_line,
        description=str(head.head.get("description", "")).strip(),
        inputs=inputs,
        output=output,
        output_place=document.marks.get(("outputs",), (0, 0)),
        options=options,
        metadata=metadata,
        suffix=SUFFIX,
    )
    return prompt, [*head.problems, *marked.problems][:MAX_PROBLEMS]


def _split(source: str, file: str) -> tuple[str, str, int, int]:
    """Cut a file into front matter and body, and say on which lines they begin. Blank lines may come before it."""
    begun = source.lstrip()
    above = source.count("\n", 0, len(source) - len(begun))
    if begun.startswith("+++") or (begun.startswith("---") and begun.split("\n", 1)[0].rstrip() != "---"):
        message = "front matter begins with a line `---`, and nothing else on it"
        raise SourceError([Problem(file, above + 1, 1, message)])
    if not begun.startswith("---"):
        return "", source, 1, 1
    try:
        front, body, body_line = split(begun, file)
    except SourceError as error:
        raise SourceError(replace(p, line=p.line + above) for p in error.problems) from None
    if len(front) > MAX_FRONT:
        raise SourceError([Problem(file, above + 1, 1, f"the front matter is larger than {MAX_FRONT:,} characters")])
    for number, line in enumerate(front.split("\n"), above + 2):
        if match := re.search(r"---|\+\+\+", line):
            message = f"prompty ends the front matter at {match.group()}, wherever it stands: write it differently"
            raise SourceError([Problem(file, number, match.start() + 1, message)])
    return front, body, above + 2, above + body_line


def _absent(inputs: Iterable[Input], guarded: set[str]) -> str:
    """Make inputs that were left out render as nothing, as in prompty, and not as None.

    An empty text behaves as an undefined name does there, except under `default` and `is defined`; where a body
    `guarded` a name with these, it gets a value that is not defined.
    """
    optional = [i.name for i in inputs if not i.required and "default" not in i.schema]
    nothing = {name: f"none.{name}" if name in guarded else "''" for name in optional}
    return "".join(f"{{% set {name} = {nothing[name]} if {name} is none else {name} %}}" for name in optional)


@dataclass(slots=True)
class _Front:
    """The front matter, and what is wrong with it."""

    document: yamltext.Document
    problems: list[Problem] = field(default_factory=list)
    head: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)

    def read(self) -> None:
        self._references(self.document.value, ())
        self.head = self._mapping(self.document.value, (), (*KEYS, *_LOOSE), _OLD)
        for key in ("name", "displayName", "description"):
            if not isinstance(self.head.get(key, ""), str):
                self.complain((key,), f"{key} is a text")
        if self.head.get("tools"):
            self.complain(("tools",), "tools: promptlab calls no tools")
        self._template()
        model = self.head.get("model")
        self.model = self._mapping({"id": model} if isinstance(model, str) else model, ("model",), _MODEL, _OLD_MODEL)
        if self.model.get("apiType") not in (None, "chat", "completion"):
            self.complain(("model", "apiType"), "model.apiType can only be chat or completion")

    def complain(self, path: Path, message: str) -> None:
        self.problems.append(self.document.problem(path, message))

    def _references(self, value: Any, path: Path) -> None:
        if path == UNREAD:
            return
        if isinstance(value, dict | list):
            for key, each in value.items() if isinstance(value, dict) else enumerate(value):
                self._references(each, (*path, key))
        elif isinstance(value, str) and (match := _REFERENCE.search(value)):
            what = "the environment" if match[1].lower() == "env" else "other files"
            self.complain(path, f"{match.group()}…}}: promptlab reads nothing from {what}; write the value out")

    def _mapping(
        self, value: Any, path: Path, known: Iterable[str], old: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What stands at `path`, which is a mapping or nothing; complain of keys that are not known."""
        where = (
            "a property" if path[:1] in (("inputs",), ("outputs",)) else ".".join(map(str, path)) or "the front matter"
        )
        if not isinstance(value, dict | None):
            self.complain(path, f"{where} is a mapping")
        if not isinstance(value, dict):
            return {}
        for key in value:
            if old and key in old:
                self.complain((*path, key), f"{key!r} is the old form of .prompty (version 1); write {old[key]}")
            elif key not in known:
                self.complain((*path, key), f"{shorten(key)!r} is not a key of {where}; there are {', '.join(known)}")
        return value

    def _template(self) -> None:
        value = self.head.get("template")
        value = {"format": value} if isinstance(value, str) else value
        head = self._mapping(value, ("template",), ("format", "parser"))
        for key, only in (("format", "jinja2"), ("parser", "prompty")):
            path: Path = ("template", key)
            part = {"kind": head[key]} if isinstance(head.get(key), str) else head.get(key)
            fields = self._mapping(part, path, ("kind", "strict", "options"))
            if fields.get("kind", only) != only:
                self.complain((*path, "kind"), f"template.{key} can only be {only}")
            if fields.get("options"):
                self.complain((*path, "options"), f"template.{key}: promptlab has no options for it")
            if fields.get("strict", True) is not True:
                self.complain((*path, "strict"), "strict can only be true: a rendered value never begins a message")

    def metadata(self) -> dict[str, Any]:
        """What has no part in the answer: names and the like, and the model, which here is chosen at each run."""
        metadata = self.head.get("metadata")
        given = self._mapping(metadata, ("metadata",), metadata or ())
        kept = {key: self.head[key] for key in _KEPT if self.head.get(key) is not None}
        if model := {k: v for k, v in self.model.items() if k != "options" and v is not None}:
            kept["prompty"] = {"model": model}
        for key in kept.keys() & given.keys():
            self.complain(("metadata", key), f"{key} is kept for what stands outside metadata; give it another name")
        return kept | given

    def options(self) -> dict[str, Any]:
        options = {}
        given = self._mapping(self.model.get("options"), ("model", "options"), (*_OPTIONS, *_NO_OPTIONS), _OLD_OPTIONS)
        for key, value in given.items():
            path: Path = ("model", "options", key)
            if key in _NO_OPTIONS and value not in (None, 0, {}):  # 0 is off
                self.complain(path, f"{key}: promptlab has no such option")
            elif key in _OPTIONS and value is not None:
                options[_OPTIONS[key]] = value
                if reason := check_option(_OPTIONS[key], value):
                    self.complain(path, key + reason.removeprefix(_OPTIONS[key]))
        return options

    def inputs(self) -> tuple[Input, ...]:
        found = []
        for name, spec, path in self._properties(self.head.get("inputs"), ("inputs",), _shorthand):
            if not _NAME.fullmatch(name) or name in RESERVED:
                self.complain(path, f"input {shorten(repr(name))}: not a name that a template can use")
            schema = self._schema(spec, path, output=False)
            if (default := spec.get("default")) is not None:
                schema["default"] = default
                if not _is(default, _kind(spec)):
                    self.complain((*path, "default"), f"the default is not of kind {shorten(_kind(spec))}")
            place = self.document.marks.get(path, (0, 0))
            found.append(Input(name, schema, spec.get("required") is True and default is None, place))
        return tuple(found)

    def output(self) -> Constraint | None:
        """What the answer must be: prompty asks the model's provider for JSON with all that `outputs` names."""
        if not self.head.get("outputs"):
            return None
        return Constraint("schema", self._object(self.head["outputs"], ("outputs",), output=True))

    def _properties(
        self, value: Any, path: Path, expand: Callable[[Any], Any] = lambda spec: spec
    ) -> Iterator[tuple[str, dict[str, Any], Path]]:
        """Names, fields and places of what a list or a mapping declares."""
        seen: set[str] = set()
        if not isinstance(value, dict | list | None):
            self.complain(path, f"{path[-1]} is a list of `- name: …` with `kind: …`")
            return
        for key, spec in value.items() if isinstance(value, dict) else enumerate(value or ()):
            here: Path = (*path, key)
            spec = expand(spec) if isinstance(value, dict) else spec
            if not isinstance(spec, dict):
                self.complain(here, _PROPERTY)
                continue
            fields = self._mapping(spec, here, _FIELDS, _OLD_FIELDS)
            name = key if isinstance(value, dict) else fields.get("name")
            if not isinstance(name, str) or not name:
                self.complain((*here, "name"), "a property in a list has a `name: …`")
            elif name in seen:
                self.complain(here, f"{shorten(name)!r} is declared twice")
            else:
                seen.add(name)
                yield name, fields, here

    def _schema(self, spec: Mapping[str, Any], path: Path, *, output: bool) -> dict[str, Any]:
        """JSON Schema of one property."""
        kind = _kind(spec)
        if kind not in _KINDS and "type" not in spec:
            message = f"promptlab has no values of kind {shorten(kind)}" if kind else "a property has a `kind: …`"
            self.complain((*path, "kind"), f"{message}; there are {', '.join(_KINDS)}")
        schema: dict[str, Any] = {"type": _KINDS[kind][0]} if kind in _KINDS else {}
        schema |= self._remarks(spec, path, kind)
        if kind == "array":
            schema |= self._items(spec, path, output=output)
        if kind == "object" and (output or spec.get("properties")):
            schema |= self._object(spec.get("properties"), (*path, "properties"), output=output)
        return _nullable(schema) if spec.get("nullable") is True else schema

    def _remarks(self, spec: Mapping[str, Any], path: Path, kind: str) -> dict[str, Any]:
        """What there is with any kind."""
        for key in ("required", "nullable"):
            if not isinstance(spec.get(key), bool | None):
                self.complain((*path, key), f"{key} is true or false")
        remarks = {}
        if not isinstance(description := spec.get("description") or "", str):
            self.complain((*path, "description"), "description is a text")
        elif description:
            remarks["description"] = description
        if (values := spec.get("enumValues")) is not None:
            if not isinstance(values, list) or not values or not all(_is(value, kind) for value in values):
                self.complain((*path, "enumValues"), f"enumValues is a list of values of kind {shorten(kind)}")
            remarks["enum"] = values
        return remarks

    def _items(self, spec: Mapping[str, Any], path: Path, *, output: bool) -> dict[str, Any]:
        if (items := spec.get("items")) is None:
            return {"items": {"type": "string"}} if output else {}  # what prompty asks providers for
        if not isinstance(items, dict):
            self.complain((*path, "items"), _PROPERTY)
            return {}
        fields = self._mapping(items, (*path, "items"), _FIELDS, _OLD_FIELDS)
        return {"items": self._schema(fields, (*path, "items"), output=output)}

    def _object(self, value: Any, path: Path, *, output: bool) -> dict[str, Any]:
        """JSON Schema of an object. In an output, as prompty asks for it, all is there, and what may lack is null."""
        properties, required = {}, []
        for name, spec, here in self._properties(value, path):
            schema = self._schema(spec, here, output=output)
            needed = spec.get("required") is True
            properties[name] = schema if needed or not output else _nullable(schema)
            if needed or output:
                required.append(name)
        if output and not value:
            self.complain(path, "an object in outputs names its properties")
        more = {"additionalProperties": False} if output else {}
        return {"type": "object", "properties": properties, "required": required, **more}


def _kind(spec: Mapping[str, Any]) -> str:
    kind = spec.get("kind", "")
    return kind if isinstance(kind, str) else repr(kind)


def _shorthand(spec: Any) -> Any:
    """`topic: rain` is an input of the kind of its value, with that as its default."""
    kind = next((k for k in ("boolean", "integer", "float", "string") if _is(spec, k)), None)
    return {"kind": kind, "default": spec} if kind else spec


def _is(value: Any, kind: str) -> bool:
    """Whether a value is of a kind; nothing can be said of kinds that there are not."""
    if isinstance(value, bool):
        return kind == "boolean" or kind not in _KINDS
    return kind not in _KINDS or isinstance(value, _KINDS[kind][1])


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(kind := schema.get("type"), str):
        return schema
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [kind, "null"], **enum}
