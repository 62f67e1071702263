from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from textual.actions import parse
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widget import Widget

from promptlab.engine.fake import FakeEngine
from promptlab.tui.bindings import COMMANDS, around, of, shown_keys
from promptlab.tui.command import Scope
from promptlab.tui.screens.help import HelpScreen
from promptlab.tui.screens.play_ask import MAX_SAMPLES
from promptlab.tui.widgets.closer_panes import Alternatives
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.options import OptionsPane
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.tokenmap import TokenMap
from tests.tui.kit import Player, playing
from tests.tui.test_case_steps import answered


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


HELP = (("f1", "escape"), ("question_mark", "q"), ("f1", "f1"), ("f1", "question_mark"), ("f1", "enter"))


def test_the_help_screen_names_every_key_and_closes(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (120, 200)) as player:
            for opening, closing in HELP:
                await player.press(opening)
                assert isinstance(player.top(), HelpScreen)
                text = player.text()
                for command in around("play"):
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


def listed(player: Player) -> set[str]:
    """What the palette lists."""
    return {command.title for command in player.app.get_system_commands(player.top())}


def test_the_palette_lists_what_can_be_done_now_and_every_command_at_some_time(
    library: Path, engine: FakeEngine
) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            every = {command.name for command in around("play") if command.id != "palette"}
            await player.choose("numbers/count")
            seen = [listed(player)]
            assert {"Run", "Edit", "Theme", "Quit", "Filter", "Open folder"} <= seen[0]
            assert not {"Copy answer", "Cancel", "Save source", "Zoom", "Tokens", "Tick"} & seen[0]
            await player.press("enter", "3", "f8")
            seen.append(listed(player))
            assert "Leave the field" in seen[-1]
            assert "Open folder" not in seen[-1]
            await player.run()
            player.columns[0].body.focus()
            await player.press("h")
            seen.append(listed(player))
            assert {"Copy answer", "Zoom", "Tokens", "Next sample", "Show all columns"} <= seen[-1]
            player.play.query_one(ModelList).focus()
            await player.pilot.pause()
            seen.append(listed(player))
            assert "Tick" in seen[-1]
            await player.press("e")
            seen.append(listed(player))
            assert {"Save source", "Leave the source"} <= seen[-1]
            assert not {"Copy answer", "Zoom"} & seen[-1]
            await player.press("escape", "slash")
            seen.append(listed(player))
            await player.press("escape")
            player.play.running = True
            seen.append(listed(player))
            assert set().union(*seen) == every
            await player.press("f3")
            assert not {"Pause", "Stop", "Picture", "Write"} & listed(player)
            assert {"Start", "Versions"} <= listed(player)

    asyncio.run(go())


def test_what_the_palette_lists_is_done_where_the_focus_was(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            prompts = player.play.query_one(PromptList)
            prompts.focus()
            count = prompts.option_count
            await player.press("ctrl+p")
            assert isinstance(player.app.screen, CommandPalette)
            await player.type("Close folder")
            await player.until(lambda: "or the one around it" in player.text())
            while player.top() is not player.play:
                await player.press("enter")
            await player.until(lambda: prompts.option_count == count - 1)
            await player.press("ctrl+p")
            await player.type("seed")  # stands in what the options' command says of itself
            await player.until(lambda: "Set temperature, seed" in player.text())
            await player.press("escape")
            await player.press("ctrl+p")
            await player.type("Sidebar")
            await player.until(lambda: "Show or hide" in player.text())
            while player.top() is not player.play:
                await player.press("enter")
            await player.until(lambda: not player.play.sidebar)

    asyncio.run(go())


def test_what_can_no_longer_be_done_is_told(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            (copy,) = (command for command in of("play") if command.id == "answers.copy")
            await player.app.perform(copy, player.play)
            await player.until(lambda: "Copy answer: not now." in player.text())

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


def test_the_other_keys_do_the_same(library: Path, engine: FakeEngine) -> None:
    """Those that browsers or terminals send in place of the usual ones."""

    async def go() -> None:
        async with playing(library, engine) as player:
            for here in (True, False):
                await player.press("f9")
                assert player.play.query_one(OptionsPane).open == here
            for mode in ("f3", "f5"):
                await player.press(mode)
                await player.until(lambda: player.top().focused)
                first = player.top().focused
                await player.press("f6")
                second = player.top().focused
                assert second is not first
                for key in ("shift+f6", "f18"):
                    player.top().set_focus(second)
                    await player.press(key)
                    assert player.top().focused is first, (mode, key)

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


async def where_answers_are(player: Player) -> None:
    await player.choose("numbers/count")
    await player.press("enter", "3")
    await player.run()
    player.columns[0].body.focus()


async def where_nothing_has_the_focus(player: Player, key: str) -> None:
    await player.press(key)
    player.top().set_focus(None)


async def focus(player: Player, kind: type[Widget]) -> None:
    await player.choose("explain")
    player.play.query_one(kind).focus()


async def press(player: Player, *keys: str) -> None:
    await focus(player, PromptList)
    await player.press(*keys)


async def on_a_token(player: Player, *keys: str) -> None:
    await where_answers_are(player)
    await player.press("t")
    await player.until(lambda: isinstance(player.top().focused, TokenMap | Alternatives))
    await player.until(lambda: player.top().query_one(Alternatives).option_count)
    await player.press(*keys)


async def over_an_answer(player: Player, key: str) -> None:
    await answered(player)
    await player.press(key)
    await player.until(lambda: player.top() is not player.play)


async def over_the_history(player: Player, key: str) -> None:
    await where_answers_are(player)
    await player.press("f4", "down")
    history = player.top()
    await player.until(lambda: "2 runs" in player.text())
    await player.press(key)
    await player.until(lambda: player.top() is not history)


async def another_to_compare(player: Player) -> None:
    player.play.samples = 2
    await where_answers_are(player)
    await player.press("d")
    closer = player.top()
    await player.press("o")
    await player.until(lambda: player.top() is not closer)


SITUATIONS: dict[Scope, Callable[[Player], Awaitable[None]]] = {
    "app": where_answers_are,
    "play": where_answers_are,
    "batch": partial(where_nothing_has_the_focus, key="f3"),
    "history": partial(where_nothing_has_the_focus, key="f4"),
    "models": lambda player: press(player, "f5"),
    "closer": on_a_token,
    "tokens": on_a_token,
    "alternatives": lambda player: on_a_token(player, "enter"),
    "prompts": lambda player: focus(player, PromptList),
    "ticks": lambda player: focus(player, ModelList),
    "filter": lambda player: press(player, "slash"),
    "field": lambda player: press(player, "enter"),
    "source": lambda player: press(player, "e"),
    "versions": lambda player: press(player, "v"),
    "unsaved": lambda player: press(player, "e", "x", "escape"),
    "help": lambda player: press(player, "f1"),
    "cases": lambda player: over_an_answer(player, "k"),
    "keep": lambda player: over_an_answer(player, "s"),
    "example": lambda player: over_an_answer(player, "x"),
    "turn": lambda player: over_an_answer(player, "n"),
    "sure": lambda player: over_the_history(player, "d"),
    "choice": another_to_compare,
    "name": lambda player: over_the_history(player, "x"),
}
"""How to come to where the commands of a scope hold."""


@pytest.mark.parametrize("scope", get_args(Scope))
def test_every_key_gives_its_command(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, scope: Scope
) -> None:
    """What each does is for the tests of its screen; here every key of every table is pressed where it holds."""
    given: list[tuple[DOMNode, str, tuple[object, ...]]] = []

    async def note(node: DOMNode, name: str, parameters: tuple[object, ...]) -> bool:
        given.append((node, name, parameters))
        return True

    async def go() -> None:
        async with playing(library, engine) as player:
            await SITUATIONS[scope](player)
            await player.pilot.pause()
            top = player.top()
            monkeypatch.setattr(top, "check_action", lambda *_: True)  # whether it can be done now is not asked
            monkeypatch.setattr(player.app, "_dispatch_action", note)
            for command in of(scope):
                _, name, parameters = parse(command.action)
                for key in command.keys.split(","):
                    given.clear()
                    await player.press(key)
                    assert [each[1:] for each in given] == [(name, parameters)], (command.id, key)
                    assert hasattr(given[0][0], f"action_{name}")
            if isinstance(top, ModalScreen):
                given.clear()
                await player.press("f1")
                assert [each[1] for each in given] == ["dismiss" if scope == "help" else "help"]
            monkeypatch.undo()

    asyncio.run(go())
