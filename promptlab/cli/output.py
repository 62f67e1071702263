"""Standard output is data, standard error is narration."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from promptlab.views.table import Grid


def use_lenient_streams() -> None:
    """A character that the terminal's encoding lacks is shown as an escape; it must not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def open_closed_streams() -> None:
    """A stream closed before we began (`>&-`) leads nowhere: else the next file opened would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in this order each gets its own number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  (until the end)


def console(*, stderr: bool = False) -> Console:
    """A console that takes no text for markup, emoji codes or something to highlight."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document, or with no indent one line."""
    from promptlab.views.jsontext import dumps

    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(dumps(value, indent=indent, ascii_only=not unicode), flush=True)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are data for other programs: nothing is cut or styled."""
    from promptlab.core.text import sanitize_line

    for line in lines:
        print(sanitize_line(line))
    sys.stdout.flush()


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


def say(message: str) -> None:
    """Tell something on standard error. Every line begins with the program's name, unless it is indented."""
    from promptlab.core.text import sanitize

    lines = sanitize(message).split("\n")
    text = "\n".join(line if line.startswith("  ") else f"promptlab: {line}" for line in lines)
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nobody can be told; what is done, and its exit code, stay the same
        drop(sys.stderr)


def drop(stream: TextIO) -> None:
    """Whoever read this stream has gone, or its disk is full: let nothing more be written there, not even at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
