"""A scroll bar that costs next to nothing: it moves with each line of an answer that is being written."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

from promptlab.tui.compositor import filtered


class QuickBar(ScrollBar):
    """Looks and works as Textual's, without the way through a Rich console for each change."""

    def __init__(self, vertical: bool = True, name: str | None = None, *, thickness: int = 1) -> None:
        super().__init__(vertical, name, thickness=thickness)
        self._state: object = None
        """What the lines that were drawn last show."""
        self._lines: list[Strip] = []

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines; there are only a few different ones."""
        bar = self.render()
        if self.opacity != 1 or not self.vertical or not isinstance(bar, ScrollBarRender):
            return super().render_lines(crop)
        width, height = self.size
        state = (height, width, bar.virtual_size, bar.window_size, bar.position, bar.style)
        if state != self._state:
            self._state = state
            self._lines = self._drawn(bar, height)
        left, right = crop.column_span
        lines = self._lines[crop.y : crop.bottom]
        return lines if (left, right) == (0, width) else [line.crop(left, right) for line in lines]

    def _drawn(self, bar: ScrollBarRender, height: int) -> list[Strip]:
        style = self.app.console.get_style(bar.style)
        assert style.color is not None
        assert style.bgcolor is not None
        drawn = bar.render_bar(
            height, bar.virtual_size, bar.window_size, bar.position, bar.thickness, True, style.bgcolor, style.color
        )
        known: dict[Segment, Strip] = {}
        around = self.rich_style
        for segment in drawn.segments:
            if segment not in known:
                known[segment] = self._strip(segment.text, around + segment.style)
        return [known[segment] for segment in drawn.segments]

    def _strip(self, text: str, style: Style) -> Strip:
        strip = Strip([Segment(text, style)], self.thickness)
        return filtered(self, [strip], self.background_colors[1])[0]
