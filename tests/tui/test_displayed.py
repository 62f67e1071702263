"""What is displayed equals what is stored, to the byte: three columns at once, and all that is awkward in a text."""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from promptlab.core.events import Answered, EngineEvent, Started, Timings, Token, Usage
from promptlab.core.text import sanitize
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.engine.stream import TextStream
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from promptlab.files.store import Store
from promptlab.tui.script import TAB
from tests.conftest import weights
from tests.tui.kit import PATIENCE_S, Player, playing
from tests.tui.test_hostile import EVIL, SEEN, check

PIECES = (
    *("a\tb\tcd\n", "\t\tindented\n", "漢\t字\n", "\t \t\n"),
    *("dos\r\n", "\r\n\r\n", "alone\rat once\r", "\r\r\n", "\n\r"),
    *("ends in blanks   \n", "   \n", " \t \r\n", "\n\n\n"),
    *("漢字かな交じり文", "한국어", "नमस्ते ", "e\u0301 o\u0308\u0323 ", "ﬁ \u200d\u200b\u00ad "),
    *("👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈", "👍🏽", "🇩🇪🇫🇷"),
    *(EVIL, "\x00\x01\x0b\x0c\x1b[31m\x7f\x80\x9b", "\u2028\u2029\ufeff", "\u05d0\u05d1 \u202eabc\u202c \u0639"),
    *("plain words between. ", "[bold]markup[/bold] \\[x] $text ", "`code`\n```\nx = 1\n```\n"),
)
STOPS = 20
BROKEN = (b"\xf0\x9f\x91", b"\xff\xfe", b"\xe6\xbc ", b"\xc3(", b"\xed\xa0\x80")
"""Bytes that are no UTF-8, or half of a character."""


def answer_of(model: str) -> bytes:
    """Much of everything, another one for each model; it ends in the middle of a character."""
    luck = random.Random(model)
    parts = [each.encode() for each in PIECES] + list(BROKEN)
    said = [part for _ in range(12) for part in luck.sample(parts, len(parts))]
    said.insert(luck.randrange(len(said)), b"x" * 20_000 + "漢".encode() * 3_000)  # a line of many screens
    return b"".join(said) + b"  \t\r\n \xe6\xbc"


class Bytes(FakeEngine):
    """Says bytes, some at a time: tokens that end within characters, clusters, and line breaks.

    It stops behind carriage returns, where what is drawn depends on what comes next, and once all have begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str] = {}
        self.tokens: dict[int, int] = {}
        self.stopped, self.gate = threading.Event(), threading.Event()
        self._stops = STOPS
        self._ended = ""
        """How the last event's text ended."""

    def next_event(self, timeout: float) -> EngineEvent | None:
        """Nobody begins before all are asked."""
        if self._running and not self._events and len(self.questions) < 3:
            time.sleep(0.001)
            return None
        event = super().next_event(timeout)
        if isinstance(event, Token):
            if self._stops and self._ended.endswith("\r") and min(map(self.at, range(3))) > 50:
                self._stops -= 1
                self.stopped.set()
                self.gate.wait(PATIENCE_S)
                self.gate.clear()
            self.tokens[event.seq] = self.tokens.get(event.seq, 0) + 1
            self._ended = event.text
        return event

    def at(self, place: int) -> int:
        """How many tokens one of the three has said."""
        return sorted((*self.tokens.values(), 0, 0, 0), reverse=True)[place]

    def _speak(self, question: Question) -> Iterator[EngineEvent]:
        luck, data, stream = random.Random(question.seed), answer_of(question.model), TextStream(())
        yield Started(question.seq, (1, 2))
        texts: list[str] = []
        at = 0
        while at < len(data):
            long = data[at : at + 50] in (b"x" * 50, ("漢".encode() * 17)[:50])
            size = 500 if long else luck.randint(1, 5)
            texts.append(stream.feed(data[at : at + size]))
            at += size
            yield Token(question.seq, len(texts), texts[-1], -0.5, ())
        count, text = len(texts), "".join([*texts, stream.close()])
        self.said[question.model] = text
        usage, timings = Usage(2, 0, count), Timings(0.0, 0.01, 0.01, 0.1, 10.0)
        yield Answered(question.seq, text, "stop", usage, timings, None)


def displayed(text: str) -> str:
    """What stands in a column: the sanitised text, its tabs as blanks, as no terminal has tabs within a column."""
    return "\n".join(line.expandtabs(TAB) for line in sanitize(text).split("\n"))


def test_sanitised_text_hides_nothing_that_was_stored() -> None:
    """The sanitiser is the one difference: nothing but the carriage return before a line break is left out."""
    text = "".join(PIECES)
    assert SEEN.rstrip() in sanitize(text)
    for character in set(text) - {"\r"}:
        assert character in sanitize(text) or sanitize(character) in sanitize(text)
    assert sanitize("\r\r\n") == "␍\n"


def test_three_columns_show_what_is_stored(library: Path) -> None:
    models = library / "models.yaml"
    models.write_text(re.sub("(  gamma:\n)", r"\1    default: true\n", models.read_text()))
    model_file(read_models(models)["gamma"].sha256 or "").write_bytes(weights("gamma"))
    engine = Bytes()

    def as_it_stands(player: Player) -> bool:
        cells = [column.cell for column in player.columns]
        texts = [cell.text for cell in cells if cell is not None]
        shown = [column.shown for column in player.columns]
        return any(each.endswith("\r") for each in texts) and shown == [displayed(each) for each in texts]

    async def go(player: Player) -> None:
        await player.choose("numbers/count")
        await player.press("enter", "3", "ctrl+r")
        # All three grow at once.
        for _ in range(STOPS):
            await player.until(engine.stopped.is_set)
            engine.stopped.clear()
            await player.until(lambda: as_it_stands(player), "the text so far")
            assert [cell.status for cell in player.play.cells] == ["running"] * 3
            check(player)
            engine.gate.set()
        await player.ended()
        assert engine.at(2) > 1_000
        with Store.open(library, create=False) as store:
            stored = {row.model: store.get(row.id) for row in store.recent(10)}
        assert sorted(stored) == ["alpha", "beta", "gamma"]
        for column in player.columns:
            assert column.cell is not None
            model = column.cell.job.model.name
            record = stored[model]
            assert record == column.cell.record
            assert record.output == record.steps[0].text == engine.said[model]
            assert record.output == answer_of(model).decode("utf-8", "replace")
            assert column.shown == displayed(record.output)
            # Copied is what is stored, byte by byte.
            player.app.copy_to_clipboard("")
            column.body.focus()
            await player.press("y")
            await player.until(lambda: player.app.clipboard)
            assert player.app.clipboard.encode() == record.output.encode()
        # And it is drawn, from the first line to the last.
        for key in ("home", "pagedown", "end"):
            await player.press(key)
            check(player)

    async def play() -> None:
        async with playing(library, engine, (160, 48)) as player:
            await go(player)

    asyncio.run(play())
