"""The prompts of a promptfoo config: where they are, how they are called, and each as a prompt file of ours."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from promptlab.core import prompt
from promptlab.core.interchange import yamlwrite
from promptlab.core.interchange.jinjatext import JinjaText
from promptlab.core.interchange.promptfoo_expr import Scope
from promptlab.core.interchange.promptfoo_source import CODE, SCHEME, Doc, Node, Sources, read_data, suffix
from promptlab.core.interchange.promptfoo_template import Template
from promptlab.core.interchange.promptfoo_values import Value, declared
from promptlab.core.interchange.promptfoo_words import Unmapped, is_input
from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError

MAX_PROMPTS = 100
MAX_NAME = 60
MAX_LABEL = 200
SERVICES = ("langfuse://", "portkey://", "helicone://", "https://", "http://", "az://")
SCRIPTS = CODE | {".sh", ".bash", ".exe", ".bat", ".cmd", ".ps1", ".pl"}
TEXTS = (".txt", ".md", ".j2", ".json", ".jsonl", ".yaml", ".yml", ".csv")
PASSED_THROUGH = "{{prompt}}"
"""What promptfoo takes for the prompt of a config that has none."""
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_LINE = re.compile(r"\r\n|\r|\n")


class Known(Protocol):
    """What is known of variables, from the tests."""

    def value(self, name: str) -> Value:
        """What an input of this name is in templates."""

    def types(self, name: str) -> set[str]:
        """Its types."""

    def optional(self, name: str) -> bool:
        """Whether there are tests, and one that does not give it."""

    def unheard(self, name: str) -> bool:
        """Whether there are tests, and none gives it."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A prompt as promptfoo has it."""

    text: str | Node
    """A template; or what a YAML file says, which is a chat."""
    node: Node
    """What it comes from."""
    wish: str = ""
    """What it might be called."""
    label: str = ""
    file: str = ""
    """What messages call the file that it stands in; none where that is the config."""
    line: int = 1
    """The line of that file on which it begins."""


@dataclass(frozen=True, slots=True)
class Made:
    """A prompt file of ours."""

    name: str
    text: str
    inputs: tuple[str, ...]


# --- finding them ----------------------------------------------------------------------------------------------------


def find(node: Node | None, sources: Sources) -> Iterator[Raw]:
    """The prompts that a config names."""
    if node is None:
        return
    if isinstance(node.value, dict):  # the old form: a file and what to call it
        for path, label in node.items():
            yield from _read(path, node.at(path), sources, str(label.value))
        return
    for each in node.elements():
        yield from _entry(each, sources)


def _entry(node: Node, sources: Sources) -> Iterator[Raw]:
    if isinstance(node.value, str):
        yield from _read(node.value, node, sources, "")
        return
    text = node.get("raw") or node.get("id")
    if text is None or not isinstance(text.value, str):
        sources.report.lost(node, "a prompt is a text, a file, or a mapping with id or raw")
        return
    for key, value in node.items():
        if key not in ("raw", "id", "label"):
            sources.report.lost(
                value, f"{shorten(key)} of a prompt has no counterpart; see its options in docs/prompts.md"
            )
    label = node.value.get("label")
    yield from _read(text.value, text, sources, label if isinstance(label, str) else "")


def _read(text: str, node: Node, sources: Sources, label: str) -> Iterator[Raw]:
    """The prompts that a text means: itself, or those in the files that it names."""
    if (service := next((each for each in SERVICES if text.startswith(each)), None)) is not None:
        sources.report.lost(node, f"{service}…: prompts that a service keeps are not fetched")
    elif text.startswith("exec:") or (_is_path(text) and suffix(text) in SCRIPTS):
        sources.report.lost(node, f"{shorten(text)} is code, and none is run: write out the prompt that it makes")
    elif not _is_path(text):
        yield Raw(text, node, "", label)
    else:
        paths = sources.paths(node, text)
        for path in paths:
            yield from _in_file(path, node, sources, label if len(paths) == 1 else "")


def _is_path(text: str) -> bool:
    """Whether promptfoo would look for a file."""
    return text.startswith(SCHEME) or ("\n" not in text and suffix(text) in (*TEXTS, *SCRIPTS))


def _in_file(path: str, node: Node, sources: Sources, label: str) -> Iterator[Raw]:
    kind = suffix(path)
    if kind == ".prompty":
        sources.report.lost(node, f"{shorten(path)} needs no import: put it into prompts/")
        return
    if kind not in TEXTS:
        sources.report.lost(node, f"{shorten(path)}: prompts are read from {', '.join(TEXTS)}")
        return
    file, stem = sources.label(path), posixpath.splitext(posixpath.basename(path))[0]
    if kind in (".yaml", ".yml"):
        if (data := sources.data(node, path)) is not None:
            yield Raw(data, node, stem, label, file)
        return
    text = sources.text(node, path)
    if text is None:
        return
    found = [replace(each, file=file) for each in _pieces(kind, text, node, label)]
    if not found:
        sources.report.lost(node, f"{shorten(path)} is empty")
    names = [stem] if len(found) == 1 else [f"{stem}-{number}" for number in range(1, len(found) + 1)]
    yield from (replace(each, wish=name) for each, name in zip(found, names, strict=True))


def _pieces(kind: str, text: str, node: Node, label: str) -> Iterator[Raw]:
    """The prompts in a file."""
    if kind == ".csv":
        yield from _rows(text, node, label)
        return
    if kind not in (".txt", ".jsonl"):
        yield Raw(text, node, "", label)
        return
    pieces = _split(text) if kind == ".txt" else enumerate(_LINE.split(text), 1)
    for line, piece in pieces:
        blank = len(piece) - len(piece.lstrip())
        if piece.strip():
            yield Raw(piece.strip(), node, "", label, line=line + piece.count("\n", 0, blank))


def _split(text: str) -> Iterator[tuple[int, str]]:
    """The texts between lines that are `---`, and the lines on which they begin."""
    begin, lines = 1, list[str]()
    for number, line in enumerate([*_LINE.split(text), "---"], 1):
        if line.strip() != "---":
            lines.append(line)
            continue
        yield begin, "\n".join(lines)
        begin, lines = number + 1, []


def _rows(text: str, node: Node, label: str) -> Iterator[Raw]:
    """A column `prompt`, and perhaps one called `label`; or just a prompt a line."""
    lines = text.splitlines()
    try:
        rows = list(csv.reader(lines, skipinitialspace=True)) if "," in text else [[line] for line in lines]
    except csv.Error:
        rows = [[line] for line in lines]
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = header.index("prompt") if "prompt" in header else 0
    for row in rows["prompt" in header :]:
        if column < len(row) and row[column].strip():
            named = row[header.index("label")] if "label" in header and header.index("label") < len(row) else ""
            yield Raw(row[column].strip(), node, "", named.strip() or label)


# --- writing them ----------------------------------------------------------------------------------------------------


def write(raws: Sequence[Raw], base: str, known: Known, sources: Sources) -> Iterator[Made]:
    """Write prompts as files of ours; what has no counterpart is reported and left out."""
    if len(raws) > MAX_PROMPTS:
        sources.report.lost(raws[MAX_PROMPTS].node, f"from here on there are more than {MAX_PROMPTS} prompts")
        raws = raws[:MAX_PROMPTS]
    names = _names(raws, base)
    for raw, name in zip(raws, names, strict=True):
        writer = _Writer(raw, known, sources)
        try:
            body = writer.body()
            text = _assemble(raw, body, list(writer.used), known, name)
        except Unmapped as error:
            writer.note("lost", f"this prompt is left out: {error}")
        except SourceError as error:
            writer.note("lost", f"this prompt is left out: it {error.problems[0].message}")
        else:
            yield Made(name, text, tuple(writer.used))


def _names(raws: Sequence[Raw], base: str) -> list[str]:
    """The config's name where there is one prompt; else one below it for each, by its label, its file or its number."""
    if len(raws) == 1:
        return [base]
    names: list[str] = []
    for number, raw in enumerate(raws, 1):
        wish = slug(raw.label) or slug(raw.wish) or str(number)
        name, again = wish, 1
        while f"{base}/{name}".lower() in map(str.lower, names):
            again += 1
            name = f"{wish}-{again}"
        names.append(f"{base}/{name}")
    return names


def slug(text: str) -> str:
    """A text as part of a prompt's name; nothing where none of it fits."""
    return _UNFIT.sub("-", text)[:MAX_NAME].strip("-._").removesuffix(prompt.SUFFIX)


def _assemble(raw: Raw, body: str, used: Sequence[str], known: Known, name: str) -> str:
    """Put a file together, and see that it can be read. Raises SourceError."""
    front: dict[str, Any] = (
        {"description": shorten(" ".join(raw.label.split()), MAX_LABEL)} if raw.label.strip() else {}
    )
    inputs = {each: declared(known.types(each), optional=known.optional(each)) for each in used}
    head = yamlwrite.write({**front, **({"inputs": inputs} if inputs else {})}, spread="inputs")
    text = f"---\n{head}---\n{body}" if head or body.startswith(("---", "\ufeff")) else body
    prompt.parse(text, name)
    return text


class _Writer:
    """Writes one prompt."""

    def __init__(self, raw: Raw, known: Known, sources: Sources) -> None:
        self.raw = raw
        self.known = known
        self.sources = sources
        self.used: dict[str, None] = {}
        """The inputs that it uses, in their order."""
        self.jinja = JinjaText()
        self.text = ""
        """The template that is being written."""
        self.at = 0
        self.exact = False
        """Whether that is the file, so that a place in it is one in the file."""
        self.where = (raw.line, 0)
        """Else, the line and column of the file that is said."""

    def note(self, kind: Any, message: str) -> None:
        """Report something at the place that is being written."""
        if not self.raw.file:
            self.sources.report.add(kind, self.raw.node.problem(message))
            return
        line, column = self.where
        if self.exact:
            line = self.raw.line + self.text.count("\n", 0, self.at)
            column = self.at - self.text.rfind("\n", 0, self.at)
        self.sources.report.add(kind, Problem(self.raw.file, line, column, message))

    def body(self) -> str:
        """The template of ours. Raises Unmapped."""
        chat = self._chat()
        if chat is not None:
            self._messages(chat)
        elif isinstance(self.raw.text, str):
            self.exact = True
            self._template(_LINE.sub("\n", self.raw.text))
        body = self.jinja.finish()
        if not body.strip():
            raise Unmapped("it says nothing")
        return body

    def _chat(self) -> Node | None:
        """The messages, where the prompt is a chat. Raises Unmapped where it is some other JSON, or no chat of ours."""
        found = self.raw.text
        if isinstance(found, str):
            if found.lstrip()[:1] not in ("[", "{"):
                return None
            try:
                document = read_data(found, self.raw.file or "prompt.json")
            except SourceError:
                if found.lstrip().startswith("[") and '"role"' in found:
                    raise Unmapped("tags around its JSON make its turns: write them with {% user %} … here") from None
                return None
            found = Node(document.value, Doc(document.value, document.file, "", document.problem))
        chat = found.value
        if isinstance(chat, list) and chat and all(isinstance(each, dict) and "role" in each for each in chat):
            return found
        raise Unmapped("it is data, and no list of messages with role and content")

    def _messages(self, chat: Node) -> None:
        for message in chat.elements():
            place = message.problem("")
            self.where = (self.raw.line - 1 + place.line if place.line else self.raw.line, place.column)
            said = str(message.value["role"])
            role = ROLES.get(said)
            if role is None:
                raise Unmapped(f"messages of the role {shorten(said)!r} have no counterpart")
            if said == "developer":
                self.note("changed", "the role developer is system here")
            for key in message.value:
                if key not in ("role", "content"):
                    self.note("lost", f"{shorten(key)} of a message has no counterpart")
            self._message(role, self._content(message.value.get("content")))
        if role == "assistant":
            self.note("changed", "the last message is the assistant's: the model goes on with it here")

    def _content(self, content: Any) -> str:
        if isinstance(content, str):
            return content
        parts: list[str] = []
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, str):
                parts.append(part)
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                parts.append(part["text"])
            else:
                kind = part.get("type") if isinstance(part, dict) else None
                self.note("lost", f"a part of a message that is no text is left out: {shorten(str(kind))}")
        return "\n".join(parts)

    def _message(self, role: str, content: str) -> None:
        content = content.strip()
        lines = "\n" in content
        self.jinja.tag(role, newline=lines)
        self._template(content)
        if lines and not self.jinja.at_start:
            self.jinja.text("\n")  # roles' texts are stripped
        self.jinja.tag(f"end{role}", newline=True)

    def _template(self, text: str) -> None:
        self.text, self.at = text, 0
        Template(text, self.jinja, Scope(self._input, self.note, uses=self.used), self._place).write()

    def _place(self, offset: int) -> None:
        self.at = offset

    def _input(self, name: str) -> Value:
        if name == "env":
            raise Unmapped("environment variables are not read: make it an input")
        if name == "_conversation":
            raise Unmapped("what was said before is not known here: say the turns in the prompt, with {% generate %}")
        if not is_input(name):
            raise Unmapped(f"{shorten(name)} cannot be the name of an input")
        if name not in self.used and self.known.unheard(name):
            self.note("changed", f"no test gives {name}: it is nothing unless it is given")
        return self.known.value(name)
