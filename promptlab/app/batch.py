"""A comparison, told as it goes on: which cells are answered, what they come to so far, and how long the rest takes.

It is the comparison of app/compare.py, to the last number; here it only says more on its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from promptlab.app.code import run_code
from promptlab.app.compare import Comparing, Request, prepare
from promptlab.app.lab import Lab
from promptlab.core.agreement import Said, split
from promptlab.core.case import Case
from promptlab.core.compare import Column, Comparison, Result, Summary, compare, summary
from promptlab.core.events import Asked, Event, Failed, Failure, Finished, Loading, Ready
from promptlab.core.job import Job
from promptlab.core.matrix import Place
from promptlab.core.pace import Count

SUM_UP_S = 0.5
"""Between two sums of what is there so far; more where summing up itself takes long."""
SHARE = 10
"""Of the time, summing up takes at most one part in so many."""
COUNT_S = 0.1
"""Between two counts."""


@dataclass(frozen=True, slots=True)
class Laid:
    """What is going to be answered."""

    columns: tuple[Column, ...]
    cases: tuple[Case, ...]
    samples: int
    jobs: Mapping[Place, Job]


@dataclass(frozen=True, slots=True)
class Began:
    """A cell is being answered."""

    place: Place


@dataclass(frozen=True, slots=True)
class Given:
    """A cell is answered."""

    result: Result
    final: bool
    """Whether its verdict is; otherwise it takes a measurement, or the answers of others."""


@dataclass(frozen=True, slots=True)
class Summed:
    """What there is comes to so far."""

    summaries: Mapping[int, Summary]
    """By column: those that have changed."""
    agreement: Mapping[int, float | None]
    """By case: how probable it is that two columns say the same, where that has changed."""


@dataclass(frozen=True, slots=True)
class Paced:
    """How far it has come."""

    what: str
    """That is counted: answers, then measurements."""
    done: int
    total: int
    cached: int
    """Answers that were in the history."""
    rate: float | None
    """In a second."""
    left: float | None
    """Seconds that the rest will take."""
    loading: str = ""
    """The model that is loaded at the moment."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A model cannot go on."""

    model: str
    failure: Failure


Telling: TypeAlias = Laid | Began | Given | Summed | Paced | Broken
Tell: TypeAlias = Callable[[Telling], object]


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of it."""

    comparison: Comparison
    """Of what there is: without cells that were not answered, where it was paused."""
    whole: bool
    """False where it was paused: cells are without an answer, or without their final verdict."""
    trouble: str = ""
    """Why a record could not be kept."""


def begin(lab: Lab, request: Request, ours: Set[str] = frozenset()) -> Comparing:
    """Check everything; nothing is loaded. `ours`: the records that this comparison came to before it was paused.

    Raises what `prepare` does.
    """
    comparing = prepare(lab, request, run_code)
    comparing.ours = ours
    return comparing


def follow(comparing: Comparing, tell: Tell, clock: Callable[[], float] = time.monotonic) -> Ended:
    """Do it, and tell. After `comparing.pause` it ends with what there is; `begin` goes on from there.

    Raises StoreError.
    """
    watch = _Watch(comparing, tell, clock)
    for event in comparing.events():
        watch.see(event)
    watch.sum_up()
    found = None if comparing.cancelled else comparing.judged(watch.measured)
    trouble = str(comparing.run.trouble or "")
    if found is None or comparing.cancelled:
        so_far = [given.result for given in watch.given.values()]
        return Ended(sum_up(comparing.columns, comparing.cases, so_far), False, trouble)
    watch.judged(found)
    return Ended(found, True, trouble)


def sum_up(columns: tuple[Column, ...], cases: tuple[Case, ...], results: Sequence[Result]) -> Comparison:
    """What there is comes to, before there is everything."""
    return compare(columns, cases, results)


class _Watch:
    """Tells what happens, and now and then what it comes to."""

    def __init__(self, comparing: Comparing, tell: Tell, clock: Callable[[], float]) -> None:
        self._comparing = comparing
        self._tell = tell
        self._clock = clock
        self.given: dict[Place, Given] = {}
        self._columns: list[list[Result]] = [[] for _ in comparing.columns]
        self._said: list[list[Said]] = [[] for _ in comparing.cases]
        self._changed: tuple[set[int], set[int]] = (set(), set())
        """Columns and cases that have been added to since they were last summed up."""
        self._count = Count(len(comparing.jobs), clock())
        self._measuring: Count | None = None
        """Once all is answered, and there is something to measure."""
        self._counted = clock()
        self._next_sum = self._counted + SUM_UP_S
        self._loading = ""
        jobs = {comparing.place(job.id): job for job in comparing.jobs}
        samples = len(jobs) // (len(comparing.columns) * len(comparing.cases))
        tell(Laid(comparing.columns, comparing.cases, samples, jobs))
        self._pace()

    def see(self, event: Event) -> None:
        """Tell what an event means for the matrix."""
        match event:
            case Loading(model=model):
                self._loading = model
            case Ready():
                self._loading = ""
            case Asked(job=job):
                self._tell(Began(self._comparing.place(job)))
            case Failed(model=model, seq=None, failure=failure):
                self._tell(Broken(model, failure))
            case Finished(job=job, record=record):
                if record.error is None or record.error.type != "Cancelled":
                    self._add(Given(*self._comparing.at_once(job, record)), free=job in self._comparing.cached)
            case _:  # a token: of those there are many
                return
        now = self._clock()
        if now - self._counted >= COUNT_S:
            self._pace()
        if now >= self._next_sum:
            self.sum_up()

    def _add(self, given: Given, *, free: bool) -> None:
        result = given.result
        self.given[result.column, result.case, result.sample] = given
        if given.final:
            self._columns[result.column].append(result)
        if result.record.error is None:
            self._said[result.case].append(Said(result.column, result.sample, result.record.output))
        self._changed[0].add(result.column)
        self._changed[1].add(result.case)
        self._count.one(free=free or result.record.id in self._comparing.ours)
        self._tell(given)

    def sum_up(self) -> None:
        """Tell what has changed in what there is."""
        began = self._clock()
        columns, cases = self._changed
        self._changed = (set(), set())
        agreement = {case: split(self._comparing.cases[case].id, self._said[case]).agreement for case in cases}
        self._tell(Summed({column: summary(self._columns[column]) for column in columns}, agreement))
        self._pace()
        now = self._clock()
        self._next_sum = now + max(SUM_UP_S, SHARE * (now - began))

    def measured(self, done: int, total: int) -> None:
        """Tell how many measurements are done."""
        if self._measuring is None:
            self._measuring = Count(total, self._clock())
        self._measuring.done = done
        if self._clock() - self._counted >= COUNT_S or done == total:
            self._pace()

    def judged(self, found: Comparison) -> None:
        """Tell the verdicts that had to wait."""
        for result in found.results:
            place = (result.column, result.case, result.sample)
            if place in self.given and not self.given[place].final:
                self._tell(Given(result, True))
        places = {case.id: place for place, case in enumerate(self._comparing.cases)}
        agreement = {places[each.case]: each.agreement for each in found.splits}
        self._tell(Summed(dict(enumerate(found.summaries)), agreement))
        self._measuring = None
        self._pace()

    def _pace(self) -> None:
        now = self._counted = self._clock()
        count, cached = self._measuring or self._count, len(self._comparing.cached)
        what = "measurements" if self._measuring else "answers"
        self._tell(Paced(what, count.done, count.total, cached, count.rate(now), count.left(now), self._loading))
