"""The front matter of a dotprompt file, in the keys of ours. What has no place there is kept under `metadata`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from promptlab.core import schema, yamltext
from promptlab.core.interchange.dotprompt_scope import Use, is_name
from promptlab.core.interchange.dotprompt_turns import Kind
from promptlab.core.interchange.dotprompt_values import Value, value
from promptlab.core.interchange.handlebars_tree import shown
from promptlab.core.options import check_option
from promptlab.core.schema import SchemaError
from promptlab.errors import Problem

OPTIONS = {
    "temperature": "temperature",
    "maxOutputTokens": "max_tokens",
    "topK": "top_k",
    "topP": "top_p",
    "stopSequences": "stop",
    "seed": "seed",
}
_UNDECLARED: dict[str, tuple[str, Any, dict[str, Any], str]] = {
    "": ("{}", {"type": "any", "default": ""}, {}, "anything"),
    "list": ("{}?(array)", "any", {"type": "array"}, "any list"),
    "fields": ("{}?", {"type": "object"}, {"type": "object"}, "any mapping"),
}
"""What is used and not declared, by how it is used: its entry, its schema, and words for it."""
KEPT = "dotprompt"
"""The entry of `metadata` that holds what has no place of its own."""
_WHY = {
    "model": "models are chosen when a prompt is run",
    "tools": "there are no tools",
    "toolDefs": "there are no tools",
    "name": "a prompt is called by its file",
    "variant": "a prompt is called by its file",
    "version": "git keeps the versions",
}


class Front:
    """Turns one front matter into ours."""

    def __init__(self, document: yamltext.Document, report: Callable[[Kind, Problem], None]) -> None:
        self.document = document
        self.report = report
        self.inputs: dict[str, Any] = {}
        """Entries of `inputs`, as they are written."""
        self.values: dict[str, Value] = {}
        """What templates read, by the names that Handlebars knows it by."""
        self.kept: dict[str, Any] = {}
        self.head: dict[str, Any] = {}

    def read(self) -> None:
        """Read every key."""
        head = self.document.value if isinstance(self.document.value, dict) else {}
        for key, given in head.items():
            match key:
                case "description" if isinstance(given, str):
                    self.head[key] = given
                case "input" if isinstance(given, dict):
                    self._input(given)
                case "output" if isinstance(given, dict):
                    self._output(given)
                case "config" if isinstance(given, dict):
                    self._config(given)
                case "metadata" if isinstance(given, dict):
                    self.head[key] = given
                case _:
                    self._keep(key, given)

    def undeclared(self, name: str, use: Use) -> None:
        """Declare an input that only the body knows of."""
        key, spec, wanted, what = _UNDECLARED[use.kind]
        code = self._new_name(name)
        self.inputs[key.format(code)] = spec
        self.values[name] = Value(code, wanted, null=bool(use.kind))
        called = "" if code == name else f"is called {code}, "
        message = f"input {shown(name)} is not declared: it {called}is {what} here, and may be left out"
        self.report("changed", Problem(self.document.file, *use.place, message))

    def write(self) -> dict[str, Any]:
        """The front matter of ours."""
        head = dict(self.head)
        if self.kept:
            head["metadata"] = {**head.get("metadata", {}), KEPT: self.kept}
        if self.inputs:
            head["inputs"] = self.inputs
        order = ("description", "inputs", "output", "options", "metadata")
        return {key: head[key] for key in order if head.get(key) not in (None, {}, "")}

    def _say(self, kind: Kind, path: yamltext.Path, message: str) -> None:
        self.report(kind, self.document.problem(path, message))

    def _keep(self, key: str, given: Any) -> None:
        self.kept[key] = given
        why = _WHY.get(key, "a key of an extension" if "." in key else "this has no counterpart")
        kind: Kind = "changed" if "." in key or key in ("name", "variant", "version", "model") else "lost"
        self._say(kind, (key,), f"{shown(key)}: {why}; kept under metadata")

    def _config(self, config: dict[str, Any]) -> None:
        for key, given in config.items():
            option = OPTIONS.get(key)
            reason = check_option(option, given) if option else "there is no such option"
            if option and not reason:
                self.head.setdefault("options", {})[option] = given
                continue
            self.kept.setdefault("config", {})[key] = given
            self._say("lost", ("config", key), f"config {shown(key)}: {reason}; kept under metadata")

    def _output(self, output: dict[str, Any]) -> None:
        for key in output:
            if key not in ("format", "schema"):
                self._say("lost", ("output", key), f"output {shown(key)}: this has no counterpart")
        kind, wanted = output.get("format", "json" if output.get("schema") else "text"), output.get("schema")
        if kind not in ("json", "text", "enum"):
            self._say("lost", ("output", "format"), f"output format {shown(str(kind))}: it is json or text here")
            kind = "text"
        read = self._schema(wanted) if wanted is not None and kind != "text" else None
        if wanted is not None and kind == "text":
            self._say("lost", ("output", "schema"), "output schema: a text has none")
        elif kind == "enum":
            self._choices(read)
        elif kind == "json":
            self.head["output"] = {"schema": wanted} if read is not None else "json"

    def _schema(self, wanted: Any) -> dict[str, Any] | None:
        try:
            return schema.picoschema(wanted)
        except SchemaError as error:
            self._say("lost", ("output", "schema", *error.path), f"output schema: {error}")
            return None

    def _choices(self, wanted: dict[str, Any] | None) -> None:
        choices = (wanted or {}).get("enum")
        if isinstance(choices, list) and all(isinstance(each, str) and each for each in choices):
            self.head["output"] = {"choices": choices}
        else:
            self._say("lost", ("output", "format"), "output format enum: its schema does not name the texts")

    def _input(self, entry: dict[str, Any]) -> None:
        for key in entry:
            if key not in ("default", "schema"):
                self._say("lost", ("input", key), f"input {shown(key)}: this has no counterpart")
        defaults = entry.get("default")
        if defaults is not None and not isinstance(defaults, dict):
            self._say("lost", ("input", "default"), "input default: inputs are named, so this is a mapping")
        defaults = defaults if isinstance(defaults, dict) else {}
        self._fields(entry.get("schema"), defaults)
        for name, default in defaults.items():
            if name not in self.values and default is not None:
                code = self._new_name(name, ("input", "default", name))
                self.inputs[code] = {"type": "any", "default": default}
                self.values[name] = Value(code)

    def _fields(self, wanted: Any, defaults: Mapping[str, Any]) -> None:
        if wanted is None:
            return
        path: yamltext.Path = ("input", "schema")
        if not isinstance(wanted, dict):
            self._say("lost", path, "input schema: inputs are named, so this is a mapping of names to types")
            return
        if not schema.is_json_schema(wanted):
            for key, spec in wanted.items():
                self._field(key, spec, defaults)
            return
        fields = wanted.get("properties")
        required = wanted.get("required")
        if not isinstance(fields, dict):
            self._say("lost", path, "input schema: inputs are named, so this is an object with properties")
            return
        for name, each in fields.items():
            optional = not (isinstance(required, list) and name in required)
            self._declare(name, each, optional, defaults, (*path, "properties", name))

    def _field(self, key: str, spec: Any, defaults: Mapping[str, Any]) -> None:
        """One entry of the short form: as it is written, where ours means the same by it."""
        path: yamltext.Path = ("input", "schema", key)
        head, bracket, rest = key.partition("(")
        optional = head.strip().endswith("?")
        name = head.strip().removesuffix("?")
        if key == "(*)":
            self._say("lost", path, "input (*): inputs are named")
            return
        try:
            wanted = schema.picoschema({"x": {f"{name}{bracket}{rest}": spec}})["properties"]["x"]["properties"][name]
        except SchemaError as error:
            self._say("lost", (*path, *error.path[2:]), f"input {shown(name)}: {error}; it is anything here")
            wanted = {}
        if is_name(name) and defaults.get(name) is None and _reads_as(key, spec, wanted):
            self.inputs[key] = spec
            self.values[name] = value(name, wanted, null=optional)
        else:
            self._declare(name, wanted, optional, defaults, path)

    def _declare(
        self, name: str, wanted: Any, optional: bool, defaults: Mapping[str, Any], path: yamltext.Path
    ) -> None:
        """One input, as JSON Schema."""
        spec = dict(wanted) if isinstance(wanted, Mapping) else {}
        if defaults.get(name) is not None:
            spec["default"] = defaults[name]
        if not {"type", "enum", "anyOf", "const"} & spec.keys():
            spec["type"] = "any"
        if not _reads_as("x", spec, None) or '"$ref"' in json.dumps(spec):
            self._say("lost", path, f"input {shown(name)}: its schema cannot be read here; it is anything")
            spec = {"type": "any"}
        if spec.get("default", 0) is None:
            del spec["default"]
            optional = True
        code = self._new_name(name, path)
        optional = optional and "default" not in spec
        self.inputs[f"{code}?" if optional else code] = _short(spec)
        known = {key: each for key, each in spec.items() if (key, each) != ("type", "any")}
        self.values[name] = value(code, known, null=optional)

    def _new_name(self, name: str, path: yamltext.Path | None = None) -> str:
        taken = {v.code for v in self.values.values()}
        if is_name(name) and name not in taken:
            return name
        base = re.sub(r"[^A-Za-z0-9_]", "_", name)[:100].lstrip("_0123456789") or "input"
        code, number = base if is_name(base) else f"{base}_", 1
        while code in taken or code in self.values:
            number += 1
            code = f"{base}_{number}"
        if path is not None:
            self._say("changed", path, f"input {shown(name)}: this cannot be a name here; it is called {code}")
        return code


def _reads_as(key: str, spec: Any, wanted: Mapping[str, Any] | None) -> bool:
    """Whether an entry of `inputs` can be read, and as a schema, if one is given."""
    try:
        field = schema.read_field(key, spec)
    except SchemaError:
        return False
    return wanted is None or field.schema == wanted


def _short(spec: dict[str, Any]) -> Any:
    """The short form of a schema, where it has one."""
    description = spec.get("description", "")
    if not spec.keys() <= {"type", "description"} or spec.get("type") not in schema.SCALARS:
        return spec
    if not isinstance(description, str) or description != description.strip():
        return spec
    return f"{spec['type']}, {description}" if description else spec["type"]
