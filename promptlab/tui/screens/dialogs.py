"""Small questions over a screen: whether to do something that cannot be taken back, and what a file is to be called."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from promptlab.tui import show
from promptlab.tui.widgets.field import Line

_LOOK = """
    align: center middle;
    background: $background 60%;
    & > Vertical { width: 90%; max-width: 72; height: auto; padding: 1 2; border: round $accent; }
    & Static { height: auto; }
    & .keys { margin-top: 1; color: $text-muted; }
"""


class SureScreen(ModalScreen[bool]):
    """Asks whether to do something; only y says yes."""

    DEFAULT_CSS = f"SureScreen {{ {_LOOK} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="sure.yes"),
        Binding("n,escape,q", "dismiss(False)", "No", id="sure.no"),
    ]

    def __init__(self, question: Content, yes: str) -> None:
        super().__init__()
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        """The question, and the keys that answer it."""
        with Vertical():
            yield Static(self._question)
            keys = [("y", self._yes), ("n or esc", "leave everything as it is")]
            yield Static(
                show.join([Content.assemble((k, show.ACCENT), f" {what}") for k, what in keys], "   "), classes="keys"
            )


class NameScreen(ModalScreen[str]):
    """Asks for the name of a file; nothing typed is nothing done."""

    DEFAULT_CSS = f"NameScreen {{ {_LOOK} }}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Cancel", id="name.cancel")]

    def __init__(self, title: Content, hint: Content, name: str) -> None:
        super().__init__()
        self._title_text = title
        self._hint = hint
        self._name_before = name

    def compose(self) -> ComposeResult:
        """What it is for, the field, and what it may be."""
        with Vertical():
            yield Static(self._title_text)
            yield Line(self._name_before, placeholder="a name")
            yield Static(self._hint, classes="keys")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())
