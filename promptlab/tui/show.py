"""From what strangers wrote to what a widget may be given: the one place where their text becomes `Content`.

Textual passes terminal escapes on, and reads markup in every plain `str`. So no widget is ever given a `str` that came
from a model, a prompt, a file or an error message: it gets `Content`, made here from sanitised text.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content

from promptlab.core.text import sanitize, sanitize_line

if TYPE_CHECKING:
    from promptlab.errors import PromptlabError

DIM = "$foreground 65%"
ACCENT = "$text-accent"
GOOD = "$text-success"
BAD = "$text-error"
WARN = "$text-warning"


def line(text: str, style: str = "") -> Content:
    """Anyone's text as one line."""
    return Content.styled(sanitize_line(text), style)


def block(text: str, style: str = "") -> Content:
    """Anyone's text, line breaks kept."""
    return Content.styled(sanitize(text), style)


def pasted(text: str) -> str:
    """What was pasted, for a field. Most terminals send a carriage return where a line ends."""
    return sanitize(text.replace("\r\n", "\n").replace("\r", "\n"))


def join(parts: Iterable[Content], separator: str = "  ") -> Content:
    """Put pieces side by side; empty ones are left out."""
    return Content(separator).join(part for part in parts if part.plain)


def lines(parts: Iterable[Content]) -> Content:
    """Put pieces below each other."""
    return Content("\n").join(parts)


def path(where: Path) -> str:
    """A folder as people write it, with ~ for their own."""
    try:
        return f"~/{where.relative_to(Path.home())}" if where != Path.home() else "~"
    except (ValueError, RuntimeError):
        return str(where)


def size(count: int) -> str:
    """A file's size."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 1):.0f} MB"


def problems(error: PromptlabError) -> tuple[str, ...]:
    """An error as lines to show: its message, each problem on its own line, and what to do."""
    return tuple(part for part in (*error.message.splitlines(), error.hint) if part)
