"""The terminal dies in the middle of a run: what had ended is in the history, what was typed is still there."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest

from promptlab.engine.fake import FakeEngine
from promptlab.files.sessions import read_session, session_file
from promptlab.tui.screens.history import HistoryScreen
from promptlab.tui.widgets.source import SourcePane
from tests import gitkit
from tests.tui.kit import playing

SCRIPT = """
from functools import partial
from pathlib import Path
from promptlab.app.lab import Labs
from promptlab.engine.fake import FakeEngine
from promptlab.tui.app import Playground
asked = []
def answer(question, prompt):
    asked.append(question)
    return "Quickly said." if len(asked) == 1 else "word " * 5000
Playground(partial(Labs, Path("."), lambda: FakeEngine(answer, delay=0.02))).run()
"""
TELL = "---\ninputs: {topic: string}\n---\nTell me about {{ topic }}."


@pytest.mark.parametrize("death", ["hangup", "kill -9"])
def test_answers_that_had_ended_and_what_was_typed_are_there_the_next_time(
    library: Path, engine: FakeEngine, death: str
) -> None:
    _alone(library, TELL)
    with _dying(death) as (terminal, screen):
        typed = [(b"", "tell"), (b"\r", "Inputs of tell"), (b"rain", "rain"), (b"\x1b[19~", "2 samples")]
        for keys, wanted in (*typed, (b"\x12", "Quickly said.")):
            os.write(terminal, keys)
            _until(terminal, screen, wanted)
        _until(terminal, screen, "done: stop")
        _until(terminal, screen, lambda: _is_kept(library))

    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await player.until(lambda: player.form.prompt_name == "tell", "the prompt")
            assert player.field("topic").draft == "rain"
            assert player.play.samples == 2
            await player.press("f4")
            await player.until(lambda: "Quickly said." in player.text(), "what had ended")
            screen = player.top()
            assert isinstance(screen, HistoryScreen)
            assert [hit.excerpt for hit in screen.hits] == ["Quickly said."]

    asyncio.run(go())


@pytest.mark.parametrize("death", ["hangup", "kill -9"])
def test_a_source_an_option_and_a_version_are_there_the_next_time(
    library: Path, engine: FakeEngine, git_settings: None, death: str
) -> None:
    _alone(library, TELL)
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "First"]):
        gitkit.run(library, *command)
    (library / "prompts" / "tell.jinja").write_text(TELL + "More.")
    (library / "prompts" / "zebra.jinja").write_text("Of zebras.")
    with _dying(death) as (terminal, screen):
        typed = [(b"", "tell"), (b"\x1b[B", "Inputs of zebra"), (b"e", "ctrl+s saves")]
        for keys, wanted in (*typed, (b"Not saved. ", "● prompts/zebra")):
            os.write(terminal, keys)
            _until(terminal, screen, wanted)
        _until(terminal, screen, lambda: "zebra" in read_session(session_file(library)).sources)
    with _dying(death) as (terminal, screen):
        typed = [(b"", "Not saved. Of zebras."), (b"\x1b[A", "Inputs of tell"), (b"v", "source of tell")]
        typed += [(b"\x1b[B", "from tell@1 to"), (b"\r", "Inputs of tell@1"), (b"\x1b[20~", "top_k")]
        for keys, wanted in (*typed, (b"0.25", "0.25")):
            os.write(terminal, keys)
            _until(terminal, screen, wanted)
        _until(terminal, screen, lambda: _chosen(library) == (("tell@1",), "0.25"))

    async def go() -> None:
        async with playing(library, engine, (160, 50)) as player:
            await player.until(lambda: player.play.versions == ("tell@1",), "the version")
            await player.until(lambda: player.play.request().options == {"temperature": 0.25}, "the option")
            await player.choose("zebra")
            source = player.play.query_one(SourcePane)
            await player.until(lambda: source.text == "Not saved. Of zebras.", "the source")
            assert (library / "prompts" / "zebra.jinja").read_text() == "Of zebras."

    asyncio.run(go())


def _alone(library: Path, source: str) -> None:
    """The one prompt of a library."""
    for path in (library / "prompts").rglob("*.jinja"):
        path.unlink()
    (library / "prompts" / "tell.jinja").write_text(source)


@contextmanager
def _dying(death: str) -> Iterator[tuple[int, pyte.Screen]]:
    """The real program in a terminal, which then dies."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", PYTHONPATH=str(Path(__file__).parents[2]), COLUMNS="160", LINES="50")
        os.execv(sys.executable, [sys.executable, "-c", SCRIPT])
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        yield terminal, pyte.Screen(160, 50)
    finally:
        if death == "kill -9":
            os.kill(pid, signal.SIGKILL)
        os.close(terminal)  # which hangs up
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0


def _until(terminal: int, screen: pyte.Screen, wanted: str | Callable[[], bool]) -> None:
    """Wait until something stands on the screen, or holds; meanwhile the terminal takes what it is sent."""
    stream, deadline = pyte.ByteStream(screen), time.monotonic() + 60
    while not (any(wanted in line for line in screen.display) if isinstance(wanted, str) else wanted()):
        assert time.monotonic() < deadline, "\n".join([str(wanted), *screen.display])
        if select.select([terminal], [], [], 0.2)[0]:
            stream.feed(os.read(terminal, 1 << 16))


def _is_kept(library: Path) -> bool:
    """Whether what was typed is on the disk: it is written once a second."""
    session = read_session(session_file(library))
    return session.drafts.get("tell", {}).get("topic") == "rain" and session.samples == 2


def _chosen(library: Path) -> tuple[tuple[str, ...], str]:
    session = read_session(session_file(library))
    return session.versions.get("tell", ()), session.options.get("temperature", "")
