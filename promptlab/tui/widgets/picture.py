"""The many columns of a comparison at once: who agrees with whom, which is better, where they split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

if TYPE_CHECKING:
    from rich.console import RenderableType


class Picture(VerticalScroll):
    """A heat map above tables."""

    DEFAULT_CSS = """
    Picture {
        padding: 0 2;
        & > Static { height: auto; }
        & > .heat { width: auto; margin-bottom: 1; text-wrap: nowrap; }
    }
    """

    class Widened(Message):
        """It has become wider or narrower: the tables are made for a width."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._width = 0
        self._heat = Static(classes="heat")
        self._tables = Static(classes="tables")

    def compose(self) -> ComposeResult:
        """Two parts."""
        yield self._heat
        yield self._tables

    def on_resize(self, event: events.Resize) -> None:
        """Say so where it is another width. That its contents have become higher is said in the same way."""
        if event.size.width != self._width:
            self._width = event.size.width
            self.post_message(self.Widened())

    def show(self, heat: Content, tables: RenderableType) -> None:
        """Show another comparison. The tables are safe to show: they come from views."""
        self._heat.update(heat)
        self._heat.display = bool(heat.plain)
        self._tables.update(tables)
