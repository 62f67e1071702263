"""The many columns of a comparison at once: who agrees with whom, which is better, where they split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
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

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._heat = Static(classes="heat")
        self._tables = Static(classes="tables")

    def compose(self) -> ComposeResult:
        """Two parts."""
        yield self._heat
        yield self._tables

    def show(self, heat: Content, tables: RenderableType) -> None:
        """Show another comparison. The tables are safe to show: they come from views."""
        self._heat.update(heat)
        self._heat.display = bool(heat.plain)
        self._tables.update(tables)
