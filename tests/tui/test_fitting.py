"""What has no room is left out, or goes to the next line, as a whole."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.content import Content

from promptlab.engine.fake import FakeEngine
from promptlab.tui.fitting import Label, Row
from promptlab.tui.widgets.field import Line
from promptlab.tui.widgets.models import ModelList
from tests.tui.kit import playing


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (40, "● 3 of 9  about 23 s left  0.4/s  now"),
        (31, "● 3 of 9  about 23 s left  now"),
        (29, "● 3 of 9  about 23 s left"),
        (24, "● 3 of 9  0.4/s  now"),
        (9, "● 3 of 9"),
        (4, "● 3 of 9"),
    ],
)
def test_parts_without_room_are_left_out_of_a_row(width: int, shown: str) -> None:
    parts = ("● 3 of 9", "about 23 s left", "0.4/s", "now")
    row = Row(("  ", Content(part)) for part in parts)
    assert row.within(width).plain == shown
    assert row.whole.plain == "  ".join(parts)


def test_the_facts_below_a_title_are_not_broken() -> None:
    label = Label(
        Content("[x] a model"), [Content("· missing"), Content("apache-2.0"), Content("unpinned")], [], "    "
    )
    assert label.within(40).plain == "[x] a model\n    · missing · apache-2.0 · unpinned"
    assert label.within(33).plain == "[x] a model\n    · missing · apache-2.0\n    unpinned"
    assert label.get_height({}, 33) == 3
    assert label.whole.plain == label.within(40).plain


@pytest.mark.parametrize(
    ("width", "shown"), [(40, "each its own · models.yaml"), (25, "each its own"), (8, "each its own")]
)
def test_a_hint_says_the_parts_that_have_room(width: int, shown: str) -> None:
    class Small(App[None]):
        def compose(self) -> ComposeResult:
            yield Line("", placeholder="each its own · models.yaml")

    async def go() -> None:
        async with (app := Small()).run_test(size=(width, 3)) as pilot:
            await pilot.pause()
            assert app.query_one(Line).placeholder == shown

    asyncio.run(go())


def test_models_are_indented_where_they_take_more_lines(library: Path, engine: FakeEngine) -> None:
    models = library / "models.yaml"
    models.write_text(
        models.read_text() + "  gone:\n    sources: [/no/such.gguf]\n    license: a-license-with-a-long-name\n"
    )

    async def go() -> None:
        async with playing(library, engine, (80, 30)) as player:
            rows = player.play.query_one(ModelList)
            await player.until(lambda: "unpinned" in player.within(rows), "the models")
            lines = [
                line.split("│")[1].rstrip(" ▇▆▅▄▃▂▁█") for line in player.text().splitlines() if line.count("│") > 2
            ]
            at = lines.index("     · missing")
            assert lines[at + 1 : at + 3] == ["     a-license-with-a-long-name", "     unpinned"]

    asyncio.run(go())
