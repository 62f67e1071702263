"""Every key, from the one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.bindings import EVERYWHERE, by_topic, shown_keys
from promptlab.tui.command import Command


class HelpScreen(ModalScreen[None]):
    """Lists the keys; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,question_mark,q,enter", "dismiss", "Close", id="help.close"),
    ]

    def __init__(self, commands: Sequence[Command], keymap: Mapping[str, str]) -> None:
        """`keymap` holds the keys that the user has set."""
        super().__init__()
        self._commands = commands
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """One scrolling pane."""
        with VerticalScroll(id="help") as pane:
            pane.border_title = Content("Keys")
            pane.border_subtitle = Content("↑ ↓ pgdn scroll · esc closes")
            for topic, commands in by_topic(self._commands):
                yield _chapter(topic, [(shown_keys(c, self._keymap), c.help) for c in commands])
            yield _chapter("Everywhere", list(EVERYWHERE))


def _chapter(topic: str, rows: list[tuple[str, str]]) -> Vertical:
    lines = [Horizontal(Static(Content(keys), classes="keys"), Static(Content(text))) for keys, text in rows]
    return Vertical(Static(Content.styled(topic, f"bold {show.ACCENT}")), *lines)
