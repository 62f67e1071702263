"""What strangers write never reaches the terminal as anything but text, whichever widget shows it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from promptlab.core.events import Failure
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.tui.widgets.prompts import PromptList
from tests.tui.kit import Player, playing

EVIL = "[/foo] [@click=app.quit]x[/] [b]bold[/b] $text \x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202egnp\u2066.exe\r\x08"
QUOTED = json.dumps(EVIL).replace("\\u009b", "\\x9b")
SEEN = "[/foo] [@click=app.quit]x[/] [b]bold[/b] $text ␛]52;c;aGk=␇␛[2J<U+009B>31m<U+202E>gnp<U+2066>.exe␍␈"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f]")

PROMPT = f"""\
---
description: {QUOTED}
inputs:
  a: {{type: string, default: {QUOTED}, description: {QUOTED}}}
  text: {{type: string, default: {QUOTED}}}
  c: {{enum: [{QUOTED}, other], default: {QUOTED}}}
  n: {{type: [integer, "null"], default: {QUOTED}}}
---
{{{{ a }}}} [/foo] [@click=app.quit]x
"""


def squash(text: str) -> str:
    return "".join(text.split())


@pytest.fixture
def hostile(library: Path) -> Path:
    """Everything in it that a stranger writes is hostile."""
    (library / "prompts" / "evil.jinja").write_text(PROMPT)
    (library / "prompts" / "worse.jinja").write_text(f"---\n{QUOTED}: 1\n---\n")
    models = library / "models.yaml"
    text = models.read_text().replace("title: The first", f"title: {QUOTED}")
    models.write_text(text.replace("license: mit", f"license: {QUOTED}"))
    return library


def check(player: Player) -> str:
    """Nothing unsafe is on the screen now."""
    text = player.text()
    assert not UNSAFE.search(text), repr(UNSAFE.findall(text))
    return squash(text)


def test_lists_form_and_source(hostile: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(hostile, engine, (400, 100)) as player:
            player.play.query_one("#sidebar").styles.width = 200
            await player.choose("evil")
            text = check(player)
            # Description in the list, hint, line, area, choice and default: each shows it, to the letter.
            assert text.count(squash(SEEN)) >= 6
            await player.press("enter", "tab", "tab", "enter")  # the open select
            assert squash(SEEN) in check(player)
            await player.press("escape")
            await player.choose("worse")
            assert "[/foo]" in check(player)

    asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_nothing_unsafe_at_small_sizes(hostile: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    async def go() -> None:
        async with playing(hostile, engine, size) as player:
            check(player)
            for row in player.play.prompts:
                await player.choose(row.name)
                check(player)

    asyncio.run(go())


def test_answers_failures_and_headers(hostile: Path) -> None:
    def answer(question: Question, prompt: str) -> str:
        if question.model == "beta":
            engine.kill("beta", Failure("EngineError", EVIL, EVIL, (EVIL, EVIL)))
        return EVIL + "\n" + EVIL

    engine = FakeEngine(answer)

    async def go() -> None:
        async with playing(hostile, engine, (300, 80)) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            text = check(player)
            assert squash(SEEN) in text
            good, bad = player.columns
            record = player.play.cells[0].record
            assert record is not None
            assert record.output == EVIL + "\n" + EVIL
            assert squash(player.within(good.body)) == squash(SEEN) * 2
            assert squash(player.within(bad.body)).count(squash(SEEN)) >= 3
            await player.press("ctrl+b", "f6", "ctrl+o")
            check(player)

    asyncio.run(go())


def test_refusals_and_notifications(hostile: Path, engine: FakeEngine) -> None:
    (hostile / "prompts" / "fails.jinja").write_text(f"---\ninputs:\n  a: {{enum: [{QUOTED}, b]}}\n---\n{{{{ a.x }}}}")

    async def go() -> None:
        async with playing(hostile, engine, (200, 60)) as player:
            player.play.query_one("#sidebar").styles.width = 150
            await player.choose("fails")
            await player.run()
            assert player.play.reasons
            check(player)
            player.play.reasons = (EVIL,)
            await player.pilot.pause()
            assert squash(SEEN) in check(player)
            player.play.query_one("#models").focus()
            await player.press("end", "space")
            await player.until(lambda: "Not on disk." in player.text())
            check(player)

    asyncio.run(go())


def test_a_path_with_escapes(home: Path, library: Path, engine: FakeEngine) -> None:
    moved = library.rename(home / "lib\x1b]0;owned\x07[b]")

    async def go() -> None:
        async with playing(moved, engine) as player:
            assert "lib␛]0;owned␇[b]" in check(player)
            for path in (moved / "prompts").rglob("*.jinja"):
                path.unlink()
            await player.press("ctrl+l")
            await player.until(lambda: player.play.query_one(PromptList).option_count == 0)
            await player.pilot.pause()
            assert "[b]/prompts/NAME.jinja" in check(player)

    asyncio.run(go())
