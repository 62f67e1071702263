"""The batch screen: a comparison is kept as a baseline, later ones are held against it, and it is copied."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from textual.widgets import Input, Static

from promptlab.core.events import Answered
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.files.baseline import read_baseline
from promptlab.tui.widgets.casepage import CasePage
from promptlab.views.exports import export
from tests.conftest import Cli
from tests.tui.kit import Held
from tests.tui.test_batch import Batch, batching, facts, knows
from tests.tui.test_hostile import EVIL, UNSAFE

__all__ = ["facts"]


def forgets(question: Question, prompt: str) -> str:
    """Alpha knows nothing of rain any more, and beta has learnt of snow."""
    if (question.model, "rain" in prompt) == ("alpha", True):
        return "nothing"
    return f"It is {next(word for word in ('rain', 'snow', 'wind', 'hail') if word in prompt)}."


async def name(batch: Batch, key: str, text: str) -> None:
    """Give the name that a key asks for."""
    await batch.player.press(key)
    line = batch.screen.query_one("AskLine Input", Input)
    assert line.has_focus
    line.value = text
    await batch.player.press("enter")


async def again(batch: Batch) -> None:
    """The same once more, all of it asked anew."""
    batch.setup._recall.value = "nothing"
    await batch.player.press("ctrl+r")
    await batch.ended()


def said(batch: Batch) -> str:
    return str(batch.screen.query_one("#batch-baseline", Static).visual) if batch.screen.has_class("-against") else ""


def test_what_got_worse_is_said_marked_and_found(facts: Path, engine: FakeEngine, cli: Cli) -> None:
    engine.answer = knows
    assert cli("compare", "explain", "-c", "facts", "--write-baseline", "kept.json").code == 100
    engine.answer = forgets
    told = cli("compare", "explain", "-c", "facts", "--baseline", "kept.json", "--fresh", "--json")
    found = json.loads(told.out)["regressions"]
    lines = cli("compare", "explain", "-c", "facts", "--baseline", "kept.json").out

    async def go() -> None:
        async with batching(facts, engine, (170, 80)) as batch:
            await name(batch, "b", "kept.json")
            await batch.player.until(lambda: "baseline kept.json" in said(batch))
            await batch.start()
            await batch.ended()
            await batch.player.until(lambda: batch.screen.held is not None)
            # The sentence, and the numbers, of the command.
            (sentence,) = (line for line in lines.splitlines() if line.startswith("Worse than the baseline"))
            assert sentence == "Worse than the baseline: explain on alpha"
            assert said(batch) == f"{sentence}  ▼ 1 no longer holds  ▲ 1 better  kept.json"
            marks = {case: "".join(batch.row(case).split()) for case in ("rain", "snow", "wind", "hail")}
            assert marks == {"rain": "rain[✗↺▼]✓↺", "snow": "snow✓↺✓↺▲", "wind": "wind?↺?↺", "hail": "hail✓↺✓↺"}
            kinds = [{c["case"]: c["kind"] for c in each["cases"]} for each in found["columns"]]
            assert batch.screen.matrix is not None
            changes = batch.screen.matrix.changes
            assert kinds == [
                {each.id: changes[column, case].kind for case, each in enumerate(batch.screen.matrix.cases)}
                for column in (0, 1)
            ]
            await batch.peeked("▼ no longer holds: 1/1 then, 0/1 now")
            # Only what got worse, in the columns that are shown.
            await batch.player.press("r")
            assert batch.shown() == ["rain"]
            assert "1 of 4 cases · worse" in batch.player.text()
            await batch.player.press("enter")
            pane = batch.screen.query_one(CasePage).panes[0]
            await batch.player.until(lambda: "1/1 then, 0/1 now" in batch.player.within(pane))
            await batch.player.press("escape", "m", "b", "e", "enter")
            assert batch.shown() == []
            await batch.player.press("m", "backspace", "backspace", "enter", "r")
            assert batch.shown() == ["rain", "snow", "wind", "hail"]
            # The picture says what the command prints, line by line.
            await batch.player.press("a")
            await batch.player.until(lambda: "since the baseline" in batch.player.text())
            drawn = "".join(batch.player.text().split())
            for line in lines[lines.index("explain on alpha since the baseline") :].splitlines():
                assert "".join(line.split()) in drawn, line
            # A file says so as well.
            await name(batch, "w", "out.json")
            await batch.player.until(lambda: (facts / "out.json").exists())
            assert json.loads((facts / "out.json").read_text())["regressions"] == found
            # None is chosen: nothing is said of it any more.
            await name(batch, "b", "")
            await batch.player.until(lambda: said(batch) == "")
            await batch.player.press("a")
            assert "▼" not in batch.player.text()
            await batch.player.press("r")
            assert batch.shown() == ["rain", "snow", "wind", "hail"]
            await batch.player.until(lambda: "b chooses a baseline" in batch.player.text())

    asyncio.run(go())


def test_a_comparison_is_kept_and_the_next_one_held_against_it(facts: Path, engine: FakeEngine, cli: Cli) -> None:
    engine.answer = knows
    assert cli("compare", "explain", "-c", "facts", "--write-baseline", "command.json").code == 100

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.player.press("k")
            assert not batch.screen.query_one("AskLine").has_class("-asking")  # there is nothing to keep
            await batch.start()
            await batch.ended()
            await name(batch, "k", "seeds/facts.yaml")
            await batch.player.until(lambda: "is no baseline" in batch.player.text())
            await batch.player.press("k")
            assert batch.screen.query_one("AskLine Input", Input).value == "explain-facts.baseline.json"
            await batch.player.press("enter")
            await batch.player.until(lambda: said(batch))
            assert said(batch) == "Nothing is worse than the baseline  explain-facts.baseline.json"
            kept = facts / "explain-facts.baseline.json"
            assert kept.read_bytes() == (facts / "command.json").read_bytes()
            engine.answer = forgets
            await again(batch)
            await batch.player.until(lambda: "Worse than the baseline: explain on alpha" in said(batch))
            # Kept in its place, it is what counts from now on.
            await batch.player.press("k", "enter")
            await batch.player.until(lambda: said(batch).startswith("Nothing is worse"))
            assert [each.pass_rate for each in read_baseline(kept).columns] == [round(2 / 3, 6), 1.0]

    asyncio.run(go())


def test_what_cannot_be_held_against_a_baseline_is_said(facts: Path, engine: FakeEngine, cli: Cli) -> None:
    engine.answer = knows
    assert cli("compare", "explain", "-c", "facts", "-m", "alpha", "--write-baseline", "alpha.json").code == 0

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await name(batch, "b", "none.json")
            await batch.player.until(
                lambda: "none.json" in batch.player.text() and not batch.screen.has_class("-against")
            )
            await name(batch, "b", "alpha.json beta.json")
            await batch.player.until(lambda: "One file is wanted" in batch.player.text())
            await name(batch, "b", "alpha.json")
            await batch.player.until(lambda: said(batch))
            batch.setup.models.tick(["beta"])
            await batch.start()
            await batch.ended()
            await batch.player.until(lambda: "has none of these prompts on any of these models" in said(batch))
            assert batch.screen.held is None
            await batch.player.press("n")
            batch.setup.models.tick(["alpha", "beta"])
            await batch.player.press("ctrl+r")
            await batch.player.until(lambda: batch.screen.held is not None)
            assert said(batch).startswith("Nothing is worse than the baseline")
            await batch.player.press("a")
            await batch.player.until(lambda: "Not in the baseline: explain on beta." in batch.player.text())
            # The file has gone meanwhile.
            (facts / "alpha.json").write_text("{}")
            await name(batch, "b", "alpha.json")
            await batch.player.until(lambda: "is no baseline" in batch.player.text())
            assert said(batch).startswith("Nothing is worse")  # the one before stays

    asyncio.run(go())


def test_a_paused_comparison_says_so_far(facts: Path, cli: Cli, engine: FakeEngine) -> None:
    engine.answer = knows
    assert cli("compare", "explain", "-c", "facts", "--write-baseline", "kept.json", "--no-log").code == 100
    answered: list[int] = []

    def third(event: object) -> bool:
        if isinstance(event, Answered):
            answered.append(event.seq)
        return len(answered) == 3 and not held.gate.is_set()

    held = Held(forgets, third)

    async def go() -> None:
        async with batching(facts, held) as batch:
            await name(batch, "b", "kept.json")
            await batch.start()
            await batch.player.until(lambda: len(answered) == 3)
            await batch.player.press("space")
            held.gate.set()
            await batch.ended()
            await batch.player.until(lambda: "so far" in said(batch))
            assert batch.screen.matrix is not None
            assert len(batch.screen.matrix.changes) == len(batch.screen.matrix.results) < 8  # of what is answered
            await batch.player.press("space")
            assert "so far" not in said(batch)
            await batch.player.until(lambda: batch.screen.held is not None)
            assert said(batch).startswith("Worse than the baseline: explain on alpha  ▼ 1 no longer holds  ▲ 1 better")

    asyncio.run(go())


def test_of_many_samples_the_marks_stay_in_their_column(facts: Path, engine: FakeEngine, cli: Cli) -> None:
    engine.answer = knows
    assert cli("compare", "explain", "-c", "facts", "-n", "120", "--write-baseline", "kept.json").code == 100
    engine.answer = forgets

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await name(batch, "b", "kept.json")
            batch.setup._samples.value = "120"
            batch.setup._recall.value = "nothing"
            await batch.start()
            await batch.player.until(lambda: batch.screen.held is not None)
            rows = {case: batch.row(case) for case in ("rain", "snow", "hail")}
            assert "[0/120 ▼]" in rows["rain"]
            assert " 120/120 ▲ " in rows["snow"]
            head = batch.table.render_line(0).text.index("beta")
            assert {row.rindex("120/120") for row in rows.values()} == {head}

    asyncio.run(go())


def test_a_hostile_baseline_is_only_text(facts: Path, engine: FakeEngine) -> None:
    column = {"prompt": "explain", "label": EVIL, "model": EVIL, "cases": {}}
    (facts / "evil.json").write_text(json.dumps({"schema": 1, "columns": [column], "files": [EVIL]}))

    async def go() -> None:
        async with batching(facts, engine, (250, 70)) as batch:
            await name(batch, "b", "evil.json")
            await batch.player.until(lambda: said(batch))
            await batch.start()
            await batch.ended()
            await batch.player.until(lambda: "has none of these" in said(batch))
            assert not UNSAFE.search(batch.player.text())
            await name(batch, "b", EVIL.replace("'", "").replace('"', "").replace("\n", ""))
            await batch.player.pilot.pause()
            assert not UNSAFE.search(batch.player.text())

    asyncio.run(go())


def test_the_comparison_is_copied_as_markdown(facts: Path, engine: FakeEngine, cli: Cli) -> None:
    engine.answer = forgets
    for _ in range(2):  # then all of it is from the history, as it will be on the screen
        assert cli("compare", "explain", "-c", "facts", "-o", "told.md").code == 100

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await batch.player.press("Y")
            assert batch.player.app.clipboard == ""
            await batch.start()
            await batch.ended()
            await batch.player.press("Y")
            await batch.player.until(lambda: batch.player.app.clipboard)
            assert batch.screen.found is not None
            text = batch.player.app.clipboard
            assert text == export(batch.screen.found, "md") == (facts / "told.md").read_text()
            size = f"Copied the comparison as Markdown: {len(text):,} characters."
            await batch.player.until(lambda: size in " ".join(batch.player.text().split()))

    asyncio.run(go())
