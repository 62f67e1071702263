"""A growing text that costs only what was added.

Static widgets in a scrolling container cost a layout of the whole screen for each change: with four columns streaming
that was 85 % of a core. This draws lines itself: a change wraps the last paragraph again and draws the lines after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget


class Paragraph(NamedTuple):
    """A line before it is wrapped: safe to show, without a line break."""

    text: str
    style: str = ""


class Transcript(ScrollView, can_focus=True):
    """Shows paragraphs. It follows the end until somebody scrolls up, and again once they are back there."""

    DEFAULT_CSS = """
    Transcript {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", "Up", show=False),
        Binding("down", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "First line", show=False),
        Binding("end", "scroll_end", "Last line", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: tuple[Paragraph, ...] = ()
        """What is shown."""
        self._ends: list[int] = []
        """For each paragraph, how many lines it and those before it take."""
        self._strips: list[Strip] = []
        self._width = 0
        self._follow = True

    def show(self, paragraphs: Sequence[Paragraph]) -> None:
        """Show other paragraphs; those at the beginning that stay as they are cost nothing."""
        old, self.paragraphs = self.paragraphs, tuple(paragraphs)
        same = 0
        for before, after in zip(old, self.paragraphs, strict=False):
            if before != after:
                break
            same += 1
        if same < max(len(old), len(self.paragraphs)):
            self._wrap(same)

    def _wrap(self, start: int) -> None:
        """Wrap from a paragraph on, and draw what has changed."""
        self._width = self.scrollable_content_region.width
        if self._width <= 0:
            return
        start = min(start, len(self._ends))
        first = self._ends[start - 1] if start else 0
        del self._ends[start:], self._strips[first:]
        for text, style in self.paragraphs[start:]:
            content = Content.styled(text, style) if text else Content(" ")
            self._strips += Visual.to_strips(
                self, content, self._width, None, self.visual_style, apply_selection=False, pad=True
            )
            self._ends.append(len(self._strips))
        self._grow_to(Size(self._width, len(self._strips)))
        self._keep_up()
        top = first - self.scroll_offset.y
        self.refresh(Region(0, max(0, top), self.size.width, max(0, self.size.height - max(0, top))))

    def _keep_up(self) -> None:
        """Show the end, unless somebody has scrolled up."""
        if self._follow and not self.is_vertical_scrollbar_grabbed:
            # By force, because the scroll bar that allows it may not be there before the next layout.
            self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever moves decides whether to follow. That the end itself moves away decides nothing."""
        super().watch_scroll_y(old_value, new_value)
        self._follow = round(new_value) >= self.max_scroll_y

    def _grow_to(self, size: Size) -> None:
        """Set the size of the whole text. Only when the scroll bar comes or goes is the screen laid out again."""
        if (size.height > self.container_size.height) != self.show_vertical_scrollbar:
            self.virtual_size = size
        else:
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)

    def on_resize(self, event: events.Resize) -> None:
        """Another width is another wrapping; with another height the end is elsewhere."""
        if self.scrollable_content_region.width != self._width:
            self._wrap(0)
        self._keep_up()

    def notify_style_update(self) -> None:
        """Other colours: draw everything again."""
        super().notify_style_update()
        if self.is_attached:
            self._wrap(0)

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        number = y + self.scroll_offset.y
        if number >= len(self._strips):
            return Strip.blank(self.size.width, self.rich_style)
        strip = self._strips[number]
        if (selection := self.text_selection) and (span := selection.get_span(number)):
            start, end = span[0], span[1] if span[1] >= 0 else strip.cell_length
            marked = strip.crop(start, end).apply_style(self.screen.get_component_rich_style("screen--selection"))
            strip = Strip.join([strip.crop(0, start), marked, strip.crop(end)])
        return strip.apply_offsets(0, number)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What was marked with the mouse, line by line as it is drawn."""
        return selection.extract("\n".join(strip.text.rstrip() for strip in self._strips)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the marks."""
        self.refresh()
