"""A growing text that costs only what was added.

Static widgets in a scrolling container cost a layout of the whole screen for each change: with four columns streaming
that was 85 % of a core. This draws lines itself. Where lines break is worked out once, and for a paragraph that grows
only from its last line on; a line is drawn when it is seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from promptlab.tui.wrapping import wrap_on

STEPS = 3
"""A growing text moves up by the height of its window divided by this."""


class Paragraph(NamedTuple):
    """A line before it is wrapped: safe to show, without a line break."""

    text: str
    style: str = ""
    clip: bool = False
    """It takes one line, and what does not fit is cut off."""


class _Line(NamedTuple):
    """A piece of a paragraph that stands on one line."""

    paragraph: int
    start: int
    end: int


class Transcript(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows paragraphs. It follows the end until somebody scrolls up, and again once they are back there."""

    DEFAULT_CSS = """
    Transcript {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
    }
    """

    # Not the inherited ones: left and right are free for whoever holds several texts.
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
        self._lines: list[_Line] = []
        self._firsts: list[int] = []
        """For each paragraph, the number of its first line."""
        self._styles: dict[str, Style] = {}
        self._strips: dict[int, Strip] = {}
        """Lines that have been drawn."""
        self._width = 0
        self._follow = True
        self._growing = False
        self._drawn = 0
        """Lines that were there when it was drawn last."""

    def show(self, paragraphs: Sequence[Paragraph], *, growing: bool = False) -> None:
        """Show other paragraphs; those at the beginning that stay as they are cost nothing.

        While it is `growing`, there is room left below the end, and it is filled before the text moves up: what stands
        still can be read, and need not be drawn again.
        """
        settled = self._growing and not growing
        self._growing = growing
        old, self.paragraphs = self.paragraphs, tuple(paragraphs)
        same = _same(old, self.paragraphs)
        if same < max(len(old), len(self.paragraphs)):
            self._wrap(same, old[same] if same < len(old) else None)
        elif settled:
            self._grow()

    def restart(self) -> None:
        """Follow the end again: what comes now is another text."""
        self._follow = True

    def _wrap(self, start: int, before: Paragraph | None = None) -> None:
        """Wrap from a paragraph on, which was `before`, and draw what has changed."""
        width = self.scrollable_content_region.width
        if width <= 0:  # it is not shown: once it is, all of it is wrapped
            self._width = 0
            for known in (self._lines, self._firsts, self._strips):
                known.clear()
            return
        start = min(start, len(self._firsts)) if width == self._width else 0
        self._width = width
        first = self._firsts[start] if start < len(self._firsts) else len(self._lines)
        places = self._kept(start, before)
        del self._firsts[start:], self._lines[first:]
        for number, paragraph in enumerate(self.paragraphs[start:], start):
            self._firsts.append(len(self._lines))
            places = [] if paragraph.clip else wrap_on(places, paragraph.text, self._width)
            ends = (*places, len(paragraph.text))
            self._lines += [_Line(number, *span) for span in zip((0, *places), ends, strict=True)]
            places = []
        for number in [number for number in self._strips if number >= first]:
            del self._strips[number]
        last = max(len(self._lines), self._drawn)
        self._drawn = len(self._lines)
        self._grow()
        self._refresh_lines(first, last)

    def _refresh_lines(self, first: int, last: int) -> None:
        """Draw lines again, from one to before another, those of them that are seen."""
        height = self.size.height
        top, bottom = (min(max(0, number - self.scroll_offset.y), height) for number in (first, last))
        if top < bottom:
            self.refresh(Region(0, top, self.size.width, bottom - top))

    def _kept(self, start: int, before: Paragraph | None) -> list[int]:
        """The breaks that a paragraph which has only grown keeps."""
        if before is None or not start < min(len(self._firsts), len(self.paragraphs)):
            return []
        if before.clip or not self.paragraphs[start].text.startswith(before.text):
            return []
        end = self._firsts[start + 1] if start + 1 < len(self._firsts) else len(self._lines)
        return [line.start for line in self._lines[self._firsts[start] + 1 : end]]

    def _keep_up(self) -> None:
        """Show the end, unless somebody has scrolled up."""
        if self._follow and not self.is_vertical_scrollbar_grabbed:
            # By force, because the scroll bar that allows it may not be there before the next layout.
            self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever moves decides whether to follow. That the end itself moves away decides nothing."""
        super().watch_scroll_y(old_value, new_value)
        self._follow = round(new_value) >= self.max_scroll_y

    def _grow(self) -> None:
        """Take the room that the text needs, and keep up with it."""
        lines, height = len(self._lines), self.container_size.height
        if self._growing and lines > height:
            step = max(1, height // STEPS)
            lines = math.ceil(lines / step) * step
        size = Size(self._width, lines)
        if size != self.virtual_size:  # or else the scroll bar would be drawn for nothing
            self._grow_to(size)
        self._keep_up()

    def _grow_to(self, size: Size) -> None:
        """Set the size of the whole text. Only when the scroll bar comes or goes is the screen laid out again."""
        if (size.height > self.container_size.height) != self.show_vertical_scrollbar:
            self.virtual_size = size
        else:
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        """Another width is another wrapping; with another height the end is elsewhere.

        Here, where the layout is made: a `Resize` is told only after the text was drawn in the wrong lines.
        """
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed:
            self._fit()
        return changed

    def on_resize(self, event: events.Resize) -> None:
        """Fit also where the first layout came before the text."""
        self._fit()

    def _fit(self) -> None:
        if self.scrollable_content_region.width != self._width:
            self._wrap(0)
        self._keep_up()

    def notify_style_update(self) -> None:
        """Other colours: draw everything again."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()
        if self.is_attached:
            self._wrap(0)

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        number = y + self.scroll_offset.y
        if number >= len(self._lines):
            return Strip.blank(self.size.width, self._around)
        strip = self._strips.get(number)
        if strip is None or strip.cell_length != self.size.width:
            style = self._style(self.paragraphs[self._lines[number].paragraph].style)
            strip = Strip([Segment(self._text(number), style)]).adjust_cell_length(self.size.width, self._around)
            self._strips[number] = strip.apply_offsets(0, number)
        if (selection := self.text_selection) and (span := selection.get_span(number)):
            start, end = span[0], span[1] if span[1] >= 0 else strip.cell_length
            marked = strip.crop(start, end).apply_style(self.screen.get_component_rich_style("screen--selection"))
            return Strip.join([strip.crop(0, start), marked, strip.crop(end)]).apply_offsets(0, number)
        return self._strips[number]

    @property
    def _around(self) -> Style:
        """The style where there is no text. Looking it up costs more than drawing a line."""
        if "" not in self._styles:
            self._styles[""] = self.rich_style
        return self._styles[""]

    def _text(self, number: int) -> str:
        paragraph, start, end = self._lines[number]
        text, _, clip = self.paragraphs[paragraph]
        return clipped(text, self._width) if clip else text[start:end].rstrip()

    def _style(self, name: str) -> Style:
        """A style as it is drawn here, looked up once."""
        if not name:
            return self._around
        if name not in self._styles:
            strips = Visual.to_strips(self, Content.styled("x", name), 1, 1, self.visual_style, apply_selection=False)
            self._styles[name] = next(iter(strips[0])).style or self._around
        return self._styles[name]

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What was marked with the mouse, line by line as it is drawn."""
        return selection.extract("\n".join(map(self._text, range(len(self._lines))))), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the marks."""
        self.refresh()


def clipped(text: str, width: int) -> str:
    """As much of a text as fits a line."""
    content = Content(text[: width + 1])
    return text if len(text) <= width and content.cell_length <= width else content.truncate(width, ellipsis=True).plain


def _same(old: Sequence[Paragraph], new: Sequence[Paragraph]) -> int:
    """How many paragraphs at the beginning are the same."""
    if len(old) <= len(new) and old[:-1] == new[: max(0, len(old) - 1)]:  # a text that grows, compared quickly
        return len(old) - (old[-1:] != new[len(old) - 1 : len(old)]) if old else 0
    for number, (before, after) in enumerate(zip(old, new, strict=False)):
        if before != after:
            return number
    return min(len(old), len(new))
