from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import Select

from promptlab.app.run import Typed
from promptlab.core.prompt import Input
from promptlab.engine.fake import FakeEngine
from promptlab.tui import fields
from promptlab.tui.widgets.field import Area, Box, Line
from tests.tui.kit import playing

EVERY = """\
---
description: Every kind of input.
inputs:
  claim: string, the statement to judge
  audience: {type: string, default: a curious reader}
  text: string, a passage
  tone(enum, how to speak): [plain, warm, stern]
  size: {enum: [1, 2.5, "x", null], default: 2.5}
  deep: boolean, go into detail
  brief: {type: boolean, default: true}
  n: {type: integer, minimum: 1, maximum: 9, default: 3, description: how many}
  ratio: number
  tags(array, words to use): string
  who?(object):
    name: string
  style?: string
---
{{ claim }}|{{ audience }}|{{ text }}|{{ tone }}|{{ size }}
{{ deep }}|{{ brief }}|{{ n }}|{{ ratio }}|{{ tags | join(",") }}
"""


def declared(schema: dict[str, Any], *, name: str = "x", required: bool = False) -> Input:
    return Input(name, schema, required and "default" not in schema)


@pytest.mark.parametrize(
    ("schema", "name", "kind"),
    [
        ({"type": "string"}, "topic", "line"),
        ({}, "topic", "line"),
        ({"type": "string"}, "text", "area"),
        ({"type": "string", "default": "a\nb"}, "x", "area"),
        ({"type": "string", "maxLength": 4000}, "x", "area"),
        ({"type": "string", "maxLength": 20}, "x", "line"),
        ({"type": "string", "format": "multiline"}, "x", "area"),
        ({"enum": ["a", 1]}, "x", "choice"),
        ({"type": "boolean"}, "x", "switch"),
        ({"type": "integer"}, "x", "number"),
        ({"type": "number"}, "x", "number"),
        ({"type": "array"}, "x", "json"),
        ({"type": "object"}, "x", "json"),
        ({"type": ["string", "null"]}, "x", "json"),
        ({"anyOf": [{"type": "string"}]}, "x", "json"),
    ],
)
def test_the_control_suits_the_type(schema: dict[str, Any], name: str, kind: str) -> None:
    assert fields.kind_of(declared(schema, name=name)) == kind


@pytest.mark.parametrize(
    ("schema", "required", "text", "given"),
    [
        ({"type": "string"}, True, "", False),
        ({"type": "string"}, False, "", False),
        ({"type": "string"}, True, "a", True),
        ({"type": "string", "default": "a"}, False, "a", False),
        ({"type": "string", "default": "a"}, False, "", True),
        ({"type": "string", "default": ""}, False, "", False),
        ({"type": "integer", "default": 3}, False, "", False),
        ({"type": "integer", "default": 3}, False, "4", True),
    ],
)
def test_nothing_typed_is_nothing_given(schema: dict[str, Any], required: bool, text: str, given: bool) -> None:
    assert fields.is_given(declared(schema, required=required), text) is given


@pytest.mark.parametrize(
    ("schema", "text", "wrong"),
    [
        ({"type": "integer"}, "3", None),
        ({"type": "integer"}, "3.0", None),
        ({"type": "integer"}, "3.5", "wants integer"),
        ({"type": "integer"}, "true", "wants integer"),
        ({"type": "integer"}, "x", "wants integer, as JSON; got 'x'"),
        ({"type": "integer", "minimum": 1}, "0", "wants at least 1"),
        ({"type": "number", "maximum": 1}, "1.5", "wants at most 1"),
        ({"type": "number"}, "NaN", "wants number, as JSON; got 'NaN'"),
        ({"type": "array"}, "[1", "wants array, as JSON; got '[1'"),
        ({"type": "array"}, "{}", "wants array"),
        ({"type": "object"}, '{"a": 1}', None),
        ({"type": "string"}, "anything", None),
        ({"type": "integer"}, " ", None),
    ],
)
def test_what_is_wrong_is_seen_as_one_types(schema: dict[str, Any], text: str, wrong: str | None) -> None:
    assert fields.complaint(declared(schema), text) == wrong


@pytest.mark.parametrize(
    ("schema", "required", "hint"),
    [
        ({"type": "string"}, True, "required"),
        ({"type": "integer", "minimum": 1}, False, "optional"),
        ({"type": "array"}, True, 'required · JSON: ["a", "b"]'),
        ({"type": "object"}, False, 'optional · JSON: {"a": 1}'),
        ({"type": ["string", "null"]}, True, 'required · JSON: "a text", or null'),
        ({"anyOf": []}, True, "required · JSON"),
        ({"type": "array", "default": []}, False, "default: []"),
    ],
)
def test_an_empty_control_says_what_to_type(schema: dict[str, Any], required: bool, hint: str) -> None:
    assert fields.placeholder(declared(schema, required=required)) == hint


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"minimum": 1, "maximum": 9}, "1 to 9"),
        ({"minimum": 0}, "from 0"),
        ({"maximum": 0.5}, "up to 0.5"),
        ({"minimum": "x", "maximum": True}, ""),
    ],
)
def test_the_range_of_a_number_is_said(schema: dict[str, Any], words: str) -> None:
    assert fields.bounds(schema) == words


def test_what_was_typed_for_an_input_that_has_changed_since_is_left_out(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "tone.jinja").write_text("---\ninputs: {tone(enum): [a, b], deep: boolean}\n---\n{{ tone }}")

    async def go() -> None:
        async with playing(library, engine) as player:
            player.form.restore({"tone": {"tone": 7, "deep": "x"}})
            await player.choose("tone")
            assert (player.field("tone").draft, player.field("deep").draft) == (Select.NULL, False)
            assert "deep *  boolean · no" in player.text()
            player.field("deep").control.focus()
            assert player.within(player.field("deep").control) == "[ ]"
            await player.press("space")
            await player.until(lambda: "deep *  boolean · yes" in player.text())
            await player.until(lambda: player.within(player.field("deep").control) == "[x]")

    asyncio.run(go())


def test_every_kind_of_input_reaches_the_prompt(library: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "every.jinja").write_text(EVERY)

    async def go() -> None:
        async with playing(library, engine, (200, 120)) as player:
            await player.choose("every")
            kinds = {f.declared.name: type(f.control) for f in player.form.query("Field")}  # type: ignore[attr-defined]
            assert kinds["claim"] is Line
            assert kinds["text"] is Area
            assert kinds["tone"] is Select
            assert kinds["deep"] is Box
            assert kinds["tags"] is Line
            text = player.text()
            for shown in ("claim *", "the statement to judge", "a curious reader", "how many", "optional", "choose…"):
                assert shown in text
            await player.press("enter")
            await player.type("cold")
            await player.press("tab", "tab", "a", "enter", "b", "tab")
            await player.press(
                "enter", "down", "down", "enter", "tab", "tab", "space", "tab", "tab", "backspace", "5", "tab"
            )
            await player.type("0.5")
            await player.press("tab")
            await player.type('["x", "y"]')
            values = player.form.values()
            assert values == {
                "claim": Typed("cold"),
                "text": Typed("a\nb"),
                "tone": "warm",
                "deep": True,
                "n": Typed("5"),
                "ratio": Typed("0.5"),
                "tags": Typed('["x", "y"]'),
            }
            await player.run()
            record = player.play.cells[0].record
            assert record is not None
            assert record.inputs == {
                "claim": "cold",
                "audience": "a curious reader",
                "text": "a\nb",
                "tone": "warm",
                "size": 2.5,
                "deep": True,
                "brief": True,
                "n": 5,
                "ratio": 0.5,
                "tags": ["x", "y"],
                "who": None,
                "style": None,
            }

    asyncio.run(go())


def test_a_wrong_value_is_marked_at_its_field(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "x")
            assert player.field("n").has_class("-wrong")
            assert "wants integer" in player.within(player.field("n"))
            await player.press("backspace", "4")
            assert not player.field("n").has_class("-wrong")

    asyncio.run(go())


def test_several_lines_pasted_turn_a_line_into_an_area(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("enter", "a", "b", "left")
            field = player.field("topic")
            field.control.post_message(events.Paste("one\ntwo\x1b[31m"))
            await player.until(lambda: isinstance(field.control, Area) and field.control.is_mounted)
            await player.pilot.pause()
            assert field.draft == "aone\ntwo␛[31mb"
            assert field.control.has_focus
            await player.press("ctrl+r")
            await player.ended()
            record = player.play.cells[0].record
            assert record is not None
            assert record.inputs["topic"] == "aone\ntwo␛[31mb"

    asyncio.run(go())


def test_a_single_pasted_line_stays_one(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("enter")
            player.field("topic").control.post_message(events.Paste("one \u202etwo\n"))
            await player.until(lambda: player.field("topic").draft)
            assert player.field("topic").draft == "one <U+202E>two"

    asyncio.run(go())


def test_a_default_that_cannot_be_shown_as_it_is_stays_as_it_is(library: Path, engine: FakeEngine) -> None:
    source = '---\ninputs:\n  a: {type: string, default: "x\\e[31m"}\n---\n{{ a }}\n'
    (library / "prompts" / "raw.jinja").write_text(source)

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("raw")
            assert player.field("a").draft == "x␛[31m"
            assert player.form.values() == {}
            await player.run()
            record = player.play.cells[0].record
            assert record is not None
            assert record.inputs == {"a": "x\x1b[31m"}

    asyncio.run(go())


def test_what_was_typed_outlives_a_source_that_cannot_be_read_for_a_while(library: Path, engine: FakeEngine) -> None:
    file = library / "prompts" / "explain.jinja"
    text = file.read_text()

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.choose("explain")
            await player.press("enter", *"sleet")
            file.write_text("---\nbad: [\n")
            player.app.look()
            await player.until(lambda: player.form.prompt_name is None, "the problem")
            file.write_text(f"{text} ")
            player.app.look()
            await player.until(lambda: player.form.prompt_name == "explain", "the fields")
            assert player.field("topic").draft == "sleet"

    asyncio.run(go())
