"""What is drawn piece by piece adds up to the screen: nothing stays from before, whatever keys are pressed."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.app import App
from textual.strip import Strip

from promptlab.engine.fake import FakeEngine
from promptlab.tui.bindings import COMMANDS
from promptlab.tui.compositor import SpansUpdate
from promptlab.tui.widgets.models import ModelList
from tests.tui.kit import Player, playing
from tests.tui.test_compositor import Paper

STEPS = int(os.environ.get("PROMPTLAB_WALK", "30"))
"""Keys of a walk."""
TRIES = 200
"""Looks at a screen that is still being drawn."""
NOT = {"quit", "play.editor"}
"""Commands that end a walk: they leave, or start another program."""
KEYS = [key for command in COMMANDS if command.id not in NOT for key in command.keys.split(",")[:1]]
KEYS += ["up", "down", "left", "right", "pageup", "pagedown", "home", "end", "tab", "shift+tab", "space", "enter"]
KEYS += ["escape", "escape", "ctrl+b", "ctrl+b", *"az9 [", "backspace", "f2"]
RESIZES = {"resize 80 24": (80, 24), "resize 120 40": (120, 40), "resize 200 60": (200, 60)}

Text = list[list[tuple[str, Any]]]


class Terminal:
    """Takes what the program draws, as a terminal would."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.resize(size)

    def resize(self, size: tuple[int, int]) -> None:
        """Some terminals keep something of what they show then, and some do not."""
        self.size = size
        self.paper = Paper((), size)

    def take(self, update: object) -> None:
        """Draw."""
        if isinstance(update, LayoutUpdate):
            for y, line in enumerate(update.strips, update.region.y):
                self._write(y, update.region.x, list(line))
        elif isinstance(update, SpansUpdate):
            for y, pieces in update.pieces.items():
                for x, strip in pieces:
                    self._write(y, x, [strip])
        elif isinstance(update, ChopsUpdate):  # of a window that is Textual's own
            for y, start, end in update.spans:
                for x, piece in update.chops[y].items():
                    if piece is not None and x < end and start < x + piece.cell_length:
                        self._write(y, max(x, start), [piece.crop(max(0, start - x), end - x)])
        else:
            assert update is None, update

    def _write(self, y: int, x: int, strips: Sequence[Strip]) -> None:
        width, height = self.size
        if y < height and x < width:  # a screen that was drawn for another size
            self.paper.write(y, x, [Strip.join(strips).crop(0, width - x)])


def seen(paper: Paper) -> Text:
    """The cells, without what is only there for the mouse."""
    return [[(text, _look(style)) for text, style in line] for line in paper.lines]


def _look(style: Style | None) -> object:
    if style is None:
        return None
    return style.color, style.bgcolor, style.bold, style.dim, style.italic, style.underline, style.reverse, style.strike


async def follow(player: Player, terminal: Terminal, keys: Sequence[str], between: Callable[[Player], object]) -> None:
    """Press keys, and look after each."""
    pressed: list[str] = []
    for key in keys:
        between(player)
        pressed.append(key)
        if RESIZES.get(key) == terminal.size:
            continue
        if key in RESIZES:
            terminal.resize(RESIZES[key])
            await player.pilot.resize_terminal(*RESIZES[key])
        else:
            await player.pilot.press(key)
        for _ in range(TRIES):
            await player.pilot.pause()
            size = player.app.size
            whole = Paper(([strip] for strip in Compositor.render_strips(player.app.screen._compositor)), size)
            if seen(terminal.paper) == seen(whole):
                break
        else:
            drawn, wanted = seen(terminal.paper), seen(whole)
            wrong = [y for y, line in enumerate(wanted) if line != drawn[y]]
            lines = ["".join(text for text, _ in each[y]) for y in wrong[:5] for each in (drawn, wanted)]
            pytest.fail("\n".join([f"after {' '.join(pressed)} lines {wrong} are not as they should be", *lines]))


def walk(
    library: Path,
    keys: Sequence[str],
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    between: Callable[[Player], object] = lambda player: None,
) -> None:
    """Go through the program by keys; something else happens before each."""
    terminal = Terminal(size)

    def display(app: App[Any], screen: object, update: object) -> None:
        if not app._batch_count:
            terminal.take(update)

    monkeypatch.setattr(App, "_display", display)

    async def go() -> None:
        engine = FakeEngine(lambda question, prompt: "The light of a low sun, 太陽の光.\n" * 20, delay=0.001)
        async with playing(library, engine, size) as player:
            await follow(player, terminal, keys, between)

    asyncio.run(go())


@pytest.mark.parametrize(
    "keys",
    [
        "e ctrl+b ctrl+b",
        "e down ctrl+b down ctrl+b escape",
        "enter 3 ctrl+r ctrl+b ctrl+b l l l",
        "enter 3 ctrl+r escape l l ctrl+o h H t escape d escape",
    ],
)
def test_what_stands_on_the_screen_is_what_should(library: Path, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    walk(library, keys.split(), (120, 40), monkeypatch)


def test_also_where_something_changes_that_is_not_shown(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(player: Player) -> None:  # as the memory bar is, every second
        player.play.query_one(ModelList).refresh()
        player.play._compositor.update_widgets({player.play.query_one(ModelList)})

    walk(library, ["e", "ctrl+b", "ctrl+b", "ctrl+b", "ctrl+b"], (120, 40), monkeypatch, told)


@pytest.mark.parametrize("seed", range(int(os.environ.get("PROMPTLAB_WALKS", "4"))))
def test_on_any_walk_too(library: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    luck = random.Random(seed)
    keys = ["enter", "3", "ctrl+r", *(luck.choice([*KEYS, *RESIZES]) for _ in range(STEPS))]
    walk(library, keys, luck.choice([(80, 24), (120, 40), (200, 60)]), monkeypatch)
