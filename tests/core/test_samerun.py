from __future__ import annotations

import pytest

from promptlab.core.samerun import GAP_S, Span, same_run


def span(id: str, start: float, end: float, column: str = "") -> Span:
    return Span(id, (column or id, "m", 0), start, end)


@pytest.mark.parametrize(
    ("spans", "runs"),
    [
        ([span("a", 0, 5), span("b", 1, 9), span("c", 2, 3)], ["abc"]),
        ([span("a", 0, 5), span("b", 5 + GAP_S, 99)], ["ab"]),
        ([span("a", 0, 5), span("b", 6 + GAP_S, 99)], ["a", "b"]),
        # The second model is loaded when the first has answered, however long that took.
        ([span("a", 0, 500), span("b", 1, 2), span("c", 520, 530)], ["abc"]),
        # Twice within a minute: a run has each column once.
        ([span("a", 0, 1, "x"), span("b", 1, 2, "y"), span("c", 3, 4, "x"), span("d", 4, 5, "y")], ["ab", "cd"]),
        ([span("b", 1, 2), span("a", 0, 1)], ["ab"]),
    ],
)
def test_which_records_are_of_one_run(spans: list[Span], runs: list[str]) -> None:
    for run in runs:
        for id in run:
            assert same_run(spans, id) == list(run)


def test_a_record_that_is_not_among_them_is_alone() -> None:
    assert same_run([], "x") == ["x"]
    assert same_run([span("a", 0, 1)], "x") == ["x"]
