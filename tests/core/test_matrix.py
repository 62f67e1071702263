"""The matrix as it fills, and what is shown of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from promptlab.core.baseline import Baseline, KeptColumn, Tally, compare_baseline
from promptlab.core.case import Case
from promptlab.core.compare import Column, Result, compare
from promptlab.core.events import Failure
from promptlab.core.matrix import RUNNING, Matrix, View, arrange
from promptlab.core.record import ModelRef, PromptRef, Record
from promptlab.core.verdict import Verdict

CASES = [Case("rain", {"topic": "Drops of water"}), Case("snow", {"n": 3}), Case("fog"), Case("Ash")]
VIEW = View((0, 1))
THEN = {"fog": Tally(1, 1), "rain": Tally(0, 1), "snow": Tally(1, 1), "gone": Tally(1, 1), "Ash": Tally(1, 1)}
KEPT = Baseline((KeptColumn("p", "p", "b", THEN),))


def result(column: int, case: int, outcome: str, *, sample: int = 0, cached: bool = False) -> Result:
    prompt, model = PromptRef("p", "p", "h", ""), ModelRef("m", None, None)
    failure = Failure("EngineError", "broke") if outcome == "error" else None
    record = Record(1, "id", "key", "", prompt, None, {}, sample, 0, {}, model, None, (), "", error=failure)
    verdict = Verdict("unscored" if outcome == "error" else outcome, None)  # type: ignore[arg-type]
    return Result(column, case, sample, record, verdict, cached)


@pytest.fixture
def matrix() -> Matrix:
    made = Matrix([Column("p", "a"), Column("p", "b")], CASES, 1)
    outcomes = {(0, 0): "pass", (1, 0): "pass", (0, 1): "fail", (1, 1): "pass", (0, 2): "error", (1, 2): "fail"}
    for (column, case), outcome in outcomes.items():
        made.put(result(column, case, outcome), final=True)
    made.agree({0: 1.0, 1: 0.5, 2: None})
    made.hold(compare_baseline(KEPT, compare(made.columns, made.cases, made.results)))
    return made


def test_a_cell_waits_runs_and_is_answered() -> None:
    matrix = Matrix([Column("p", "a")], CASES, 2)
    assert [slot.state for slot in matrix.cell(0, 1)] == ["waiting", "waiting"]
    matrix.begin((0, 1, 1))
    assert matrix.cell(0, 1)[1] is RUNNING
    matrix.put(result(0, 1, "pass", sample=1), final=False)
    matrix.begin((0, 1, 1))  # too late
    matrix.begin((0, 1, 0))
    assert [slot.state for slot in matrix.cell(0, 1)] == ["running", "answered"]
    matrix.halt()
    matrix.put(result(0, 1, "fail", sample=1, cached=True), final=True)
    assert [(slot.state, slot.cached) for slot in matrix.cell(0, 1)] == [("waiting", False), ("fail", True)]
    assert (matrix.answered, matrix.errors, matrix.size) == ([1], [0], 8)


def test_an_error_is_counted_once_and_can_be_mended() -> None:
    matrix = Matrix([Column("p", "a")], CASES, 1)
    for _ in range(2):
        matrix.put(result(0, 0, "error"), final=False)
    assert (matrix.cell(0, 0)[0].state, matrix.answered, matrix.errors) == ("error", [1], [1])
    matrix.put(result(0, 0, "pass"), final=True)
    assert (matrix.answered, matrix.errors) == ([1], [0])


def test_what_became_of_its_cells_since_a_baseline(matrix: Matrix) -> None:
    became = {at: change.kind for at, change in matrix.changes.items()}
    assert became == {(1, 0): "better", (1, 1): "same", (1, 2): "broken"}  # of Ash there is no answer
    matrix.hold(None)
    assert matrix.changes == {}


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, (0, 1, 2, 3)),
        ({"failing": True}, (1, 2)),
        ({"failing": True, "columns": (1,)}, (2,)),
        ({"splitting": True}, (1,)),
        ({"worse": True}, (2,)),
        ({"worse": True, "columns": (0,)}, ()),
        ({"text": "WATER"}, (0,)),
        ({"text": "sno"}, (1,)),
        ({"text": "3", "failing": True}, (1,)),
        ({"order": "worst"}, (2, 1, 0, 3)),
        ({"order": "split"}, (1, 0, 2, 3)),
        ({"order": "column", "column": 0}, (1, 2, 0, 3)),
        ({"order": "column", "column": 1}, (2, 0, 1, 3)),
        ({"order": "name"}, (3, 2, 0, 1)),
    ],
)
def test_what_a_view_shows(matrix: Matrix, changes: dict[str, object], shown: tuple[int, ...]) -> None:
    assert arrange(matrix, replace(VIEW, **changes)) == shown  # type: ignore[arg-type]
