"""What the screens look like, as text that a person can read in a difference.

`PROMPTLAB_WRITE_PICTURES=1 uv run pytest tests/tui/test_pictures.py` writes them anew: look at each before it is kept.
Times, ids and the library's folder are not part of a picture.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.widgets import Input

from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import present, read_models
from promptlab.tui.widgets.model_table import ModelTable
from tests.files.ggufkit import model as gguf_model
from tests.tui.kit import Player, playing

FOLDER = Path(__file__).parent / "pictures"
CASES = """\
- {id: rain, vars: {topic: rain}, assert: [{type: icontains, value: falls}]}
- {id: snow, vars: {topic: snow}, assert: [{type: icontains, value: melts}]}
- {id: fog, vars: {topic: fog}}
"""

KEPT = """\
{"schema": 1, "columns": [{"prompt": "explain", "label": "explain", "model": "alpha", "pass_rate": 0.5, "samples": 1,
  "cases": {"rain": {"passed": 0, "scored": 1}, "snow": {"passed": 1, "scored": 1}}}]}
"""

WRITE = os.environ.get("PROMPTLAB_WRITE_PICTURES") == "1"
"""Read at once: tests see no variables of the user."""

STILL = 10
"""Looks at the screen that show the same before it counts as finished: the lab may have more to say."""

Steps = Callable[[Player], Awaitable[None]]


def answer(question: Question, prompt: str) -> str:
    return f"It falls from the sky, says {question.model}. " + "One can walk in it. " * (2 + question.seed % 3)


def normal(text: str) -> str:
    """Without what differs from run to run; every line as long as before."""

    def blank(match: re.Match[str]) -> str:
        return "·" * len(match.group())

    first, _, rest = text.partition("\n")
    first = re.sub(r"(?<=  )[…/~]\S*", blank, first)
    times = (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", r"(?<=\[.\][ ★] )\d\d:\d\d\b")
    for pattern in (*times, r"\b01[0-9A-Z]{24}\b", r"(?<=in )\d+ s\b", r"\bseed \d{4,}"):
        rest = re.sub(pattern, blank, rest)
    return "\n".join(line.rstrip() for line in [first, *rest.split("\n")]).rstrip() + "\n"


async def start(player: Player) -> None:
    await player.choose("explain")


async def settled(player: Player) -> None:
    """The models say that they are in memory: the engine is asked now and then, not at once."""
    await player.until(lambda: not player.play.sidebar or player.text().count("ready") == 2, "the models' states")


async def answers(player: Player) -> None:
    await player.choose("explain")
    await player.press("enter")
    await player.type("rain")
    await player.run()
    await player.press("escape")
    await settled(player)


async def samples(player: Player) -> None:
    await player.press("f8", "f8")
    await answers(player)


async def steps(player: Player) -> None:
    await player.choose("verdict")
    await player.press("enter")
    await player.type("snow is warm")
    await player.run()
    await player.press("escape", "f")
    await settled(player)


async def source(player: Player) -> None:
    await player.choose("explain")
    await player.press("e")
    await player.until(lambda: "prompts/explain.jinja" in player.text())
    await player.press("end", "enter")
    await player.type("bad: 1")
    await player.until(lambda: "is not a key of a prompt file" in player.text(), "the finding")


async def options(player: Player) -> None:
    await player.choose("explain")
    await player.press("ctrl+t")


async def tokens(player: Player) -> None:
    await answers(player)
    await player.press("t")
    await player.until(lambda: "token 1 of" in player.text(), "the tokens")
    await player.press("right")


async def difference(player: Player) -> None:
    await answers(player)
    await player.press("d")
    await player.until(lambda: "First token that differs" in player.text(), "the difference")


async def batch(player: Player) -> None:
    await player.choose("explain")
    await player.press("f3")
    await player.until(lambda: "[x] explain" in player.text() and "weather" in player.text(), "the set-up")
    await player.press("f6", "space", "ctrl+r")
    await player.until(lambda: "6 of 6 answers" in player.text() and "done" in player.text(), "the end")


async def worse(player: Player) -> None:
    """Held against a baseline, in which one answer more had passed."""
    await batch(player)
    await player.press("b")
    player.top().query_one("AskLine Input", Input).value = "kept.json"
    await player.press("enter")
    await player.until(lambda: "Worse than the baseline" in player.text(), "what got worse")
    await player.press("down")
    await player.until(lambda: "▼" in player.text(), "the signs")


async def picture(player: Player) -> None:
    await worse(player)
    await player.press("a")
    await player.until(lambda: "Which is better" in player.text(), "the picture")


async def history(player: Player) -> None:
    await answers(player)
    await player.press("f4")
    await player.until(lambda: "2 runs" in player.text() and "Inputs" in player.text(), "the runs")


HASHED = re.compile(r"sha256 +[0-9a-f]{32}")  # as much as a narrow screen has room for, and more


async def models(player: Player) -> None:
    await player.press("f5")
    await player.until(lambda: player.app.screen.query(ModelTable) and HASHED.search(player.text()), "the models")


async def keys(player: Player) -> None:
    await player.press("f1")


SMALL, USUAL, LARGE = (80, 24), (120, 40), (200, 60)
PICTURES: list[tuple[str, tuple[int, int], Steps]] = [
    ("start", SMALL, start),
    ("start", USUAL, start),
    ("answers", SMALL, answers),
    ("answers", USUAL, answers),
    ("samples", LARGE, samples),
    ("steps", USUAL, steps),
    ("source", USUAL, source),
    ("options", USUAL, options),
    ("tokens", USUAL, tokens),
    ("difference", USUAL, difference),
    ("tokens", SMALL, tokens),
    ("tokens", LARGE, tokens),
    ("difference", SMALL, difference),
    ("difference", LARGE, difference),
    ("batch", SMALL, batch),
    ("batch", USUAL, batch),
    ("batch", LARGE, batch),
    ("worse", USUAL, worse),
    ("picture", SMALL, picture),
    ("picture", USUAL, picture),
    ("picture", LARGE, picture),
    ("history", SMALL, history),
    ("history", USUAL, history),
    ("history", LARGE, history),
    ("models", SMALL, models),
    ("models", USUAL, models),
    ("models", LARGE, models),
    ("keys", SMALL, keys),
]


@pytest.mark.parametrize(
    ("name", "size", "go"), PICTURES, ids=[f"{name}-{size[0]}x{size[1]}" for name, size, _ in PICTURES]
)
def test_a_screen_looks_as_it_did(
    library: Path, name: str, size: tuple[int, int], go: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(library.parent))  # then paths read ~/…
    for each in read_models(library / "models.yaml").values():
        if (path := present(each)) is not None:
            path.write_bytes(gguf_model())
    (library / "seeds").mkdir()
    (library / "seeds" / "weather.yaml").write_text(CASES)
    (library / "kept.json").write_text(KEPT)
    found = ""

    async def look() -> None:
        nonlocal found
        async with playing(library, FakeEngine(answer), size) as player:
            await go(player)
            still = 0
            while still < STILL:
                await player.pilot.pause(0.05)
                now = normal(player.text())
                still = still + 1 if now == found else 0
                found = now

    asyncio.run(look())
    path = FOLDER / f"{name}-{size[0]}x{size[1]}.txt"
    if WRITE:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")
