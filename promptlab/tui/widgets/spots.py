"""A line of things that the mouse can point at, drawn by one widget: a widget for each would cost a layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from textual import events
from textual.content import Content
from textual.widget import Widget

HOVER = "on $block-hover-background"


class Spot(NamedTuple):
    """Something in the line."""

    label: Content
    target: Any = None
    """What a click is for; None where there is nothing to click."""
    tip: str = ""
    """Said where the mouse is."""


class Spots(Widget, can_focus=False):
    """Shows them where a subclass places them, and tells it which one was clicked."""

    ALLOW_SELECT = False

    DEFAULT_CSS = """
    Spots { height: 1; text-wrap: nowrap; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._under: object = None
        """The target that the mouse is on."""

    def placed(self) -> Iterator[tuple[int, Spot]]:
        """What has room, from left to right, with the column that each begins at."""
        raise NotImplementedError

    async def clicked(self, target: Any) -> None:
        """Do what a click is for."""
        raise NotImplementedError

    def spot_at(self, x: int) -> Spot | None:
        """What stands in a column."""
        return next((spot for at, spot in self.placed() if at <= x < at + spot.label.cell_length), None)

    def render(self) -> Content:
        """The line."""
        line, here = Content(""), 0
        for at, spot in self.placed():
            lit = spot.target is not None and spot.target == self._under
            label = spot.label.stylize_before(HOVER) if lit else spot.label
            line, here = line.pad_right(at - here) + label, at + label.cell_length
        return line

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say what a click would do."""
        spot = self._spot(event)
        target = spot.target if spot else None
        if target != self._under:
            self._under = target
            self.tooltip = Content(spot.tip) if spot and spot.tip else None
            self.refresh()

    def on_leave(self) -> None:
        """The mouse has gone."""
        self.forget_mouse()

    def forget_mouse(self) -> None:
        """What it was told holds no more."""
        self._under = self.tooltip = None
        self.refresh()

    async def on_click(self, event: events.Click) -> None:
        """Tell of it."""
        spot = self._spot(event)
        if spot is not None and spot.target is not None:
            await self.clicked(spot.target)

    def _spot(self, event: events.MouseEvent) -> Spot | None:
        at = event.get_content_offset(self)
        return self.spot_at(at.x) if at is not None else None
