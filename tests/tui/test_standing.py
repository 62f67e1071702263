"""Columns stand where there is room for them, found out while the screen is laid out, and that is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Offset, Region
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip

from promptlab.engine.fake import FakeEngine
from promptlab.tui.arrangement import MIN_HEIGHT, MIN_WIDTH, Arrangement, Choice, arrange
from promptlab.tui.compositor import FrugalCompositor
from promptlab.tui.widgets.columns import Columns
from promptlab.tui.widgets.quickbar import QuickBar
from promptlab.tui.widgets.transcript import Paragraph
from tests.tui.kit import Player, playing
from tests.tui.test_columns import cell

Go = Callable[[Player], Coroutine[Any, Any, None]]


def play(library: Path, go: Go, size: tuple[int, int] = (120, 40), engine: FakeEngine | None = None) -> None:
    async def begin() -> None:
        async with playing(library, engine or FakeEngine(lambda question, prompt: "word " * 400), size) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            await go(player)

    asyncio.run(begin())


@pytest.mark.parametrize("choice", ["auto", "columns", "grid"])
@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("room", [(200, 60), (157, 47), (80, 22), (71, 41)])
def test_columns_fill_the_room_and_do_not_overlap(choice: Choice, count: int, room: tuple[int, int]) -> None:
    now = arrange(choice, count, *room)
    if now.kind == "tabs":
        return
    places = [Region(*place) for place in now.places(count, *room)]
    assert len(places) == count
    whole = Region.from_union(places)
    assert sum(place.area for place in places) == whole.area  # with the next line: no hole, nothing twice
    assert not any(a.overlaps(b) for number, a in enumerate(places) for b in places[:number])
    assert whole.offset == (0, 0)
    assert whole.width == (count * MIN_WIDTH if now.width else room[0])
    assert whole.height == (MIN_HEIGHT * -(-count // now.beside) if now.height else room[1])


def test_the_last_column_takes_the_rest_of_its_row() -> None:
    assert Arrangement("grid", 2).places(3, 80, 21) == [(0, 0, 40, 10), (40, 0, 40, 10), (0, 10, 80, 11)]


# Beside the sidebar two columns have no room beside each other in 110 cells, and have in 120.
@pytest.mark.parametrize(("key", "width"), [("ctrl+b", 110), ("ctrl+b", 120), ("ctrl+o", 120), ("l", 120)])
def test_a_key_lays_the_screen_out_once(library: Path, key: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    reflow = FrugalCompositor.reflow

    async def go(player: Player) -> None:
        player.columns[0].body.focus()
        await player.pilot.pause()
        kinds = set()
        monkeypatch.setattr(FrugalCompositor, "reflow", lambda *a: passes.append(1) or reflow(*a))  # type: ignore[func-returns-value]
        monkeypatch.setattr(player.app, "notify", lambda *a, **k: None)  # a toast is laid out, too
        for _ in range(2):
            passes.clear()
            await player.press(key)
            await player.pilot.pause(0.1)
            assert len(passes) == 1
            kinds.add(tuple(column.region for column in player.columns))
        assert len(kinds) == 2

    play(library, go, (width, 48))


def test_a_wider_terminal_brings_columns_back(library: Path) -> None:
    async def go(player: Player) -> None:
        columns = player.play.query_one(Columns)
        assert columns.arrangement.kind == "tabs"
        assert [column.display for column in player.columns] == [True, False]
        await player.pilot.resize_terminal(160, 30)
        await player.until(lambda: columns.arrangement.kind == "columns")
        await player.pilot.pause()
        first, second = player.columns
        assert first.region.right == second.region.x
        assert player.within(second.body).count("word") > 100
        assert "done" in player.within(second.took)

    play(library, go, (60, 20))


def test_the_numbers_fit_again_in_a_room_that_was_there_before(library: Path) -> None:
    async def go(player: Player) -> None:
        columns = player.play.query_one(Columns)
        columns.choice = "grid"
        for size, lines in (((80, 24), 1), ((120, 40), 3), ((80, 24), 1), ((120, 40), 3)):
            await player.pilot.resize_terminal(*size)
            await player.pilot.pause()
            for column in player.columns:
                assert column.took.size.height == lines
                assert "done" in player.within(column.took)

    play(library, go, (80, 24))


def test_the_numbers_have_their_lines_in_a_width_that_was_there_with_other_numbers(library: Path) -> None:
    async def go(player: Player) -> None:
        columns, (column, _) = player.play.query_one(Columns), player.columns
        columns.zoomed = True
        said, lines = {(60, 40): cell(None), (200, 40): cell("so")}, []
        for size in ((60, 40), (200, 40), (60, 40)):
            await player.pilot.resize_terminal(*size)
            if size in said:
                column.show(column.label, (said.pop(size),), ("",))
            await player.pilot.pause()
            lines.append(column.took.size.height)
        assert lines == [2, 2, 3]

    play(library, go, (60, 40))


def test_what_comes_to_answers_leaves_them_as_they_stand(library: Path) -> None:
    async def go(player: Player) -> None:
        columns = player.play.query_one(Columns)
        first, second = player.columns
        second.body.focus()
        await player.press("less_than_sign", "h")
        assert [c.display for c in (second, first)] == [False, True]
        new = cell("another")
        assert player.play.show_cells((*player.play.cells, new))
        await player.pilot.pause()
        assert [c for c in player.columns if c in (first, second)] == [second, first]
        (third,) = (c for c in player.columns if c not in (first, second))
        assert (second.display, third.display) == (False, True)
        assert third.cell is new
        assert columns.hidden == {second.key}

    play(library, go)


def test_what_is_marked_with_the_mouse_has_no_line_breaks_that_are_not_in_the_answer(library: Path) -> None:
    async def go(player: Player) -> None:
        body = player.columns[0].body
        body.show([Paragraph("one two " * 20), Paragraph("end")])
        text = ("one two " * 20).rstrip()
        assert body.virtual_size.height > 2
        assert body.get_selection(Selection(None, None)) == ("one two " * 20 + "\nend", "\n")
        found = body.get_selection(Selection(Offset(4, 0), Offset(3, 1)))
        assert found is not None
        assert "\n" not in found[0]
        assert text[4:].startswith(found[0])
        assert len(found[0]) > body.size.width - 4
        assert body.get_selection(Selection(Offset(1, 0), Offset(3, 0))) == ("ne", "\n")

    play(library, go)


def test_the_quick_scroll_bar_looks_as_the_usual_one(library: Path) -> None:
    def cells(lines: list[Strip]) -> list[tuple[str, Any]]:
        return [(segment.text, segment.style) for line in lines for segment in line]

    async def go(player: Player) -> None:
        body = player.columns[0].body
        bar = body.vertical_scrollbar
        assert isinstance(bar, QuickBar)
        whole = Region(0, 0, *bar.size)
        seen = set()
        for lines in (3, 60, 61, 500):
            body.show([Paragraph(str(number)) for number in range(lines)])
            for at in (0, 0.3, 0.71, 1):
                body.scroll_to(y=round(at * body.max_scroll_y), animate=False, immediate=True)
                await player.pilot.pause()
                bar.refresh()
                drawn = bar.render_lines(whole)
                assert cells(drawn) == cells(ScrollBar.render_lines(bar, whole))
                assert [line.cell_length for line in drawn] == [1] * whole.height
                seen.add(str(cells(drawn)))
        assert len(seen) > 5

    play(library, go)
