"""Lists that change between a key and what comes of it, and long ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from promptlab.core.search import Hit
from promptlab.engine.fake import FakeEngine
from promptlab.tui.screens.closer import CloserScreen
from promptlab.tui.widgets.closer_panes import Alternatives
from promptlab.tui.widgets.listed import Listed
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.runs import RunList
from promptlab.tui.widgets.source import SourcePane
from promptlab.tui.widgets.ticks import TickList
from tests.tui.kit import playing

FAR = 10_000


def stale(listed: OptionList) -> list[OptionList.OptionMessage]:
    """What a list says of options that it no longer has: behind its end, or in the place of another."""
    gone = Option(Content("gone"))
    kinds = (OptionList.OptionSelected, OptionList.OptionHighlighted)
    return [kind(listed, gone, at) for kind in kinds for at in (FAR, 0)]


def test_what_is_said_of_an_option_that_has_gone_changes_nothing(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            before = (player.play.query_one(ModelList).ticked, player.form.prompt_name)
            findings = player.play.query_one(SourcePane).query_one(OptionList)
            await player.press("f3")
            batch = player.top()
            ticks = list(batch.query(TickList))
            ticked = [each.ticked for each in ticks]
            await player.press("f2")
            for listed in (player.play.query_one(PromptList), player.play.query_one(ModelList), findings, *ticks):
                for message in stale(listed):
                    listed.post_message(message)
            await player.pilot.pause()
            assert (player.play.query_one(ModelList).ticked, player.form.prompt_name) == before
            assert [each.ticked for each in ticks] == ticked
            assert not player.play.query_one(SourcePane).body.has_focus
            player.columns[0].body.focus()
            await player.press("t")
            await player.until(lambda: isinstance(player.top(), CloserScreen) and player.top().query(Alternatives))
            alternatives = player.top().query_one(Alternatives)
            for message in stale(alternatives):
                alternatives.post_message(message)
            await player.pilot.pause()
            assert isinstance(player.top(), CloserScreen)  # no branch was begun

    asyncio.run(go())


def hit(number: int) -> Hit:
    return Hit(str(number), "explain", "explain", "alpha", "2026-01-01T10:00:00Z", None, None, None, ())


class Runs(App[None]):
    def compose(self) -> ComposeResult:
        yield RunList()


def test_ticking_one_of_many_runs_measures_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        async with Runs().run_test(size=(80, 24)) as pilot:
            runs = pilot.app.query_one(RunList)
            measured: list[int] = []
            whole = Content.get_height

            def counted(self: Content, *given: object) -> int:
                measured.append(1)
                return whole(self, *given)  # type: ignore[arg-type]

            monkeypatch.setattr(Content, "get_height", counted)
            runs.hits = tuple(hit(number) for number in range(2_000))
            quiet = 0
            while quiet < 50:  # until they are drawn, and so measured, for the first time
                before = len(measured)
                await pilot.pause()
                quiet = quiet + 1 if measured and len(measured) == before else 0
            measured.clear()
            runs.ticked = frozenset({"3"})
            await pilot.pause()
            assert len(measured) < 100
            lines = [strip.text for strip in pilot.app.screen._compositor.render_strips()]
            assert [n for n, line in enumerate(lines) if "[x]" in line] == [7]  # below the frame, two lines for each
            assert runs.virtual_size.height == 4_000

    asyncio.run(go())


def test_a_click_on_what_has_gone_is_nothing() -> None:
    class Lists(App[None]):
        def compose(self) -> ComposeResult:
            yield Listed(Option(Content("one")), Option(Content("two")))

    async def go() -> None:
        async with Lists().run_test(size=(40, 10)) as pilot:
            listed = pilot.app.query_one(Listed)
            style = Style.from_meta({"option": 1})
            click = events.Click(listed, 1, 1, 0, 0, 1, False, False, False, 1, 1, style)
            listed.clear_options()
            listed.post_message(click)
            await pilot.pause()
            assert pilot.app.size == Size(40, 10)

    asyncio.run(go())
