from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from textual._compositor import Compositor
from textual.geometry import Region
from textual.strip import Strip

from promptlab.engine.fake import FakeEngine
from promptlab.tui.compositor import FrugalCompositor
from tests.tui.kit import Player, playing

SIZE = (120, 40)


def drawn(compositor: Compositor, region: Region) -> list[str]:
    """What a part of the screen is drawn as when only that has changed."""
    compositor._dirty_regions = {region}
    update = compositor.render_partial_update()
    assert update is not None
    lines = []
    for y, x1, x2 in update.spans:
        pieces = sorted(update.chops[y].items())
        assert all(strip is not None for cut, strip in pieces if x1 <= cut < x2), "a hole"
        before = max(cut for cut, strip in pieces if cut <= x1)
        known = [strip for cut, strip in pieces if before <= cut < x2 and strip is not None]
        lines.append(Strip.join(known).crop(x1 - before, x2 - before).text)
    return lines


async def look_at(player: Player, luck: random.Random) -> None:
    """Any part of the screen is drawn as it is when all of it is."""
    compositor = player.app.screen._compositor
    assert isinstance(compositor, FrugalCompositor)
    for _ in range(30):
        x, y = luck.randrange(SIZE[0]), luck.randrange(SIZE[1])
        region = Region(x, y, luck.randint(1, SIZE[0] - x), luck.randint(1, SIZE[1] - y))
        whole = [strip.crop(region.x, region.right).text for strip in compositor.render_strips()]
        assert drawn(compositor, region) == whole[region.y : region.bottom]


@pytest.mark.parametrize("key", ["f2", "f3", "f4", "f5", "ctrl+b", "ctrl+t"])
def test_a_part_of_a_screen_is_drawn_as_in_the_whole(library: Path, key: str) -> None:
    async def go() -> None:
        engine = FakeEngine(lambda question, prompt: "The light of a low sun.\n" * 60)
        async with playing(library, engine, SIZE) as player:
            await player.choose("explain")
            await player.press("enter")
            await player.type("rain")
            await player.run()
            await player.press(key)
            await player.pilot.pause(0.1)
            await look_at(player, random.Random(key))

    asyncio.run(go())


def test_of_a_small_part_few_widgets_are_drawn(library: Path) -> None:
    async def go() -> None:
        async with playing(library, FakeEngine(), SIZE) as player:
            await player.choose("explain")
            compositor, small = player.app.screen._compositor, Region(60, 20, 30, 1)
            ours, usual = list(compositor._get_renders(small)), list(Compositor._get_renders(compositor, small))
            assert 0 < len(ours) < len(usual)
            assert sum(len(strips) for *_, strips in ours) == len(ours)  # of each a line
            assert sum(len(strips) for *_, strips in usual) > 5 * len(ours)

    asyncio.run(go())
