"""Standard output is data, standard error is narration."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from promptlab.views.table import Grid


def use_lenient_streams() -> None:
    """A character that the terminal's encoding lacks is shown as an escape; it must not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def console(*, stderr: bool = False) -> Console:
    """A console that takes no text for markup, emoji codes or something to highlight."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document, or with no indent one line."""
    from promptlab.views.jsontext import dumps

    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(dumps(value, indent=indent, ascii_only=not unicode), flush=True)


def print_page(text: Text) -> None:
    """Print a page; its lines are as long as they are."""
    console().print(text, soft_wrap=True)


def print_grid(table: Grid, empty: str) -> None:
    """Print a table: a rich one on a terminal, aligned text otherwise. `empty` is said where there are no rows."""
    from promptlab.views.table import as_rich, as_text

    if not table.rows:
        say(empty)
    elif sys.stdout.isatty():
        terminal = console()
        terminal.print(as_rich(table, terminal.width))
    else:
        print(as_text(table), end="", flush=True)


def print_rich(renderable: RenderableType) -> None:
    """Print something drawn."""
    console().print(renderable)


def say(message: str) -> None:
    """Tell something on standard error. Every line begins with the program's name, unless it is indented."""
    from promptlab.core.text import sanitize

    lines = sanitize(message).split("\n")
    text = "\n".join(line if line.startswith("  ") else f"promptlab: {line}" for line in lines)
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def drop_output() -> None:
    """Whoever read standard output has gone: let nothing more be written there, not even at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
