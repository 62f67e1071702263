from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from promptlab.engine.fake import FakeEngine
from promptlab.tui.state import PromptRow
from promptlab.tui.widgets.prompts import Filter, PromptList, PromptPane, tree
from tests.tui.kit import Player, playing


def shown(player: Player) -> list[str]:
    return [node.path for node in player.play.query_one(PromptList).nodes]


@pytest.mark.parametrize(
    ("names", "closed", "expected"),
    [
        ([], [], []),
        (["a", "b"], [], ["a", "b"]),
        (["a/b/c", "a/d", "z"], [], ["a/", " a/b/", "  a/b/c", " a/d", "z"]),
        (["a/b/c", "a/d", "z"], ["a/b/"], ["a/", " a/b/", " a/d", "z"]),
        (["a/b/c", "a/d", "z"], ["a/"], ["a/", "z"]),
        (["a", "a-b", "a/c"], [], ["a", "a-b", "a/", " a/c"]),
    ],
)
def test_prompts_stand_below_their_folders(names: list[str], closed: list[str], expected: list[str]) -> None:
    assert [" " * node.depth + node.path for node in tree([PromptRow(n) for n in names], closed)] == expected


def test_folders_fold_and_a_mark_opens_them(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "numbers" / "more").mkdir()
    (library / "prompts" / "numbers" / "more" / "deep.jinja").write_text("Hello.")

    async def go() -> None:
        async with playing(library, engine) as player:
            whole = ["broken", "explain", "numbers/", "numbers/count", "numbers/more/", "numbers/more/deep", "verdict"]
            assert shown(player) == whole
            await player.choose("numbers/more/deep")
            await player.press("left")
            assert shown(player) == [n for n in whole if n != "numbers/more/deep"]
            await player.press("left")
            assert shown(player) == ["broken", "explain", "numbers/", "verdict"]
            assert "▸ numbers  2" in player.text()
            assert player.form.prompt_name == "numbers/more/deep"
            for key in ("enter", "space", "right"):
                await player.press(key)
            assert shown(player) == [n for n in whole if n != "numbers/more/deep"]
            await player.choose("numbers/more/deep")
            assert shown(player) == whole
            await player.press("ctrl+l")
            await player.pilot.pause()
            assert player.play.query_one(PromptList).marked == tree(player.play.prompts)[5]

    asyncio.run(go())


def test_a_prompt_is_found_by_what_is_typed(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            pane = player.play.query_one(PromptPane)
            await player.choose("verdict")
            await player.press("slash")
            await player.type("claim")
            assert shown(player) == ["verdict"]
            await player.press(*["backspace"] * 5)
            await player.type("cou")
            assert shown(player) == ["numbers/count"]
            assert "1 of 4" in player.text()
            await player.press("enter")
            await player.until(lambda: player.form.prompt_name == "numbers/count")
            assert player.play.query_one(PromptList).has_focus
            assert len(shown(player)) == 5
            await player.press("slash")
            await player.type("e")
            assert len(shown(player)) > 1
            first = shown(player)[0]
            await player.press("down", "up", "down")
            await player.until(lambda: player.play.chosen and player.play.chosen.name == shown(player)[1] != first)
            await player.type("zzz")
            assert shown(player) == []
            assert "nothing matches" in player.text()
            await player.press("escape")
            await player.until(lambda: player.form.prompt_name == "numbers/count")
            assert not pane.query_one(Filter).is_on_screen
            assert "1 cannot be read" in player.text()

    asyncio.run(go())


@pytest.mark.parametrize(("key", "runs"), [("enter", False), ("ctrl+r", True)])
def test_a_match_is_chosen_once_nobody_types_or_it_is_wanted(
    key: str, runs: bool, library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptlab.tui.widgets.prompts.FOLLOW_S", 600)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("verdict")
            await player.press("slash")
            await player.type("expl")
            assert shown(player)[0] == "explain"
            assert player.form.prompt_name == "verdict"
            await player.press(key)
            await player.until(lambda: player.form.prompt_name == "explain", "the form")
            if runs:
                await player.until(lambda: player.play.reasons, "why it cannot be run yet")
                assert player.play.reasons[0] == "explain: the input 'topic' is missing"
            else:
                assert player.play.reasons == ()

    asyncio.run(go())


def test_the_filter_works_from_the_answers_of_a_narrow_screen(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            player.play.sidebar = False
            await player.press("slash")
            await player.type("verd")
            await player.press("enter")
            await player.until(lambda: player.form.prompt_name == "verdict")
            assert player.play.sidebar

    asyncio.run(go())
