"""A case of a comparison, answered by many samples."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import Static

from promptlab.core.compare import Result
from promptlab.core.matrix import WAITING, Slot
from promptlab.core.verdict import Verdict
from promptlab.tui.widgets.casepage import MAX_SAID, AnswerPane
from tests.tui.test_columns import cell


class Page(App[None]):
    def compose(self) -> ComposeResult:
        yield AnswerPane(0)


def said(text: str, sample: int) -> Slot:
    record = cell(text, sample=sample).record
    assert record is not None
    return Slot("pass", result=Result(0, 0, sample, replace(record, output=text), Verdict("pass", 1.0)))


def test_a_pane_shows_what_can_be_read_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    updates: list[str] = []
    update = Static.update

    def counted(self: Static, content: Content, **named: bool) -> None:
        updates.append(content.plain)
        update(self, content, **named)

    async def go() -> None:
        async with Page().run_test(size=(80, 24)) as pilot:
            monkeypatch.setattr(Static, "update", counted)
            pane = pilot.app.query_one(AnswerPane)
            slots = [said(f"{sample} " + "word " * 300, sample) for sample in range(100)]
            pane.show(Content("alpha"), slots, None)
            shown = updates[-1]
            assert "sample 1/100" in shown
            assert MAX_SAID <= len(shown) < MAX_SAID + 4_000
            count = shown.count("sample ")
            assert shown.endswith(f"… and {100 - count} samples more: a written report has all of them")
            pane.show(Content("alpha"), list(slots), None)
            assert len(updates) == 1  # nothing is another
            pane.show(Content("alpha"), [*slots[:3], WAITING], None)
            assert len(updates) == 2
            assert updates[-1].count("sample ") == 4

    asyncio.run(go())
