from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.color import Color
from textual.widget import Widget
from textual.widgets import TextArea

from promptlab.engine.fake import FakeEngine
from promptlab.tui.colours import State, scan
from promptlab.tui.theme import DARK, LIGHT
from promptlab.tui.widgets.options import OptionsPane
from tests.tui.kit import Player, playing

READABLE = 4.5
"""Of two colours: what is asked of text of this size."""


@pytest.mark.parametrize(
    ("line", "state", "expected", "after"),
    [
        ("---", "start", "mark:---", "front"),
        ("---", "front", "mark:---", "text"),
        ("a {{ b }}", "start", "mark:{{ name:b mark:}}", "text"),
        ("inputs: {n: 3, s: 'x'} #y", "front", "key:inputs: key:n: number:3 key:s: string:'x' comment:#y", "front"),
        ("  tone(enum): [plain, true]", "front", "key:tone(enum): word:true", "front"),
        ("it's a don't", "front", "", "front"),
        ("{% generate x n=2 %}", "text", "mark:{% word:generate name:x key:n number:2 mark:%}", "text"),
        ("{%- if a and 'b' -%} c", "text", "mark:{%- word:if name:a word:and string:'b' mark:-%}", "text"),
        ("{#one", "text", "comment:{#one", "comment"),
        ("two#} {{ x", "comment", "comment:two#} mark:{{ name:x", "value"),
        ("{%", "text", "mark:{%", "open"),
        ("user %}{% raw %}{{ x }}", "open", "word:user mark:%} mark:{% word:raw mark:%}", "raw"),
        ("{{ x }} {% endraw %}", "raw", "mark:{% word:endraw mark:%}", "text"),
        ("", "value", "", "value"),
    ],
)
def test_parts(line: str, state: State, expected: str, after: State) -> None:
    spans, then = scan(line, state)
    assert " ".join(f"{s.kind}:{line[s.start : s.end]}" for s in spans) == expected
    assert then == after


@pytest.mark.parametrize("state", ["front", "text", "open", "value", "raw", "comment"])
@pytest.mark.parametrize("piece", ['"', "'a", "a ", "{%", "{{ a=", "\\", "1.", "a: ", "{% raw"])
def test_parts_follow_each_other_in_any_text(piece: str, state: State) -> None:
    line = piece * 300
    spans, _ = scan(line, state)
    ends = [0, *(s.end for s in spans)]
    assert all(end <= s.start < s.end <= len(line) for end, s in zip(ends, spans, strict=False))


def luminance(colour: Color) -> float:
    """As WCAG has it."""
    parts = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(player: Player, widget: Widget, text: str) -> float:
    """Between a text where a widget stands and what lies behind it, as they are drawn."""
    left, top, width, height = widget.region
    strips = player.app.screen._compositor.render_strips()[top : top + height]
    for segment in (segment for strip in strips for segment in strip.crop(left, left + width)):
        if text in segment.text:
            assert segment.style is not None
            assert segment.style.color is not None
            assert segment.style.bgcolor is not None
            colours = (segment.style.color, segment.style.bgcolor)
            dark, light = sorted(luminance(Color.from_rich_color(colour)) for colour in colours)
            return (light + 0.05) / (dark + 0.05)
    raise AssertionError(f"{text!r} is not drawn")


@pytest.mark.parametrize("theme", [DARK.name, LIGHT.name])
def test_what_an_empty_field_says_can_be_read(library: Path, engine: FakeEngine, theme: str) -> None:
    async def go() -> None:
        async with playing(library, engine, (120, 40)) as player:
            player.app.theme = theme
            await player.choose("explain")
            options = player.play.query_one(OptionsPane)
            options.enter()
            await player.until(lambda: options._lines["temperature"].has_focus, "the options")
            await player.pilot.pause()
            for line in options._lines.values():
                assert contrast(player, line, line.placeholder[1:]) >= READABLE  # one of them has the cursor on it
            for name, says in (("topic", "equired"), ("audience", "a child")):
                assert contrast(player, player.field(name).control, says) >= READABLE
            field = player.field("topic")
            await field._swap("area", "")
            area = field.query_one(TextArea)
            await player.pilot.pause()
            assert contrast(player, area, "required") >= READABLE
            area.focus()
            await player.pilot.pause()
            assert contrast(player, area, "equired") >= READABLE

    asyncio.run(go())
