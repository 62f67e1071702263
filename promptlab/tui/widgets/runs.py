"""What a search in the history has found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.describe import verdict
from promptlab.tui.widgets.listed import Listed, place

if TYPE_CHECKING:
    from promptlab.core.search import Hit

AHEAD = 25
"""Runs below the marked one, or the last visible one, when more are asked for."""


class RunList(Listed):
    """Two lines for each run: what it was, and how it begins or where the words were found."""

    DEFAULT_CSS = """
    RunList { text-wrap: nowrap; text-overflow: ellipsis; padding: 0 1; }
    """

    hits: var[tuple[Hit, ...]] = var((), init=False)
    """What to list."""
    ticked: var[frozenset[str]] = var(frozenset(), init=False)
    """The ids of those that are ticked."""
    today: var[str] = var("", init=False)
    """The day it is, as in the times of runs: of its runs the time is enough."""

    class Marked(Message):
        """Another run is marked."""

        def __init__(self, hit: Hit) -> None:
            super().__init__()
            self.hit = hit

    class Chosen(Message):
        """Enter was pressed on the marked run."""

    class Wanted(Message):
        """The end comes near: more are wanted, if there are more."""

    @property
    def marked(self) -> Hit | None:
        """The run that is marked."""
        return self.hits[self.highlighted] if self.highlighted is not None and self.hits else None

    def watch_hits(self, old: tuple[Hit, ...], hits: tuple[Hit, ...]) -> None:
        """List others. Where these begin with the old ones they are added; otherwise the mark stays on its run."""
        if old and len(hits) > len(old) and hits[: len(old)] == old:
            self.add_options(self._made(hits[len(old) :]))
            return
        marked = old[self.highlighted].id if self.highlighted is not None and self.highlighted < len(old) else None
        place = self.highlighted or 0
        ids = [hit.id for hit in hits]
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options(self._made(hits))
            self.highlighted = None
        self.highlighted = (ids.index(marked) if marked in ids else min(place, len(ids) - 1)) if ids else None

    def watch_ticked(self, old: frozenset[str], ticked: frozenset[str]) -> None:
        """Draw the boxes."""
        changed = old ^ ticked
        for number, hit in enumerate(self.hits):
            if hit.id in changed:
                self.relabel(number, self._row(hit))

    def watch_today(self) -> None:
        """What was of today is of yesterday now."""
        for number, hit in enumerate(self.hits):
            self.relabel(number, self._row(hit))

    def to_first(self) -> None:
        """Mark the first one."""
        self.highlighted = 0 if self.hits else None

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for more in time."""
        super().watch_scroll_y(old_value, new_value)
        last = (round(new_value) + self.size.height) // 2
        self._look_ahead(last)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if (at := place(event)) is not None:
            self.post_message(self.Marked(self.hits[at]))
            self._look_ahead(at)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen())

    def _look_ahead(self, last: int) -> None:
        if self.hits and last + AHEAD >= len(self.hits):
            self.post_message(self.Wanted())

    def _made(self, hits: tuple[Hit, ...]) -> list[Option]:
        return [Option(self._row(hit)) for hit in hits]

    def _row(self, hit: Hit) -> Content:
        return row(hit, hit.id in self.ticked, self.today)


def row(hit: Hit, ticked: bool, today: str) -> Content:
    """A run, in two lines. Which case it is comes before the model: it tells the runs of a comparison apart."""
    box = Content.styled("[x]", f"bold {show.ACCENT}") if ticked else Content("[ ]")
    pin = Content.styled("★ ", show.ACCENT) if hit.pinned else Content("  ")
    time = show.line(moment(hit.started_at, today), show.DIM)
    about = [show.line(hit.label, "bold"), show.line(hit.case or ""), show.line(hit.model)]
    about += [Content(f"sample {hit.sample + 1}")] if hit.sample else []
    first = Content.assemble(box, pin, show.join([time, outcome(hit), show.join(about, " · ")]))
    return show.lines([first, Content("     ") + excerpt(hit)])


def moment(started_at: str, today: str) -> str:
    """When a run began, without the day where that is today, and else without the year where that is this one."""
    day, time = started_at[:10], started_at[11:16]
    if day == today:
        return time
    return f"{day[5:] if day[:4] == today[:4] else day} {time}"


def outcome(hit: Hit) -> Content:
    """What came of it, where that is known: it failed, or what checks said."""
    return Content.styled("✗ failed", show.BAD) if hit.error is not None else verdict(hit.verdict)


def excerpt(hit: Hit) -> Content:
    """Where the words were found, or how the answer begins; of a failure without an answer, why."""
    pieces = [show.line(p.text, f"bold underline {show.ACCENT}" if p.matched else show.DIM) for p in hit.pieces]
    found = Content("").join(pieces)
    return found if found.plain.strip() else show.line(hit.error or "(nothing)", show.DIM)
