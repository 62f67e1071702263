from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import Compositor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from promptlab.engine.fake import FakeEngine
from promptlab.tui.compositor import FrugalCompositor
from tests.tui.kit import Player, playing

SIZE = (120, 40)


Cell = tuple[str, Style | None]
"""What stands in a cell, and how it is drawn; a wide character stands in its first one, and nothing in the second."""


class Paper:
    """The cells of a terminal. Who writes over half of a wide character takes the other half as well."""

    def __init__(self, lines: Iterable[Iterable[Strip]], size: tuple[int, int] = SIZE) -> None:
        self.lines: list[list[Cell]] = [[(" ", None)] * size[0] for _ in range(size[1])]
        for y, line in enumerate(lines):
            self.write(y, 0, line)

    def write(self, y: int, x: int, strips: Iterable[Strip]) -> None:
        """Write from a cell on."""
        for strip in strips:
            for text, style, _ in strip:
                for char in text:
                    self._put(y, x, char, style)
                    x += cell_len(char)

    def _put(self, y: int, x: int, char: str, style: Style | None) -> None:
        line, width = self.lines[y], cell_len(char)
        if line[x][0] == "":
            line[x - 1] = (" ", None)
        if x + width < len(line) and line[x + width][0] == "":
            line[x + width] = (" ", None)
        line[x : x + width] = [(char, style), *[("", style)] * (width - 1)]


def change(paper: Paper, compositor: FrugalCompositor, region: Region) -> None:
    """Draw what has changed in a part of the screen."""
    compositor._dirty_regions = {region}
    update = compositor.render_partial_update()
    assert update is not None
    assert list(update.pieces) == list(range(region.y, region.bottom))
    for y, line in update.pieces.items():
        at = line[0][0]
        assert region.x - 1 <= at <= region.x
        for x, strip in line:
            assert x == at, "a hole, or what is drawn twice"
            at += strip.cell_length
            paper.write(y, x, [strip])
        assert region.right <= at <= region.right + 1


async def look_at(player: Player, luck: random.Random) -> None:
    """Any part of the screen is drawn as Textual draws it when it draws all."""
    compositor = player.app.screen._compositor
    assert isinstance(compositor, FrugalCompositor)
    usual = Paper([strip] for strip in Compositor.render_strips(compositor)).lines
    assert Paper(compositor.render_full_update().strips).lines == usual
    for _ in range(40):
        x, y = luck.randrange(SIZE[0]), luck.randrange(SIZE[1])
        region = Region(x, y, luck.randint(1, SIZE[0] - x), luck.randint(1, SIZE[1] - y))
        paper = Paper([strip] for strip in Compositor.render_strips(compositor))
        for line in range(region.y, region.bottom):  # something lay over it, and has gone
            paper.write(line, region.x, [Strip([Segment("#" * region.width)])])
        change(paper, compositor, region)
        assert paper.lines == usual


@pytest.mark.parametrize("key", ["f2", "f3", "f4", "f5", "ctrl+b", "ctrl+t"])
def test_a_part_of_a_screen_is_drawn_as_in_the_whole(library: Path, key: str) -> None:
    async def go() -> None:
        engine = FakeEngine(lambda question, prompt: "The light of a low sun, 太陽の光.\n" * 60)
        async with playing(library, engine, SIZE) as player:
            await player.choose("explain")
            await player.press("enter")
            await player.type("rain")
            await player.run()
            await player.press(key)
            await player.pilot.pause(0.1)
            await look_at(player, random.Random(key))

    asyncio.run(go())


def test_of_a_small_part_few_lines_are_drawn(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        async with playing(library, FakeEngine(), SIZE) as player:
            await player.choose("explain")
            asked: list[int] = []
            draw = Widget.render_lines

            def render_lines(widget: Widget, crop: Region) -> list[Strip]:
                asked.append(crop.height)
                return draw(widget, crop)

            monkeypatch.setattr(Widget, "render_lines", render_lines)
            compositor = player.app.screen._compositor
            assert isinstance(compositor, FrugalCompositor)
            compositor.paint([(20, 60, 90)])
            assert asked == [1]  # the widget that is there, and nothing that lies behind it
            asked.clear()
            compositor.render_full_update()
            ours, before = sum(asked), len(asked)
            compositor.render_strips()
            assert ours < 0.8 * sum(asked[before:]), f"{ours} lines, and Textual draws {sum(asked[before:])}"

    asyncio.run(go())


def test_pieces_are_written_to_where_they_belong(library: Path) -> None:
    async def go() -> None:
        async with playing(library, FakeEngine(), SIZE) as player:
            await player.choose("explain")
            compositor = player.app.screen._compositor
            compositor._dirty_regions = {Region(2, 0, 5, 2), Region(90, 1, 3, 1), Region(118, 39, 9, 9)}
            update = compositor.render_partial_update()
            assert update is not None
            written = re.sub(r"\x1b\[[\d;]*m", "", update.render_segments(Console(force_terminal=True)))
            whole = [strip.text for strip in compositor.render_strips()]
            assert written == "".join(
                f"\x1b[{y + 1};{x + 1}H{whole[y][x:end]}"
                for y, x, end in ((0, 2, 7), (1, 2, 7), (1, 90, 93), (39, 118, 120))
            )
            assert compositor.render_partial_update() is None

    asyncio.run(go())
