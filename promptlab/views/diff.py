"""What changed between two versions of a prompt, for a terminal: a unified diff, coloured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from promptlab.core.text import sanitize
from promptlab.views.pages import Lines, page

_STYLES = {"+": "green", "-": "red", "@": "cyan", "\\": "dim"}


def diff_page(
    old: str, new: str, changes: Iterable[tuple[str, str, Sequence[str]]], tokens: tuple[int, int] | None
) -> Text:
    """Two versions by their labels; for each thing that differs its names (one may be empty) and the hunks."""
    blocks = [_change(old, new, *change) for change in changes]
    if tokens:
        before, after = tokens
        change = f"{after - before:+,}" if after != before else "no change"
        blocks.append([Text(f"{before:,} → {after:,} tokens ({change})", style="bold")])
    return page(blocks)


def _change(old: str, new: str, old_name: str, new_name: str, hunks: Sequence[str]) -> Lines:
    head = [
        Text(_line(f"--- {_named(old, old_name)}"), style="bold"),
        Text(_line(f"+++ {_named(new, new_name)}"), style="bold"),
    ]
    return [*head, *(Text(_line(line), style=_STYLES.get(line[:1], "")) for line in hunks)]


def _named(label: str, name: str) -> str:
    """A side of one change: what it is a version of, and the file where that says more."""
    if not name:
        return "/dev/null"
    return label if label == name else f"{label}: {name}"


def _line(text: str) -> str:
    return sanitize(text).rstrip("\n")
