"""The batch screen: setting up, watching, pausing, filtering, looking into cells, writing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from promptlab.core.compare import compare
from promptlab.core.events import Answered
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.tui.bindings import of
from promptlab.tui.model_work import DISTURBING
from promptlab.tui.screens import batch_answers
from promptlab.tui.screens.batch import BatchScreen
from promptlab.tui.screens.closer import CloserScreen
from promptlab.tui.theme import DARK, LIGHT
from promptlab.tui.widgets.casepage import CasePage
from promptlab.tui.widgets.field import Box
from promptlab.tui.widgets.matrix import CACHED, MatrixTable
from promptlab.tui.widgets.picture import Picture
from promptlab.tui.widgets.setup import Setup
from promptlab.views.comparison import with_interval
from promptlab.views.exports import write_json
from tests import gitkit
from tests.tui.kit import Held, Player, playing
from tests.tui.test_colours import READABLE, contrast
from tests.tui.test_hostile import EVIL, QUOTED, SEEN, UNSAFE, squash

FACTS = """\
- {id: rain, vars: {topic: rain}, assert: [{type: icontains, value: RAIN}]}
- {id: snow, vars: {topic: snow}, assert: [{type: icontains, value: snow}]}
- {id: wind, vars: {topic: wind}}
- {id: hail, vars: {topic: hail}, assert: [{type: logprob, value: ice, threshold: -9}]}
"""


def knows(question: Question, prompt: str) -> str:
    """It says the topic, but nothing of snow on beta."""
    topic = next(word for word in ("rain", "snow", "wind", "hail") if word in prompt)
    return "nothing" if (question.model, topic) == ("beta", "snow") else f"It is {topic}."


@pytest.fixture
def facts(library: Path) -> Path:
    (library / "seeds").mkdir()
    (library / "seeds" / "facts.yaml").write_text(FACTS)
    return library


class Batch:
    """Drives the batch screen."""

    def __init__(self, player: Player, screen: BatchScreen) -> None:
        self.player = player
        self.screen = screen
        self.setup = screen.query_one(Setup)
        self.table = screen.query_one(MatrixTable)

    @property
    def phase(self) -> str:
        return self.screen.phase

    @property
    def columns(self) -> list[int]:
        return list(self.table.shown)

    def tick(self, *cases: str, prompts: tuple[str, ...] = ("explain",)) -> None:
        self.setup.prompts.tick(prompts)
        self.setup.cases.tick(cases)

    async def start(self, *cases: str) -> None:
        self.tick(*(cases or ("facts",)))
        await self.player.press("ctrl+r")
        await self.player.until(lambda: self.screen.phase not in ("new", "checking") or self.screen.reasons)

    async def ended(self) -> None:
        await self.player.until(lambda: not self.screen.active, "the end")
        await self.player.pilot.pause()

    async def peeked(self, text: str) -> None:
        peek = self.screen.query_one("#batch-peek", Static)
        await self.player.until(lambda: text in str(peek.visual), text)

    def shown(self) -> list[str]:
        assert self.screen.matrix is not None
        return [self.screen.matrix.cases[row].id for row in self.table.rows]

    def row(self, case: str) -> str:
        """A row as it is drawn."""
        lines = [self.table.render_line(y).text for y in range(self.table.size.height)]
        return next(line for line in lines if line.startswith(case))


@asynccontextmanager
async def batching(library: Path, engine: FakeEngine, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Batch]:
    async with playing(library, engine, size) as player:
        await player.press("f3")
        screen = player.top()
        assert isinstance(screen, BatchScreen)
        batch = Batch(player, screen)
        await player.until(lambda: batch.setup.cases.rows or not (library / "seeds").exists(), "the cases")
        yield batch


def test_a_comparison_shows_the_numbers_of_compare(facts: Path, engine: FakeEngine) -> None:
    engine.answer = knows

    async def go() -> None:
        async with batching(facts, engine) as batch:
            assert batch.setup.models.ticked == ("alpha", "beta")  # as in play
            await batch.start()
            await batch.ended()
            found = batch.screen.found
            assert batch.phase == "done"
            assert found is not None
            assert found == compare(found.columns, found.cases, found.results)
            assert [(s.pass_rate, s.unscored, s.errors) for s in found.summaries] == [(1.0, 1, 0), (2 / 3, 1, 0)]
            text = batch.player.text()
            for summary in found.summaries:
                assert with_interval(summary.pass_rate, summary.interval) in text
            assert "8 of 8 answers" in text
            marks = {case: "".join(batch.row(case).split()) for case in ("rain", "snow", "wind", "hail")}
            assert marks == {"rain": "rain[✓]✓", "snow": "snow✓✗", "wind": "wind??", "hail": "hail✓✓"}
            await batch.peeked("All 2 answers say the same")
            # The same once more: all of it is in the history.
            await batch.player.press("n")
            asked = len(engine.questions)
            await batch.start()
            await batch.ended()
            assert len(engine.questions) == asked
            assert "".join(batch.row("rain").split()) == "rain[✓↺]✓↺"
            assert "8 from the history" in batch.player.text()
            for theme in (DARK.name, LIGHT.name):
                batch.player.app.theme = theme
                await batch.player.pilot.pause()
                assert contrast(batch.player, batch.screen.query_one(MatrixTable), CACHED) >= READABLE

    asyncio.run(go())


def test_pausing_loses_nothing_and_asks_nothing_twice(facts: Path) -> None:
    answered: list[int] = []

    def third(event: object) -> bool:
        if isinstance(event, Answered):
            answered.append(event.seq)
        return len(answered) == 3 and not engine.gate.is_set()

    engine = Held(knows, third)

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.start()
            await batch.player.until(lambda: len(answered) == 3)
            assert DISTURBING & batch.player.app.activity.keys()
            await batch.player.press("space")
            assert batch.phase == "pausing"
            engine.gate.set()
            await batch.ended()
            assert batch.phase == "paused"
            matrix, found = batch.screen.matrix, batch.screen.found
            assert matrix is not None
            assert found is not None
            done = len(matrix.results)
            assert 2 <= done < 8
            assert len(found.results) == done
            assert not any(slot.state == "running" for k in range(4) for c in (0, 1) for slot in matrix.cell(c, k))
            assert "paused: space goes on" in batch.player.text()
            await batch.player.until(lambda: "space Go on s Stop ⏎ Open" in batch.player.text())
            assert "Start" not in batch.player.text()
            await batch.player.press("f2")
            assert f"batch paused {done}/8" in batch.player.text()
            assert not DISTURBING & batch.player.app.activity.keys()  # models can be measured meanwhile
            await batch.player.press("f3")
            engine.questions.clear()
            await batch.player.press("space")
            await batch.player.until(lambda: batch.phase == "done")
            await batch.player.until(lambda: "^r Start ⏎ Open" in batch.player.text())
            assert batch.screen.matrix is matrix
            assert len(engine.questions) == 8 - done
            assert len(matrix.results) == 8
            assert not any(each.cached for each in matrix.results)
            assert not batch.player.app.activity

    asyncio.run(go())


def test_it_goes_on_elsewhere_and_can_be_stopped(facts: Path) -> None:
    engine = FakeEngine(lambda question, prompt: "word " * 5_000, delay=0.01)

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.start()
            await batch.player.press("f2")
            await batch.player.until(lambda: "● batch 0/8" in batch.player.text())
            await batch.player.press("f3", "ctrl+r")
            assert batch.phase == "running"
            await batch.player.press("s")
            await batch.ended()
            assert batch.phase == "stopped"
            assert batch.row("rain").split()[1:] == ["[·]", "·"]
            engine.answer, engine.delay = knows, 0.0
            await batch.player.press("ctrl+r")
            await batch.player.until(lambda: batch.phase == "done")

    asyncio.run(go())


def test_what_is_wrong_is_said_at_once_and_nothing_is_loaded(facts: Path, engine: FakeEngine) -> None:
    (facts / "seeds" / "misfit.yaml").write_text(
        "- {id: a, vars: {topik: x}}\n- {id: b, vars: {topic: y}}\n- {id: c}\n"
    )
    (facts / "seeds" / "broken.yaml").write_text("- {id: a, assert: 3}\n")

    async def go() -> None:
        async with batching(facts, engine) as batch:
            batch.setup._samples.value = "0"
            batch.setup._options.value = "temperature"
            batch.setup.models.tick(())
            batch.tick(prompts=())
            await batch.player.press("ctrl+r")
            await batch.player.until(lambda: batch.screen.reasons)
            text = batch.player.text()
            for line in (
                "No prompt is ticked.",
                "No model is ticked.",
                "options wants NAME=VALUE",
                "samples: a number",
            ):
                assert line in text
            batch.setup._samples.value, batch.setup._options.value = "1", ""
            batch.setup.models.tick(["alpha"])
            await batch.start("misfit")
            assert [reason.split(": ")[0] for reason in batch.screen.reasons] == [
                "seeds/misfit.yaml:1:3",
                "seeds/misfit.yaml:3:3",
            ]
            assert "seeds/misfit.yaml:3:3" in batch.player.text()
            assert (batch.screen.page, batch.phase, engine.loaded) == ("setup", "new", [])
            batch.setup.cases.focus()
            await batch.player.press("home", "space")
            await batch.player.until(lambda: "seeds/broken.yaml:1" in batch.player.text())
            assert batch.setup.cases.ticked == ("misfit",)
            batch.tick("facts", prompts=("explain",))
            await batch.player.press("ctrl+r")
            await batch.ended()
            assert batch.screen.reasons == ()

    asyncio.run(go())


def test_filters_and_orders(facts: Path, engine: FakeEngine) -> None:
    engine.answer = knows

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.start()
            await batch.ended()
            press = batch.player.press
            await press("end")
            assert batch.table.case == 3
            for key in ("f", "d"):
                await press(key)
                assert batch.shown() == ["snow"]
                assert "1 of 4 cases" in batch.player.text()
                await press(key)
            await press("o")
            assert batch.shown() == ["snow", "rain", "hail", "wind"]  # wind has no verdict
            await press("o")
            assert batch.shown()[0] == "snow"
            await press("o", "o")
            assert batch.shown() == ["hail", "rain", "snow", "wind"]
            await press("o", "slash", "a", "i")
            assert batch.shown() == ["rain", "hail"]
            await press("enter", "slash", "backspace", "backspace", "escape", "m", "b", "e", "enter")
            assert batch.shown() == ["rain", "snow", "wind", "hail"]
            assert batch.columns == [1]
            await press("m", "backspace", "backspace", "enter", "f6", "shift+f6")
            assert batch.columns == [0, 1]

    asyncio.run(go())


def test_looking_into_a_case_and_on_to_other_screens(facts: Path, engine: FakeEngine) -> None:
    engine.answer = knows

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.start()
            await batch.ended()
            await batch.player.press("down", "right", "enter")
            page = batch.screen.query_one(CasePage)
            await batch.player.until(lambda: page.column == 1)
            await batch.player.until(lambda: "2 answers say 2 different things" in batch.player.text())
            first, second = (batch.player.within(pane) for pane in page.panes)
            assert first.startswith("✓ pass It is snow. ✓ icontains contains 'snow'")
            assert second.startswith("✗ fail nothing ✗ icontains does not contain 'snow'")
            await batch.player.press("right_square_bracket")
            assert "It is wind." in batch.player.within(page.panes[1])
            await batch.player.press("left_square_bracket", "p")
            assert batch.player.top() is batch.player.play
            cells = batch.player.play.cells
            assert [(cell.job.model.name, cell.text) for cell in cells] == [
                ("beta", "nothing"),
                ("alpha", "It is snow."),
            ]
            await batch.player.press("t")  # a view of these answers, which is not to hide those that come next
            assert isinstance(batch.player.top(), CloserScreen)
            await batch.player.press("f3", "right_square_bracket", "p")
            assert batch.player.top() is batch.player.play
            assert [cell.text for cell in batch.player.play.cells] == ["It is wind.", "It is wind."]
            await batch.player.press("f3", "left_square_bracket", "c")
            assert isinstance(batch.player.top(), CloserScreen)
            await batch.player.press("escape", "escape")
            assert (batch.screen.page, batch.table.case, batch.table.column) == ("table", 1, 1)

    asyncio.run(go())


def test_the_picture_and_the_files(facts: Path, engine: FakeEngine) -> None:
    engine.answer = knows

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.start()
            await batch.ended()
            await batch.player.press("a")
            await batch.player.until(lambda: "cannot tell" in batch.player.text())
            text = batch.player.text()
            assert "How often two columns say the same" in text
            assert "75" in text.split("Which is better")[0]  # they agree on three of four cases
            await batch.player.press("a", "w")
            line = batch.screen.query_one("AskLine Input")
            line.value = "out/found.json notes.txt"  # type: ignore[attr-defined]
            await batch.player.press("enter")
            await batch.player.until(lambda: "the end of a file's name says" in batch.player.text())
            assert not (facts / "out").exists()
            await batch.player.press("w")
            line.value = "out/found.json found.html"  # type: ignore[attr-defined]
            await batch.player.press("enter")
            await batch.player.until(lambda: "Written: " in batch.player.text())
            assert batch.screen.found is not None
            assert (facts / "out" / "found.json").read_text() == write_json(batch.screen.found)
            assert "<title>explain" in (facts / "found.html").read_text()

    asyncio.run(go())


def test_the_picture_is_made_for_the_width_that_there_is(
    facts: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.answer = knows
    drawn: list[int] = []

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.start()
            await batch.ended()
            picture = batch.screen.query_one(Picture)
            show = picture.show

            def shown(*parts: Any) -> None:
                drawn.append(picture.size.width)
                show(*parts)

            monkeypatch.setattr(picture, "show", shown)
            await batch.player.press("a")
            await batch.player.until(lambda: "cannot tell" in batch.player.text())
            await batch.player.pilot.resize_terminal(80, 24)
            await batch.player.until(lambda: len(drawn) == 2, "another picture")
            await batch.player.pilot.resize_terminal(80, 30)  # no other width
            await batch.player.press("down", "up")
            assert len(drawn) == 2
            narrow = batch.player.text()
            await batch.player.press("a", "a")
            await batch.player.until(lambda: len(drawn) == 3)
            assert batch.player.text() == narrow
            await batch.player.pilot.resize_terminal(200, 30)
            await batch.player.until(lambda: len(drawn) == 4, "a wide one")

    asyncio.run(go())


def test_the_picture_follows_the_answers(facts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_answers, "REDRAW_S", 0.01)
    answered: list[int] = []

    def hold(event: object) -> bool:
        if not isinstance(event, Answered):
            return False
        answered.append(event.seq)
        if len(answered) == 4:
            engine.gate.clear()
        return len(answered) in (1, 4)

    engine = Held(knows, hold)

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.start()
            await batch.player.press("a")
            await batch.player.until(lambda: "· 0 answers" in batch.player.text())
            engine.gate.set()
            await batch.player.until(lambda: re.search("· [23] answers", batch.player.text()))
            assert batch.screen.active
            engine.gate.set()
            await batch.player.until(lambda: "· 8 answers" in batch.player.text())

    asyncio.run(go())


def test_notes_do_not_hide_a_line_that_asks(facts: Path, engine: FakeEngine) -> None:
    engine.answer = knows

    async def go() -> None:
        async with batching(facts, engine, (80, 24)) as batch:
            await batch.start()
            await batch.ended()
            batch.screen.notify("Written: " + "a long name " * 8)
            await batch.player.until(lambda: "Written: a long" in batch.player.text())
            await batch.player.press("k")
            await batch.player.until(lambda: "Written: a long" not in batch.player.text())
            assert " Keep as the baseline: explain-facts.baseline.json" in batch.player.text()
            batch.screen.notify("Another")
            await batch.player.until(lambda: "Another" in batch.player.text())
            line = batch.player.text().splitlines()[-2]
            assert line.strip() == "Keep as the baseline: explain-facts.baseline.json"
            await batch.player.press("escape")
            assert not batch.screen.has_class("-asks")

    asyncio.run(go())


def test_what_is_said_of_what_can_be_ticked_stands_where_there_is_room(facts: Path, engine: FakeEngine) -> None:
    about = "What it is for, in many more words than go into a line of a list of things to tick, on a usual screen"
    (facts / "prompts" / "long.jinja").write_text(f"---\ndescription: {about}\n---\nHello")

    async def go() -> None:
        async with batching(facts, engine, (120, 60)) as batch:
            prompts, models = batch.setup.prompts, batch.setup.models
            assert f"[ ] long {about}" in batch.player.within(prompts)
            titles = {row.key: row.title for row in models.rows}
            assert f"[x] {titles['alpha'] or 'alpha'}" in batch.player.within(models)
            batch.tick("facts", prompts=("long",))
            least = 60 - prompts.scrollable_content_region.height + 2 * len(prompts.rows)
            await batch.player.pilot.resize_terminal(120, least)
            await batch.player.until(lambda: re.search(r"\[x\] long What it is [^…]*… ", batch.player.within(prompts)))
            await batch.player.pilot.resize_terminal(120, least - 1)
            await batch.player.until(lambda: re.search(r"│ \[x\] long  +What[^│]*… │", batch.player.text()))
            assert prompts.ticked == ("long",)
            assert prompts.marked is not None
            assert prompts.marked.key == "long"

    asyncio.run(go())


@pytest.mark.parametrize("plain", [False, True])
def test_what_is_ticked_and_marked_is_seen_without_colours(
    facts: Path, engine: FakeEngine, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1") if plain else monkeypatch.delenv("NO_COLOR", raising=False)

    async def go() -> None:
        async with batching(facts, engine, (80, 24)) as batch:
            likeness, code = batch.setup.query(Box)
            assert [batch.player.within(each) for each in (likeness, code)] == ["[ ]", "[ ]"]
            code.focus()
            await batch.player.press("space")
            await batch.player.until(lambda: batch.player.within(code) == "[x]")
            assert batch.setup.draft.code
            assert (code.visual_style.reverse, likeness.visual_style.reverse) == (plain or None, None)

    asyncio.run(go())


def test_versions_can_be_ticked(facts: Path, engine: FakeEngine, git_settings: None) -> None:
    gitkit.run(facts, "init", "-q", "-b", "main")
    for subject in ("First", "Second"):
        with (facts / "prompts" / "explain.jinja").open("a") as file:
            file.write(f"{subject}.\n")
        gitkit.run(facts, "add", ".")
        gitkit.run(facts, "commit", "-q", "-m", subject)

    async def go() -> None:
        async with batching(facts, engine) as batch:
            batch.tick("facts")
            batch.setup.prompts.focus()
            await batch.player.press("v")
            await batch.player.until(lambda: "Second" in batch.player.text())
            await batch.player.press("down", "down", "space", "ctrl+r")
            await batch.ended()
            assert batch.screen.matrix is not None
            assert [c.prompt for c in batch.screen.matrix.columns] == [
                "explain@2",
                "explain@2",
                "explain@1",
                "explain@1",
            ]
            await batch.player.press("n", "v")
            assert "Second" not in batch.player.text()

    asyncio.run(go())


def test_versions_chosen_in_play_are_those_of_the_batch(facts: Path, engine: FakeEngine, git_settings: None) -> None:
    engine.answer = knows
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "First"], ["tag", "old"]):
        gitkit.run(facts, *command)
    file = facts / "prompts" / "explain.jinja"
    file.write_text(file.read_text() + "More.\n")

    async def go() -> None:
        async with playing(facts, engine) as player:
            await player.choose("explain")
            player.play._picked(("explain", "explain@old"))
            await player.until(lambda: player.play.versions, "the versions")
            await player.press("f3")
            screen = player.top()
            assert isinstance(screen, BatchScreen)
            batch = Batch(player, screen)
            assert batch.setup.prompts.ticked == ("explain", "explain@old")
            await player.until(lambda: batch.setup.cases.rows, "the cases")
            await player.press("v")
            await player.until(lambda: "explain@1" in player.text(), "the log")
            assert batch.setup.prompts.ticked == ("explain", "explain@old")
            batch.setup.cases.tick(["facts"])
            await player.press("v", "ctrl+r")
            await player.until(lambda: screen.phase not in ("new", "checking") or screen.reasons)
            await batch.ended()
            assert screen.found is not None, screen.reasons
            labels = {column.prompt for column in screen.found.columns}
            assert labels == {"explain", "explain@old"}

    asyncio.run(go())


def test_versions_that_are_folded_away_stay_ticked(facts: Path, engine: FakeEngine, git_settings: None) -> None:
    gitkit.run(facts, "init", "-q", "-b", "main")
    for subject in ("First", "Second"):
        with (facts / "prompts" / "explain.jinja").open("a") as file:
            file.write(f"{subject}.\n")
        gitkit.run(facts, "add", ".")
        gitkit.run(facts, "commit", "-q", "-m", subject)

    async def go() -> None:
        async with batching(facts, engine) as batch:
            batch.tick("facts")
            prompts = batch.setup.prompts
            prompts.focus()
            await batch.player.press("v")
            await batch.player.until(lambda: "Second" in batch.player.text())
            await batch.player.press("down", "space", "v")
            assert "Second" not in batch.player.text()
            assert "explain  1 version ticked" in batch.player.text()
            assert prompts.ticked == ("explain", "explain@2")
            assert prompts.marked is not None
            assert prompts.marked.key == "explain"  # the one that the marked line was below
            await batch.player.press("space")
            assert "1 version ticked" in batch.player.text()
            await batch.player.press("ctrl+r")
            await batch.ended()
            assert batch.screen.matrix is not None
            assert [c.prompt for c in batch.screen.matrix.columns] == ["explain@2", "explain@2"]
            await batch.player.press("n", "v")
            await batch.player.until(lambda: "[x] explain@2" in batch.player.text())
            assert list(prompts.ticked) == ["explain@2"]

    asyncio.run(go())


def test_every_command_is_bound(facts: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with batching(facts, engine, (120, 80)) as batch:
            for command in of("batch"):
                for key in command.keys.split(","):
                    bound = batch.screen._bindings.get_bindings_for_key(key)
                    assert [(each.id, each.action) for each in bound] == [(command.id, command.action)]
            await batch.player.press("f1")
            text = squash(batch.player.text())
            assert all(squash(command.help) in text for command in of("batch"))

    asyncio.run(go())


def test_hostile_text_is_only_text(library: Path) -> None:
    (library / "seeds").mkdir()
    case: dict[str, object] = {
        "id": EVIL.replace("\n", "").translate(dict.fromkeys((*range(32), *range(127, 160)))) + "\u202e"
    }
    case |= {"description": EVIL, "vars": {"topic": EVIL}, "assert": [{"type": "icontains", "value": EVIL}]}
    (library / "seeds" / "evil[b].json").write_text("x")
    (library / "seeds" / "evil[b].jsonl").write_text(json.dumps(case) + "\n")
    (library / "seeds" / "worse.yaml").write_text(f"- {{{QUOTED}: 1}}\n")
    (library / "prompts" / "evil.jinja").write_text(f"---\ndescription: {QUOTED}\ninputs: {{topic: string}}\n---\nx")

    def answer(question: Question, prompt: str) -> str:
        if question.model == "beta":
            raise ValueError(EVIL)
        return EVIL

    async def go() -> None:
        async with batching(library, FakeEngine(answer), (250, 70)) as batch:

            def check() -> str:
                text = batch.player.text()
                assert not UNSAFE.search(text), repr(UNSAFE.findall(text))
                return squash(text)

            check()
            await batch.player.press("n")
            batch.setup.cases.focus()
            await batch.player.press("end", "space")
            await batch.player.pilot.pause()
            check()
            batch.setup._options.value = EVIL
            await batch.start("evil[b]")
            check()
            batch.setup._options.value = ""
            await batch.start("evil[b]")
            await batch.ended()
            assert batch.phase == "done"
            await batch.peeked("There is one answer")
            check()
            assert squash(SEEN) in squash(batch.player.within(batch.screen.query_one("#batch-peek")))
            await batch.player.press("enter")
            await batch.player.until(lambda: "There is one answer" in batch.player.text())
            check()
            panes = batch.screen.query_one(CasePage).panes
            assert all(squash(SEEN) in squash(batch.player.within(pane)) for pane in panes)
            await batch.player.press("a")
            await batch.player.until(lambda: "PASS RATE" in batch.player.text())
            check()
            await batch.player.press("w")
            batch.screen.query_one("AskLine Input").value = EVIL  # type: ignore[attr-defined]
            await batch.player.press("enter")
            await batch.player.pilot.pause()
            check()

    asyncio.run(go())
