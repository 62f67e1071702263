"""From messages to what a model reads: its chat template, and control tokens that data cannot forge.

A chat template is Jinja that comes inside a GGUF file, so it is a stranger's program: render it where it can be killed
(promptlab.sandbox). What it writes is tokenized with control tokens on. A message that *contains* the text of a control
token is data: those stretches are hidden behind markers while the template renders, and tokenized with control tokens
off afterwards. Where no message contains one, the rendered text is tokenized whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser

from promptlab.core.program import Message, messages_text
from promptlab.core.schema import shorten
from promptlab.core.templates import MAX_TEXT, Contained, template_error
from promptlab.errors import RenderError

PLAIN = "plain"
"""The chat template of a model that has none: contents joined by one blank line, no role names."""

FROZEN_NOW = datetime(2024, 7, 26)
"""What a template that asks for the date is told, always, so that a prompt is the same tomorrow."""

_MARK_OPEN, _MARK_CLOSE = "\ue000", "\ue001"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a model's input."""

    text: str
    control: bool
    """Whether the texts of control tokens in it become control tokens."""


@dataclass(frozen=True, slots=True)
class Formatted:
    """What a model is given to read."""

    segments: tuple[Segment, ...]
    system_moved: bool = False
    """The template takes no system message: its text was put before the first user message."""

    @property
    def text(self) -> str:
        """All of it, as text."""
        return "".join(s.text for s in self.segments)


def template_hash(template: str) -> str:
    """SHA-256, in hex, of a chat template, or of the word `plain`."""
    return hashlib.sha256(template.encode("utf-8", "surrogatepass")).hexdigest()


def plain(messages: Sequence[Message]) -> Formatted:
    """Join messages for a base model. Everything in them is data: no control tokens at all."""
    return Formatted((Segment(messages_text(messages), control=False),))


def hide(messages: Sequence[Message], control_tokens: Iterable[str]) -> tuple[tuple[Message, ...], dict[str, str]]:
    """Put a marker in place of each control token's text within a message.

    Returns the messages to render and the table from marker to text, empty where there is nothing to hide.
    """
    pattern = _any_of(tuple(control_tokens))
    if pattern is None or not any(pattern.search(m.content) for m in messages):
        return tuple(messages), {}
    everything = "".join(m.content for m in messages)
    salt = next(n for n in range(10**6) if f"{_MARK_OPEN}{n}." not in everything)
    table: dict[str, str] = {}

    def mark(match: re.Match[str]) -> str:
        marker = f"{_MARK_OPEN}{salt}.{len(table)}{_MARK_CLOSE}"
        table[marker] = match.group()
        return marker

    return tuple(replace(m, content=pattern.sub(mark, m.content)) for m in messages), table


def show(rendered: str, table: Mapping[str, str], control_tokens: Iterable[str]) -> tuple[Segment, ...]:
    """Undo `hide` in a rendered text: cut it at the control tokens that the template wrote, put the hidden texts back.

    This is the cut that llama.cpp itself makes before it tokenizes the stretches in between.
    """
    if not table:
        return (Segment(rendered, control=True),)
    back = _any_of(tuple(table))
    cut = _any_of(tuple(control_tokens))
    assert back is not None
    segments: list[Segment] = []
    position = 0
    for match in cut.finditer(rendered) if cut else ():
        segments += [Segment(rendered[position : match.start()], False), Segment(match.group(), True)]
        position = match.end()
    segments.append(Segment(rendered[position:], False))
    return tuple(
        s if s.control else replace(s, text=back.sub(lambda m: table[m.group()], s.text)) for s in segments if s.text
    )


@lru_cache(maxsize=16)
def _any_of(texts: tuple[str, ...]) -> re.Pattern[str] | None:
    """A pattern for any of these texts, the longest first."""
    ordered = sorted({t for t in texts if t}, key=lambda t: (-len(t), t))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


class _Refused(Exception):
    """A template called `raise_exception`."""


def render(template: str, messages: Sequence[Message], *, bos: str, eos: str) -> tuple[str, bool]:
    """Render a chat template up to where the model's answer begins.

    Returns the text, and whether the system message had to be moved into the first user message because the template
    refuses one. Raises RenderError.
    """
    try:
        return _render(template, messages, bos, eos), False
    except _Refused as refusal:
        moved = _move_system(messages)
        if moved is None:
            raise RenderError(
                f"the model's chat template refuses these messages: {shorten(str(refusal), 200)}"
            ) from None
    try:
        return _render(template, moved, bos, eos), True
    except _Refused as refusal:
        raise RenderError(f"the model's chat template refuses these messages: {shorten(str(refusal), 200)}") from None


def _render(template: str, messages: Sequence[Message], bos: str, eos: str) -> str:
    try:
        compiled = _compile(template)
        pieces: list[str] = []
        size = 0
        values = {
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "add_generation_prompt": True,
            "bos_token": bos,
            "eos_token": eos,
            "tools": None,
            "documents": None,
        }
        for piece in compiled.root_render_func(compiled.new_context(values)):
            size += len(piece)
            if size > MAX_TEXT:
                raise RenderError(f"the model's chat template renders to more than {MAX_TEXT:,} characters")
            pieces.append(piece)
        return "".join(pieces)
    except (_Refused, RenderError):
        raise
    except jinja2.TemplateSyntaxError as error:
        raise RenderError(
            f"the model's chat template cannot be read: line {error.lineno}: {shorten(error.message or '', 200)}"
        ) from None
    except Exception as error:
        raise template_error(error, "<chat template>", ("<chat template>",)) from None


def _move_system(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """Put the system messages' text before the first user message; None if there is nothing to move or nowhere to."""
    system = [m.content for m in messages if m.role == "system"]
    rest = [m for m in messages if m.role != "system"]
    first = next((i for i, m in enumerate(rest) if m.role == "user"), None)
    if not system or first is None:
        return None
    rest[first] = Message("user", "\n\n".join(t for t in (*system, rest[first].content) if t))
    return tuple(rest)


class _GenerationTag(Extension):
    """`{% generation %}` marks what to train on; it means nothing here."""

    tags = {"generation"}  # noqa: RUF012  (the base class declares it)

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(Contained):
    """As transformers renders chat templates (`apply_chat_template`), but sandboxed harder and with a frozen clock."""

    def __init__(self) -> None:
        super().__init__(extensions=[loopcontrols, _GenerationTag])
        self.globals["raise_exception"] = _refuse
        self.globals["strftime_now"] = FROZEN_NOW.strftime


def _refuse(message: object = "") -> None:
    raise _Refused(" ".join(str(message).split()))


@lru_cache(maxsize=16)
def _compile(template: str) -> jinja2.Template:
    environment = _Environment()
    code = environment.compile(template, "<chat template>", "<chat template>")
    return jinja2.Template.from_code(environment, code, environment.make_globals(None))
