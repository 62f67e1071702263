"""Keys that come all at once, as over a slow line, do what they would do one after the other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from promptlab.engine.fake import FakeEngine
from promptlab.tui.screens.history import HistoryScreen
from promptlab.tui.widgets.prompts import Filter, PromptList
from promptlab.tui.widgets.runs import RunList
from tests.tui.kit import Player, playing


def send(player: Player, *keys: str) -> None:
    """Let keys come before the first of them has been looked at."""
    for key in keys:
        player.app.post_message(events.Key(key, key if len(key) == 1 else None))


def test_what_is_typed_after_the_key_of_the_filter_goes_there(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("verdict")
            assert player.play.query_one(PromptList).has_focus
            send(player, "slash", *"expl")
            field = player.play.query_one(Filter)
            await player.until(lambda: field.value == "expl", f"all of it, not {field.value}")
            assert not player.play.looking
            send(player, "escape", "slash", *"verd")
            await player.until(lambda: field.value == "verd")
            player.app.post_message(events.Paste("ict"))
            await player.until(lambda: field.value == "verdict")
            send(player, "escape", "slash")
            player.app.post_message(events.Paste("explain"))
            send(player, "backspace")
            await player.until(lambda: field.value == "explai")

    asyncio.run(go())


def test_nothing_is_deleted_by_what_is_looked_for(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            await player.press("f4")
            screen = player.top()
            assert isinstance(screen, HistoryScreen)
            await player.until(lambda: screen.query_one(RunList).option_count, "the runs")
            await player.press("down")
            count = screen.query_one(RunList).option_count
            send(player, "slash", *"dynasty")
            field = screen.query_one(Input)
            await player.until(lambda: field.value == "dynasty", f"all of it, not {field.value}")
            assert player.top() is screen
            send(player, *["backspace"] * 7)
            await player.until(lambda: field.value == "" and screen.query_one(RunList).option_count == count)

    asyncio.run(go())


def test_a_key_that_nobody_ever_hears_holds_others_up_for_a_while_only(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptlab.tui.turns.PATIENCE_S", 0.05)

    async def go() -> None:
        async with playing(library, engine) as player:
            player.app._turns._busy = True  # it went to something that was just being closed
            send(player, "slash", *"ex")
            await player.until(lambda: player.play.query_one(Filter).value == "ex")

    asyncio.run(go())
