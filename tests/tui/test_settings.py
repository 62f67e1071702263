"""The user's own colours and keys, and what is kept of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from textual.command import CommandPalette

from promptlab.app.lab import Labs
from promptlab.app.settings import keep_theme, kept_theme, load_settings
from promptlab.engine.fake import FakeEngine
from promptlab.errors import SourceError
from promptlab.tui.app import Playground
from promptlab.tui.bindings import COMMANDS
from promptlab.tui.preferences import keyboard, own_preferences
from promptlab.tui.screens.help import HelpScreen
from promptlab.tui.theme import DARK, LIGHT
from promptlab.tui.widgets.prompts import PromptList
from tests.tui.kit import Player
from tests.tui.test_hostile import QUOTED, UNSAFE, check


@pytest.fixture
def settings(home: Path) -> Path:
    """The user's file, not there yet."""
    folder = home / "config" / "promptlab"
    folder.mkdir(parents=True)
    return folder / "settings.yaml"


@asynccontextmanager
async def preferring(library: Path, engine: FakeEngine, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Player]:
    app = Playground(partial(Labs, library, lambda: engine), preferences=own_preferences())
    async with app.run_test(size=size, notifications=True) as pilot:
        player = Player(app, pilot)
        await player.until(lambda: app.play.survey is not None, "the library")  # the settings come before it
        await pilot.pause()
        yield player


# --- keys ---


def test_keys_are_taken_in_place_of_the_usual_ones(settings: Path, library: Path, engine: FakeEngine) -> None:
    settings.write_text("keys: {help: 'f12,?', samples.more: f10, samples.fewer: f8, sidebar: f7}")

    async def go() -> None:
        async with preferring(library, engine, (120, 140)) as player:
            await player.press("f10", "f10", "f8")
            assert player.play.samples == 2
            await player.press("f7")
            assert not player.play.sidebar
            await player.press("ctrl+b", "f1")
            assert not player.play.sidebar
            assert player.top() is player.play
            await player.press("question_mark")
            assert isinstance(player.top(), HelpScreen)
            text = player.text()
            assert "f12, ?" in text
            assert "f10" in text
            await player.press("escape")
            helps = {c.title: c.help for c in player.app.get_system_commands(player.play)}
            assert helps["More samples"].startswith("f10 ")
            footer = {b.binding.id: key for key, b in player.play.active_bindings.items()}
            assert footer["sidebar"] == "f7"

    asyncio.run(go())


def test_keys_of_windows_and_of_parts_are_taken_too(settings: Path, library: Path, engine: FakeEngine) -> None:
    settings.write_text(
        "keys: {prompts.folder.close: minus, unsaved.stay: x, source.leave: f12, help: f10, theme: f11}"
    )

    async def go() -> None:
        async with preferring(library, engine, (120, 140)) as player:
            await player.choose("numbers/count")
            prompts = player.play.query_one(PromptList)
            prompts.focus()
            count = prompts.option_count
            await player.press("left", "minus")
            assert prompts.option_count == count - 1
            await player.press("f11")
            assert isinstance(player.app.screen, CommandPalette)
            await player.press("escape")
            await player.choose("explain")
            prompts.focus()
            await player.press("e", "y", "f12")
            window = player.top()
            assert "x  goes back" in player.text()
            await player.press("escape", "f10")
            assert isinstance(player.top(), HelpScreen)
            assert "Go back to what was typed." in player.text()
            await player.press("f10")
            assert player.top() is window
            await player.press("x")
            assert player.top() is player.play
            assert player.play.unsaved

    asyncio.run(go())


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("{prompts.fold: ctrl+r}", "ctrl+r is a key of run already"),
        ("{versions.tick: d}", "d is a key of versions.difference already"),
        ("{keep.save: s}", "can be typed"),
        ("{ticks.tick: f1}", "f1 is a key of help already"),
    ],
)
def test_keys_that_could_not_be_told_apart_are_refused(settings: Path, keys: str, why: str) -> None:
    settings.write_text(f"keys: {keys}")
    with pytest.raises(SourceError, match=re.escape(why)):
        load_settings(keyboard(), [])


def test_a_theme_has_a_key(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with preferring(library, engine) as player:
            await player.choose("explain")
            await player.press("enter", "ctrl+g", "ctrl+g")  # also while something is typed; once is enough
            assert isinstance(player.app.screen, CommandPalette)
            await player.type(LIGHT.name)
            await player.until(lambda: LIGHT.name in player.text())
            await player.press("enter")
            await player.until(lambda: player.app.theme == LIGHT.name)
            assert player.top() is player.play

    asyncio.run(go())


def test_wrong_settings_are_told_and_left_as_they_are(settings: Path, library: Path, engine: FakeEngine) -> None:
    text = f"theme: {QUOTED}\nkeys:\n  {QUOTED}: x\n  samples.more: m\n  run: f7\n" + "".join(
        f"  none{number}: x\n" for number in range(20)
    )
    settings.write_text(text, encoding="utf-8")

    async def go() -> None:
        async with preferring(library, engine, (200, 50)) as player:
            await player.until(lambda: "nothing in it holds" in player.text())
            check(player)
            (told,) = [notification.message for notification in player.app._notifications]
            assert "\nsettings.yaml:1:1: there is no theme '[/foo]" in told
            assert "\n… and 19 more." in told
            assert not UNSAFE.search(told)
            await player.press("f8")
            assert player.play.samples == 2
            assert player.app.theme == DARK.name

    asyncio.run(go())
    assert settings.read_text(encoding="utf-8") == text


def test_every_command_can_be_given_its_own_keys_again(settings: Path, library: Path) -> None:
    lines = [f"  {command.id}: {command.keys!r}" for command in COMMANDS]
    settings.write_text("keys:\n" + "\n".join(lines))
    loaded = load_settings(keyboard(), [DARK.name])
    assert dict(loaded.keys) == {command.id: command.keys for command in COMMANDS}


@pytest.mark.parametrize("data", [b"\xff\xfe", b"# " + b"x" * (1 << 20), b"keys: {a: &x 1, b: *x}", b"a: " * 9999])
def test_a_file_that_is_none_is_a_line(settings: Path, data: bytes) -> None:
    settings.write_bytes(data)
    with pytest.raises(SourceError, match=r"settings\.yaml:"):
        load_settings(keyboard(), [])


def test_a_folder_in_its_place_is_a_line(settings: Path) -> None:
    settings.mkdir()
    with pytest.raises(SourceError, match="cannot be read"):
        load_settings(keyboard(), [])


# --- themes ---


def test_a_theme_is_kept_for_the_next_time(library: Path, engine: FakeEngine) -> None:
    async def choose() -> None:
        async with preferring(library, engine) as player:
            assert player.app.theme == DARK.name
            player.app.action_change_theme()
            await player.until(lambda: isinstance(player.app.screen, CommandPalette))
            await player.type(LIGHT.name)
            await player.until(lambda: LIGHT.name in player.text())
            await player.press("enter")
            await player.until(lambda: player.app.theme == LIGHT.name)
            await player.until(lambda: kept_theme() == LIGHT.name)

    async def look() -> None:
        app = Playground(partial(Labs, library, lambda: engine), preferences=own_preferences())
        assert app.theme == LIGHT.name  # before anything is drawn
        async with app.run_test():
            assert app.screen.styles.background.hex.lower() == LIGHT.background

    asyncio.run(choose())
    asyncio.run(look())


def test_the_settings_go_before_what_is_kept(settings: Path, library: Path, engine: FakeEngine) -> None:
    settings.write_text(f"theme: {LIGHT.name}\n")
    keep_theme("nord")

    async def go() -> None:
        async with preferring(library, engine) as player:
            await player.until(lambda: player.app.theme == LIGHT.name)
            await player.until(lambda: kept_theme() == LIGHT.name)  # so that the next start has nothing to change
            player.app.theme = "gruvbox"
            await player.until(lambda: "Until you leave" in player.text())
            assert kept_theme() == LIGHT.name

    asyncio.run(go())
    assert settings.read_text() == f"theme: {LIGHT.name}\n"


@pytest.mark.parametrize("kept", [b"", b"nothing like it", b"\xff\x00", b"x" * 1_000_000])
def test_a_kept_theme_that_is_none_is_not_used(home: Path, kept: bytes) -> None:
    file = home / "state" / "promptlab" / "theme"
    file.parent.mkdir(parents=True)
    file.write_bytes(kept)
    app = Playground(lambda: Labs(), preferences=own_preferences())
    assert app.theme == DARK.name


def test_a_state_that_cannot_be_written_is_forgotten(home: Path) -> None:
    (home / "state").write_text("in the way")
    keep_theme(LIGHT.name)
    assert kept_theme() == ""


def test_without_colours_marks_are_told_by_their_shapes(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def go() -> None:
        async with preferring(library, engine) as player:
            strips = player.app.screen._compositor.render_strips()
            styles = [segment.style for strip in strips for segment in strip if segment.style]
            colours = {c.triplet for style in styles for c in (style.color, style.bgcolor) if c and c.triplet}
            assert len(colours) > 2
            assert all(red == green == blue for red, green, blue in colours)
            await player.choose("broken")
            text = player.text()
            assert "✗ broken" in text
            assert "[x] The first" in text

    asyncio.run(go())
