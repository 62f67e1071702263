"""Drawing less: Textual's compositor without the work whose outcome nobody sees.

For any change Textual draws every widget whose clip the change touches, those behind others too, cuts all of their
lines wherever any widget ends, and throws away what lies behind. While answers stream, and when a key lays the screen
out anew, this takes most of the time of the screen's thread. Here each line remembers which of its cells are still to
be drawn. Widgets come from the front to the back; those that find no cell left are not drawn, and a line is cut only
where something else stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.console import Console
from textual._compositor import Compositor, CompositorUpdate, LayoutUpdate, ReflowResult
from textual.color import Color
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

FEW = 3
"""Lines that may as well be drawn each."""
EFFECTS = ("tint", "hatch", "text_opacity", "outline_top", "outline_right", "outline_bottom", "outline_left")
"""What Textual does to lines besides frames."""

S = TypeVar("S", bound=Screen[Any])
Span = tuple[int, int, int]
"""Cells of a line: its number, the first column, and the one after the last."""
Pieces = dict[int, list[tuple[int, Strip]]]
"""What is drawn, by the number of the line: from which column on, and what; from left to right."""


class FrugalCompositor(Compositor):
    """Draws only what can be seen of what has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = self._full_map
        """Where everything was when all was laid out last."""

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay all out, and that once.

        Textual tells widgets their sizes in a way that each asks for the whole screen to be laid out again, and to be
        drawn again itself. Only scroll bars that come or go need that, and they ask for it themselves.
        """
        # What is drawn is what differs from what is shown. Textual's map may have been made anew since, for whoever has
        # asked where a widget is; and it would be made once more on the way, where it is being made.
        self._full_map, self._full_map_invalidated = self._shown, False
        result = super().reflow(parent, size)
        self._shown = self._full_map
        drawn_whole = result.shown | result.resized
        for widget, (region, _, _, virtual_size, container_size, _, _) in self.layers:
            widget._size_updated(region.size, virtual_size, container_size, layout=False)
            if widget in drawn_whole:
                widget._repaint_required = False
                widget._repaint_regions.clear()
        return result

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        """Draw the whole screen."""
        if simplify:  # a picture is made, where nothing hurries
            return super().render_full_update(simplify=True)
        self._dirty_regions.clear()
        pieces = self.paint([(y, 0, self.size.width) for y in range(self.size.height)])
        return LayoutUpdate([[strip for _, strip in pieces[y]] for y in range(self.size.height)], self.size.region)

    def render_partial_update(self) -> SpansUpdate | None:  # type: ignore[override]  # no more is asked of it
        """Draw what has changed."""
        within = self.size.region
        changed = [region for each in self._dirty_regions if (region := each.intersection(within))]
        self._dirty_regions.clear()
        return SpansUpdate(self.paint(list(self._regions_to_spans(changed)))) if changed else None

    def paint(self, spans: Sequence[Span]) -> Pieces:
        """Draw these cells; spans come in the order of their lines, and do not overlap."""
        missing: dict[int, list[tuple[int, int]]] = {}
        for y, start, end in spans:
            missing.setdefault(y, []).append((start, end))
        found: Pieces = {y: [] for y in missing}
        edges = {y: ({start for start, _ in line}, {end for _, end in line}) for y, line in missing.items()}
        before: list[Region] = []
        for widget, (region, clip) in self.visible_widgets.items():  # from the front to the back
            seen = region.intersection(clip)
            left, right = seen.column_span
            lines = [y for y in seen.line_range if y in missing and _touches(missing[y], left, right)]
            if not lines or not widget.is_attached:  # one that is being removed is as good as gone
                continue
            top = lines[0]
            part = Region(left, top, seen.width, lines[-1] + 1 - top).translate(-region.offset)
            strips = _lines(widget, part)
            for y in lines:
                places, missing[y] = _share(missing[y], left, right)
                starts, ends = edges[y]
                strip = strips[y - top]
                for start, end in places:
                    # What was drawn over half of a wide character took the other half as well.
                    if start in starts and _splits(strip, start - left):
                        start -= not _covered(before, start - 1, y)
                    if end in ends and _splits(strip, end - left):
                        end += not _covered(before, end, y)
                    whole = (start, end) == (left, right)
                    found[y].append((start, strip if whole else strip.crop(start - left, end - left)))
                if not missing[y]:
                    del missing[y]
            if not missing:
                break
            before.append(seen)
        for line in found.values():
            line.sort(key=_column)
        return found


class SpansUpdate(CompositorUpdate):
    """Pieces of lines, for a terminal."""

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces

    def render_segments(self, console: Console) -> str:
        """As what is to be written to the terminal."""
        written: list[str] = []
        for y, line in self.pieces.items():
            for x, strip in line:  # each is moved to: not every terminal counts the cells of an emoji as we do
                written.append(f"\x1b[{y + 1};{x + 1}H")
                written.append(strip.render(console))
        return "".join(written)


def _lines(widget: Widget, part: Region) -> list[Strip]:
    """What a part of a widget looks like, line by line: what `Widget.render_lines` gives, for less where that can be.

    Textual draws a frame around each line, also where there is none; and between the edges of a container there is
    nothing but the cells beside its children, so that one line stands for all.
    """
    if type(widget).render_lines is not Widget.render_lines or widget.opacity != 1 or widget.hover_style._link_id:
        return widget.render_lines(part)
    styles = widget.styles
    if not any(styles.gutter) and not any(styles.has_rule(name) for name in EFFECTS):
        return _unframed(widget, part)
    first, last = max(part.y, styles.gutter.top), min(part.bottom, widget.region.height - styles.gutter.bottom)
    if last - first < FEW or not _is_empty(widget):
        return widget.render_lines(part)
    left, top, width, _ = part
    lines = widget.render_lines(Region(left, top, width, first + 1 - top))
    lines += lines[-1:] * (last - first - 1)
    if last < part.bottom:
        lines += widget.render_lines(Region(left, last, width, part.bottom - last))
    return lines


def _unframed(widget: Widget, part: Region) -> list[Strip]:
    outside, background = widget.background_colors
    width = widget.size.width
    rest = widget._styles_cache.get_inner_outer(outside, background)[0].rich_style
    lines = [widget.render_line(y).adjust_cell_length(width, rest) for y in part.line_range]
    lines = filtered(widget, lines, background)
    left, right = part.column_span
    return lines if (left, right) == (0, width) else [line.crop(left, right) for line in lines]


def filtered(widget: Widget, lines: list[Strip], background: Color) -> list[Strip]:
    """Lines after what changes all colours, such as `NO_COLOR`; what widgets draw themselves goes through it, too."""
    for each in widget.get_line_filters():
        lines = [line.apply_filter(each, background) for line in lines]
    return lines


def _is_empty(widget: Widget) -> bool:
    own = all(getattr(type(widget), name) is getattr(Widget, name) for name in ("render", "render_line"))
    return own and widget.is_container and not widget.styles.has_rule("keyline")


def _column(piece: tuple[int, Strip]) -> int:
    return piece[0]


def _touches(spans: Iterable[tuple[int, int]], left: int, right: int) -> bool:
    for start, end in spans:  # noqa: SIM110  # a generator for each line of each widget takes as long as all else here
        if start < right and left < end:
            return True
    return False


def _share(spans: list[tuple[int, int]], left: int, right: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """What of spans lies within two columns, and what does not."""
    if len(spans) == 1 and left <= spans[0][0] and spans[0][1] <= right:
        return spans, []
    within, beside = [], []
    for start, end in spans:
        first, last = max(start, left), min(end, right)
        if first >= last:
            beside.append((start, end))
            continue
        within.append((first, last))
        if start < first:
            beside.append((start, first))
        if last < end:
            beside.append((last, end))
    return within, beside


def _splits(strip: Strip, column: int) -> bool:
    """Whether a wide character stands on both sides of where a column begins."""
    text = strip.text
    if not 0 < column < strip.cell_length or text.isascii():
        return False
    ends = accumulate(map(cell_len, text))
    return next((end for end in ends if end >= column), column) > column


def _covered(regions: Iterable[Region], x: int, y: int) -> bool:
    return any(region.contains(x, y) for region in regions)


def draw_less(screen: S) -> S:
    """Have a screen drawn so; before it is shown."""
    screen._compositor = FrugalCompositor()
    return screen
