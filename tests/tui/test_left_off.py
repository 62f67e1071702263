"""What one left off with is there the next time: sources, versions, options, cases, the batch, the next turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from promptlab.app.reopen import Opened, reopen
from promptlab.app.session import keep
from promptlab.core.session import MAX_DRAFT, Session, Stepping, Unsaved, slim
from promptlab.engine.fake import FakeEngine
from promptlab.files.sessions import read_session, session_file, write_session
from promptlab.tui.screens.batch import BatchScreen
from promptlab.tui.screens.case_sets import CaseSetScreen
from promptlab.tui.screens.closer_turn import TurnScreen
from promptlab.tui.screens.play import PlayScreen
from promptlab.tui.screens.unsaved import UnsavedScreen
from promptlab.tui.widgets.field import Area
from promptlab.tui.widgets.options import OptionsPane
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.setup import Setup
from tests import gitkit
from tests.conftest import EXPLAIN
from tests.tui.kit import Player, playing
from tests.tui.test_case_steps import at, pick
from tests.tui.test_case_steps import seeds as seeds
from tests.tui.test_hostile import EVIL, check
from tests.tui.test_prompts_source import opened, pane


@asynccontextmanager
async def dying(library: Path, engine: FakeEngine) -> AsyncIterator[Player]:
    """A program that is not asked to leave; it is waited for until all is kept, as it is once a second."""
    async with playing(library, engine, (160, 50)) as player:
        yield player
        await player.until(lambda: _kept(library, player), "the file")


def _kept(library: Path, player: Player) -> bool:
    now = player.play.session
    return now is not None and read_session(session_file(library)) == slim(now[1])


@asynccontextmanager
async def again(library: Path, engine: FakeEngine) -> AsyncIterator[Player]:
    async with playing(library, engine, (160, 50)) as player:
        await player.until(lambda: player.form.prompt_name == read_session(session_file(library)).prompt, "the prompt")
        yield player


async def other(player: Player, name: str) -> None:
    """Choose another prompt while one edits."""
    await player.choose(name)
    await player.until(lambda: pane(player).base and pane(player).base.name == name, "the source")  # type: ignore[union-attr]


def told(player: Player) -> list[str]:
    return [note.message for note in player.app._notifications]


def test_sources_that_are_not_saved(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with dying(library, engine) as player:
            await opened(player, "verdict")
            await player.press("z")
            await other(player, "explain")
            await player.press("x")
            assert set(player.play.unsaved) == {"explain", "verdict"}
        async with again(library, engine) as player:
            source = pane(player)
            await player.until(lambda: source.text == "x" + EXPLAIN, "the source")
            assert "Still there, and still not saved: explain, verdict. e goes on." in told(player)
            assert "● prompts/explain.jinja unsaved" in player.text()
            assert {"● explain", "● verdict"} <= {line.strip(" │") for line in player.text().split("│")}
            assert "has changed on disk" not in player.text()
            assert (library / "prompts" / "explain.jinja").read_text() == EXPLAIN
            await player.press("e", "ctrl+s")
            await player.until(lambda: not source.is_changed, "the file")
            assert (library / "prompts" / "explain.jinja").read_text() == "x" + EXPLAIN
            assert player.play.unsaved == ("verdict",)
            await player.choose("verdict")
            await player.until(lambda: source.text.startswith("z"), "the other one")
            await player.until(lambda: set(read_session(session_file(library)).sources) == {"verdict"}, "the file")

    asyncio.run(go())


def test_a_file_that_has_changed_meanwhile_is_not_written_over(library: Path, engine: FakeEngine) -> None:
    file = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with dying(library, engine) as player:
            await opened(player, "explain")
            await player.press("x")
        file.write_text("Written elsewhere.\n")
        async with again(library, engine) as player:
            source = pane(player)
            await player.until(lambda: source.text == "x" + EXPLAIN, "the draft")
            await player.until(lambda: "has changed on disk. What you typed is still here" in player.text())
            await player.press("e", "ctrl+s")
            await player.until(lambda: "since it was read" in player.text(), "the refusal")
            assert file.read_text() == "Written elsewhere.\n"
            await player.until(lambda: _kept(library, player), "the file")
        async with again(library, engine) as player:  # it is still told the time after
            source = pane(player)
            await player.until(lambda: "has changed on disk. What you typed is still here" in player.text())
            await player.press("e", "escape", "d", "e")
            assert source.text == "Written elsewhere.\n"
            assert player.play.unsaved == ()
        write_session(
            session_file(library), Session("explain", sources={"explain": Unsaved("Written elsewhere.\n", "other")})
        )
        async with again(library, engine) as player:  # what was typed is what somebody has saved
            await player.until(lambda: pane(player).text == "Written elsewhere.\n")
            assert player.play.unsaved == ()
            assert "has changed on disk" not in player.text()

    asyncio.run(go())


@pytest.mark.parametrize("key", ["k", "d"])
def test_leaving_keeps_or_forgets_what_is_not_saved(library: Path, engine: FakeEngine, key: str) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await opened(player, "verdict")
            await player.press("z")
            await other(player, "explain")
            await player.press("x", "ctrl+q")
            assert isinstance(player.top(), UnsavedScreen)
            assert "k  leaves it unsaved; it is here again next time" in player.text()
            await player.press(key)
            await player.until(lambda: player.app.return_code == 0, "the end")
        if player.app.left is not None:
            keep(*player.app.left)
        kept = {} if key == "d" else {"explain", "verdict"}
        assert set(read_session(session_file(library)).sources) == set(kept)
        assert (library / "prompts" / "explain.jinja").read_text() == EXPLAIN

    asyncio.run(go())


def test_two_that_are_open_at_once_lose_nothing_of_each_other(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as one:
            await opened(one, "explain")
            await one.press("x")
            await one.until(lambda: "explain" in read_session(session_file(library)).sources, "the file")
            async with playing(library, engine, (160, 50)) as two:
                assert two.play.unsaved == ()
                await opened(two, "verdict")
                await two.press("z")
                await two.until(lambda: "verdict" in read_session(session_file(library, 2)).sources, "the other file")
        async with playing(library, engine, (160, 50)) as player:
            await player.until(lambda: set(player.play.unsaved) == {"explain", "verdict"}, "both")

    asyncio.run(go())


def test_one_stays_where_it_cannot_be_kept(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await opened(player, "explain")
            folder = session_file(library).parent
            folder.rename(folder.with_name("elsewhere"))
            folder.write_text("in the way")
            await player.press("x", "ctrl+q", "k")
            await player.until(lambda: "cannot be kept for the next time" in "".join(told(player)), "the reason")
            assert player.top() is player.play
            assert player.play.unsaved == ("explain",)

    asyncio.run(go())


def test_what_is_too_long_is_said_once(library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(PlayScreen, "notify", lambda self, message, **how: said.append(message))

    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            source = await opened(player, "explain")
            source.body.insert("word\n" * (MAX_DRAFT // 5), (0, 0))
            await player.until(lambda: said, "the reason")
            await player.press("x")
            await player.until(lambda: player.play.left_off is None, "another look")
            await player.pilot.pause()
            assert said == ["Too long to be kept for the next time: the source of explain."]

    asyncio.run(go())


def test_a_damaged_or_hostile_file_does_no_harm(library: Path, engine: FakeEngine) -> None:
    hostile = Session(
        "explain",
        {"explain": {"topic": EVIL}},
        samples=10**9,
        sources={"explain": Unsaved(EVIL, EVIL), EVIL: Unsaved(EVIL, "")},
        versions={"explain": ("explain@--output=x",), "verdict": (EVIL,)},
        options={EVIL: EVIL, "temperature": EVIL},
        mode=EVIL,
        cases={"explain": Stepping("/dev/null/" + EVIL, EVIL, {EVIL: EVIL})},
        turns={EVIL: EVIL},
    )
    write_session(session_file(library), hostile)

    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await player.until(lambda: player.form.prompt_name == "explain", "the prompt")
            await player.until(lambda: player.play.versions == (), "no such version")
            await player.until(lambda: pane(player).is_changed, "the draft")
            await player.until(lambda: not player.play.stepping, "no such case")
            assert player.play.samples == 16
            check(player)
            await player.press("f3")
            check(player)

    asyncio.run(go())


def test_options_and_the_mode(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with dying(library, engine) as player:
            await player.choose("explain")
            await player.press("f9", *"0.25", "tab", *"many")
            options = player.play.query_one(OptionsPane)
            options._mode.value = "fast"
            await player.until(lambda: options.asked.mode == "fast")
        async with again(library, engine) as player:
            asked = player.play.query_one(OptionsPane)
            await player.until(lambda: asked.asked.options == {"temperature": 0.25}, "the option")
            assert asked.asked.mode == "fast"
            assert "top_k" in asked.asked.wrong[0]
            assert not asked.open
            assert "temperature 0.25" in player.text()

    asyncio.run(go())


def test_versions_of_each_prompt(library: Path, engine: FakeEngine, git_settings: None) -> None:
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "First"]):
        gitkit.run(library, *command)
    for name in ("explain", "verdict"):
        with (library / "prompts" / f"{name}.jinja").open("a") as file:
            file.write("More.\n")

    async def go() -> None:
        async with dying(library, engine) as player:
            for name in ("verdict", "explain"):
                await player.choose(name)
                player.play.query_one(PromptList).focus()
                await player.press("v")
                await player.until(lambda: "First" in player.text(), "the log")
                await player.press("end", "enter")
                await player.until(lambda: player.play.versions == (f"{name}@1",), "the version")  # noqa: B023
        async with again(library, engine) as player:
            await player.until(lambda: "Inputs of explain@1" in player.text(), "the version")
            assert player.play.request().prompts == ("explain@1",)
            await player.choose("numbers/count")
            assert player.play.request().prompts == ("numbers/count",)
            player.play.query_one(PromptList).mark("verdict")
            await player.until(lambda: "Inputs of verdict@1" in player.text(), "the other one")
            assert player.play.request().prompts == ("verdict@1",)

    asyncio.run(go())


def test_the_case_in_the_form(seeds: Path, library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with dying(library, engine) as player:
            await player.choose("kinds")
            await player.press("enter", *"mine")
            await pick(player, "kinds", "kinds.csv")
            await pick(player, "explain", "topics.yaml")
            await player.press("full_stop")
            await player.until(lambda: at(player) == "topics 2/3: long", "the next case")
            await player.until(lambda: "\n" in player.field("topic").draft)
            await player.choose("kinds")
            player.field("text").control.focus()
            await player.press("end", "x")
        text = (seeds / "topics.yaml").read_text()
        (seeds / "topics.yaml").write_text(text.replace("tests:\n", "tests:\n  - {id: new, vars: {topic: new}}\n"))
        async with again(library, engine) as player:
            await player.until(
                lambda: player.form.border_subtitle, f"the case {read_session(session_file(library)).cases}"
            )
            assert at(player).startswith("kinds 1/2: ")
            given = player.form.values()
            assert player.field("text").draft == "hellox"  # as it was changed
            assert {name: getattr(value, "text", value) for name, value in given.items()} == {
                **{"text": "hellox", "tone": "warm", "deep": "true", "n": "4", "tags": '["x"]'}
            }
            await player.choose("explain")
            await player.until(lambda: at(player) == "topics 3/4: long", "the case where it is now")
            assert player.form.values() == {"topic": "a\nb", "audience": "odd \x1b[31m"}
            await player.press("full_stop")
            await player.until(lambda: at(player) == "topics 4/4: odd", "the next case")
            await player.choose("kinds")
            player.play.query_one(PromptList).focus()
            await player.press("k")
            await player.until(lambda: isinstance(player.top(), CaseSetScreen), "the case sets")
            await player.press("home", "enter")  # none
            await player.until(lambda: player.field("text").draft == "mine", "what stood there before")
        (seeds / "topics.yaml").unlink()
        write_session(
            session_file(library), Session("explain", {"explain": {"topic": "a\nb"}}, cases=_case(seeds, "topics.yaml"))
        )
        async with again(library, engine) as player:
            await player.until(lambda: not player.play.stepping, "no such file")
            assert player.field("topic").draft == "a\nb"
            assert player.form.border_subtitle is None

    asyncio.run(go())


def _case(seeds: Path, file: str) -> dict[str, Stepping]:
    return {"explain": Stepping(str(seeds / file), "long")}


def test_the_batch(seeds: Path, library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with dying(library, engine) as player:
            await player.choose("explain")
            await player.press("f3")
            setup = player.top().query_one(Setup)
            await player.until(lambda: setup.cases.rows, "the cases")
            setup.prompts.tick(["verdict", "explain"])
            setup.cases.tick(["topics"])
            setup.models.tick(["beta"])
            setup._options.value = "seed=7"
            setup._code.value = True
            await player.press("f2")
            left = setup.draft
        async with again(library, engine) as player:
            await player.press("f3")
            setup = player.top().query_one(Setup)
            await player.until(lambda: setup.cases.ticked, "the cases")
            assert setup.draft.options == "seed=7"
            assert not setup.draft.code  # a leave that is given anew
            assert (setup.draft.prompts, setup.draft.cases, setup.draft.models) == (
                left.prompts,
                left.cases,
                left.models,
            )
            await player.until(lambda: _kept(library, player), "the file")
        async with again(library, engine) as player:  # what is chosen since is what is meant now
            await player.choose("verdict")
            await player.press("f3")
            assert isinstance(player.top(), BatchScreen)
            setup = player.top().query_one(Setup)
            await player.until(lambda: setup.cases.ticked, "the cases")
            assert (setup.draft.prompts, setup.draft.models) == (("verdict",), ("alpha", "beta"))
            assert setup.draft.options == "seed=7"

    asyncio.run(go())


def test_the_next_turn_that_was_begun(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with dying(library, engine) as player:
            await player.choose("explain")
            await player.press("enter", *"rain")
            await player.run()
            player.columns[0].body.focus()
            await player.press("n", *"And")
            assert isinstance(player.top(), TurnScreen)
        (begun,) = read_session(session_file(library)).turns
        async with again(library, engine) as player:

            def show(opened: Opened) -> None:
                player.play.reopen(opened)

            player.app.desk.do(lambda lab, task: reopen(lab, begun), done=show)
            await player.until(lambda: len(player.columns) == 2, "the answers")
            await player.pilot.pause()
            mine, other = player.columns
            assert mine.cell is not None
            assert mine.cell.record is not None
            assert mine.cell.record.id == begun
            other.body.focus()
            await player.press("n", *"But")
            assert player.top().query_one(Area).text == "But"
            await player.press("escape")
            mine.body.focus()
            await player.press("n", "?")
            assert player.top().query_one(Area).text == "And?"
            await player.press("ctrl+r")
            await player.ended()
            assert list(player.play.turns.values()) == ["But"]
            assert len(player.columns) == 3

    asyncio.run(go())
