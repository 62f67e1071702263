"""Drawing less: Textual's compositor, which for every small change draws every widget whose clip it touches.

That are nearly all, because the clip of most is the whole screen; and it draws all of their lines. While three answers
stream, this takes most of the time of the screen's thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from textual._compositor import Compositor
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip

S = TypeVar("S", bound=Screen[Any])


class FrugalCompositor(Compositor):
    """Draws only widgets that are where something has changed, and of these only the lines."""

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if crop is None:
            yield from super()._get_renders()
            return
        # Whole lines, because a line is put together of pieces that end where widgets do, not where the crop does.
        rows = Region(0, crop.y, self.size.width, crop.height)
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            if crop.overlaps(seen):
                part = seen.intersection(rows)
                yield region, part, widget.render_lines(part.translate(-region.offset))


def draw_less(screen: S) -> S:
    """Have a screen drawn so; before it is shown."""
    screen._compositor = FrugalCompositor()
    return screen
