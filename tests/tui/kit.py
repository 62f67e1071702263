"""What these tests share: the app over a fake engine, waiting without sleeping, and what stands on the screen."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from promptlab.app.lab import Labs
from promptlab.core.events import EngineEvent
from promptlab.engine.backend import Backend
from promptlab.engine.fake import Answer, FakeEngine
from promptlab.errors import UsageError
from promptlab.tui.app import Playground
from promptlab.tui.desk import Lane
from promptlab.tui.widgets.bars import TitleBar
from promptlab.tui.widgets.column import Column
from promptlab.tui.widgets.columns import Columns
from promptlab.tui.widgets.field import Field
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.prompts import PromptList

PATIENCE_S = 30.0


class Held(FakeEngine):
    """Stops before an event, until it is let go."""

    def __init__(self, answer: Answer, hold: Callable[[EngineEvent], bool]) -> None:
        super().__init__(answer)
        self.gate = threading.Event()
        self._hold = hold

    def next_event(self, timeout: float) -> EngineEvent | None:
        event = super().next_event(timeout)
        if event is not None and self._hold(event):
            self.gate.wait(PATIENCE_S)
        return event


class Player:
    """Drives the app by keys."""

    def __init__(self, app: Playground, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot
        self.play = app.play

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait for the lab's thread and for the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what or 'it'} never came; {self.play.reasons}"
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        names = {" ": "space", "[": "left_square_bracket", "]": "right_square_bracket"}
        await self.press(*(names.get(c, c) for c in text))

    async def choose(self, name: str) -> None:
        """Mark a prompt, and wait for its form."""
        names = [row.name for row in self.play.prompts]
        self.play.query_one(PromptList).mark(name)
        form = self.play.query_one(Form)
        row = self.play.prompts[names.index(name)]
        inputs = len(row.prompt.inputs) if row.prompt else 0
        await self.until(lambda: form.row == row and len(form.query(Field)) == inputs, name)
        await self.pilot.pause()

    async def run(self) -> None:
        """Run and wait for the end, or for the refusal."""
        await self.press("ctrl+r")
        await self.ended()

    async def ended(self) -> None:
        await self.until(lambda: not self.play.running, "the end of the run")
        await self.pilot.pause()

    @property
    def columns(self) -> list[Column]:
        return self.play.query_one(Columns).columns

    @property
    def form(self) -> Form:
        return self.play.query_one(Form)

    def top(self) -> Screen[Any]:
        """The screen that is shown."""
        return self.app.screen

    async def click_tab(self, id: str) -> None:
        """Click on the name of a screen in the title, given the id of its command."""
        title = self.top().query_one(TitleBar)
        (at,) = (at for at, spot in title.tabs if spot.target.id == id)
        await self.pilot.click(title, offset=(at + 2, 0))  # beside the title's padding and the tab's

    def field(self, name: str) -> Field:
        return next(f for f in self.play.query(Field) if f.declared.name == name)

    def text(self) -> str:
        """The whole screen, as it is drawn."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    def within(self, widget: Widget) -> str:
        """What is drawn where a widget is, its lines joined again where they were wrapped."""
        left, top, width, height = widget.content_region
        strips = self.app.screen._compositor.render_strips()[top : top + height]
        return " ".join(" ".join(strip.crop(left, left + width).text for strip in strips).split())


class Gate:
    """Holds a function of the lab until it is let go, and then lets it do its work, or fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, *, fails: bool = False) -> None:
        module, _, function = name.rpartition(".")
        self._real: Callable[..., Any] = getattr(__import__(module, fromlist=[function]), function)
        self._fails = fails
        self._gate = threading.Event()
        self.calls = 0
        """How often somebody has come to it."""
        monkeypatch.setattr(name, self._call)

    def _call(self, *args: Any, **named: Any) -> Any:
        self.calls += 1
        assert self._gate.wait(PATIENCE_S)
        if self._fails:
            raise UsageError("it was not to be")
        return self._real(*args, **named)

    async def open(self, player: Player) -> None:
        """Let it go, and wait until the screen has heard what came of it."""
        heard: list[None] = []
        self._gate.set()
        lanes: tuple[Lane, ...] = ("look", "slow")
        for lane in lanes:
            player.app.desk.do(lambda lab, task: None, done=heard.append, lane=lane)  # comes after it in its lane
        await player.until(lambda: len(heard) == len(lanes), "what comes after it")
        await player.pilot.pause()


@asynccontextmanager
async def playing(library: Path, engine: Backend, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Player]:
    """The app over a library, once it has looked around in it."""
    app = Playground(partial(Labs, library, lambda: engine))
    async with app.run_test(size=size, notifications=True) as pilot:
        player = Player(app, pilot)
        await player.until(lambda: app.play.survey is not None, "the library")
        await pilot.pause()
        yield player
    if app.play.kept_at is not None:
        app.play.kept_at.close()
