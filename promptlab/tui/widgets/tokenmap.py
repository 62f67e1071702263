"""An answer as tokens, each marked by how surprising it was, with a cursor that goes from one to the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from promptlab.core.text import sanitize
from promptlab.tui.bindings import bindings

MAX_TOKENS = 20_000
"""So many are shown."""
_TAB = "⇥"
"""Shown for a tab."""


class Mark(NamedTuple):
    """A token to show."""

    text: str
    """Anyone's."""
    level: int
    """How surprising it was, from 0 to 3."""
    control: bool
    """Whether it is no text."""


class _Piece(NamedTuple):
    """What of a token stands on one line, before it is known on which."""

    token: int
    text: str
    length: int
    """In cells."""
    ends: bool
    """Whether the line ends there."""
    open: tuple[bool, bool]
    """Whether a line may be broken before it, and after it."""


class _Part(NamedTuple):
    """A part of a token that stands on one line."""

    token: int
    text: str
    start: int
    """The cell where it begins."""


class TokenMap(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows tokens. A line break is shown where it is, so a token may reach over several lines."""

    DEFAULT_CSS = """
    TokenMap {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        & > .tokenmap--level-0 { color: $foreground; }
        & > .tokenmap--level-1 { background: $accent 22%; text-style: underline; }
        & > .tokenmap--level-2 { background: $accent 45%; text-style: bold; }
        & > .tokenmap--level-3 { background: $error 55%; text-style: bold underline; }
        & > .tokenmap--control { color: $text-muted; text-style: italic; }
        & > .tokenmap--cursor { background: $foreground; color: $background; text-style: bold; }
    }
    TokenMap:nocolor > .tokenmap--cursor { text-style: reverse; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"tokenmap--level-{level}" for level in range(4)),
        "tokenmap--control",
        "tokenmap--cursor",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "go(-1)", "Token before", show=False),
        Binding("right", "go(1)", "Next token", show=False),
        Binding("up", "line(-1)", "Line above", show=False),
        Binding("down", "line(1)", "Line below", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "end(0)", "First token", show=False),
        Binding("end", "end(-1)", "Last token", show=False),
        *bindings("tokens"),
    ]

    cursor: var[int] = var(0, init=False)
    """The token that is looked at."""

    class Moved(Message):
        """Another token is looked at."""

        def __init__(self, token: int) -> None:
            super().__init__()
            self.token = token

    class Entered(Message):
        """Enter was pressed: its alternatives are wanted."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._marks: tuple[Mark, ...] = ()
        self._rows: list[list[_Part]] = []
        self._firsts: list[int] = []
        """For each token, the row on which it begins."""
        self._lasts: list[int] = []
        """And on which it ends."""
        self._width = 0

    def show(self, marks: Sequence[Mark], *, grown: bool = False) -> None:
        """Show other tokens, from the first one; or more of the same, where they are."""
        self._marks = tuple(marks[:MAX_TOKENS])
        if not grown:
            self.set_reactive(TokenMap.cursor, 0)
        self._lay_out()
        if not grown:
            self._see()

    def validate_cursor(self, cursor: int) -> int:
        """Stay within."""
        return max(min(cursor, len(self._marks) - 1), 0)

    def watch_cursor(self, cursor: int) -> None:
        """Keep it in sight, and say so."""
        self._see()
        self.refresh()
        self.post_message(self.Moved(cursor))

    # --- where the tokens stand --------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self._width = self.scrollable_content_region.width
        if self._width <= 0:
            return
        rows: list[list[_Part]] = [[]]
        self._firsts, self._lasts = [], []
        column = 0
        for word in _words(_pieces(self._marks, self._width)):
            whole = sum(piece.length for piece in word)
            if column and self._width - column < whole <= self._width:
                rows.append([])
                column = 0
            for number, text, length, ends, _ in word:
                if column and column + length > self._width:  # a word longer than a line
                    rows.append([])
                    column = 0
                if number == len(self._firsts):
                    self._firsts.append(len(rows) - 1)
                    self._lasts.append(0)
                rows[-1].append(_Part(number, text, column))
                self._lasts[number] = len(rows) - 1
                column += length
                if ends:
                    rows.append([])
                    column = 0
        self._rows = rows
        self.virtual_size = Size(self._width, len(rows))
        self.refresh()

    def _see(self) -> None:
        if self.cursor < len(self._firsts):
            region = Region(0, self._firsts[self.cursor], self._width, 1)
            self.scroll_to_region(region, animate=False, force=True, immediate=True)

    def on_resize(self, event: events.Resize) -> None:
        """Another width is another layout."""
        if self.scrollable_content_region.width != self._width:
            self._lay_out()
            self._see()

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        row = y + self.scroll_offset.y
        if row >= len(self._rows):
            return Strip.blank(self.size.width, self.rich_style)
        segments = [Segment(part.text, self._style(part.token)) for part in self._rows[row]]
        return Strip(segments).extend_cell_length(self.size.width, self.rich_style)

    def _style(self, token: int) -> Style:
        mark = self._marks[token]
        names = [f"tokenmap--level-{mark.level}", *(["tokenmap--control"] if mark.control else [])]
        name = "tokenmap--cursor" if token == self.cursor else names[-1] if mark.control else names[0]
        return self.get_visual_style(name).rich_style

    # --- moving ------------------------------------------------------------------------------------------------------

    def action_go(self, step: int) -> None:
        """To the next token, or the one before."""
        self.cursor += step

    def action_end(self, place: int) -> None:
        """To the first or the last."""
        self.cursor = 0 if place == 0 else len(self._marks) - 1

    def action_line(self, step: int) -> None:
        """To the token above or below."""
        if not self._firsts:
            return
        row = (self._firsts if step < 0 else self._lasts)[self.cursor]
        column = next(part.start for part in self._rows[row] if part.token == self.cursor)
        row += step
        while 0 <= row < len(self._rows) and not self._rows[row]:
            row += step
        if 0 <= row < len(self._rows):
            self.cursor = self._token_at(row, column)

    def action_page(self, step: int) -> None:
        """As many lines as are seen."""
        for _ in range(max(self.size.height - 1, 1)):
            self.action_line(step)

    def action_enter(self) -> None:
        """Go to what could have been said."""
        self.post_message(self.Entered())

    def on_click(self, event: events.Click) -> None:
        """Look at the token under the mouse."""
        row = event.y + self.scroll_offset.y
        if row < len(self._rows) and self._rows[row]:
            self.cursor = self._token_at(row, event.x)

    def _token_at(self, row: int, column: int) -> int:
        parts = self._rows[row]
        return parts[max(bisect_right([part.start for part in parts], column) - 1, 0)].token


def _words(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces between which no line should be broken: tokens are often less than a word."""
    word: list[_Piece] = []
    for piece in pieces:
        if word and (word[-1].open[1] or piece.open[0]):
            yield word
            word = []
        word.append(piece)
    if word:
        yield word


def _pieces(marks: Sequence[Mark], width: int) -> Iterator[_Piece]:
    for number, mark in enumerate(marks):
        for text, ends in _parts(mark.text, width):
            before, after = (mark.control or each.isspace() or each == _TAB for each in (text[0], text[-1]))
            yield _Piece(number, text, cell_len(text), ends, (before, after or ends))


def _parts(text: str, width: int) -> list[tuple[str, bool]]:
    """A token's text as what stands on one line each, and whether the line ends there."""
    lines = sanitize(text).replace("\t", _TAB).split("\n")
    found: list[tuple[str, bool]] = []
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        shown = line if last else line + "↵"
        if not shown and (last and found):
            continue
        # What takes no room of its own, such as an accent alone, could not be seen.
        shown = shown if cell_len(shown) else f"◌{shown}"
        pieces = chop_cells(shown, width)
        found += [(piece, False) for piece in pieces[:-1]]
        found.append((pieces[-1], not last))
    return found
