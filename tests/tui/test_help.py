"""The help screen: what is of use here comes first, and all of it can be reached on a small screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual.containers import VerticalScroll

from promptlab.engine.fake import FakeEngine
from promptlab.tui.bindings import EVERYWHERE, by_topic, of, shown_keys
from promptlab.tui.command import Scope
from promptlab.tui.screens.help import HelpScreen
from tests.tui.kit import playing


def test_each_chapter_stands_once_and_those_of_the_screen_come_first() -> None:
    scopes: tuple[Scope, ...] = ("play", "batch", "history", "models", "closer")
    for scope in scopes:
        chapters = [*by_topic(of(scope, "app"))]
        topics = [topic for topic, _ in chapters]
        assert len(set(topics)) == len(topics)
        assert {command.scope for command in chapters[0][1]} <= {scope, "app"}
        assert chapters[0][1][0].scope == scope
        assert chapters[-1][1][-1].scope == "app"


def test_keys_are_written_as_people_know_them() -> None:
    (help_,) = (command for command in of("app") if command.id == "help")
    assert shown_keys(help_) == "f1, ?"
    assert shown_keys(help_, {"help": "f18,shift+f6,slash"}) == "shift+f6, /"


def test_on_a_small_screen_everything_can_be_scrolled_to(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            await player.press("f1")
            assert isinstance(player.top(), HelpScreen)
            assert "Run the prompt on every ticked model" in player.text()
            assert EVERYWHERE[-1][1] not in player.text()
            await player.press("end")
            await player.until(lambda: EVERYWHERE[-1][1] in player.text())
            pane = player.top().query_one(VerticalScroll)
            assert pane.max_scroll_x == 0

    asyncio.run(go())
