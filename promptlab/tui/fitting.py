"""Lines that are made of parts, of which none is cut: what has no room goes to the next line, or is left out.

How much room there is, a widget knows only as it draws: so these are what it draws, in place of a `Content`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.visual import Visual

from promptlab.tui import show
from promptlab.tui.describe import flow

if TYPE_CHECKING:
    from textual.css.styles import RulesMap
    from textual.strip import Strip
    from textual.style import Style
    from textual.visual import RenderOptions


class Fitting(Visual):
    """Content by the width that there is for it."""

    def within(self, width: int) -> Content:
        """What is drawn in so many cells."""
        raise NotImplementedError

    @property
    def whole(self) -> Content:
        """What is drawn where there is room for everything."""
        raise NotImplementedError

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """Draw what fits."""
        return self.within(width).render_strips(width, height, style, options)

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """The room that everything takes."""
        return self.whole.get_optimal_width(rules, container_width)

    def get_height(self, rules: RulesMap, width: int) -> int:
        """How many lines it takes."""
        return self.within(width).get_height(rules, width)


class Row(Fitting):
    """Parts in one line, each with what parts it from those before it. The first is always there."""

    def __init__(self, parts: Iterable[tuple[str, Content]]) -> None:
        self._parts = tuple(parts)

    def within(self, width: int) -> Content:
        """Each part that has room beside those before it."""
        found = Content("")
        for number, (separator, part) in enumerate(self._parts):
            longer = Content.assemble(found, separator, part) if number else part
            if not number or longer.cell_length <= width:
                found = longer
        return found

    @property
    def whole(self) -> Content:
        """All parts."""
        return self.within(sum(len(separator) + part.cell_length for separator, part in self._parts))


class Label(Fitting):
    """A title, and indented below it facts that are broken between two of them only, and lines of words."""

    def __init__(self, title: Content, facts: Sequence[Content], below: Sequence[Content], indent: str) -> None:
        self._title, self._facts, self._below, self._indent = title, tuple(facts), tuple(below), indent

    def within(self, width: int) -> Content:
        """As many lines as the facts need."""
        rows = flow(self._facts, max(1, width - len(self._indent))).split(allow_blank=True)
        return show.lines([self._title, *(Content(self._indent) + row for row in (*rows, *self._below))])

    @property
    def whole(self) -> Content:
        """With all facts in a line."""
        return self.within(sum(fact.cell_length + len(" · ") for fact in self._facts) + len(self._indent))

    def is_same(self, other: Label) -> bool:
        """Whether it looks the same."""
        return self.whole.is_same(other.whole)
