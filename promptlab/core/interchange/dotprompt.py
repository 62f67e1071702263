"""dotprompt's `.prompt` files to prompt files of ours, with a report of everything that does not map.

The format is that of https://google.github.io/dotprompt/: YAML front matter, and a Handlebars body with helpers for
roles. Its project publishes what templates render to (spec/*.yaml in https://github.com/google/dotprompt); the cases
of it that map are in tests/core/interchange/dotprompt.yaml, and there our program says the same messages.

Some differences are not reported, because nothing in a template shows whether they matter. A number that is whole, like
1.0, is written 1 there. Of values whose type nobody declares: null, true and lists are written as Python does, {} is
false here, and a loop over what is no list fails here. Lists and mappings are equal here when their contents are.
"""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.core import prompt, yamltext
from promptlab.core.formats import is_partial
from promptlab.core.interchange import yamlwrite
from promptlab.core.interchange.dotprompt_body import Body
from promptlab.core.interchange.dotprompt_front import Front
from promptlab.core.interchange.dotprompt_scope import Inputs, Use
from promptlab.core.interchange.dotprompt_turns import Item, Kind, TurnWriter, has_turns, is_blank, write_plain
from promptlab.core.interchange.handlebars import parse
from promptlab.core.interchange.handlebars_tree import BLANK, Node, Place, Source
from promptlab.core.interchange.jinjatext import JinjaText
from promptlab.errors import Problem, SourceError

SUFFIX = ".prompt"
MAX_FINDINGS = 200
"""A file of which more does not map is not worth a longer list."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A construct that does not map, or not exactly."""

    kind: Kind
    """`lost`: it is not there any more, or only as a comment. `changed`: it is there, and does something else."""
    problem: Problem
    """Where it stands in the `.prompt` file, and why."""

    def __str__(self) -> str:
        return f"{self.problem} ({self.kind})"


@dataclass(frozen=True, slots=True)
class Converted:
    """A prompt file of ours, made from one of dotprompt's."""

    text: str
    findings: tuple[Finding, ...]
    """In the order of the places that they are about."""
    partials: tuple[str, ...]
    """The names of the files that it includes: `_greeting` for `{{> greeting}}`, to be converted as well."""


def convert(source: str, name: str) -> Converted:
    """Make a prompt file from the text of a `.prompt` file.

    `name` is what it is called below prompts/, without a suffix. One whose file begins with `_` is a partial: it gets
    no front matter, and takes any value that it uses from whoever includes it. Raises SourceError when it cannot be
    read, or when what comes out is too large.
    """
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    file = name + SUFFIX
    if len(text) > prompt.MAX_CHARS:
        raise SourceError([Problem(file, 0, 0, f"is larger than {prompt.MAX_CHARS:,} characters")])
    if "\0" in text:
        raise SourceError([Problem(file, text.count("\n", 0, text.index("\0")) + 1, 0, "contains a NUL character")])
    return _Conversion(Source(text, file), name).run()


@dataclass(frozen=True, slots=True)
class _Parts:
    """Where the parts of a file lie."""

    comments: str
    """Lines before the front matter."""
    front: str
    front_line: int
    start: int
    """The offset at which the body begins."""
    end: int


class _Conversion:
    def __init__(self, source: Source, name: str) -> None:
        self.source = source
        self.name = name
        self.partial = is_partial(name)
        self.findings: list[Finding] = []

    def run(self) -> Converted:
        parts = _split(self.source)
        front = self.front(parts)
        nodes = parse(self.source, parts.start, parts.end)
        for each, use in self.undeclared(nodes, front).items():
            front.undeclared(each, use)
        body = Body(nodes, Inputs(front.values, self.partial), self.say)
        items = body.items()
        text = self.text(items)
        if not self.partial:
            text = _assemble(parts.comments, self.written(front), text, self.name)
        return Converted(text, self.sorted(), tuple(body.partials))

    def front(self, parts: _Parts) -> Front:
        document = yamltext.Document({}, self.source.file)
        if parts.front.strip():
            document = yamltext.read(parts.front, file=self.source.file, first_line=parts.front_line)
        if document.value is not None and not isinstance(document.value, dict):
            raise SourceError([document.problem((), "the front matter is a mapping: `model: …`, `input: …`")])
        front = Front(document, self.add)
        if self.partial:
            for key in document.value or {}:
                self.add("lost", document.problem((key,), f"{key}: a partial has no front matter here"))
        else:
            front.read()
        return front

    def written(self, front: Front) -> str:
        try:
            return yamlwrite.write(front.write(), spread="inputs")
        except ValueError as error:
            raise SourceError([Problem(self.source.file, 0, 0, str(error))]) from None

    def undeclared(self, nodes: list[Node], front: Front) -> dict[str, Use]:
        """Go through the body once without a report, to see which names it uses that nobody declares."""
        inputs = Inputs(front.values, self.partial)
        Body(nodes, inputs, lambda *_: None).items()
        return inputs.undeclared

    def text(self, items: tuple[Item, ...]) -> str:
        jinja = JinjaText()
        if not has_turns(items):
            write_plain(items, jinja)
            last = frozenset() if is_blank(items) else frozenset(["user"])
        else:
            writer = TurnWriter(jinja, self.say)
            writer.write(items)
            last = writer.last
        if not self.partial:
            self.check_end(last)
        return jinja.finish()

    def check_end(self, last: frozenset[str]) -> None:
        if not last:
            self.say("lost", (0, 0), "the body says nothing: a prompt here needs something to say")
        elif "assistant" in last:
            message = "the body may end with a turn of the model's; a prompt here ends with a question to it"
            self.say("lost", (0, 0), message)

    def say(self, kind: Kind, place: Place, message: str) -> None:
        self.add(kind, Problem(self.source.file, *place, message))

    def add(self, kind: Kind, problem: Problem) -> None:
        self.findings.append(Finding(kind, problem))

    def sorted(self) -> tuple[Finding, ...]:
        found = sorted(self.findings, key=lambda f: (f.problem.line or 1_000_000_000, f.problem.column))
        if len(found) > MAX_FINDINGS:
            more = f"there are {len(found) - MAX_FINDINGS:,} more of these"
            found[MAX_FINDINGS:] = [Finding("lost", Problem(self.source.file, 0, 0, more))]
        return tuple(found)


def _split(source: Source) -> _Parts:
    """Cut a file into front matter and body. Comments and empty lines may stand before the front matter.

    Raises SourceError when the front matter is not closed.
    """
    lines = source.text.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip(" \t") and not line.startswith("#")), len(lines))
    if first == len(lines) or lines[first].rstrip() != "---":
        return _Parts("", "", 1, 0, len(source.text))
    close = next((n for n in range(first + 1, len(lines)) if lines[n].rstrip() == "---"), None)
    if close is None:
        raise source.error("the front matter that begins here is not closed: put a line `---` after it", (first + 1, 1))
    start = sum(len(line) + 1 for line in lines[: close + 1])
    body = source.text[start:]
    # dotprompt strips a body that follows front matter, and no other.
    begin = start + len(body) - len(body.lstrip(BLANK))
    end = max(begin, len(source.text.rstrip(BLANK)))
    comments = "".join(f"{line}\n" for line in lines[:first] if line.startswith("#") and line.isprintable())
    return _Parts(comments, "\n".join(lines[first + 1 : close]), first + 2, min(begin, len(source.text)), end)


def _assemble(comments: str, front: str, body: str, name: str) -> str:
    """Put a file together, and see that it can be read."""
    # A body that looks like front matter, or begins with a byte order mark, needs some before it.
    needed = front or comments or body.startswith(("---", "\ufeff"))
    text = f"---\n{comments}{front}---\n{body}" if needed else body
    prompt.parse(text, name)
    return text
