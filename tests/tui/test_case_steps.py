from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList, Select, TextArea

from promptlab.app.run import Typed
from promptlab.engine.fake import FakeEngine
from promptlab.tui.screens.case_sets import CaseSetScreen
from promptlab.tui.screens.keep_case import KeepCaseScreen
from promptlab.tui.screens.keep_example import KeepExampleScreen
from promptlab.tui.widgets.field import Area, Line
from promptlab.tui.widgets.prompts import PromptList
from tests.tui.kit import Player, playing
from tests.tui.test_hostile import EVIL, QUOTED, UNSAFE, squash

KINDS = """\
---
inputs:
  text: string
  tone(enum): [plain, warm]
  deep: boolean
  n: {type: integer, default: 3}
  tags?(array): string
---
{% user %}{{ text }}{{ tone }}{{ deep }}{{ n }}{{ tags }}{% enduser %}
"""
TOPICS = """\
tests:
  - {id: rain, description: The classic., vars: {topic: rain}}
  - id: long
    vars: {topic: "a\\nb", audience: "odd \\e[31m"}
  - {id: odd, vars: {topic: 5}}
"""


@pytest.fixture
def seeds(library: Path) -> Path:
    folder = library / "seeds"
    folder.mkdir()
    (folder / "topics.yaml").write_text(TOPICS)
    (folder / "claims.yaml").write_text("- vars: {claim: snow is warm}\n")
    (folder / "broken.yaml").write_text("tests: 5\n")
    (library / "prompts" / "kinds.jinja").write_text(KINDS)
    rows = [
        ["text", "tone", "deep", "n", "tags"],
        ["hello", "warm", "true", "4", '"[""x""]"'],
        ["", "x", "no", "y", "z"],
    ]
    (folder / "kinds.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    return folder


async def pick(player: Player, prompt: str, file: str) -> None:
    """Choose a case set by keys, and wait for its first case."""
    await player.choose(prompt)
    player.play.query_one(PromptList).focus()
    await player.press("k")
    await player.until(lambda: isinstance(player.top(), CaseSetScreen), "the case sets")
    names = player.top().query_one(OptionList)
    await player.pilot.pause()
    at = next(n for n in range(names.option_count) if file in str(names.get_option_at_index(n).prompt))
    await player.press(*["down"] * (at - (names.highlighted or 0)), "enter")
    await player.until(lambda: player.form.border_subtitle, "a case")
    await player.pilot.pause()


def at(player: Player) -> str:
    return str(player.form.border_subtitle)


def test_stepping_through_a_set_and_back_to_what_was_typed(seeds: Path, library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("enter")
            await player.type("mine")
            await pick(player, "explain", "topics")
            assert at(player) == "topics 1/3: rain"
            assert (player.field("topic").draft, player.field("audience").draft) == ("rain", "a child")
            assert "The classic." in player.within(player.form)
            await player.press("full_stop")
            await player.until(lambda: player.field("topic").draft == "a\nb")
            assert isinstance(player.field("topic").control, Area)
            await player.choose("verdict")
            assert player.form.border_subtitle is None
            await player.choose("explain")
            assert at(player) == "topics 2/3: long"
            await player.run()
            record = player.play.cells[0].record
            assert record is not None
            assert record.inputs == {"topic": "a\nb", "audience": "odd \x1b[31m"}  # to the letter
            assert record.case == "long"
            player.field("audience").control.focus()
            await player.type("x")
            await player.run()
            changed = player.play.cells[0].record
            assert changed is not None
            assert changed.inputs != record.inputs
            assert changed.case is None
            await player.press("escape")
            player.play.query_one(PromptList).focus()
            await player.press("full_stop")
            await player.until(lambda: "does not fit: the input 'topic': 5 is not" in player.within(player.form))
            await player.run()
            assert "5 is not of type 'string'" in " ".join(player.play.reasons)
            player.play.query_one(PromptList).focus()
            await player.press("full_stop", "comma")
            await player.until(lambda: at(player) == "topics 3/3: odd")
            await player.press("k")
            await player.until(lambda: isinstance(player.top(), CaseSetScreen))
            sets = player.top().query_one(OptionList)
            assert "topics" in str(sets.get_option_at_index(sets.highlighted or 0).prompt)
            await player.press("home", "enter")
            await player.until(lambda: player.form.border_subtitle is None)
            await player.pilot.pause()
            assert player.field("topic").draft == "mine"
            assert player.form.values() == {"topic": Typed("mine")}

    asyncio.run(go())


def test_values_of_every_kind_reach_their_controls(seeds: Path, library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (120, 60)) as player:
            await pick(player, "kinds", "kinds.csv")
            names = ("text", "tone", "deep", "n", "tags")
            assert [player.field(name).draft for name in names] == ["hello", 1, True, "4", '["x"]']
            await player.run()
            record = player.play.cells[0].record
            assert record is not None
            assert record.inputs == {"text": "hello", "tone": "warm", "deep": True, "n": 4, "tags": ["x"]}
            player.play.query_one(PromptList).focus()
            await player.press("full_stop")
            await player.until(lambda: "does not fit" in player.text())
            assert [player.field(name).draft for name in names] == ["", Select.NULL, False, "y", "z"]
            await player.press("comma")
            await player.until(lambda: player.field("n").draft == "4")
            control = player.field("n").control
            assert isinstance(control, Line)
            control.value = "5"
            await player.pilot.pause()
            assert player.form.values()["n"] == Typed("5")

    asyncio.run(go())


def test_the_list_shows_what_does_not_fit_and_what_cannot_be_read(
    seeds: Path, library: Path, engine: FakeEngine
) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("verdict")
            player.play.query_one(PromptList).focus()
            await player.press("full_stop")
            await player.until(lambda: "There is no case set in the form" in player.text())
            await player.press("k")
            await player.until(lambda: isinstance(player.top(), CaseSetScreen))
            await player.pilot.pause()
            text = player.text()
            assert text.index("claims.yaml") < text.index("kinds.csv") < text.index("✗ broken.yaml")
            assert "gives deep, which verdict does not take" in text
            assert "tests should be a valid list" in text
            await player.press("end", "enter")
            assert isinstance(player.top(), CaseSetScreen)
            await player.press("escape")
            assert player.form.border_subtitle is None

    asyncio.run(go())


def test_without_case_files_it_says_how_to_make_one(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("k")
            await player.until(lambda: "There is no case file in seeds/ yet." in player.text())

    asyncio.run(go())


async def answered(player: Player) -> None:
    await player.choose("explain")
    await player.press("enter")
    await player.type("rain")
    await player.run()
    player.columns[0].body.focus()
    await player.pilot.pause()


def test_an_answer_is_kept_as_a_case(seeds: Path, library: Path, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "It is wet."

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.press("s")
            assert player.top() is player.play  # there is nothing to keep
            await answered(player)
            await player.press("s")
            await player.until(lambda: isinstance(player.top(), KeepCaseScreen))
            await player.pilot.pause()
            assert "topics.yaml, 3 cases" in player.text()
            screen = player.top()
            assert screen.query_one(TextArea).text == "It is wet."
            await player.press("ctrl+s")
            await player.until(lambda: "has a case 'rain' already" in player.text())
            screen.query(Input)[1].value = "wet"
            screen.query_one(TextArea).text = "wet"
            await player.press("ctrl+s")
            await player.until(lambda: player.top() is player.play)
            await player.until(lambda: "Kept as a case in seeds/topics.yaml" in player.text())
            assert (seeds / "topics.yaml").read_text() == TOPICS + (
                "  - id: wet\n    vars: {topic: rain, audience: a child}\n"
                "    assert:\n    - {type: icontains, value: wet}\n"
            )

    asyncio.run(go())


def test_an_answer_is_kept_in_a_new_file(library: Path, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "wet \x1b[31m"

    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            await answered(player)
            await player.press("s")
            await player.until(lambda: isinstance(player.top(), KeepCaseScreen))
            await player.pilot.pause()
            await player.press("tab")
            await player.type("weather.jsonl")
            await player.press("enter")
            await player.until(lambda: player.top() is player.play)
            (line,) = (library / "seeds" / "weather.jsonl").read_text().splitlines()
            assert json.loads(line)["assert"] == [{"type": "icontains", "value": "wet \x1b[31m"}]

    asyncio.run(go())


def test_an_answer_becomes_an_example(library: Path, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "It is wet."
    path = library / "prompts" / "explain.jinja"

    async def go() -> None:
        async with playing(library, engine) as player:
            before = path.read_text()
            await answered(player)
            await player.press("x")
            await player.until(lambda: isinstance(player.top(), KeepExampleScreen))
            await player.pilot.pause()
            assert "+{% assistant %}It is wet.{% endassistant %}" in player.text()
            assert path.read_text() == before
            await player.press("escape", "x")
            await player.until(lambda: isinstance(player.top(), KeepExampleScreen))
            await player.press("enter")
            await player.until(lambda: "Written into prompts/explain.jinja" in player.text())
            assert "{% assistant %}It is wet.{% endassistant %}\n{% user %}" in path.read_text()
            player.columns[0].body.focus()
            await player.press("x")
            await player.until(lambda: "has this example already" in player.text())
            assert player.top() is player.play

    asyncio.run(go())


def test_only_finished_answers_are_kept(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await answered(player)
            player.play.query_one(PromptList).focus()
            await player.press("x")
            await player.until(lambda: "Go to the answer that you want to keep" in player.text())
            assert player.top() is player.play

    asyncio.run(go())


def test_hostile_cases_answers_and_files(library: Path, engine: FakeEngine) -> None:
    (library / "seeds").mkdir()
    vars = f"{{topic: {QUOTED}, audience: {QUOTED}}}"
    name = "evil[b]\x1b[2J"
    file = library / "seeds" / f"{name}.yaml"
    file.write_text(f"description: {QUOTED}\ntests:\n  - {{id: '[/b]', description: {QUOTED}, vars: {vars}}}\n")
    (library / "seeds" / "worse.yaml").write_text(f"{QUOTED}: 1\n")
    engine.answer = lambda question, prompt: EVIL

    def check(player: Player) -> str:
        text = player.text()
        assert not UNSAFE.search(text), repr(UNSAFE.findall(text))
        return squash(text)

    async def go() -> None:
        async with playing(library, engine, (300, 100)) as player:
            await player.choose("explain")
            player.play.query_one(PromptList).focus()
            await player.press("k")
            await player.until(lambda: isinstance(player.top(), CaseSetScreen))
            await player.pilot.pause()
            assert squash("evil[b]␛[2J.yaml") in check(player)
            await player.press("escape")
            await pick(player, "explain", "evil")
            assert squash("evil[b]␛[2J 1/1: [/b]") in check(player)
            await player.run()
            record = player.play.cells[0].record
            assert record is not None
            assert record.inputs["topic"] == EVIL
            player.columns[0].body.focus()
            await player.press("x")
            await player.until(lambda: isinstance(player.top(), KeepExampleScreen))
            await player.pilot.pause()
            assert "[@click=app.quit]x[/]" in check(player)
            await player.press("escape", "s")
            await player.until(lambda: isinstance(player.top(), KeepCaseScreen))
            await player.pilot.pause()
            assert "[@click=app.quit]x[/]" in check(player)

    asyncio.run(go())
