"""Copying answers: what reaches the clipboard is what is stored, and the screen says what it was."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from textual.widgets._toast import ToastRack

from promptlab.engine.fake import FakeEngine
from tests.tui.kit import Player, playing
from tests.tui.test_hostile import EVIL, check

CODE = "Try:\n```python\nprint('é')\n```\nor\n~~~\nls\n~~~\n"


def _holds(player: Player, copied: str, said: str) -> bool:
    return player.app.clipboard == copied and said in player.text()


def _answered(library: Path, said: str, go: Callable[[Player], Awaitable[None]]) -> None:
    async def play() -> None:
        async with playing(library, FakeEngine(lambda question, prompt: said), (120, 40)) as player:
            await player.press("y")
            assert player.app.clipboard == ""
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            player.columns[0].body.focus()
            await go(player)

    asyncio.run(play())


def test_the_answer_is_copied_as_it_is_stored(library: Path) -> None:
    async def go(player: Player) -> None:
        record = player.play.cells[0].record
        assert record is not None
        await player.press("y")
        await player.until(lambda: player.app.clipboard)
        assert player.app.clipboard == record.output == EVIL
        await player.until(lambda: f"{len(EVIL)} characters" in player.text())
        assert "Copied the answer of The first" in player.text()
        check(player)

    _answered(library, EVIL, go)


def test_code_blocks_are_copied_in_turn(library: Path) -> None:
    async def go(player: Player) -> None:
        for expected, which in (("print('é')", "1 of 2"), ("ls", "2 of 2"), ("print('é')", "1 of 2")):
            await player.press("c")
            await player.until(partial(_holds, player, expected, f"code block {which}"))

    _answered(library, CODE, go)


def test_an_answer_without_code_or_text_is_refused(library: Path) -> None:
    async def go(player: Player) -> None:
        await player.press("c")
        await player.until(lambda: "no code block in this answer" in player.text())
        await player.press("y")
        await player.until(lambda: "There is nothing to copy yet." in player.text())
        assert player.app.clipboard == ""

    _answered(library, "", go)


def test_what_is_said_of_the_same_takes_the_place_of_what_was_said_before(library: Path) -> None:
    async def go(player: Player) -> None:
        rack = player.play.get_child_by_type(ToastRack)
        for said in ("1 of 2", "2 of 2", "1 of 2"):
            await player.press("c")
            await player.until(partial(lambda said: f"code block {said}" in player.text(), said))
        await player.press("l", "l", "less_than_sign", "less_than_sign")
        await player.until(lambda: "no column on that side" in player.text())
        await player.until(lambda: len(rack.children) == 3)
        assert [player.text().count(said) for said in ("Copied code block", "Layout: ", "on that side")] == [1, 1, 1]
        # What is of nothing that changes stands beside other words.
        player.app.notify("one thing", markup=False)
        player.app.notify("another thing", markup=False)
        await player.until(lambda: "another thing" in player.text())
        assert "one thing" in player.text()

    _answered(library, CODE, go)


def test_the_comparison_is_copied_as_markdown(library: Path) -> None:
    async def go(player: Player) -> None:
        await player.press("Y")
        await player.until(lambda: player.app.clipboard)
        text = player.app.clipboard
        assert text.startswith("# numbers/count\n\n**n**\n\n```\n3\n```\n\n## alpha\n")
        assert text.count(CODE) == 2
        await player.until(lambda: "Copied 2 answers as Markdown" in player.text())

    _answered(library, CODE, go)


def test_what_no_terminal_could_take_is_replaced(library: Path) -> None:
    async def go(player: Player) -> None:
        player.play._copied("this", "a\ud800b" + "c" * 200_000)
        assert base64.b64encode(player.app.clipboard.encode()).startswith(b"YT9i")
        await player.until(lambda: "Not every terminal" in player.text())

    _answered(library, "x", go)
