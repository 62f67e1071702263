"""Copying: a text is handed to the terminal, which keeps the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptlab.tui.program import program

if TYPE_CHECKING:
    from textual.widget import Widget

MUCH = 100_000
"""Bytes that not every terminal takes into its clipboard."""


def copy(part: Widget, what: str, text: str) -> None:
    """Hand a text to the terminal, and say so."""
    if not text:
        part.notify("There is nothing to copy yet.", severity="warning", timeout=3, markup=False)
        return
    data = text.encode("utf-8", "replace")  # half a surrogate pair is no text that a terminal could take
    part.app.copy_to_clipboard(data.decode())
    doubt = " Not every terminal takes so much." if len(data) > MUCH else ""
    size = f"{len(text):,} character{'' if len(text) == 1 else 's'}"
    program(part).notify(f"Copied {what}: {size}.{doubt}", timeout=2, markup=False, about="copied")
