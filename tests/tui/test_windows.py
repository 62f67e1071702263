"""What closes while a task of its own is under way: nothing of that reaches it, and nothing else is closed for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList

from promptlab.engine.fake import FakeEngine
from promptlab.tui.screens.case_sets import CaseSetScreen
from promptlab.tui.screens.closer import CloserScreen
from promptlab.tui.screens.help import HelpScreen
from promptlab.tui.screens.keep_case import KeepCaseScreen
from promptlab.tui.screens.keep_example import KeepExampleScreen
from promptlab.tui.screens.versions import VersionsScreen
from promptlab.tui.widgets.prompts import PromptList
from tests.tui.kit import Gate, Player, playing
from tests.tui.test_case_steps import answered


async def listing(player: Player) -> VersionsScreen:
    await player.choose("numbers/count")
    player.play.query_one(PromptList).focus()
    await player.press("v")
    top = player.top()
    assert isinstance(top, VersionsScreen)
    return top


async def works(player: Player) -> None:
    """The program is still there, with the play screen on top, and hears keys."""
    assert player.top() is player.play
    samples = player.play.samples
    await player.press("f8")
    assert player.play.samples == samples + 1


# --- versions ---


@pytest.mark.parametrize("fails", [False, True])
def test_the_log_comes_when_its_window_is_closed(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    gate = Gate(monkeypatch, "promptlab.app.versions.list_versions", fails=fails)

    async def go() -> None:
        async with playing(library, engine) as player:
            await listing(player)
            await player.until(lambda: gate.calls)
            await player.press("escape")
            await gate.open(player)
            await works(player)
            assert not player.app._notifications

    asyncio.run(go())


@pytest.mark.parametrize("fails", [False, True])
def test_a_preview_comes_when_its_window_is_closed(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    gate = Gate(monkeypatch, "promptlab.app.versions.preview_version", fails=fails)

    async def go() -> None:
        async with playing(library, engine) as player:
            await listing(player)
            await player.until(lambda: gate.calls)
            await player.press("escape")
            await gate.open(player)
            await works(player)
            assert not player.app._notifications

    asyncio.run(go())


def test_enter_twice_closes_a_window_once(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            top = await listing(player)
            await player.until(lambda: top.marked, "the log")
            listed = top.query_one(OptionList)
            listed.action_select()  # both before the window hears of the first
            listed.action_select()
            await player.until(lambda: player.top() is player.play)
            await player.pilot.pause()
            await works(player)

    asyncio.run(go())


# --- keeping an answer ---


async def keeping(player: Player, key: str, kind: type) -> Any:
    await answered(player)
    await player.press(key)
    await player.until(lambda: isinstance(player.top(), kind))
    await player.pilot.pause()
    return player.top()


CASE, EXAMPLE = "promptlab.app.keeping.keep_case", "promptlab.app.examples.write_example"
KEPT = [("s", "ctrl+s", KeepCaseScreen, CASE), ("x", "enter", KeepExampleScreen, EXAMPLE)]


def seed(library: Path) -> Path:
    """A case file that the answer of `answered` fits."""
    (library / "seeds").mkdir()
    file = library / "seeds" / "topics.yaml"
    file.write_text("tests:\n  - {id: snow, vars: {topic: snow, audience: a child}}\n")
    return file


def written(library: Path) -> str:
    """All that keeping an answer may write to."""
    files = (library / "seeds" / "topics.yaml", library / "prompts" / "explain.jinja")
    return "".join(file.read_text() for file in files)


@pytest.mark.parametrize(("key", "save", "kind", "name"), KEPT)
def test_what_is_saved_is_told_though_its_window_is_closed(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str, save: str, kind: type, name: str
) -> None:
    seed(library)
    gate, before = Gate(monkeypatch, name), written(library)

    async def go() -> None:
        async with playing(library, engine) as player:
            await keeping(player, key, kind)
            await player.press(save)
            await player.until(lambda: gate.calls)
            await player.press("escape")
            await gate.open(player)
            (told,) = [each.message for each in player.app._notifications]
            assert told.startswith(("Kept as a case in", "Written into"))
            assert written(library) != before
            await works(player)

    asyncio.run(go())


@pytest.mark.parametrize(("key", "save", "kind", "name"), KEPT)
def test_what_is_not_saved_is_told_though_its_window_is_closed(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str, save: str, kind: type, name: str
) -> None:
    seed(library)
    gate = Gate(monkeypatch, name, fails=True)

    async def go() -> None:
        async with playing(library, engine) as player:
            await keeping(player, key, kind)
            await player.press(save)
            await player.until(lambda: gate.calls)
            await player.press("escape")
            await gate.open(player)
            (told,) = player.app._notifications
            assert told.message == "it was not to be"
            assert told.severity == "error"
            await works(player)

    asyncio.run(go())


@pytest.mark.parametrize(("key", "save", "kind", "name"), KEPT)
def test_what_is_saved_twice_is_saved_once(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str, save: str, kind: type, name: str
) -> None:
    seed(library)
    gate = Gate(monkeypatch, name)

    async def go() -> None:
        async with playing(library, engine) as player:
            await keeping(player, key, kind)
            await player.press(save, save)
            await player.until(lambda: gate.calls)
            await player.press(save)
            await gate.open(player)
            await player.until(lambda: player.top() is player.play)
            (told,) = [each.message for each in player.app._notifications]
            assert told.startswith(("Kept as a case in", "Written into"))
            assert gate.calls == 1
            await works(player)

    asyncio.run(go())


@pytest.mark.parametrize(("key", "save", "kind", "name"), KEPT)
def test_what_is_refused_can_be_tried_again(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str, save: str, kind: type, name: str
) -> None:
    seed(library)
    gate = Gate(monkeypatch, name, fails=True)

    async def go() -> None:
        async with playing(library, engine) as player:
            window = await keeping(player, key, kind)
            await player.press(save)
            await gate.open(player)
            await player.until(lambda: "it was not to be" in player.text())
            assert player.top() is window
            await player.press(save)
            await player.until(lambda: gate.calls == 2)

    asyncio.run(go())


@pytest.mark.parametrize(("key", "save", "kind", "name"), KEPT)
def test_a_save_closes_its_own_window_and_no_other(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str, save: str, kind: type, name: str
) -> None:
    seed(library)
    gate = Gate(monkeypatch, name)

    async def go() -> None:
        async with playing(library, engine) as player:
            window = await keeping(player, key, kind)
            await player.press(save)
            await player.until(lambda: gate.calls)
            await player.press("f4")
            history = player.top()
            await gate.open(player)
            assert player.top() is history
            assert player.app._notifications
            await player.press("f2")
            await player.until(lambda: player.top() is player.play, "the play screen")
            assert not window.is_attached
            await works(player)

    asyncio.run(go())


# --- looking closer ---


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(
    ("key", "name"),
    [("t", "promptlab.app.tokens.read_pieces"), ("w", "promptlab.app.branch.descent")],
)
def test_a_closer_look_is_closed_while_it_is_worked_out(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str, name: str, *, fails: bool
) -> None:
    gate = Gate(monkeypatch, name, fails=fails)

    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            await player.press(key)
            assert isinstance(player.top(), CloserScreen)
            await player.until(lambda: gate.calls)
            await player.press("escape")
            await gate.open(player)
            await works(player)
            assert not player.app._notifications

    asyncio.run(go())


# --- windows that come late ---


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("k", "promptlab.app.stepping.case_sets"),
        ("s", "promptlab.app.stepping.case_sets"),
        ("x", "promptlab.app.examples.draft_example"),
    ],
)
def test_a_window_does_not_come_over_another_screen(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, key: str, name: str
) -> None:
    gate = Gate(monkeypatch, name)

    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            await player.press(key)
            await player.until(lambda: gate.calls)
            await player.press("f4")
            history = player.top()
            await gate.open(player)
            assert player.top() is history
            await player.press("f2")
            await works(player)

    asyncio.run(go())


def test_a_case_set_is_chosen_once(library: Path, engine: FakeEngine) -> None:
    seed(library)

    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            await player.press("k")
            await player.until(lambda: isinstance(player.top(), CaseSetScreen))
            await player.pilot.pause()
            listed = player.top().query_one(OptionList)
            listed.action_select()
            listed.action_select()
            await player.until(lambda: player.top() is player.play)
            await player.until(lambda: "topics 1/1: snow" in player.text())
            await works(player)

    asyncio.run(go())


def test_a_name_is_taken_once(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library)

    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            await player.press("f4", "down")
            await player.until(lambda: "2 runs" in player.text())
            await player.press("x")
            field = player.top().query_one(Input)
            await field.action_submit()
            await field.action_submit()
            await player.until(lambda: "written to runs.jsonl" in player.text())
            await player.press("f2")
            await works(player)

    asyncio.run(go())


# --- the screen below them ---


@pytest.mark.parametrize(
    ("keys", "title"),
    [
        (("question_mark",), "Keys"),
        (("n",), "Next turn"),
        (("s",), "Keep as a case"),
        (("x",), "A worked example"),
        (("k",), "Cases for"),
        (("f4", "down", "d"), "Delete"),
        (("f4", "down", "x"), "Write the"),
    ],
)
def test_the_screen_below_a_window_stays_to_be_seen(
    library: Path, engine: FakeEngine, keys: tuple[str, ...], title: str
) -> None:
    seed(library)

    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            for key in keys:
                await player.press(key)
                await player.pilot.pause()
            await player.until(lambda: title in player.text())
            assert isinstance(player.top(), ModalScreen)
            await player.until(lambda: "promptlab" in player.text().splitlines()[0])

    asyncio.run(go())


def test_the_working_copy_has_no_difference_to_itself(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            top = await listing(player)
            await player.until(lambda: top.marked and "source of numbers/count" in player.text())
            await player.press("d")
            await player.until(lambda: "Mark another version" in player.text())

    asyncio.run(go())


# --- the keys that close them, and their help ---


@pytest.mark.parametrize("key", ["escape", "k"])
def test_the_case_sets_are_closed(library: Path, engine: FakeEngine, key: str) -> None:
    seed(library)

    async def go() -> None:
        async with playing(library, engine) as player:
            await keeping(player, "k", CaseSetScreen)
            await player.press(key)
            await works(player)
            assert player.play.case_set is None

    asyncio.run(go())


@pytest.mark.parametrize(("key", "written_then"), [("escape", False), ("n", False), ("y", True), ("enter", True)])
def test_an_example_is_written_or_not(library: Path, engine: FakeEngine, key: str, *, written_then: bool) -> None:
    file = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine) as player:
            before = file.read_text()
            await keeping(player, "x", KeepExampleScreen)
            await player.press(key)
            await player.until(lambda: player.top() is player.play)
            await works(player)
            assert (file.read_text() != before) == written_then

    asyncio.run(go())


def test_a_case_is_not_kept(library: Path, engine: FakeEngine) -> None:
    before = seed(library).read_text()

    async def go() -> None:
        async with playing(library, engine) as player:
            await keeping(player, "s", KeepCaseScreen)
            await player.press("escape")
            await works(player)
            assert (library / "seeds" / "topics.yaml").read_text() == before

    asyncio.run(go())


@pytest.mark.parametrize(("key", "asked"), [("f9", 2), ("ctrl+t", 2), ("ctrl+r", 1)])
def test_a_turn_is_said_here_or_everywhere(library: Path, engine: FakeEngine, key: str, asked: int) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            before = len(player.play.cells)
            await player.press("n", "w", "h", "y", key)
            await player.until(lambda: len(player.play.cells) == before + asked)
            await player.ended()

    asyncio.run(go())


@pytest.mark.parametrize(("key", "left"), [("escape", 2), ("n", 2), ("q", 2), ("y", 0)])
def test_runs_are_deleted_or_not(library: Path, engine: FakeEngine, key: str, left: int) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            await player.press("f4", "down")
            history = player.top()
            await player.until(lambda: "2 runs" in player.text())
            await player.press("space", "down", "space", "d")
            await player.until(lambda: player.top() is not history)
            await player.press(key)
            assert player.top() is history
            await player.until(lambda: f"{left} runs" in player.text())

    asyncio.run(go())


def test_nothing_is_written_without_a_name(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library)

    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            await player.press("f4", "down")
            history = player.top()
            await player.until(lambda: "2 runs" in player.text())
            await player.press("x", "escape")
            assert player.top() is history
            await player.press("f2")
            await works(player)
            assert not (library / "runs.jsonl").exists()

    asyncio.run(go())


def test_a_window_has_a_help_of_its_own(library: Path, engine: FakeEngine) -> None:
    seed(library)

    async def go() -> None:
        async with playing(library, engine) as player:
            window = await keeping(player, "s", KeepCaseScreen)
            for closing in ("escape", "f1"):
                await player.press("f1")
                assert isinstance(player.top(), HelpScreen)
                assert "Write the case into its file." in player.text()
                assert "Run the prompt on every ticked model" not in player.text()
                await player.press(closing)
                assert player.top() is window

    asyncio.run(go())


def test_a_save_waits_below_the_help(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(library)
    gate = Gate(monkeypatch, CASE)

    async def go() -> None:
        async with playing(library, engine) as player:
            await keeping(player, "s", KeepCaseScreen)
            await player.press("ctrl+s", "f1")
            help = player.top()
            assert isinstance(help, HelpScreen)
            await gate.open(player)
            assert player.top() is help
            await player.press("escape")
            await player.until(lambda: player.top() is player.play, "the play screen")
            await works(player)

    asyncio.run(go())
