from __future__ import annotations

import asyncio
import itertools
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import OptionList

from promptlab.app.lab import Labs
from promptlab.core.events import Failure, Token
from promptlab.core.text import sanitize
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.errors import NotFound
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from promptlab.tui.app import Playground
from promptlab.tui.theme import DARK, LIGHT
from promptlab.tui.widgets.bars import Problems
from promptlab.tui.widgets.field import Field
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.prompts import PromptList
from tests.tui.kit import Held, playing


def test_a_run_streams_to_both_columns_and_shows_what_is_stored(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (200, 60)) as player:
            await player.choose("explain")
            await player.press("enter")
            await player.type("rain")
            await player.press("enter")
            await player.until(lambda: player.play.cells)
            await player.ended()
            assert [c.status for c in player.play.cells] == ["done", "done"]
            for column, cell in zip(player.columns, player.play.cells, strict=True):
                assert cell.record is not None
                assert column.shown == sanitize(cell.record.output)
                assert player.within(column.body) == cell.record.output.strip()
                assert cell.record.inputs == {"topic": "rain", "audience": "a child"}
            text = player.text()
            assert "The first" in text
            assert "beta" in text
            assert text.count("done: stop") == 2
            assert "tok/s" in text

    asyncio.run(go())


def test_answers_grow_while_they_are_written(library: Path) -> None:
    engine = Held(
        lambda question, prompt: "one two three four five",
        lambda event: isinstance(event, Token) and event.text == " four",
    )

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("enter")
            await player.type("x")
            await player.press("ctrl+r")
            await player.until(lambda: player.columns and player.columns[0].shown == "one two three")
            assert "writing" in player.text()
            assert "● running" in player.text()
            engine.gate.set()
            await player.ended()
            assert player.columns[0].shown == "one two three four five"

    asyncio.run(go())


def test_cancelled_answers_keep_their_text(library: Path) -> None:
    engine = FakeEngine(lambda question, prompt: "word " * 5_000, delay=0.01)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: all(len(c.text) > 20 for c in player.play.cells) and player.play.cells)
            await player.press("escape")
            await player.ended()
            for column, cell in zip(player.columns, player.play.cells, strict=True):
                assert cell.status == "cancelled"
                assert column.shown == cell.text
                assert column.shown.startswith("word word")
            assert player.text().count("■ cancelled") == 2

    asyncio.run(go())


def test_cancelling_while_a_run_is_prepared(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            player.play.action_run()
            player.play.action_cancel()
            await player.ended()
            assert {c.status for c in player.play.cells} <= {"cancelled"}

    asyncio.run(go())


def test_only_one_run_at_a_time(library: Path) -> None:
    engine = FakeEngine(lambda question, prompt: "word " * 5_000, delay=0.01)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: player.play.cells)
            cells = player.play.cells
            await player.press("ctrl+r")
            await player.until(lambda: "One run at a time" in player.text())
            assert [c.job for c in player.play.cells] == [c.job for c in cells]
            await player.press("escape")
            await player.ended()

    asyncio.run(go())


def test_a_failure_stands_in_its_column_and_the_other_answers(library: Path) -> None:
    def answer(question: Question, prompt: str) -> str:
        if question.model == "alpha":
            engine.kill("alpha", Failure("EngineError", "the worker died", "SIGKILL", ("ggml: out of [/b]", "abort")))
        return "one two three four five six seven eight"

    engine = FakeEngine(answer)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            assert [c.status for c in player.play.cells] == ["failed", "done"]
            assert player.within(player.columns[0].body).endswith("✗ the worker died (SIGKILL) ggml: out of [/b] abort")
            assert player.within(player.columns[1].body) == "one two three four five six seven eight"

    asyncio.run(go())


def test_steps_stand_under_their_names(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("verdict")
            await player.press("enter")
            await player.type("snow")
            await player.run()
            text = player.text()
            assert text.count("▸ verdict") == 2
            assert text.count("▸ reason") == 2
            assert text.count("▸ returned") == 2

    asyncio.run(go())


def test_how_probable_a_choice_was_stands_below_it(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "mood.jinja").write_text(
        '{% user %}Good?{% enduser %}{% generate first choices=["yes", "no"] %}'
        '{% user %}Which?{% enduser %}{% generate last choices=["a", "b"] %}'
    )
    engine.answer = lambda question, prompt: question.constraint.value[0]  # type: ignore[union-attr]

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("mood")
            await player.run()
            assert player.text().count("50.0%, then no (50.0%)") == 2
            assert [column.shown for column in player.columns] == ["a", "a"]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("prompt", "keys", "wanted"),
    [
        ("explain", "", "the input 'topic' is missing"),
        ("numbers/count", "x", "wants integer"),
        ("numbers/count", "1.5", "is not of type 'integer'"),
    ],
)
def test_what_is_refused_is_said_beside_the_form(
    library: Path, engine: FakeEngine, prompt: str, keys: str, wanted: str
) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose(prompt)
            await player.press("enter")
            await player.type(keys)
            await player.run()
            assert any(wanted in reason for reason in player.play.reasons)
            assert wanted in player.within(player.play.query_one(Problems))
            assert not player.play.cells
            await player.press("home", "ctrl+k", "7")
            await player.run()
            assert player.play.reasons == ()
            assert [c.status for c in player.play.cells] == ["done", "done"]

    asyncio.run(go())


def test_a_prompt_that_cannot_be_read_is_listed_with_its_problem(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            assert "✗ broken" in player.text()
            await player.choose("broken")
            assert "'whole' is not a type" in player.within(player.form)
            await player.run()
            assert player.play.reasons == ("There is no prompt to run: choose one that can be read.",)

    asyncio.run(go())


def test_models_are_ticked_by_default_and_missing_ones_cannot_be(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            models = player.play.query_one(ModelList)
            assert set(models.ticked) == {"alpha", "beta"}
            assert "missing · 1 MB · mit" in player.text()
            models.focus()
            await player.press("space")
            assert set(models.ticked) == {"beta"}
            await player.press("down", "down", "space")
            assert set(models.ticked) == {"beta"}
            await player.until(lambda: "Not on disk." in player.text())
            await player.press("up", "enter")
            assert not models.ticked
            await player.choose("numbers/count")
            await player.run()
            assert "No model is ticked" in player.text()

    asyncio.run(go())


def test_samples_share_a_column(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (200, 60)) as player:
            await player.choose("numbers/count")
            await player.press("f8", "f8", "f7", "enter", "3")
            assert "2 samples each" in player.text()
            await player.run()
            assert len(player.play.cells) == 4
            assert len(player.columns) == 2
            text = player.text()
            assert "1/2 The first" in text
            assert "1/2 beta" in text

    asyncio.run(go())


def test_what_was_typed_is_still_there(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("enter")
            await player.type("tides")
            await player.choose("verdict")
            await player.choose("explain")
            assert player.field("topic").draft == "tides"

    asyncio.run(go())


def test_reload_sees_new_prompts_and_keeps_the_mark(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("verdict")
            (library / "prompts" / "aaa.jinja").write_text("Hello.")
            await player.press("ctrl+l")
            await player.until(lambda: len(player.play.prompts) == 5)
            await player.pilot.pause()
            assert player.form.prompt_name == "verdict"
            await player.choose("aaa")
            assert "It takes none" in player.text()
            await player.run()
            assert [c.status for c in player.play.cells] == ["done", "done"]

    asyncio.run(go())


def test_an_edited_signature_is_shown_after_reload(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            (library / "prompts" / "numbers" / "count.jinja").write_text("---\ninputs: {m: integer}\n---\n{{ m }}\n")
            await player.press("ctrl+l")
            await player.until(lambda: [f.declared.name for f in player.form.query(Field)] == ["m"])

    asyncio.run(go())


def test_without_prompts_it_says_how_to_begin(library: Path, engine: FakeEngine) -> None:
    for path in (library / "prompts").rglob("*.jinja"):
        path.unlink()

    async def go() -> None:
        async with playing(library, engine) as player:
            assert "promptlab init" in player.text()
            await player.run()
            assert "There is no prompt to run" in player.text()

    asyncio.run(go())


def test_without_models_it_says_what_to_fetch(library: Path, engine: FakeEngine) -> None:
    for model in read_models(library / "models.yaml").values():
        model_file(model.sha256 or "").unlink(missing_ok=True)

    async def go() -> None:
        async with playing(library, engine) as player:
            text = player.text()
            assert "No models yet: press p to pull these two" in text

    asyncio.run(go())


def test_a_wrong_models_yaml_is_said_and_prompts_are_still_listed(library: Path, engine: FakeEngine) -> None:
    (library / "models.yaml").write_text("models: [1]\n")

    async def go() -> None:
        async with playing(library, engine) as player:
            assert len(player.play.prompts) == 4
            assert any("models.yaml" in reason for reason in player.play.reasons)
            assert "models.yaml" in player.text()

    asyncio.run(go())


def test_a_library_that_is_none_ends_the_app_with_its_error(home: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        app = Playground(partial(Labs, home / "nowhere", lambda: engine))
        async with app.run_test() as pilot:
            while app.failure is None:
                await pilot.pause()
        assert isinstance(app.failure, NotFound)

    asyncio.run(go())


def test_a_run_that_breaks_off_is_said(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise KeyError("oops [/b]")

    monkeypatch.setattr(engine, "next_event", broken)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            assert "promptlab has a defect: KeyError: 'oops [/b]'" in " ".join(player.play.reasons)
            assert [c.status for c in player.play.cells] == ["failed", "failed"]
            await player.until(lambda: "the run broke off" in player.text())

    asyncio.run(go())


def test_quitting_while_it_runs_cancels_and_ends(library: Path) -> None:
    engine = FakeEngine(lambda question, prompt: "word " * 5_000, delay=0.01)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: player.play.cells and player.play.cells[0].text)
            await player.press("ctrl+q")
        assert player.app.desk.close(0.0)
        assert player.app.return_code == 0

    asyncio.run(go())


def test_a_scrolled_column_stays_where_it_is(library: Path) -> None:
    drawn = itertools.count()
    engine = Held(
        lambda question, prompt: "line\n" * 100,
        lambda event: isinstance(event, Token) and next(drawn) == 150,
    )

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: player.columns and all(c.shown.count("line") > 60 for c in player.columns))
            first, second = player.columns
            await player.until(lambda: first.body.max_scroll_y > 20 and first.body.is_vertical_scroll_end)
            first.body.focus()
            await player.press("home")
            await player.until(lambda: first.body.scroll_y == 0)
            engine.gate.set()
            await player.ended()
            assert first.body.scroll_y == 0
            await player.press("end")
            await player.until(lambda: first.body.is_vertical_scroll_end)
            assert second.body.is_vertical_scroll_end
            assert second.body.max_scroll_y > first.body.max_scroll_y / 2

    asyncio.run(go())


def test_lists_have_the_focus_first(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            assert isinstance(player.play.focused, PromptList)
            assert isinstance(player.play.query_one("#models"), OptionList)

    asyncio.run(go())


def test_the_theme_is_ours_from_the_first_paint(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            assert player.app.current_theme.name == "promptlab-dark"
            assert player.app.screen.styles.background.hex.lower() == DARK.background
            player.app.theme = "promptlab-light"
            await player.pilot.pause()
            assert player.app.screen.styles.background.hex.lower() == LIGHT.background

    asyncio.run(go())
