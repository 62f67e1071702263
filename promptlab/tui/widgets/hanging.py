"""Lines of text such as those of a diff, in which the first column says what each line is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from promptlab.tui import show
from promptlab.tui.wrapping import breaks

MAX_LINES = 2_000
"""Of a source, or of a difference."""
MAX_LINE = 2_000
"""Characters of a line."""
_STYLES = {"+": show.GOOD, "-": show.BAD, "@": show.ACCENT, "\\": show.DIM}


class Hanging(Widget):
    """Shows lines. What is too long for one goes on below it, as far to the right as what stands in it."""

    DEFAULT_CSS = "Hanging { height: auto; }"

    def __init__(self, lines: Iterable[Content] = (), hang: int = 0) -> None:
        """`hang`: cells at the beginning of a line that are kept free below it."""
        super().__init__()
        self._hang = hang
        self._lines = tuple(lines)
        self._wrapped: tuple[int, Content] | None = None
        """For which width, and what it is there."""

    def show(self, lines: Iterable[Content], hang: int = 0) -> None:
        """Show others."""
        self._lines, self._hang, self._wrapped = tuple(lines), hang, None
        self.refresh(layout=True)

    def render(self) -> Content:
        """The lines, as they fit."""
        return self._at(self.content_size.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as there are in this width."""
        return self._at(width).plain.count("\n") + 1

    def _at(self, width: int) -> Content:
        if self._wrapped is None or self._wrapped[0] != width:
            room = max(width - self._hang, 1)
            self._wrapped = (width, show.lines(piece for line in self._lines for piece in self._pieces(line, room)))
        return self._wrapped[1]

    def _pieces(self, line: Content, room: int) -> Iterable[Content]:
        """A line, and what of it goes on below."""
        places = breaks(line.plain[self._hang :], room)
        first, *more = line.divide([self._hang + place for place in places]) if places else [line]
        # Blanks before a break would not fit.
        return [first.rstrip(), *(Content(" " * self._hang) + piece.rstrip() for piece in more)]


def source(lines: Sequence[str]) -> list[Content]:
    """Anyone's text, as far as it is shown."""
    return _cut(lines, [""] * len(lines))


def difference(lines: Sequence[str]) -> list[Content]:
    """A unified diff, each line in the colour of its mark."""
    return _cut(lines, [_STYLES.get(line[:1], "") for line in lines])


def _cut(lines: Sequence[str], styles: Sequence[str]) -> list[Content]:
    pairs = list(zip(lines, styles, strict=True))[:MAX_LINES]
    shown = [show.line(line[:MAX_LINE].replace("\t", "    "), style) for line, style in pairs]
    more = len(lines) - MAX_LINES
    return [*shown, *([Content.styled(f"… and {more:,} lines more", show.DIM)] if more > 0 else [])]
