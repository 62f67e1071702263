"""A run as it stands: the cell of each job, kept up to date event by event. What columns are drawn from."""

from __future__ import annotations

from collections.abc import Iterable

from promptlab.core.events import (
    Answered,
    Asked,
    Embedded,
    Event,
    Failed,
    Finished,
    Loading,
    Measured,
    Ready,
    Started,
    Token,
)
from promptlab.core.job import Job
from promptlab.core.record import Cell, Record, fold


class Board:
    """The cells of a run. `take` each event; `cells` may be read from another thread meanwhile."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._cells = {job.id: Cell(job) for job in jobs}
        self._owners: dict[int, int] = {}
        """Sequence to job: a token must not cost a look at every cell."""
        self.running = len(self._cells)
        """Jobs that have not ended."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, in the order of the jobs."""
        return tuple(self._cells.values())

    @property
    def records(self) -> list[Record]:
        """The records of the jobs that have ended, in the order of the jobs."""
        return [cell.record for cell in self.cells if cell.record is not None]

    def cell(self, job: Job) -> Cell:
        """A job as it stands."""
        return self._cells[job.id]

    def take(self, event: Event) -> list[Cell]:
        """Fold an event into the cells that it is about and that have not ended; give them as they are now."""
        if isinstance(event, Asked):
            self._owners[event.seq] = event.job
        open_ = [job for job in self._about(event) if self._cells[job].record is None]
        for job in open_:
            self._cells[job] = fold(self._cells[job], event)
        if isinstance(event, Finished):
            self.running -= len(open_)
        return [self._cells[job] for job in open_]

    def _about(self, event: Event) -> list[int]:
        match event:
            case Asked(job=job) | Finished(job=job):
                return [job]
            case Loading(model=model) | Ready(model=model) | Failed(model=model, seq=None):
                return [id for id, cell in self._cells.items() if cell.job.model.name == model]
            case Started(seq=seq) | Token(seq=seq) | Answered(seq=seq) | Failed(seq=int(seq)):
                # What is not the job's running sequence is left over from something earlier.
                owner = self._owners.get(seq)
                return [] if owner is None or self._cells[owner].seq != seq else [owner]
            case Measured() | Embedded():
                return []
        raise AssertionError(f"{type(event).__name__} is not an event")
