from __future__ import annotations

import asyncio
from pathlib import Path
from typing import get_args

from textual.command import CommandPalette

from promptlab.engine.fake import FakeEngine
from promptlab.tui.app import Playground
from promptlab.tui.bindings import COMMANDS, of, shown_keys
from promptlab.tui.command import Scope
from promptlab.tui.screens.batch import BatchScreen
from promptlab.tui.screens.closer import CloserScreen
from promptlab.tui.screens.help import HelpScreen
from promptlab.tui.screens.history import HistoryScreen
from promptlab.tui.screens.models import ModelsScreen
from promptlab.tui.screens.play import PlayScreen
from promptlab.tui.screens.play_ask import MAX_SAMPLES
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.prompts import PromptList
from tests.tui.kit import playing


def test_ids_are_unique_and_every_key_means_one_thing() -> None:
    ids = [command.id for command in COMMANDS]
    assert len(set(ids)) == len(ids)
    for scope in get_args(Scope):
        keys = [key for command in of(*{scope, "app"}) for key in command.keys.split(",")]
        assert len(set(keys)) == len(keys), scope


def test_every_command_is_bound_by_its_id(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            nodes = {"app": player.app, "play": player.play}
            for command in of("app", "play"):
                bound = [
                    b
                    for key in command.keys.split(",")
                    for b in nodes[command.scope]._bindings.get_bindings_for_key(key)
                ]
                assert {b.id for b in bound} == {command.id}
                assert {b.action for b in bound} == {command.action}

    asyncio.run(go())


def test_the_help_screen_names_every_key_and_closes(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (120, 200)) as player:
            for opening, closing in (("f1", "escape"), ("question_mark", "q"), ("f1", "f1")):
                await player.press(opening)
                assert isinstance(player.top(), HelpScreen)
                text = player.text()
                for command in of("app", "play"):
                    assert shown_keys(command) in text
                    assert command.help in text
                await player.press(closing)
                assert player.top() is player.play

    asyncio.run(go())


def test_a_question_mark_can_be_typed(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("enter", "w", "h", "y", "question_mark")
            assert player.field("topic").draft == "why?"

    asyncio.run(go())


def test_the_palette_holds_every_command(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            names = {command.title for command in player.app.get_system_commands(player.play)}
            assert {command.name for command in of("app", "play") if command.id != "palette"} <= names
            await player.press("ctrl+p")
            assert isinstance(player.app.screen, CommandPalette)
            await player.type("Sidebar")
            await player.until(lambda: "Show or hide" in player.text())
            await player.press("enter", "enter")
            await player.until(lambda: not player.play.sidebar)

    asyncio.run(go())


def test_the_palette_goes_to_other_screens(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.press("ctrl+p")
            await player.type("Go to the history")
            await player.until(lambda: "Search what was run" in player.text())
            await player.press("enter", "enter")
            await player.until(lambda: player.app.current_mode == "history")

    asyncio.run(go())


def test_names_in_the_title_can_be_clicked(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            for mode in ("batch", "history", "models", "play"):
                await player.click_tab(f"screen.{mode}")
                assert player.app.current_mode == mode

    asyncio.run(go())


def test_panes_in_turn(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            order = [player.play.query_one(PromptList), player.form, player.play.query_one(ModelList), *player.columns]
            here = 1
            for key, step in (("f6", 1), ("shift+f6", -1), ("f18", -1)):
                for _ in range(len(order) + 1):
                    here = (here + step) % len(order)
                    await player.press(key)
                    assert order[here].has_focus_within

    asyncio.run(go())


def test_a_prompt_without_inputs_has_no_form_to_go_to(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "plain.jinja").write_text("Hello.")

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("plain")
            await player.press("f6")
            assert player.play.query_one(ModelList).has_focus
            await player.press("f6")
            assert player.play.query_one(PromptList).has_focus

    asyncio.run(go())


def test_the_sidebar_goes_and_comes(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            await player.press("ctrl+b")
            await player.until(lambda: player.columns[0].has_focus_within)
            assert not player.play.query_one("#sidebar").display
            await player.press("ctrl+b")
            assert player.play.query_one("#sidebar").display

    asyncio.run(go())


def test_zoom_shows_the_column_with_the_focus(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.press("ctrl+o")  # there is nothing to zoom yet
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            player.columns[1].body.focus()
            narrow = player.columns[1].size.width
            await player.press("ctrl+o")
            assert [c.display for c in player.columns] == [False, True]
            assert player.columns[1].size.width > 1.8 * narrow
            await player.press("ctrl+o")
            assert [c.display for c in player.columns] == [True, True]

    asyncio.run(go())


def test_samples_stay_within_bounds(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.press("f7")
            assert player.play.samples == 1
            await player.press(*["f8"] * (MAX_SAMPLES + 3))
            assert player.play.samples == MAX_SAMPLES

    asyncio.run(go())


def test_escape_closes_a_select_before_it_cancels(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "tone.jinja").write_text("---\ninputs:\n  tone(enum): [plain, warm]\n---\n{{ tone }}\n")

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("tone")
            await player.press("enter", "enter")
            assert player.field("tone").control.expanded  # type: ignore[attr-defined]
            await player.press("escape")
            assert not player.field("tone").control.expanded  # type: ignore[attr-defined]
            assert isinstance(player.form, Form)

    asyncio.run(go())


def test_every_command_has_its_action() -> None:
    screens: dict[str, type] = {
        "app": Playground,
        "play": PlayScreen,
        "batch": BatchScreen,
        "history": HistoryScreen,
        "models": ModelsScreen,
        "closer": CloserScreen,
    }
    missing = [c.id for c in COMMANDS if not hasattr(screens[c.scope], f"action_{c.action.partition('(')[0]}")]
    assert missing == []
