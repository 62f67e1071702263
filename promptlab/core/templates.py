"""What prompts' templates and models' chat templates share: limits, filters, and errors that name file and line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import GenericAlias
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from promptlab.core.schema import shorten
from promptlab.errors import Problem, PromptlabError, RenderError, SourceError

MAX_TEXT = 2_000_000
"""Characters that one program may render to."""
MAX_INT_BITS = 4096
"""Of a number that `**` or `*` makes."""
MAX_REPEAT = 100_000
"""Items of a text or list that `*` makes."""

_TAG = re.compile(r"\{(?:\{.*?(?:\}\}|$)|%.*?(?:%\}|$)|#.*?(?:#\}|$))")
_NAMED = re.compile(r"unknown tag '(\w+)'|(?:got|unexpected) '(\w+)'")
"""The statement, or else the word, that an error of Jinja's is about."""


class Complaint(Exception):
    """A rule of the language is broken; becomes a RenderError with the line."""


class Contained(ImmutableSandboxedEnvironment):
    """Plain data only, nothing that depends on chance, no number or text out of all proportion."""

    intercepted_binops = frozenset(["**", "*"])

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, **options)
        del self.filters["random"]
        del self.globals["lipsum"]
        # Functions rather than classes, whose methods would change what they are given: `dict.update(x, …)`.
        self.globals |= {
            name: _function(self.globals[name], name) for name in ("dict", "cycler", "joiner", "namespace")
        }
        # Jinja's own escapes for HTML, and a prompt is not HTML.
        self.filters["tojson"] = to_json

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether a template may read an attribute: of a class, none at all."""
        return not isinstance(obj, type | GenericAlias) and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Compute `**` and `*` unless the result would be out of all proportion."""
        _bounded(operator, left, right)
        return super().call_binop(context, operator, left, right)


def _function(kind: Any, name: str) -> Callable[..., Any]:
    def make(*args: Any, **kwargs: Any) -> Any:
        return kind(*args, **kwargs)

    make.__name__ = name
    return make


def _bounded(operator: str, left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
        too_large = bits > MAX_INT_BITS
    else:
        lengths = [
            len(a) * b
            for a, b in ((left, right), (right, left))
            if isinstance(a, str | list | tuple) and isinstance(b, int)
        ]
        too_large = any(length > MAX_REPEAT for length in lengths)
    if too_large:
        raise SecurityError(f"the result of {operator} would be too large")


def to_json(
    value: Any, indent: int | None = None, ensure_ascii: bool = False, sort_keys: bool = False, **_: Any
) -> str:
    """The `tojson` filter."""
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, sort_keys=sort_keys)


def syntax_error(error: jinja2.TemplateSyntaxError, sources: Mapping[str, str], file: str) -> SourceError:
    """Say where a template cannot be read. `file` is named where Jinja names none of `sources`."""
    where = error.filename or error.name or file
    lines = sources.get(where, "").split("\n")
    line = lines[error.lineno - 1] if 0 < error.lineno <= len(lines) else ""
    tag = _guilty(line, error.message or "")
    column = tag.start() + 1 if tag else (len(line) - len(line.lstrip()) + 1 if line else 0)
    return SourceError([Problem(where, error.lineno, column, shorten(error.message or "cannot be read", 200))])


def _guilty(line: str, message: str) -> re.Match[str] | None:
    """The tag on a line that an error is about, of which Jinja knows the line only: that which holds what the message
    names, or else the first.
    """
    tags = list(_TAG.finditer(line))
    if named := _NAMED.search(message):
        statement, word = named.groups()
        held = re.compile(rf"\{{%[-+]?\s*{statement}\b" if statement else rf"\b{word}\b")
        holding = [tag for tag in tags if held.search(tag.group())]
        if len(holding) == 1:
            return holding[0]
    return tags[0] if tags else None


def template_error(error: Exception, file: str, files: Collection[str]) -> Exception:
    """Turn whatever a template raised while it ran into a RenderError that names file and line.

    `files` are all that the error may have arisen in; `file` is named where it arose in none of them.
    """
    if isinstance(error, PromptlabError):  # of a program that was called: it names its own file
        return error
    if isinstance(error, jinja2.TemplateSyntaxError):
        return syntax_error(error, {}, file)
    where = file
    for frame, line in _frames(error):
        if frame in files:  # Jinja has mapped the line already
            where = f"{frame}:{line}"
    if isinstance(error, jinja2.TemplateNotFound):
        return RenderError(f"{where}: includes {error.name!r}, which is not there")
    reason = str(error) or type(error).__name__
    if isinstance(error, RecursionError):
        reason = "is nested too deeply, or includes or calls itself without an end"
    elif isinstance(error, MemoryError):
        reason = "needs too much memory"
    elif not isinstance(error, jinja2.TemplateError | Complaint):
        reason = f"{type(error).__name__}: {reason}"
    return RenderError(f"{where}: {shorten(' '.join(reason.split()), 300)}")


def _frames(error: Exception) -> Iterator[tuple[str, int]]:
    """Files and lines of a traceback, template lines already mapped by Jinja where it could."""
    from jinja2.debug import rewrite_traceback_stack

    try:
        raise error
    except Exception:
        traceback = rewrite_traceback_stack().__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next
