"""The names of the columns on one line, where not all of them are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from textual.content import Content
from textual.message import Message
from textual.reactive import var

from promptlab.tui import show
from promptlab.tui.program import key_of
from promptlab.tui.widgets.spots import Spot, Spots


class Name(NamedTuple):
    """A column's name in the line."""

    text: Content
    """With the mark of how it stands."""
    front: bool = False
    """It is the one that is shown."""


class Names(Spots):
    """Shows the names, around the one in front where there are more than fit, and what is hidden."""

    DEFAULT_CSS = """
    Names { padding: 0 1; background: $surface; color: $text-muted; }
    """

    names: var[tuple[Name, ...]] = var((), init=False)
    hidden: var[int] = var(0, init=False)
    """How many columns are hidden."""

    class Chosen(Message):
        """A name was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def watch_names(self) -> None:
        """Draw them."""
        self.refresh()

    def watch_hidden(self) -> None:
        """Draw it."""
        self.refresh()

    def placed(self) -> Iterator[tuple[int, Spot]]:
        """As many names as fit, and the note to the right."""
        width = self.size.width
        hidden = f"{self.hidden} hidden: {key_of(self, 'answers.show')} shows all" if self.hidden else ""
        room = max(1, width - (len(hidden) + 2 if hidden else 0))
        tabs = [_tab(name) for name in self.names]
        first, last = window([tab.cell_length for tab in tabs], self._front, room)
        if first:
            yield 0, Spot(Content.styled("‹", show.DIM))
        at = 1
        for number in range(first, last):
            tab = tabs[number].truncate(max(1, room - at - (last < len(tabs))), ellipsis=True)
            yield at, Spot(tab, number)
            at += tab.cell_length
        if last < len(tabs):
            yield at, Spot(Content.styled("›", show.DIM))
        if hidden:
            yield max(at + 1, width - len(hidden)), Spot(Content.styled(hidden, show.DIM))

    @property
    def _front(self) -> int:
        return next((number for number, name in enumerate(self.names) if name.front), 0)

    async def clicked(self, target: int) -> None:
        """Take the name."""
        self.post_message(self.Chosen(target))


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
