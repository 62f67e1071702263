"""The keys of a screen or a window, from the one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from promptlab.tui.bindings import EVERYWHERE, bindings, by_topic, help_binding, shown_key, shown_keys
from promptlab.tui.command import Command
from promptlab.tui.screens.window import Closing

KEYS = 15
"""Cells that the names of keys get."""


class HelpScreen(ModalScreen[None], Closing[None]):
    """Lists the keys; any of the usual keys closes it, and that which opened it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("help"), help_binding("dismiss(None)")]
    scope = "help"

    def __init__(self, commands: Sequence[Command], keymap: Mapping[str, str]) -> None:
        """`keymap` holds the keys that the user has set."""
        super().__init__()
        self._commands = commands
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """One scrolling pane."""
        with VerticalScroll(id="help") as pane:
            pane.border_title = Content("Keys")
            pane.border_subtitle = Content(f"↑ ↓ pgdn scroll · {shown_key('help.close', self._keymap)} closes")
            for topic, commands in by_topic(self._commands):
                yield _chapter(topic, [(shown_keys(c, self._keymap), c.help) for c in commands])
            yield _chapter("Everywhere", list(EVERYWHERE))


def _chapter(topic: str, rows: list[tuple[str, str]]) -> Static:
    """One widget, not one for each key: a hundred of them take a second to come and to go."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=KEYS)
    table.add_column()
    for keys, text in rows:
        table.add_row(Text(keys, "bold"), Text(text))
    return Static(Group(Text(topic, "bold"), Padding(table, (0, 0, 1, 1))))
