from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import OptionList

from promptlab.app.run import Typed
from promptlab.engine.fake import FakeEngine
from promptlab.tui import fields
from promptlab.tui.screens.versions import VersionsScreen
from promptlab.tui.widgets.field import Field
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.source import SourcePane
from tests import gitkit
from tests.conftest import COUNT
from tests.tui.kit import Player, playing
from tests.tui.test_hostile import EVIL, SEEN, check, squash


@pytest.fixture
def versioned(library: Path, git_settings: None) -> Path:
    """`numbers/count` in two versions, the first with another input, and a changed working copy."""
    file = library / "prompts" / "numbers" / "count.jinja"
    gitkit.run(library, "init", "-q", "-b", "main")
    for text, subject in ((COUNT.replace("n: ", "m: ").replace("{{ n }}", "{{ m }}"), EVIL), (COUNT, "Second")):
        file.write_text(text)
        gitkit.run(library, "add", ".")
        gitkit.run(library, "commit", "-q", "-m", subject)
    gitkit.run(library, "tag", "v2\u202e")
    file.write_text(COUNT + "More.\n")
    return library


async def picker(player: Player, name: str = "numbers/count") -> VersionsScreen:
    if player.play.chosen is None or player.play.chosen.name != name:
        await player.choose(name)
    player.play.query_one(PromptList).focus()
    await player.press("v")
    top = player.top()
    assert isinstance(top, VersionsScreen)
    await player.until(lambda: top.marked, "the log")
    return top


def test_a_run_asks_for_the_version_that_was_chosen(versioned: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(versioned, engine) as player:
            await picker(player)
            assert "● not committed" in player.text()
            await player.until(lambda: "source of numbers/count" in player.text())
            await player.press("end")
            await player.until(lambda: "from numbers/count@1 to the working copy" in player.text())
            assert "+More." in player.text()
            await player.press("d")
            assert "source of numbers/count@1" in player.text()
            await player.press("enter")
            await player.until(lambda: [f.declared.name for f in player.form.query(Field)] == ["m"])
            assert player.play.request().prompts == ("numbers/count@1",)
            assert "Inputs of numbers/count@1" in player.text()
            assert "{{ m }}" in player.within(player.play.query_one(SourcePane))
            await player.press("e")
            assert "is what git keeps" in player.text()
            await player.press("escape", "ctrl+l", "f6", "3")
            await player.run()
            assert {c.job.prompt.label for c in player.play.cells} == {"numbers/count@1"}
            await player.choose("verdict")
            assert player.play.request().prompts == ("verdict",)

    asyncio.run(go())


def test_several_versions_are_columns_side_by_side(versioned: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(versioned, engine, (200, 60)) as player:
            await picker(player)
            await player.press("space", "end", "space", "space", "space", "enter")
            await player.until(lambda: [f.declared.name for f in player.form.query(Field)] == ["n", "m"])
            assert player.play.versions == ("numbers/count", "numbers/count@1")
            await player.press("enter")
            player.field("n").control.focus()
            await player.press("3", "tab", "4")
            await player.run()
            assert len(player.columns) == 4
            assert {c.job.prompt.label for c in player.play.cells} == {"numbers/count", "numbers/count@1"}
            again = await picker(player)
            assert "[x]" in player.text()
            await player.press("space", "end", "space", "home", "enter")
            await player.until(lambda: player.play.versions == () and player.top() is not again)
            await player.until(lambda: [f.declared.name for f in player.form.query(Field)] == ["n"])

    asyncio.run(go())


def test_a_default_that_versions_do_not_share_is_left_to_each(versioned: Path, engine: FakeEngine) -> None:
    file = versioned / "prompts" / "numbers" / "count.jinja"
    inputs = "inputs:\n  n: {type: integer, default: 3}\n  loud: {type: boolean, default: true}\n"
    file.write_text("---\n" + inputs + "---\n{{ n }} {{ loud }}\n")
    gitkit.run(versioned, "commit", "-q", "-a", "-m", "Third")
    file.write_text("---\n" + inputs.replace("3", "4").replace("true", "false") + "---\n{{ n }} {{ loud }}\n")

    async def go() -> None:
        async with playing(versioned, engine, (200, 60)) as player:
            await picker(player)
            assert player.field("n").draft == "4"
            await player.press("space", "down", "space", "enter")
            await player.until(lambda: player.play.versions == ("numbers/count", "numbers/count@3"), "the versions")
            await player.until(lambda: player.form.query(Field) and player.field("n").declared.varies, "the fields")
            # What the working copy's form showed for its default is not taken for what is typed for both.
            assert player.form.values() == {}
            assert [player.within(player.field(name)).count(fields.VARIES) for name in ("n", "loud")] == [1, 1]
            player.field("n").control.focus()
            await player.press("enter")
            await player.ended()
            asked = {(cell.job.prompt.label, *cell.job.inputs.values()) for cell in player.play.cells}
            assert asked == {("numbers/count", 4, False), ("numbers/count@3", 3, True)}
            player.field("n").control.focus()
            await player.press("3")
            assert player.form.values() == {"n": Typed("3")}

    asyncio.run(go())


def test_any_revision_that_git_knows(versioned: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(versioned, engine) as player:
            top = await picker(player)
            await player.press("tab")
            await player.type("HEAD~1")
            await player.press("enter")
            assert top.marked is not None
            assert top.marked.label == "numbers/count@HEAD~1"
            await player.press("tab")
            await player.type("nowhere")
            await player.press("enter")
            await player.until(lambda: "git knows no commit 'nowhere'" in player.text())
            await player.press("enter")
            await player.until(lambda: player.top() is player.play and "git knows no commit" in player.text())
            assert player.play.versions == ()
            assert player.form.prompt_name == "numbers/count"

    asyncio.run(go())


def test_hostile_commits_tags_and_sources(versioned: Path, engine: FakeEngine) -> None:
    (versioned / "prompts" / "numbers" / "count.jinja").write_text(EVIL)

    async def go() -> None:
        async with playing(versioned, engine, (300, 60)) as player:
            await picker(player)
            await player.until(lambda: squash(SEEN) in check(player), "the source")
            assert "v2<U+202E>" in player.text()
            await player.press("end")
            await player.until(lambda: "from numbers/count@1" in player.text())
            # The subject in the log; git has kept no carriage return at its end.
            assert check(player).count(squash(SEEN[:40])) >= 2

    asyncio.run(go())


def test_without_git_the_picker_has_the_working_copy_and_says_why(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            top = await picker(player)
            assert "is in no git repository" in player.text()
            assert top.query_one(OptionList).option_count == 1
            await player.press("escape")
            assert player.top() is player.play

    asyncio.run(go())


def test_versions_are_still_chosen_when_one_comes_back_to_their_prompt(versioned: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(versioned, engine) as player:
            await picker(player)
            await player.press("end", "enter")
            await player.until(lambda: player.play.versions == ("numbers/count@1",), "the version")
            await player.press("slash", *"verdict")
            await player.until(lambda: player.play.chosen and player.play.chosen.name == "verdict", "the match")
            assert player.play.request().prompts == ("verdict",)
            await player.press("escape")
            await player.until(lambda: [f.declared.name for f in player.form.query(Field)] == ["m"], "its form")
            assert player.play.request().prompts == ("numbers/count@1",)
            assert "{{ m }}" in player.within(player.play.query_one(SourcePane))
            # The working copy, chosen, is remembered as well.
            await picker(player)
            await player.press("home", "enter")
            await player.until(lambda: player.play.versions == (), "the working copy")
            await player.choose("verdict")
            await player.choose("numbers/count")
            assert player.play.request().prompts == ("numbers/count",)

    asyncio.run(go())


def test_a_chosen_version_that_is_gone_gives_way_to_the_working_copy(versioned: Path, engine: FakeEngine) -> None:
    gitkit.run(versioned, "tag", "old", "HEAD~1")

    async def go() -> None:
        async with playing(versioned, engine) as player:
            await picker(player)
            await player.press("tab", *"old", "enter", "enter")
            await player.until(lambda: player.play.versions == ("numbers/count@old",), "the version")
            gitkit.run(versioned, "tag", "-d", "old")
            await player.choose("verdict")
            player.play.query_one(PromptList).mark("numbers/count")
            await player.until(lambda: "git knows no commit" in player.text(), "the reason")
            await player.until(lambda: player.form.prompt_name == "numbers/count", "the form")
            assert player.play.request().prompts == ("numbers/count",)

    asyncio.run(go())
