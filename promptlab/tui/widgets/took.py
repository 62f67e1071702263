"""What an answer took: a few numbers, on as many lines as they need where they stand."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from promptlab.tui import show
from promptlab.tui.compositor import filtered
from promptlab.tui.describe import flow

RULE = "$border-blurred"
SIDE = " "
"""What stands free on either side."""


class Took(Widget):
    """Pieces of text below a rule, of which none is broken; where there is room for one line only, just that."""

    DEFAULT_CSS = """
    Took { color: $text-muted; }
    """

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._pieces: tuple[Content, ...] = ()
        self._said = ""
        self._flowed: tuple[int, list[Content]] = (-1, [])
        """The lines, and for how many cells."""
        self._drawn: tuple[object, list[Strip]] = (None, [])
        """What was drawn, and for what."""

    def tell(self, pieces: Sequence[Content]) -> None:
        """Say something else. Only where that takes more lines, or fewer, is the screen laid out again."""
        said = "\n".join(piece.plain for piece in pieces)
        if said == self._said:
            return
        before = self.lines(self.size.width, self._low)
        self._said, self._pieces, self._flowed = said, tuple(pieces), (-1, [])
        self.refresh(layout=self.lines(self.size.width, self._low) != before)

    def lines(self, width: int, low: bool) -> int:
        """How many it takes in so many cells; `low`: one, whatever there is to say."""
        return 1 if low else 1 + len(self._rows(width))

    @property
    def _low(self) -> bool:
        """Whether there is room for one line only: the rule and the numbers take two at least."""
        return self.size.height == 1

    def _rows(self, width: int) -> list[Content]:
        if self._flowed[0] != width:
            rows = flow(self._pieces, max(1, width - 2 * len(SIDE))).split(allow_blank=True)
            self._flowed = width, [Content.assemble(SIDE, row) for row in rows]
        return self._flowed[1]

    def render(self) -> Content:
        """The rule, and the numbers."""
        width = self.size.width
        rows = self._rows(width)
        return rows[0] if self._low else show.lines([Content.styled("─" * width, RULE), *rows])

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines as Textual would, which looks for more than there can be in them."""
        if self.opacity != 1 or any(self.styles.gutter):
            return super().render_lines(crop)
        width = self.size.width
        state = (width, self._said, self._low)
        if self._drawn[0] != state:
            self._drawn = state, self._strips(width)
        strips = self._drawn[1]
        blank = Strip.blank(width, self.rich_style)
        left, right = crop.column_span
        lines = [strips[y] if y < len(strips) else blank for y in crop.line_range]
        return lines if (left, right) == (0, width) else [line.crop(left, right) for line in lines]

    def _strips(self, width: int) -> list[Strip]:
        around, strips = self.visual_style, []
        for row in self.render().split(allow_blank=True):
            parts = row.render(around, "", parse_style=self._get_style)
            segments = [Segment(text, style.rich_style) for text, style in parts if text]
            strips.append(Strip(segments).adjust_cell_length(width, around.rich_style))
        return filtered(self, strips, self.background_colors[1])

    def notify_style_update(self) -> None:
        """Other colours: draw everything again."""
        super().notify_style_update()
        self._drawn = (None, [])
