"""One line at the bottom of a screen that asks for a word: a filter, the name of a file."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from promptlab.tui import show
from promptlab.tui.widgets.field import Line


class AskLine(Horizontal):
    """Hidden until something is asked."""

    DEFAULT_CSS = """
    AskLine {
        height: 1;
        display: none;
        background: $panel;
        padding: 0 1;
        &.-asking { display: block; }
        & > Static { width: auto; }
        & > Input { width: 1fr; background: $panel; padding: 0 1; }
    }
    """

    class Changed(Message):
        """Something else stands there."""

        def __init__(self, what: str, text: str) -> None:
            super().__init__()
            self.what = what
            self.text = text

    class Given(Changed):
        """Enter was pressed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.what = ""
        """What is asked; empty when nothing is."""
        self._line = Line("", placeholder="")

    def compose(self) -> ComposeResult:
        """The question, and room for the answer."""
        yield Static()
        yield self._line

    def ask(self, what: str, label: str, text: str) -> None:
        """Ask; what stands there at first can be changed."""
        self.what = what
        self.query_one(Static).update(Content.styled(f"{label}: ", show.ACCENT))
        with self._line.prevent(Input.Changed):
            self._line.value = text
        self._line.cursor_position = len(self._line.value)
        self.app.clear_notifications()  # they would hide what is asked; those that come stay above the line
        self.add_class("-asking")
        self.screen.add_class("-asks")
        self._line.focus()

    def close(self) -> None:
        """Ask no more."""
        self.what = ""
        self.remove_class("-asking")
        self.screen.remove_class("-asks")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.what:
            self.post_message(self.Changed(self.what, event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.what:
            self.post_message(self.Given(self.what, event.value))
