"""The history screen: searching, looking, opening again, asking again, keeping and deleting."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from textual.containers import Vertical
from textual.widgets import Static

from promptlab.core.events import Failure, Token
from promptlab.core.program import Message
from promptlab.core.record import ModelRef, Record
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine, echo
from promptlab.files.sessions import read_session, session_file
from promptlab.files.store import Store
from promptlab.tui.screens.closer import CloserScreen
from promptlab.tui.screens.dialogs import NameScreen, SureScreen
from promptlab.tui.screens.history import HistoryScreen
from promptlab.tui.screens.history_state import FILTERS
from promptlab.tui.screens.keep_case import KeepCaseScreen
from promptlab.tui.widgets.field import Area, Line
from promptlab.tui.widgets.options import OptionsPane
from promptlab.tui.widgets.runs import RunList, moment, row
from tests.files.test_store import record
from tests.tui.kit import Held, Player, playing
from tests.tui.test_hostile import EVIL, SEEN, check, squash


def answered(id: str, asked: str, output: str, model: str = "alpha", **changes: object) -> Record:
    prompt = replace(record().prompt, name="explain", label="explain", source="Explain.", partials={})
    step = replace(record().steps[0], messages=(Message("user", asked),), text=output)
    made = record(id, prompt=prompt, inputs={"topic": asked}, steps=(step,), output=output, sample=0)
    return replace(made, model=ModelRef(model, "a" * 64, None), **changes)  # type: ignore[arg-type]


def keep(library: Path, *records: Record) -> None:
    with Store.open(library) as store:
        for each in records:
            store.append(each)


@pytest.fixture
def some(library: Path) -> Path:
    """Runs on rain, snow and hail; the last one failed."""
    keep(
        library,
        answered("01K0A", "rain", "Water falls."),
        answered("01K0B", "rain", "A wet thing.", "beta"),
        answered("01K0C", "snow", "It is cold.", case="lake-1"),
        answered("01K0D", "hail", "", error=Failure("EngineError", "the worker died", "SIGKILL", ("last words",))),
    )
    with Store.open(library) as store:
        store.keep_verdicts([("01K0A", "x", "pass", 1.0), ("01K0B", "x", "fail", 0.0)])
    return library


class Historian:
    """Drives the history screen."""

    def __init__(self, player: Player) -> None:
        self.player = player
        screen = player.top()
        assert isinstance(screen, HistoryScreen)
        self.screen = screen

    @property
    def runs(self) -> RunList:
        return self.screen.query_one(RunList)

    @property
    def ids(self) -> list[str]:
        return [hit.id for hit in self.screen.hits]

    @property
    def preview(self) -> str:
        return str(self.screen.query_one("#run-text", Static).render())

    async def shows(self, *ids: str) -> None:
        await self.player.until(lambda: self.ids == list(ids), f"{ids} instead of {self.ids}")
        await self.player.pilot.pause()

    async def mark(self, id: str) -> None:
        self.runs.focus()
        self.runs.highlighted = self.ids.index(id)
        await self.player.until(lambda: self.screen.record is not None and self.screen.record.id == id, id)
        await self.player.pilot.pause()

    async def asked(self, question: str) -> None:
        await self.player.until(lambda: isinstance(self.player.top(), SureScreen), question)
        box = self.player.top().query_one(Vertical)
        await self.player.until(lambda: question in self.player.within(box), question)

    async def says(self, words: str) -> None:
        await self.player.until(lambda: words in " ".join(self.player.text().split()), words)


@asynccontextmanager
async def looking(library: Path, engine: FakeEngine, size: tuple[int, int] = (160, 50)) -> AsyncIterator[Historian]:
    """The history screen, once it has searched."""
    async with playing(library, engine, size) as player:
        await player.press("f4")
        await player.until(lambda: isinstance(player.top(), HistoryScreen))
        historian = Historian(player)
        await player.until(lambda: historian.screen.found is not None, "the history")
        await player.pilot.pause()
        yield historian


# --- searching


def test_search_as_you_type(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            await here.shows("01K0D", "01K0C", "01K0B", "01K0A")
            text = here.player.text()
            assert "4 runs" in text
            assert "✗ failed" in text
            assert "✓ pass" in text
            assert "✗ fail " in text
            assert "explain · lake-1 · alpha" in text
            await here.player.type("rain")
            await here.shows("01K0B", "01K0A")
            assert here.runs.highlighted == 0
            await here.player.type(" verdict")
            await here.shows()
            assert "No run matches." in here.preview
            await here.player.type(":pass")
            await here.shows("01K0A")

    asyncio.run(go())


def test_a_filter_that_makes_no_sense_is_said_and_what_was_found_stays(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            here.screen.query_one("#search", Line).value = "verdict:maybe"
            await here.says("verdict: 'maybe' is no verdict; there are pass, fail, unscored")
            assert len(here.ids) == 4
            here.screen.query_one("#search", Line).value = ""
            await here.says(FILTERS)

    asyncio.run(go())


def test_keys_lead_from_the_field_to_the_list_and_back(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            for key in ("down", "enter", "f6"):
                assert here.screen.focused is here.screen.query_one("#search")
                await here.player.press(key)
                assert here.runs.has_focus
                await here.player.press("slash")
            await here.player.press("f6", "shift+f6", "f18")
            assert here.screen.focused is not None
            assert here.screen.focused.id == "run"

    asyncio.run(go())


def test_more_runs_come_as_the_end_comes_near(library: Path, engine: FakeEngine) -> None:
    keep(library, *(answered(f"01K{n:03}", "rain", "Water.") for n in range(300)))

    async def go() -> None:
        async with looking(library, engine) as here:
            first = len(here.ids)
            assert first < 100
            assert "300 runs" in here.player.text()
            await here.player.press("down", "end")
            await here.player.until(lambda: len(here.ids) > first, "more")
            await here.player.press("end")
            await here.player.until(lambda: len(here.ids) == 300, "all")
            assert here.ids == [f"01K{n:03}" for n in reversed(range(300))]
            assert here.runs.option_count == 300

    asyncio.run(go())


def test_new_runs_are_there_when_one_comes_back(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            await here.mark("01K0B")
            keep(some, answered("01K0E", "fog", "Grey."))
            await here.player.press("f2", "f4")
            await here.shows("01K0E", "01K0D", "01K0C", "01K0B", "01K0A")
            assert here.runs.marked is not None
            assert here.runs.marked.id == "01K0B"
            keep(some, answered("01K0F", "fog", "Grey."))
            await here.player.press("ctrl+l")
            await here.player.until(lambda: here.ids[0] == "01K0F")

    asyncio.run(go())


def test_an_empty_history_says_what_to_do(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(library, engine, (80, 24)) as here:
            assert "Nothing has been run yet." in here.player.text()
            for key in ("enter", "r", "R", "c", "p", "d", "x", "space", "u", "i"):  # there is nothing to do it to
                here.runs.focus()
                await here.player.press(key)
                assert here.player.top() is here.screen

    asyncio.run(go())


@pytest.mark.parametrize(
    ("sql", "words"),
    [("PRAGMA user_version = 99", "was written by a newer promptlab (version 99)"), (None, "is not a history")],
)
def test_a_history_that_cannot_be_opened_is_said_and_left_alone(
    some: Path, engine: FakeEngine, sql: str | None, words: str
) -> None:
    path = some / ".promptlab" / "lab.db"
    if sql is None:
        path.write_bytes(b"not a database " * 100)
    else:
        with Store.open(some) as store:
            store._ask(sql)
    before = path.read_bytes()

    async def go() -> None:
        async with playing(some, engine, (200, 30)) as player:
            await player.press("f4")
            await player.until(lambda: words in player.text(), words)

    asyncio.run(go())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("started_at", "shown"),
    [
        ("2026-03-02T10:20:30.000Z", "10:20"),
        ("2026-03-01T10:20:30.000Z", "03-01 10:20"),
        ("2025-03-02T10:20:30.000Z", "2025-03-02 10:20"),
    ],
)
def test_of_a_moment_is_shown_what_today_does_not_tell(started_at: str, shown: str) -> None:
    assert moment(started_at, "2026-03-02") == shown


def test_a_pinned_run_stands_where_the_others_do_and_days_are_told_anew(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            await here.mark("01K0A")
            await here.player.press("p")
            await here.player.until(lambda: here.screen.hits[0].pinned, "the star")
            first, second = (str(row(hit, False, "2026-01-01")) for hit in here.screen.hits[:2])
            assert first.index("★") == len("[ ]")
            assert first.index("01-02") == second.index("01-02")
            here.runs.today = here.screen.hits[0].started_at[:10]
            assert "[ ]★ 03:04  " in str(here.runs.options[0].prompt)

    asyncio.run(go())


# --- the marked run


def test_the_preview_shows_all_that_a_run_was(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            await here.mark("01K0C")
            for words in (
                "explain on alpha",
                "✓ done",
                "case lake-1",
                "topic  snow",
                "It is cold.",
                "80.0 tok/s",
                "own seed",
                "base seed",
                f"weights  {'a' * 16}…",
            ):
                assert words in here.preview
            assert "Explain." not in here.preview
            assert "Checks" not in here.preview
            await here.player.press("i")
            for words in ("Asked: output", "▸ user", "Source", "Explain.", "llama.cpp  1.0", f"weights  {'a' * 64}"):
                assert words in here.preview
            await here.player.press("i")
            assert "Source" not in here.preview
            await here.mark("01K0B")
            assert "Checks\n✗ fail\nA batch over its case shows why." in here.preview
            await here.mark("01K0A")
            assert "Checks\n✓ pass\n\n" in here.preview
            await here.mark("01K0D")
            for words in ("✗ failed", "EngineError: the worker died (SIGKILL)", "last words"):
                assert words in here.preview

    asyncio.run(go())


def test_a_run_that_cannot_be_read_is_said(some: Path, engine: FakeEngine) -> None:
    with Store.open(some) as store:
        store._ask("UPDATE records SET json = 'x' WHERE id = '01K0D'")

    async def go() -> None:
        async with looking(some, engine) as here:
            await here.player.until(lambda: "record 01K0D cannot be read" in here.preview)
            await here.mark("01K0C")

    asyncio.run(go())


# --- opening, asking again


async def run_explain(player: Player, topic: str) -> None:
    await player.choose("explain")
    await player.press("enter", *topic)
    await player.run()


def test_a_run_is_opened_as_it_was(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            player.play.samples = 2
            options = player.play.query_one(OptionsPane)
            options.put({"temperature": 0.25, "stop": ['"x', "\n"]}, "fast")
            await run_explain(player, "rain")
            before = [cell.record for cell in player.play.cells]
            await player.choose("numbers/count")
            player.play.samples = 1
            options.put({}, None)
            await player.press("enter", "3")
            await player.run()
            await player.press("f4")
            await player.until(lambda: isinstance(player.top(), HistoryScreen) and player.top().hits)  # type: ignore[attr-defined]
            here = Historian(player)
            await player.type("prompt:explain")
            await player.until(lambda: len(here.ids) == 4, "those on rain")
            await player.press("down", "enter")
            await player.until(lambda: player.top() is player.play, "the play screen")
            assert [cell.record for cell in player.play.cells] == before
            assert [cell.status for cell in player.play.cells] == ["done"] * 4
            assert player.play.samples == 2
            await player.until(lambda: player.form.prompt_name == "explain" and player.field("topic").draft == "rain")
            assert options.asked.options == {"temperature": 0.25, "stop": ['"x', "\n"]}
            await player.run()  # with what was put back
            assert [c.record.output for c in player.play.cells if c.record] == [b.output for b in before if b]

    asyncio.run(go())


def test_a_run_is_asked_again_beside_what_it_came_to(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await run_explain(player, "rain")
            (library / "prompts" / "explain.jinja").write_text(
                "---\ninputs: {topic: string}\n---\nOtherwise {{ topic }}."
            )
            await player.press("f4")
            await player.until(lambda: isinstance(player.top(), HistoryScreen) and player.top().hits)  # type: ignore[attr-defined]
            here = Historian(player)
            await player.press("down", "r")
            await player.until(lambda: player.top() is player.play and len(player.play.cells) == 2, "both")
            await player.ended()
            old, new = (cell.record for cell in player.play.cells)
            assert old is not None
            assert new is not None
            assert old.id != new.id
            assert (old.prompt, old.steps[0].messages, old.output) == (new.prompt, new.steps[0].messages, new.output)
            assert "explain has changed since" in player.text()
            await player.press("f4")
            await player.until(lambda: len(here.ids) == 3, "the new one")

    asyncio.run(go())


def test_nothing_is_opened_while_a_run_goes_on(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            here.player.play.running = True
            here.runs.focus()
            for key in ("enter", "r"):
                await here.player.press(key)
                await here.says("A run goes on in the play screen (f2)")
                assert here.player.top() is here.screen
            here.player.play.running = False

    asyncio.run(go())


async def to_history(player: Player) -> Historian:
    """The history screen, with the focus on the list."""
    await player.press("f4")
    await player.until(lambda: isinstance(player.top(), HistoryScreen) and player.top().hits)  # type: ignore[attr-defined]
    here = Historian(player)
    here.runs.focus()
    return here


@pytest.mark.parametrize("key", ["enter", "r"])
def test_what_is_opened_is_not_hidden_by_what_lay_over_the_play_screen(
    library: Path, engine: FakeEngine, key: str
) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await run_explain(player, "rain")
            await run_explain(player, "snow")
            old = [cell.record for cell in player.play.cells if cell.record]
            player.columns[0].body.focus()
            await player.press("t")
            assert isinstance(player.top(), CloserScreen)
            await player.press("f1")  # and over that the keys
            here = await to_history(player)
            await here.mark(here.ids[-1])
            await player.press(key)
            await player.until(lambda: player.top() is player.play, "the play screen")
            await player.ended()
            assert player.app.over_play == []
            shown = [cell.record for cell in player.play.cells if cell.record]
            assert not {record.id for record in shown} & {record.id for record in old}
            assert "rain" in str(shown[0].inputs)
            await player.press("f4", "f2")
            assert player.top() is player.play

    asyncio.run(go())


def test_a_turn_that_is_half_typed_is_not_lost_by_opening_a_run(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await run_explain(player, "rain")
            await run_explain(player, "snow")
            snow = player.play.cells[0].record
            player.columns[0].body.focus()
            await player.press("n")
            await player.type("And then")
            here = await to_history(player)
            for id, topic in ((here.ids[-1], "rain"), (here.ids[0], "snow")):
                await here.mark(id)
                await player.press("enter")
                await player.until(lambda: player.top() is player.play, "the play screen")
                assert topic in str(player.play.cells[0].job.inputs)
                if topic == "rain":
                    await player.press("f4")
            assert player.play.cells[0].record == snow
            player.columns[0].body.focus()
            await player.press("n")
            assert player.top().query_one(Area).text == "And then"

    asyncio.run(go())


def test_a_case_that_is_not_kept_yet_is_not_lost_by_opening_a_run(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await run_explain(player, "rain")
            await run_explain(player, "snow")
            shown = player.play.cells
            player.columns[0].body.focus()
            await player.press("s")
            await player.until(lambda: isinstance(player.top(), KeepCaseScreen), "the case")
            await player.press("f4")
            here = await to_history(player)
            await here.mark(here.ids[-1])
            for key in ("enter", "r"):
                await player.press(key)
                await here.says("A window over the play screen (f2)")
                assert player.top() is here.screen
                assert player.play.cells == shown
            await player.press("f2")
            assert isinstance(player.top(), KeepCaseScreen)
            await player.press("escape", "f4")
            here = await to_history(player)
            await here.mark(here.ids[-1])
            await player.press("enter")
            await player.until(lambda: player.top() is player.play and player.play.cells != shown, "the other run")

    asyncio.run(go())


def test_a_replay_says_where_the_answers_part(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await run_explain(player, "rain")
            await player.press("f4")
            await player.until(lambda: isinstance(player.top(), HistoryScreen) and player.top().hits)  # type: ignore[attr-defined]
            here = Historian(player)
            await player.press("down", "R")
            await player.until(lambda: "✓ identical" in here.preview, "the verdict")
            engine.answer = lambda question, prompt: "Something else."
            await player.press("down")
            await player.until(lambda: "Replay" not in here.preview)
            await player.press("R")
            await player.until(lambda: "✗ differs at token 1" in here.preview, "another verdict")
            assert "goes on with 'Something else.'" in here.preview
            assert len(here.ids) == 2

    asyncio.run(go())


def test_a_replay_can_be_stopped_and_escape_goes_back(library: Path) -> None:
    held = list[bool]()
    engine = Held(echo, lambda event: bool(held) and isinstance(event, Token))

    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await run_explain(player, "rain")
            await player.press("f4")
            await player.until(lambda: isinstance(player.top(), HistoryScreen) and player.top().hits)  # type: ignore[attr-defined]
            here = Historian(player)
            held.append(True)
            await player.press("down", "R")
            await player.until(lambda: player.app.activity.get("replay") == "replaying 1 run", "the replay")
            await player.press("R")  # one at a time
            await player.press("escape")
            engine.gate.set()
            await player.until(lambda: "replay" not in player.app.activity, "the end")
            assert "Replay" not in here.preview
            assert player.top() is here.screen
            await player.press("escape")
            assert player.top() is player.play

    asyncio.run(go())


class Slow(FakeEngine):
    """Answers what nobody waits for, such as a replay, when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.put_off: list[Question] = []

    def ask(self, question: Question) -> None:
        if question.interactive:
            super().ask(question)
        else:
            self.put_off.append(question)

    def let_go(self) -> None:
        for question in self.put_off:
            super().ask(question)


def test_a_run_does_not_wait_for_a_replay(library: Path) -> None:
    engine = Slow()

    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await run_explain(player, "rain")
            here = await to_history(player)
            await player.press("R")
            await player.until(lambda: engine.put_off, "the replay")
            await player.press("f2")
            assert "replaying 1 run" in player.text()
            old = player.play.cells
            await player.run()
            assert player.play.cells is not old
            assert all(cell.status == "done" for cell in player.play.cells)
            await player.press("f4")
            assert "replay" in player.app.activity
            engine.let_go()
            await player.until(lambda: "✓ identical" in here.preview, "the verdict")

    asyncio.run(go())


def test_two_ticked_runs_are_compared(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            here.runs.focus()
            await here.player.press("c")
            await here.says("Tick two runs with space; then c compares them.")
            await here.player.press("down", "space", "down", "space", "c")
            await here.player.until(lambda: isinstance(here.player.top(), CloserScreen), "the comparison")

    asyncio.run(go())


# --- keeping and deleting


def test_ticks_pins_and_deleting(some: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with looking(some, engine) as here:
            await here.mark("01K0A")
            await here.player.press("p")
            await here.shows("01K0A", "01K0D", "01K0C", "01K0B")
            assert "★" in here.player.text()
            await here.mark("01K0C")
            await here.player.press("space")
            await here.mark("01K0A")
            await here.player.press("space")
            assert here.player.text().count("[x]") == 2
            assert "2 ticked" in here.player.text()
            await here.player.press("d")
            await here.asked("Delete 2 runs, 1 of them pinned, for good?")
            await here.player.press("enter", "n")
            assert len(here.ids) == 4
            here.screen.query_one("#search", Line).value = "cold"
            await here.shows("01K0C")
            await here.player.press("d")
            await here.asked("Delete 2 runs, 1 of them pinned, 1 of them not in this list, for good?")
            await here.player.press("escape")
            here.screen.query_one("#search", Line).value = ""
            await here.shows("01K0A", "01K0D", "01K0C", "01K0B")
            await here.player.press("d")
            await here.player.until(lambda: isinstance(here.player.top(), SureScreen))
            await here.player.press("y")
            await here.shows("01K0D", "01K0B")
            assert here.screen.ticked == frozenset()
            await here.mark("01K0B")
            await here.player.press("space", "u")
            assert here.screen.ticked == frozenset()

    asyncio.run(go())


def test_export(some: Path, engine: FakeEngine) -> None:
    (some / "there.csv").write_text("mine")

    async def go() -> None:
        async with looking(some, engine) as here:
            await here.player.type("rain")
            await here.shows("01K0B", "01K0A")
            here.runs.focus()
            for name, words in (("all.xlsx", "It ends with .jsonl"), ("there.csv", "there.csv is there already")):
                await here.player.press("x")
                await here.player.until(lambda: isinstance(here.player.top(), NameScreen))
                assert "Write the 2 runs found to" in here.player.text()
                here.player.top().query_one(Line).value = name
                await here.player.press("enter")
                await here.says(words)
            await here.mark("01K0A")
            await here.player.press("space", "x")
            await here.player.until(lambda: isinstance(here.player.top(), NameScreen))
            here.player.top().query_one(Line).value = "one.csv"
            await here.player.press("enter")
            await here.says("1 run written to one.csv")

    asyncio.run(go())
    assert (some / "there.csv").read_text() == "mine"
    with (some / "one.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["01K0A"]


# --- what strangers wrote


def poisoned(kind: Any) -> Any:
    """A value of a type in which every text that may be anyone's is hostile, and nothing that may be there is left out.

    It goes by the types of the dataclasses, so that a field that is new is poisoned too.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{each.name: poisoned(hints[each.name]) for each in fields(kind)})  # type: ignore[operator]
    if origin in (Union, UnionType):
        return poisoned(next(part for part in parts if part is not NoneType))
    if origin is Literal:
        return parts[0]  # nothing else can be read from the history
    if origin is tuple:
        return (poisoned(parts[0]),)
    if origin is Mapping:
        return {EVIL: poisoned(parts[1]), f"{EVIL}, too": poisoned(parts[1])}
    return EVIL if kind in (str, Any) else kind(1)


EVIL_RECORD = replace(poisoned(Record), schema=1)
"""It failed, and a server answered."""
TWO_STEPS = replace(
    EVIL_RECORD,
    id=f"{EVIL} 2",
    run=f"{EVIL} 2",
    error=None,
    output={EVIL: EVIL},
    engine=replace(EVIL_RECORD.engine, server=None),
    steps=(EVIL_RECORD.steps[0], replace(EVIL_RECORD.steps[0], text=f"{EVIL}.")),
)
"""It was done here."""


@pytest.mark.parametrize("size", [(80, 24), (240, 120)])
def test_nothing_unsafe_is_shown_of_a_record(library: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    keep(library, EVIL_RECORD, TWO_STEPS)
    wide = size[0] > 100

    async def go() -> None:
        async with looking(library, engine, size) as here:
            player = here.player
            assert sorted(here.ids) == sorted((EVIL_RECORD.id, TWO_STEPS.id))
            for record in (EVIL_RECORD, TWO_STEPS):
                await here.mark(record.id)
                check(player)
                await player.press("i")
                await player.until(lambda: "Source" in here.preview, "the details")
                check(player)
                assert squash(here.preview).count(squash(SEEN)) >= 15
                await player.press("i", "enter")
                await player.until(lambda: player.top() is player.play and player.play.cells, "the columns")
                await player.pilot.pause()
                check(player)
                player.columns[0].body.focus()
                await player.press("f")
                await player.until(lambda: player.columns[0].unfolded, "the steps, unfolded")
                await player.press("home")
                assert squash(f"{SEEN}:") in check(player) or not wide  # whose message it is
                for key in ("t", "w"):
                    await player.press(key)
                    await player.until(lambda: isinstance(player.top(), CloserScreen), key)
                    await player.pilot.pause()
                    check(player)
                    await player.press("escape")
                await player.press("f", "f4")
                await player.until(lambda: player.top() is here.screen, "the history")
                await player.press("space")
            await player.press("c")
            await player.until(lambda: isinstance(player.top(), CloserScreen), "both side by side")
            for key in ("t", "w", "a", "d", "full_stop", "t", "w", "d"):
                await player.press(key)
                await player.pilot.pause()
                check(player)
            await player.press("escape")
            await player.press("slash")
            here.screen.query_one("#search", Line).value = f"since:{EVIL}"
            await player.until(lambda: "is no date" in player.text())
            check(player)

    asyncio.run(go())


def test_what_is_huge_is_cut(library: Path, engine: FakeEngine) -> None:
    huge = answered("01K0A", "x" * 500_000, "y" * 500_000)
    keep(library, replace(huge, inputs={f"i{n}": n for n in range(2000)}))

    async def go() -> None:
        async with looking(library, engine) as here:
            await here.mark("01K0A")
            assert "494,000 more characters" in here.preview
            assert "and 1,960 more" in here.preview
            assert len(here.preview) < 20_000

    asyncio.run(go())


# --- the next time


def test_what_was_typed_and_chosen_is_there_the_next_time(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await player.choose("explain")
            await player.press("enter", *"rain")
            player.play.query_one("#models").focus()
            await player.press("home", "space")
            player.play.samples = 3
            await player.press("ctrl+q")
            assert player.app.left is not None
        from promptlab.app.session import keep as keep_session

        keep_session(*player.app.left)
        async with playing(library, engine, (160, 50)) as player:
            await player.until(lambda: player.form.prompt_name == "explain", "the prompt")
            await player.until(lambda: player.field("topic").draft == "rain", "the draft")
            assert player.play.query_one("#models").ticked == ("beta",)  # type: ignore[attr-defined]
            assert player.play.samples == 3

    asyncio.run(go())


def test_a_session_is_kept_while_one_works(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await player.choose("explain")
            await player.press("enter", *"sleet")
            file = session_file(library)
            await player.until(lambda: read_session(file).drafts.get("explain", {}).get("topic") == "sleet", "the file")

    asyncio.run(go())
