"""The keys in the last line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.pilot import Pilot

from promptlab.engine.fake import FakeEngine
from promptlab.tui.screens.help import HelpScreen
from promptlab.tui.widgets.keybar import KeyBar
from promptlab.tui.widgets.models import ModelList
from tests.tui.kit import Player, playing


def bar(player: Player) -> str:
    return player.text().split("\n")[-1]


async def point(pilot: Pilot[None], player: Player, words: str, *, click: bool = False) -> None:
    """Go there with the mouse."""
    assert words in bar(player)
    do = pilot.click if click else pilot.hover
    await do(player.top().query_one(KeyBar), offset=(bar(player).index(words), 0))


def test_a_click_is_a_key_press(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await point(player.pilot, player, "^b Sidebar", click=True)
            await player.until(lambda: not player.play.sidebar)
            await point(player.pilot, player, "Help", click=True)
            await player.until(lambda: isinstance(player.app.screen, HelpScreen))
            await player.press("escape")
            await point(player.pilot, player, "^p Menu", click=True)
            await player.until(lambda: type(player.app.screen).__name__ == "CommandPalette")

    asyncio.run(go())


def test_the_mouse_is_told_what_a_key_does(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            keys = player.top().query_one(KeyBar)
            await point(player.pilot, player, "^b Sidebar")
            assert str(keys.tooltip) == "Show or hide prompts, inputs and models."
            await point(player.pilot, player, "▏")
            assert keys.tooltip is None
            await point(player.pilot, player, "^p")
            assert str(keys.tooltip) == "Search every command by name."
            await player.pilot.hover(ModelList)
            await player.until(lambda: keys.tooltip is None)
            player.play.query_one(ModelList).focus()
            await player.until(lambda: "p Pull" in bar(player))
            await point(player.pilot, player, "p Pull")
            await player.until(lambda: keys.tooltip is not None)
            await player.press("ctrl+t")  # that key means nothing in a field
            await player.until(lambda: "p Pull" not in bar(player))
            assert keys.tooltip is None

    asyncio.run(go())


def test_it_follows_the_focus(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            player.play.query_one(ModelList).focus()
            await player.until(lambda: "p Pull" in bar(player))
            assert "/ Filter" in bar(player)
            await player.press("ctrl+t")  # in a field of text, letters are no commands, nor is a slash
            await player.until(lambda: "p Pull" not in bar(player))
            assert "/ Filter" not in bar(player)

    asyncio.run(go())


@pytest.mark.parametrize("width", [120, 40, 30, 20, 15])
def test_what_has_no_room_is_left_out_whole(library: Path, engine: FakeEngine, width: int) -> None:
    async def go() -> None:
        async with playing(library, engine, (width, 30)) as player:
            await player.until(lambda: "^p Menu" in bar(player))
            text = bar(player)
            assert len(text) == width
            more = "f1 Help ▏^p Menu" if width > 15 else "▏^p Menu"
            more = f"^q Quit {more}" if width > 24 else more
            assert text.endswith(more)
            filter, pull = ["/", "Filter"], ["p", "Pull"]
            all = ["^r", "Run", "f6", "Pane", "^b", "Sidebar", *filter, *pull]
            shown = text.removesuffix(more).split()
            assert shown == all[: len(shown)]
            assert len(shown) % 2 == 0
            assert len(shown) == {120: 10, 40: 4, 30: 0, 20: 0, 15: 2}[width]

    asyncio.run(go())


def test_neighbours_of_a_group_share_what_they_say(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            player.columns[0].body.focus()
            await player.press("t")
            await player.until(lambda: ", . Answer" in bar(player))
            at = player.top().at  # type: ignore[attr-defined]
            await point(player.pilot, player, ". Answer", click=True)
            await player.until(lambda: player.top().at != at)  # type: ignore[attr-defined]

    asyncio.run(go())
