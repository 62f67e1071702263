from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from promptlab.core.prompt import parse
from promptlab.engine.fake import FakeEngine
from promptlab.tui import asking
from promptlab.tui.asking import Asked
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.options import OptionsPane, Setting
from tests.conftest import EXPLAIN
from tests.tui.kit import Player, playing


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", " 0.5 ", 0.5),
        ("top_k", "0", 0),
        ("seed", "7", 7),
        ("stop", "END", "END"),
        ("stop", "\\n\\n", "\n\n"),
        ("stop", '["a", "b"]', ["a", "b"]),
        ("stop", '"', '"'),
        ("stop", 'say "x"', 'say "x"'),
        ("temperature", "hot", None),
        ("temperature", "NaN", None),
        ("temperature", "101", None),
        ("top_k", "1.5", None),
        ("max_tokens", "0", None),
        ("max_tokens", "9" * 5000, None),
    ],
)
def test_options_are_read_as_they_are_typed(name: str, text: str, value: Any) -> None:
    if value is None:
        with pytest.raises(ValueError, match=r"^wants "):
            asking.read_option(name, text)
    else:
        assert asking.read_option(name, text) == value


def test_the_line_says_first_what_was_set() -> None:
    prompt = parse(EXPLAIN, "explain")
    assert asking.summary(Asked(), 1, prompt, []).plain == "temperature 0.5 · 50 tokens · seed 0 · 1 sample"
    asked = Asked({"seed": 7, "stop": "\n"}, "fast", ("wrong",))
    said = asking.summary(asked, 3, prompt, []).plain
    assert said == '✗ · seed 7 · stop "\\n" · fast · 3 samples · temperature 0.5 · 50 tokens'
    assert asking.placeholder("temperature", prompt, []) == "0.5 · the prompt"
    assert asking.placeholder("stop", None, []) == "none"


def pane(player: Player) -> OptionsPane:
    return player.play.query_one(OptionsPane)


def setting(player: Player, name: str) -> Setting:
    return next(each for each in player.play.query(Setting) if each.option == name)


async def go_to(player: Player, name: str) -> None:
    setting(player, name).control.focus()
    await player.pilot.pause()


def test_what_is_set_reaches_the_models(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            assert "temperature 0.5 · 50 tokens · seed 0" in player.text()
            await player.press("ctrl+t")
            await player.type("0.25")
            assert "0.95" in player.text()  # of top_p, as a placeholder
            await go_to(player, "seed")
            await player.type("7")
            await go_to(player, "samples")
            await player.press("backspace", "2")
            await go_to(player, "mode")
            await player.press("enter", "down", "down", "enter")
            await player.until(lambda: player.play.samples == 2)
            await player.press("f8")
            assert setting(player, "samples").control.value == "3"  # type: ignore[attr-defined]
            await player.press("f7", "ctrl+t")
            await player.until(lambda: not pane(player).open)
            assert player.form.has_focus_within
            await player.type("rain")
            assert "temperature 0.25 · seed 7 · fast" in player.text()
            await player.press("enter")
            await player.until(lambda: player.play.cells)
            await player.ended()
            assert len(player.play.cells) == 4
            for cell in player.play.cells:
                assert cell.job.overrides == {"temperature": 0.25, "seed": 7}
                assert cell.job.model.mode == "fast"

    asyncio.run(go())


def test_nothing_set_is_nothing_given(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            request = player.play.request()
            assert (dict(request.options), request.mode, request.samples) == ({}, None, 1)

    asyncio.run(go())


def test_a_wrong_option_is_said_at_its_field_and_refuses_the_run(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+t")
            await player.type("hot")
            assert "wants a number from 0 to 100; got 'hot'" in player.within(setting(player, "temperature"))
            await go_to(player, "samples")
            await player.press("backspace", "9", "9")
            assert player.play.samples == 9
            await player.run()
            assert player.play.reasons == (
                "temperature wants a number from 0 to 100; got 'hot'",
                "samples wants a whole number from 1 to 16; got '99'",
            )
            assert not player.play.cells

    asyncio.run(go())


def test_options_are_a_pane_while_they_are_unfolded(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("ctrl+t")
            await player.press("shift+f6")
            assert player.form.has_focus_within
            await player.press("ctrl+t")  # goes back to them
            assert pane(player).has_focus_within
            await player.press("ctrl+t")
            assert not pane(player).open
            await player.pilot.click(pane(player))
            assert pane(player).open

    asyncio.run(go())


def test_samples_set_twice_in_a_row_stay_as_they_were_set_last(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.press("ctrl+t")
            for _ in range(3):
                player.play.action_samples(1)  # before the field has said that it changed
            await player.pilot.pause(0.2)
            assert player.play.samples == 4

    asyncio.run(go())


def test_what_holds_is_that_of_the_models_that_are_ticked(library: Path, engine: FakeEngine) -> None:
    file = library / "models.yaml"
    file.write_text(file.read_text().replace("beta:", "beta:\n    options: {top_k: 7}", 1))

    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await player.choose("numbers/count")
            await player.press("ctrl+t")
            await player.until(lambda: "each its own · models.yaml" in player.text())
            player.play.query_one(ModelList).focus()
            await player.press("home", "space")
            await player.until(lambda: "7 · models.yaml" in player.text())
            assert "each its own" not in player.text()

    asyncio.run(go())
