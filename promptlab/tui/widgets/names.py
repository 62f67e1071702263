"""The names of the columns on one line, where not all of them are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget

from promptlab.tui import show
from promptlab.tui.program import key_of


class Name(NamedTuple):
    """A column's name in the line."""

    text: Content
    """With the mark of how it stands."""
    front: bool = False
    """It is the one that is shown."""


class Names(Widget):
    """Shows the names, around the one in front where there are more than fit, and what is hidden."""

    DEFAULT_CSS = """
    Names { height: 1; padding: 0 1; background: $surface; color: $text-muted; }
    """

    names: var[tuple[Name, ...]] = var((), init=False)
    hidden: var[int] = var(0, init=False)
    """How many columns are hidden."""

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._spans: list[tuple[int, int, int]] = []
        """Of each name that is drawn: number, first cell, cell after the last."""

    def watch_names(self) -> None:
        """Draw them."""
        self.refresh()

    def watch_hidden(self) -> None:
        """Draw it."""
        self.refresh()

    def render(self) -> Content:
        """As many names as fit."""
        width = self.content_size.width
        hidden = f"{self.hidden} hidden: {key_of(self, 'answers.show')} shows all" if self.hidden else ""
        note = Content.styled(hidden, show.DIM)
        room = width - (note.cell_length + 2 if note.plain else 0)
        tabs = [_tab(name) for name in self.names]
        first, last = window([tab.cell_length for tab in tabs], self._front, room)
        self._spans = []
        line = Content.styled("‹", show.DIM) if first else Content(" ")
        for number in range(first, last):
            self._spans.append((number, line.cell_length, line.cell_length + tabs[number].cell_length))
            line = line.append(tabs[number])
        line = line.append(Content.styled("›", show.DIM) if last < len(tabs) else Content(" "))
        line = line.truncate(max(room, 1), ellipsis=True)
        return Content.assemble(line, " " * max(1, width - line.cell_length - note.cell_length), note)

    @property
    def _front(self) -> int:
        return next((number for number, name in enumerate(self.names) if name.front), 0)

    def on_click(self, event: events.Click) -> None:
        """Take the name."""
        at = event.x - self.gutter.left
        for number, start, end in self._spans:
            if start <= at < end:
                self.post_message(self.Chosen(number))


def _tab(name: Name) -> Content:
    # In brackets, too: a style alone may not be seen.
    if name.front:
        return Content.assemble("[", name.text, "]").stylize(f"bold {show.ACCENT}")
    return Content.assemble(" ", name.text, " ")


def window(widths: Sequence[int], front: int, room: int) -> tuple[int, int]:
    """Which names are drawn: from one to before another, the one in front among them, two cells left over."""
    first, last = front, min(front + 1, len(widths))
    used = sum(widths[first:last]) + 2
    while True:
        if last < len(widths) and used + widths[last] <= room:
            used += widths[last]
            last += 1
        elif first and used + widths[first - 1] <= room:
            first -= 1
            used += widths[first]
        else:
            return first, last
