"""A list of things of which some are ticked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from textual import events, on
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.widgets.listed import Listed, place

BOX = 4
"""Cells before a name."""
GAP = 2
LEAST = 10
"""Cells for what is said of each: where a line has less left, only names are shown."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One thing that can be ticked."""

    key: str
    """Names it."""
    title: str = ""
    """What it is called, where that is something else."""
    about: str = ""
    problem: str = ""
    """Why it cannot be ticked."""
    below: str = ""
    """The key of the one that it is a kind of, below which it stands."""
    folded: tuple[str, ...] = ()
    """The keys of its own kinds, where they are not listed. What was ticked of them stays so."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.title or self.key

    @property
    def said(self) -> str:
        """What is said of it."""
        return self.problem or self.about


class Look(NamedTuple):
    """How the things are listed."""

    width: int
    """Of the list, in cells."""
    lines: int
    """Below each name, for what is said of it; 0 where that stands beside the name."""
    names: int
    """How wide names are where something stands beside them."""


class TickList(Listed):
    """Boxes to tick, with space or enter. What is said of each stands below it where there is room for all of them."""

    DEFAULT_CSS = """
    TickList { text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS = bindings("ticks")

    rows: var[tuple[Tick, ...]] = var((), init=False)
    """What to list."""

    class Refused(Message):
        """Something was to be ticked that cannot be."""

        def __init__(self, row: Tick) -> None:
            super().__init__()
            self.row = row

    def __init__(self, title: str, empty: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = Content(title)
        self._empty = empty
        self._ticked: dict[str, None] = {}
        self._look = Look(0, 0, 0)

    @property
    def ticked(self) -> tuple[str, ...]:
        """What is ticked, in the order of the list."""
        return tuple(key for row in self.rows for key in self._ticks(row))

    @property
    def wanted(self) -> tuple[str, ...]:
        """What somebody has ticked, listed at the moment or not."""
        return tuple(self._ticked)

    @property
    def marked(self) -> Tick | None:
        """The one that is marked."""
        return self.rows[self.highlighted] if self.highlighted is not None and self.rows else None

    def tick(self, keys: Iterable[str]) -> None:
        """Tick these, and no others; the first of them is marked."""
        self._ticked = dict.fromkeys(keys)
        self._draw(self.highlighted)
        self.highlighted = next((n for n, row in enumerate(self.rows) if self._is_ticked(row)), self.highlighted)

    def watch_rows(self, old: tuple[Tick, ...], rows: tuple[Tick, ...]) -> None:
        """List other things; what is ticked stays so, and the mark on its line, or the one that it was below."""
        at = self.highlighted
        marked = old[at] if at is not None and at < len(old) else None
        places = {row.key: n for n, row in enumerate(rows)}
        found = (places.get(key) for key in ((marked.key, marked.below) if marked else ()))
        self._draw(next((place for place in found if place is not None), at))

    def on_resize(self, event: events.Resize) -> None:
        """Where there is other room, the things are listed otherwise."""
        if self._looks() != self._look:
            self._draw(self.highlighted)

    def _looks(self) -> Look:
        """How the things are listed in the room that there is."""
        width, height = self.scrollable_content_region.size
        if width and 2 * len(self.rows) <= height:
            most = max((len(self._below(row, width)) for row in self.rows), default=0)
            whole = sum(1 + len(self._below(row, width)) for row in self.rows) <= height
            return Look(width, most if whole else 1, 0)
        return Look(width, 0, max((_indent(row) + cell_len(row.name) for row in self.rows), default=0))

    def _below(self, row: Tick, width: int) -> list[Content]:
        """What is said of a thing, in lines below its name."""
        text = show.line(row.said, show.DIM)
        return text.wrap(max(width - BOX - _indent(row), LEAST)) if text.plain else []

    def _draw(self, at: int | None) -> None:
        self._look = self._looks()
        self.clear_options()
        self.add_options([Option(self._label(row)) for row in self.rows])
        if not self.rows:
            self.add_option(Option(Content.styled(self._empty, show.DIM), disabled=True))
        self.highlighted = min(at or 0, len(self.rows) - 1) if self.rows else None
        self._tell()

    def _tell(self) -> None:
        count = len(self.ticked)
        self.border_subtitle = Content(f"{count} ticked" if count else "none ticked")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        at = place(event)
        if at is None or not self.rows:
            return
        row = self.rows[at]
        if row.problem:
            self.post_message(self.Refused(row))
            return
        if row.key in self._ticked:
            del self._ticked[row.key]
        else:
            self._ticked[row.key] = None
        self.relabel(at, self._label(row))
        self._tell()

    def _ticks(self, row: Tick) -> list[str]:
        """What is ticked of a line: it, and of its kinds those that are folded away."""
        return [*([row.key] if self._is_ticked(row) else []), *(key for key in row.folded if key in self._ticked)]

    def _is_ticked(self, row: Tick) -> bool:
        return not row.problem and row.key in self._ticked

    def _label(self, row: Tick) -> Content:
        ticked = self._is_ticked(row)
        box = Content.styled("[x] ", f"bold {show.ACCENT}") if ticked else Content(" ·  " if row.problem else "[ ] ")
        name = show.line(row.name, show.DIM if row.problem else "bold" if ticked else "")
        folded = sum(key in self._ticked for key in row.folded)
        below = f"  {folded} version{'' if folded == 1 else 's'} ticked" if folded else ""
        head = Content.assemble(" " * _indent(row), box, name, (below, show.ACCENT))
        width, lines, names = self._look
        if lines:
            said = self._below(row, width)
            if len(said) > lines:
                said = [show.line(row.said, show.DIM)]
            margin = " " * (BOX + _indent(row))
            return show.lines([head, *(Content.assemble(margin, each) for each in said)])
        blank = max(BOX + names - head.cell_length, 0) + GAP
        if width - head.cell_length - blank < LEAST:
            return head
        return Content.assemble(head, " " * blank, show.line(row.said, show.DIM))


def _indent(row: Tick) -> int:
    """Cells before the box."""
    return 2 if row.below else 0
