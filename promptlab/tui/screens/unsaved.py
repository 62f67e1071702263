"""What to do with changes that would be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.program import key_of
from promptlab.tui.screens.window import Window, key_lines

Choice = Literal["save", "keep", "discard"]


class UnsavedScreen(Window[Choice | None]):
    """Asks whether to save what was typed, to keep it as it is, to forget it, or to stay."""

    DEFAULT_CSS = """
    UnsavedScreen {
        & > Vertical { width: 60; max-width: 90%; height: auto; border: round $warning; padding: 1 2; }
        & Static { height: auto; }
        & .keys { margin-top: 1; }
    }
    """
    BINDINGS = bindings("unsaved")
    scope = "unsaved"

    unsaved = True
    """What it asks about."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def compose(self) -> ComposeResult:
        """The prompts, and the keys."""
        keys = [
            (key_of(self, "unsaved.save"), "saves"),
            (key_of(self, "unsaved.keep"), "leaves it unsaved; it is here again next time"),
            (key_of(self, "unsaved.discard"), "forgets what was typed"),
            (key_of(self, "unsaved.stay"), "goes back"),
        ]
        with Vertical() as pane:
            pane.border_title = Content("Not saved")
            yield Static(show.line(", ".join(self._names), "bold"))
            yield Static(key_lines(keys), classes="keys")
