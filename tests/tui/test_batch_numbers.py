"""The batch screen shows the numbers of `promptlab compare`: same library, same engine, same history."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Static

from promptlab.core.stats.intervals import Interval
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.tui.widgets.matrix import CACHED, MARKS
from promptlab.tui.widgets.picture import Picture
from promptlab.views.comparison import with_interval
from tests.conftest import Cli
from tests.tui.test_batch import Batch, batching

SAMPLES = 3
FACTS = """\
- {id: rain, vars: {topic: rain}, assert: [{type: icontains, value: rain}]}
- {id: snow, vars: {topic: snow}, assert: [{type: icontains, value: snow}, {type: icontains, value: cold, metric: c}]}
- {id: wind, vars: {topic: wind}}
- {id: hail, vars: {topic: hail}, assert: [{type: logprob, value: ice, threshold: -9}]}
- {id: fire, vars: {topic: fire}, assert: [{type: icontains, value: hot, weight: 2}, {type: contains, value: fire}]}
"""
TOPICS = ("rain", "snow", "wind", "hail", "fire")


def answer(question: Question, prompt: str) -> str:
    """Models differ, and so do samples; now and then one fails."""
    topic = next(word for word in TOPICS if word in prompt)
    luck = (question.seed + len(question.model) * TOPICS.index(topic)) % 5
    if (luck, topic) == (0, "fire"):
        raise ValueError("no answer to that")
    words = ["nothing", f"It is {topic}.", f"it is {topic}", f"{topic}, cold", f"A hot {topic}"]
    return words[luck] if question.model == "alpha" else words[luck // 2]


@pytest.fixture
def facts(library: Path, engine: FakeEngine) -> Path:
    engine.answer = answer
    (library / "seeds").mkdir()
    (library / "seeds" / "facts.yaml").write_text(FACTS)
    return library


def command(cli: Cli, *more: str) -> str:
    asked = ("compare", "explain", "-c", "facts", "-n", str(SAMPLES), "--likeness", "--baseline", "kept.json", *more)
    return cli(*asked, "--all-cases").out


async def compared(batch: Batch) -> None:
    """The same, on the screen."""
    await batch.player.press("b")
    batch.screen.query_one("AskLine Input").value = "kept.json"  # type: ignore[attr-defined]
    await batch.player.press("enter")
    await batch.player.until(lambda: batch.screen.baseline)
    batch.setup._samples.value = str(SAMPLES)
    batch.setup._likeness.value = True
    await batch.start()
    await batch.player.until(lambda: batch.phase == "done" and batch.screen.held is not None, "the end")
    await batch.player.pilot.pause()


async def written(batch: Batch, path: Path) -> dict[str, Any]:
    """What the screen writes as JSON."""
    await batch.player.press("w")
    batch.screen.query_one("AskLine Input").value = str(path)  # type: ignore[attr-defined]
    await batch.player.press("enter")
    await batch.player.until(path.exists)
    return dict(json.loads(path.read_text()))


def test_the_screen_shows_what_the_command_says(facts: Path, engine: FakeEngine, cli: Cli) -> None:
    cli("compare", "explain", "-c", "facts", "--write-baseline", "kept.json", "--no-log")
    command(cli)
    told, lines = json.loads(command(cli, "--json")), command(cli)  # both from the history, as the screen's will be
    assert {cell["verdict"]["outcome"] for cell in told["cells"]} == {"pass", "fail", "unscored"}
    assert any(cell["error"] for cell in told["cells"])
    asked = len(engine.questions)

    async def go() -> None:
        async with batching(facts, engine, (200, 120)) as batch:
            await compared(batch)
            assert len(engine.questions) == asked
            table = [batch.table.render_line(y).text for y in range(batch.table.size.height)]
            rates = next(line for line in table if line.startswith("pass rate"))
            expected = [with_interval(each["pass_rate"], Interval(**each["interval"])) for each in told["columns"]]
            assert "".join(rates.split()) == "".join(["passrate", *("".join(each.split()) for each in expected)])
            counts = next(line for line in table if line.startswith("answered")).split()[1:]
            total = len(TOPICS) * SAMPLES
            for column in told["columns"]:
                assert counts.pop(0) == f"{total}/{total}"
                assert not column["errors"] or counts.pop(0) == f"{column['errors']}!"
            assert counts == []
            # Each sample of each case in each column, and who agrees on it.
            agreement = {each["case"]: each["agreement"] for each in told["splits"]}
            for place, case in enumerate(TOPICS):
                marks = [mark_of(cell) for cell in ordered(told["cells"], case)]
                shown = batch.row(case).replace("[", " ").replace("]", " ").split()
                drawn = [each for each in shown[1:] if each not in (CACHED, "▼", "▽", "▲")]
                assert drawn == ["".join(marks[:SAMPLES]), "".join(marks[SAMPLES:])], case
                batch.table.mark(place, 0)
                share = agreement[case]
                await batch.peeked(f"{case}\ntopic: {case}")
                await batch.peeked("" if share is None else f"columns agree {share:.0%}")
            # The picture: how often columns say the same, and every table of the command, line by line.
            await batch.player.press("a")
            picture = batch.screen.query_one(Picture)
            await batch.player.until(lambda: "since the baseline" in batch.player.text())
            heat = str(picture.query_one(".heat", Static).visual)
            numbers = [line.split()[-2:] for line in heat.splitlines()[2:4]]
            assert numbers == [[f"{100 * share:.0f}" for share in row] for row in told["agreement"]]
            drawn_lines = {"".join(line.strip("│ ").split()) for line in batch.player.text().splitlines()}
            skipped = ("Case by case", "How often two columns say the same, in percent")  # which are drawn otherwise
            sections = [each for each in lines.strip().split("\n\n") if not each.startswith(skipped)]
            assert len(sections) >= 7
            for line in (line for each in sections for line in each.splitlines()):
                assert "".join(line.split()) in drawn_lines, line
            assert await written(batch, facts / "screen.json") == told

    asyncio.run(go())


def test_the_command_says_what_the_screen_has_shown(facts: Path, engine: FakeEngine, cli: Cli) -> None:
    cli("compare", "explain", "-c", "facts", "--write-baseline", "kept.json", "--no-log")
    shown: dict[str, Any] = {}

    async def go() -> None:
        async with batching(facts, engine) as batch:
            await compared(batch)
            shown.update(await written(batch, facts / "screen.json"))

    asyncio.run(go())
    told = json.loads(command(cli, "--json"))
    assert all(cell["cached"] for cell in told["cells"])
    assert not any(cell["cached"] for cell in shown["cells"])
    for cell in (*told["cells"], *shown["cells"]):
        del cell["cached"]
    for column in (*told["columns"], *shown["columns"]):
        column.pop("cached", None)
    assert shown == told


def ordered(cells: list[dict[str, Any]], case: str) -> list[dict[str, Any]]:
    """Those of a case, column by column."""
    return sorted((c for c in cells if c["case"] == case), key=lambda cell: (cell["column"], cell["sample"]))


def mark_of(cell: dict[str, Any]) -> str:
    return MARKS["error" if cell["error"] else cell["verdict"]["outcome"]]
