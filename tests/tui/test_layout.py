from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from promptlab.engine.fake import FakeEngine
from promptlab.tui.arrangement import MIN_HEIGHT, MIN_WIDTH, Arrangement, Choice, arrange, following
from promptlab.tui.widgets.prompts import PromptList
from tests.tui.kit import Player, playing


@pytest.mark.parametrize(
    ("choice", "count", "width", "height", "expected"),
    [
        ("auto", 1, 80, 22, Arrangement("columns", 1)),
        ("auto", 1, 30, 22, Arrangement("columns", 1)),
        ("auto", 2, 72, 22, Arrangement("columns", 2)),
        ("auto", 2, 71, 22, Arrangement("grid", 1)),
        ("auto", 3, 80, 22, Arrangement("grid", 2)),
        ("auto", 4, 80, 22, Arrangement("grid", 2)),
        ("auto", 5, 80, 22, Arrangement("tabs")),
        ("auto", 6, 200, 58, Arrangement("grid", 3)),
        ("auto", 3, 30, 22, Arrangement("tabs")),
        ("columns", 3, 80, 22, Arrangement("columns", 3, width=MIN_WIDTH)),
        ("columns", 3, 120, 22, Arrangement("columns", 3)),
        ("grid", 2, 200, 58, Arrangement("grid", 1)),
        ("grid", 5, 80, 22, Arrangement("grid", 2, height=MIN_HEIGHT)),
        ("tabs", 2, 200, 58, Arrangement("tabs")),
    ],
)
def test_columns_stand_beside_each_other_where_there_is_room(
    choice: Choice, count: int, width: int, height: int, expected: Arrangement
) -> None:
    assert arrange(choice, count, width, height) == expected


def test_by_hand_each_step_changes_what_is_seen() -> None:
    seen: list[Choice] = ["auto"]
    for _ in range(3):
        seen.append(following(seen[-1], 2, 120, 40))
    assert seen == ["auto", "grid", "tabs", "auto"]
    assert following("columns", 2, 120, 40) == "grid"  # chosen where there was less room


async def _answer(player: Player) -> None:
    await player.choose("numbers/count")
    await player.press("enter", "3")
    await player.run()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_nothing_important_is_cut_off(library: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    async def go() -> None:
        async with playing(library, engine, size) as player:
            await player.choose("explain")
            start = player.text()
            for wanted in (
                "Prompts",
                "Inputs of explain",
                "topic *",
                "Models",
                "p Pull",
                "^q Quit",
                "f1 Help",
            ):
                assert wanted in start
            await _answer(player)
            for wanted in ("✓ The first", "✓ beta", "done: stop", "tok/s", "seed"):
                assert wanted in player.text()
            first, second = player.columns
            assert min(first.size.width, second.size.width) >= 34
            assert first.region.y == second.region.y
            for column in player.columns:
                assert column.region.right <= size[0]
                assert player.within(column.body).startswith(f"{column.cell.job.model.name} (seed")  # type: ignore[union-attr]

    asyncio.run(go())


def test_narrow_shows_the_sidebar_or_the_answers(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            sidebar, main = player.play.query_one("#sidebar"), player.play.query_one("#main")
            assert sidebar.size.width == 80
            assert not main.is_on_screen
            await _answer(player)
            await player.until(lambda: main.size.width == 80)
            assert not sidebar.is_on_screen
            await player.press("ctrl+b")
            await player.until(lambda: sidebar.is_on_screen)
            await player.press("home", "ctrl+k", "enter")
            await player.ended()
            assert sidebar.is_on_screen

    asyncio.run(go())


def test_a_sidebar_that_gave_way_to_answers_comes_back_with_its_room(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (120, 40)) as player:
            sidebar, main = player.play.query_one("#sidebar"), player.play.query_one("#main")

            async def seen(width: int) -> tuple[bool, bool]:
                await player.pilot.resize_terminal(width, 40)
                await player.pilot.pause()
                await player.pilot.pause()
                return sidebar.is_on_screen, main.is_on_screen

            assert await seen(80) == (True, False)  # there is no answer yet
            assert await seen(120) == (True, True)
            await _answer(player)
            player.play.query_one(PromptList).focus()
            assert await seen(80) == (False, True)
            assert player.columns[0].body.has_focus
            assert await seen(90) == (False, True)
            assert await seen(200) == (True, True)
            # What the user has done stays.
            assert await seen(80) == (False, True)
            await player.press("ctrl+b")
            assert await seen(90) == (True, False)
            await player.press("ctrl+b")
            assert await seen(120) == (False, True)

    asyncio.run(go())


def test_without_the_sidebar_the_columns_name_the_prompt(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            await _answer(player)
            assert "─ numbers/count ─" in player.text()
            await player.pilot.resize_terminal(120, 40)
            await player.pilot.pause()
            assert "numbers/count ─╯" not in player.text()
            await player.press("ctrl+b")
            assert player.text().count("numbers/count ─╯") == 2

    asyncio.run(go())


def test_a_refusal_brings_the_sidebar_back(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            await player.choose("explain")
            await player.press("ctrl+b")
            await player.run()
            assert "the input 'topic' is missing" in player.text()

    asyncio.run(go())


def test_the_footer_has_room_for_every_key_while_a_run_goes_on(library: Path) -> None:
    engine = FakeEngine(lambda question, prompt: "word " * 5_000, delay=0.01)

    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: "esc Cancel" in player.text() and player.play.cells)
            footer = player.text().splitlines()[-1]
            for key in ("^r Run", "esc Cancel", "f6 Pane", "^b Sidebar", "t Tokens", "^q Quit", "f1 Help", "^p Menu"):
                assert key in footer
            await player.press("escape")
            await player.ended()

    asyncio.run(go())
