"""Lines that go on below what stands in them."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult
from textual.content import Content

from promptlab.tui.widgets.hanging import MAX_LINES, Hanging, difference, source


class Alone(App[None]):
    def compose(self) -> ComposeResult:
        yield Hanging(difference(["@@ -1 +1 @@", "-one two three   ", "+", " 漢字漢字漢字"]), hang=1)


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (40, ["@@ -1 +1 @@", "-one two three", "+", " 漢字漢字漢字"]),
        (8, ["@@ -1 +1", " @@", "-one two", " three", "+", " 漢字漢", " 字漢字"]),
    ],
)
def test_what_is_too_long_goes_on_beside_its_mark(width: int, lines: list[str]) -> None:
    async def go() -> None:
        async with Alone().run_test(size=(width, 20)) as pilot:
            shown = pilot.app.query_one(Hanging)
            assert [shown.render_line(y).text.rstrip() for y in range(shown.size.height)] == lines
            shown.show(source(["x" * (width + 1), "end"]))
            await pilot.pause()
            assert [shown.render_line(y).text.rstrip() for y in range(shown.size.height)] == ["x" * width, "x", "end"]
            await pilot.resize_terminal(width + 2, 20)
            await pilot.pause()
            assert shown.size.height == 2

    asyncio.run(go())


def test_what_is_huge_is_cut() -> None:
    shown = difference(["+" + "x" * 5_000] * (MAX_LINES + 3))
    assert str(shown[-1]) == "… and 3 lines more"
    assert len(shown) == MAX_LINES + 1
    assert max(len(line) for line in shown) < 5_000
    assert Content("\n").join(shown).spans
