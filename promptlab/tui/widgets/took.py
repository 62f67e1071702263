"""What an answer took: a few numbers, on as many lines as they need where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from promptlab.tui import show
from promptlab.tui.describe import flow

RULE = "$border-blurred"
SIDE = " "
"""What stands free on either side."""


class Took(Widget):
    """Pieces of text below a rule, of which none is broken; where there is room for one line only, just that."""

    DEFAULT_CSS = """
    Took { color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.auto_links = False
        self.low = False
        """Whether there is room for one line only."""
        self._pieces: tuple[Content, ...] = ()
        self._said = ""

    def tell(self, pieces: Sequence[Content]) -> None:
        """Say something else. Only where that takes more lines, or fewer, is the screen laid out again."""
        said = "\n".join(piece.plain for piece in pieces)
        if said == self._said:
            return
        before = self.lines(self.size.width)
        self._said, self._pieces = said, tuple(pieces)
        self.refresh(layout=self.lines(self.size.width) != before)

    def lines(self, width: int) -> int:
        """How many it takes in so many cells."""
        return 1 if self.low else 1 + len(self._rows(width))

    def _rows(self, width: int) -> list[Content]:
        return flow(self._pieces, max(1, width - 2 * len(SIDE))).split(allow_blank=True)

    def render(self) -> Content:
        """The rule, and the numbers."""
        width = self.size.width
        rows = [Content.assemble(SIDE, row) for row in self._rows(width)]
        return rows[0] if self.low else show.lines([Content.styled("─" * width, RULE), *rows])
