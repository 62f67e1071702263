"""A comparison as it fills: the state of every cell, and which cases to show of it, in which order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from promptlab.core.baseline import Change, Regressions
from promptlab.core.case import Case
from promptlab.core.compare import Column, Result

Progress = Literal["waiting", "running", "answered", "pass", "fail", "unscored", "error"]
"""`answered`: there is an answer, but no verdict on it yet. What follows that is final."""
Order = Literal["file", "worst", "split", "column", "name"]
"""`file`: as in the case files. `worst`: the lowest pass rate over all columns first. `split`: where columns differ
most first. `column`: the lowest pass rate of one column first."""
Place = tuple[int, int, int]
"""Column, case and sample."""

MAX_TEXT = 20_000
"""Characters of a case that are searched."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One sample of a cell."""

    state: Progress = "waiting"
    cached: bool = False
    """It was answered before."""
    result: Result | None = None
    """Once it is answered."""


WAITING = Slot()
RUNNING = Slot("running")


@dataclass(frozen=True, slots=True)
class View:
    """Which cases are shown, and in which order."""

    columns: tuple[int, ...]
    """Those that are shown: only they count."""
    failing: bool = False
    """Only cases that fail, or end with an error, in one of the columns."""
    splitting: bool = False
    """Only cases to which columns say different things."""
    worse: bool = False
    """Only cases that got worse in one of the columns than a baseline."""
    text: str = ""
    """Only cases that have this in their id, description or variables."""
    order: Order = "file"
    column: int = 0
    """The one that decides the order `column`."""


class Matrix:
    """The cells of a comparison, kept up to date one by one."""

    def __init__(self, columns: Sequence[Column], cases: Sequence[Case], samples: int) -> None:
        self.columns = tuple(columns)
        self.cases = tuple(cases)
        self.samples = samples
        self.answered = [0] * len(self.columns)
        """How many cells of each column are answered, errors included."""
        self.errors = [0] * len(self.columns)
        self.agreement: dict[int, float | None] = {}
        """By case: how probable it is that two columns say the same."""
        self.changes: dict[tuple[int, int], Change] = {}
        """By column and case: then and now, where it was held against a baseline."""
        self._cells: dict[tuple[int, int], list[Slot]] = {}
        self._texts: dict[int, str] = {}

    @property
    def size(self) -> int:
        """How many cells there are, every sample counted."""
        return len(self.columns) * len(self.cases) * self.samples

    @property
    def results(self) -> tuple[Result, ...]:
        """What is answered, in no order."""
        return tuple(slot.result for slots in self._cells.values() for slot in slots if slot.result is not None)

    def cell(self, column: int, case: int) -> Sequence[Slot]:
        """The samples of one cell."""
        return self._cells.get((column, case)) or (WAITING,) * self.samples

    def begin(self, place: Place) -> None:
        """A cell is being answered."""
        slots, sample = self._at(place)
        if slots[sample].result is None:
            slots[sample] = RUNNING

    def put(self, result: Result, *, final: bool) -> None:
        """A cell is answered; unless `final`, its verdict comes later."""
        slots, sample = self._at((result.column, result.case, result.sample))
        before = slots[sample]
        state: Progress = result.state if final or result.state == "error" else "answered"
        slots[sample] = Slot(state, result.cached, result)
        self.answered[result.column] += before.result is None
        self.errors[result.column] += (state == "error") - (before.state == "error")

    def halt(self) -> None:
        """Nothing is being answered any more."""
        for slots in self._cells.values():
            for sample, slot in enumerate(slots):
                if slot is RUNNING:
                    slots[sample] = WAITING

    def agree(self, found: Mapping[int, float | None]) -> None:
        """Take how far columns agree on some cases."""
        self.agreement |= found

    def hold(self, found: Regressions | None) -> None:
        """Take what became of its cells since a baseline; None where there is none."""
        columns = {column.name: place for place, column in enumerate(self.columns)}
        cases = {case.id: place for place, case in enumerate(self.cases)}
        self.changes = {
            (columns[each.now.name], cases[change.case]): change
            for each in (found.columns if found else ())
            for change in each.cases
            if change.now is not None
        }

    def rate(self, column: int, case: int) -> float | None:
        """How many of a cell's samples pass, of those with a verdict; an error does not."""
        states = [slot.state for slot in self.cell(column, case) if slot.state in ("pass", "fail", "error")]
        return states.count("pass") / len(states) if states else None

    def fails(self, column: int, case: int) -> bool:
        """Whether a sample of a cell fails, or ended with an error."""
        return any(slot.state in ("fail", "error") for slot in self._cells.get((column, case), ()))

    def splits(self, case: int) -> bool:
        """Whether columns say different things to a case."""
        agreement = self.agreement.get(case)
        return agreement is not None and agreement < 1

    def worse(self, column: int, case: int) -> bool:
        """Whether fewer of a cell's samples pass than in the baseline."""
        change = self.changes.get((column, case))
        return change is not None and change.kind in ("broken", "worse")

    def text(self, case: int) -> str:
        """What a case is searched by."""
        if case not in self._texts:
            found = self.cases[case]
            given = (v if isinstance(v, str) else json.dumps(v, default=str) for v in found.vars.values())
            self._texts[case] = " ".join((found.id, found.description, *given))[:MAX_TEXT].casefold()
        return self._texts[case]

    def _at(self, place: Place) -> tuple[list[Slot], int]:
        column, case, sample = place
        return self._cells.setdefault((column, case), [WAITING] * self.samples), sample


def arrange(matrix: Matrix, view: View) -> tuple[int, ...]:
    """The cases that a view shows, by their places."""
    wanted = view.text.casefold()
    shown = [
        case
        for case in range(len(matrix.cases))
        if (not view.failing or any(matrix.fails(column, case) for column in view.columns))
        and (not view.splitting or matrix.splits(case))
        and (not view.worse or any(matrix.worse(column, case) for column in view.columns))
        and (not wanted or wanted in matrix.text(case))
    ]
    match view.order:
        case "worst":
            shown.sort(key=lambda each: _mean(matrix.rate(column, each) for column in view.columns))
        case "split":
            shown.sort(key=lambda each: _known(matrix.agreement.get(each)))
        case "column":
            shown.sort(key=lambda each: _known(matrix.rate(view.column, each)))
        case "name":
            shown.sort(key=lambda each: matrix.cases[each].id.casefold())
    return tuple(shown)


def _mean(rates: Iterable[float | None]) -> float:
    known = [rate for rate in rates if rate is not None]
    return sum(known) / len(known) if known else 2.0


def _known(share: float | None) -> float:
    """What nothing is known of comes last."""
    return 2.0 if share is None else share
