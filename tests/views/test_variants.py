"""Wherever a comparison is shown, it says which of its models are the same weights."""

from __future__ import annotations

import json
from dataclasses import replace

from promptlab.views.exports import write_json
from promptlab.views.markdown import write_markdown
from promptlab.views.report.page import write_report
from promptlab.views.sections import Layout, as_lines, comparison_page
from tests.views.comparisons import MADE_AT, made_up

PLAIN = made_up(("answer",), ("tiny", "tiny-q8"), samples=1, cases=3)
FOUND = replace(PLAIN, variants=(("tiny", "tiny-q8"),))
SAID = "tiny, tiny-q8: same weights, other packaging."


def test_on_a_terminal_and_in_a_pipe() -> None:
    for layout in (Layout(80), Layout()):
        assert SAID in as_lines(comparison_page(FOUND, layout).summary).splitlines()
        assert "same weights" not in as_lines(comparison_page(PLAIN, layout).summary)


def test_in_documents() -> None:
    assert SAID in write_markdown(FOUND).splitlines()
    assert f'<p class="note">{SAID}</p>' in write_report(FOUND, title="x", made_at=MADE_AT)
    assert "same weights" not in write_report(PLAIN, title="x", made_at=MADE_AT)
    assert json.loads(write_json(FOUND))["variants"] == [["tiny", "tiny-q8"]]
