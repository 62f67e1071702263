"""A model on a server in the terminal interface, beside models with a file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptlab.core.events import Server
from promptlab.engine.fake import FakeEngine
from promptlab.engine.mixed import Mixed
from promptlab.engine.servers import Servers
from promptlab.tui.screens.closer import CloserScreen
from promptlab.tui.screens.models import ModelsScreen
from promptlab.views.server import server_facts
from tests.engine.serverkit import LLAMA, Scripted, own_models, scripted
from tests.tui.kit import playing


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as found:
        found.models = lambda ask: ask.json({"data": [LLAMA]})
        yield found


@pytest.fixture
def library(library: Path, server: Scripted) -> Path:
    own_models(f"models:\n  there:\n    server: {server.url}\n    default: true\n")
    return library


def test_it_stands_beside_the_others(library: Path, server: Scripted) -> None:
    async def go() -> None:
        async with playing(library, Mixed(FakeEngine(), Servers()), (160, 40)) as player:
            assert "on a server" in player.text()
            assert server.asked == []  # a list asks nobody
            await player.choose("explain")
            await player.press("enter")
            await player.type("rain")
            await player.run()
            await player.ended()
            assert "Hello" in player.text()
            assert "remote" in player.text()
            player.columns[-1].body.focus()
            await player.press("t")
            await player.until(lambda: isinstance(player.top(), CloserScreen), "the tokens")
            await player.until(lambda: "did not tell which tokens" in player.text(), "why not")
            await player.press("w")
            await player.until(lambda: "Only its server knows" in player.text(), "what it saw")

    asyncio.run(go())


def test_its_row_and_details(library: Path, server: Scripted) -> None:
    async def go() -> None:
        async with playing(library, Mixed(FakeEngine(), Servers())) as player:
            await player.press("f5")
            await player.until(lambda: isinstance(player.top(), ModelsScreen), "the models")
            await player.press("end")
            await player.until(lambda: server.url in player.text(), "its details")
            assert "cannot be known: a server has them" in player.text()
            assert "○ on a server" in player.text()
            await player.press("v")
            await player.until(lambda: "is on a server, and has no file here" in player.text(), "a refusal")
            await player.press("l")
            await player.until(lambda: "● answers" in player.text(), "that it answers")
            await player.press("u")
            await player.until(lambda: "○ on a server" in player.text(), "that it is let go")
            server.models = lambda ask: ask.json({}, 500)
            await player.press("l")
            await player.until(lambda: "no answer" in player.text(), "that it does not")
            assert "failed (HTTP 500)" in player.text()

    asyncio.run(go())


def test_what_is_said_of_a_server() -> None:
    whole = Server("host:1/v1", "big", "llama.cpp", "b9", ("top_k",), "00")
    assert server_facts(whole) == ["remote", "big at host:1/v1", "llama.cpp b9", "not told of top_k"]
    assert server_facts(Server("host:1/v1", "big")) == ["remote", "big at host:1/v1"]
