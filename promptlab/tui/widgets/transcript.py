"""A growing text that costs only what was added.

Static widgets in a scrolling container cost a layout of the whole screen for each change: with four columns streaming
that was 85 % of a core. This draws lines itself. Where lines break is worked out once, and for a paragraph that grows
only from its last line on; a line is drawn when it is seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from promptlab.tui.widgets.quickbar import QuickBar
from promptlab.tui.wrapping import wrap_on

BEYOND = -1
"""The number of all lines after the last one."""
STEPS = 3
"""A growing text moves up by the height of its window divided by this."""


class Paragraph(NamedTuple):
    """A line before it is wrapped: safe to show, without a line break."""

    text: str
    style: str = ""
    clip: bool = False
    """It takes one line, and what does not fit is cut off."""


Line = tuple[int, int, int]
"""A piece of a paragraph that stands on one line: the paragraph's number, and where it begins and ends in that."""


class Transcript(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows paragraphs. It follows the end until somebody scrolls up, and again once they are back there."""

    DEFAULT_CSS = """
    Transcript {
        overflow-x: hidden;
        overflow-y: scroll;
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
        # Always there, though nothing is seen of it where all fits: one that comes has the whole screen laid out again.
        self.set_reactive(Widget.show_vertical_scrollbar, True)
        self.paragraphs: tuple[Paragraph, ...] = ()
        """What is shown."""
        self._lines: list[Line] = []
        self._firsts: list[int] = []
        """For each paragraph, the number of its first line."""
        self._styles: dict[str, Style] = {}
        self._filters: tuple[Sequence[LineFilter], Color] | None = None
        """What changes all colours, such as `NO_COLOR`, and what lies behind; None while it is to be looked up."""
        self._strips: dict[int, Strip] = {}
        """Lines that have been drawn, as they are handed over."""
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
            places = [] if paragraph.clip else wrap_on(places, paragraph.text, width)
            begun = 0
            for place in places:
                self._lines.append((number, begun, place))
                begun = place
            self._lines.append((number, begun, len(paragraph.text)))
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
        return [begun for _, begun, _ in self._lines[self._firsts[start] + 1 : end]]

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
        """Set the size of the whole text. The screen is not laid out again for it."""
        self.set_reactive(Widget.virtual_size, size)
        self._scroll_update(size)

    @property
    def vertical_scrollbar(self) -> QuickBar:
        """The scroll bar."""
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = QuickBar(vertical=True, name="vertical", thickness=1)
            self.app._start_widget(self, self._vertical_scrollbar)
        assert isinstance(self._vertical_scrollbar, QuickBar)
        return self._vertical_scrollbar

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        """Another width is another wrapping; with another height the end is elsewhere.

        Here, where the layout is made: a `Resize` is told only after the text was drawn in the wrong lines.
        """
        changed = super()._size_updated(size, virtual_size, container_size, layout)
        if changed or not self._width:  # not wrapped while it was hidden, and back in the same place
            self._fit()
        return changed

    def _fit(self) -> None:
        if self.scrollable_content_region.width != self._width:
            self._wrap(0)
        self._keep_up()

    def notify_style_update(self) -> None:
        """Other colours: draw everything again."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()
        self._filters = None
        if self.is_attached:
            self._wrap(0)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines, each once: what Textual does to every line whenever it is drawn is kept with it."""
        if self.opacity != 1 or any(self.styles.gutter):
            return super().render_lines(crop)
        selection, above, width = self.text_selection, self.scroll_offset.y, self.size.width
        lines = [self._line(y + above, width, selection) for y in crop.line_range]
        left, right = crop.column_span
        return lines if (left, right) == (0, width) else [line.crop(left, right) for line in lines]

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        return self._line(y + self.scroll_offset.y, self.size.width, self.text_selection)

    def _line(self, number: int, width: int, selection: Selection | None) -> Strip:
        if number >= len(self._lines):
            number = BEYOND
        strip = self._strips.get(number)
        if strip is None or strip.cell_length != width:
            strip = self._strips[number] = self._drawn_line(number, width)
        if number != BEYOND and selection and (span := selection.get_span(number)):
            start, end = span[0], span[1] if span[1] >= 0 else strip.cell_length
            marked = strip.crop(start, end).apply_style(self.screen.get_component_rich_style("screen--selection"))
            return Strip.join([strip.crop(0, start), marked, strip.crop(end)]).apply_offsets(0, number)
        return strip

    def _drawn_line(self, number: int, width: int) -> Strip:
        text = "" if number == BEYOND else self._text(number)
        cells = len(text) if text.isascii() else cell_len(text)
        pieces = [(text, self._around if number == BEYOND else self._style(self._named(number)))] if text else []
        pieces += [(" " * (width - cells), self._around)] if cells < width else []
        if number != BEYOND:  # for whoever marks with the mouse
            places = (0, len(text)) if text else (0,)
            pieces = [
                (piece, style + Style.from_meta({"offset": (x, number)}))
                for (piece, style), x in zip(pieces, places, strict=False)
            ]
        segments = [Segment(*piece) for piece in pieces]
        if self._filters is None:
            self._filters = self.get_line_filters(), self.background_colors[1]
        filters, background = self._filters
        for each in filters:
            segments = each.apply(segments, background)
        return Strip(segments, max(cells, width)).adjust_cell_length(width)

    def _named(self, number: int) -> str:
        return self.paragraphs[self._lines[number][0]].style

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
        """What was marked with the mouse: paragraphs as they are, not as they were broken into lines to fit."""
        if not self._lines:
            return None
        end = (len(self._lines) - 1, None) if selection.end is None else selection.end.transpose
        first, start = self._place(*((0, 0) if selection.start is None else selection.start.transpose))
        last, stop = self._place(*end)
        texts = [paragraph.text for paragraph in self.paragraphs[first : last + 1]]
        texts[-1] = texts[-1][:stop]
        texts[0] = texts[0][start:]
        return "\n".join(texts), "\n"

    def _place(self, number: int, at: int | None) -> tuple[int, int]:
        """The paragraph, and where in it, of a character of a line; the line's end where there is none."""
        paragraph, start, end = self._lines[min(number, len(self._lines) - 1)]
        return paragraph, end if at is None or number >= len(self._lines) else min(start + at, end)

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
