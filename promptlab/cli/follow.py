"""Follow a run: columns on a terminal, plain text in a pipe, a record a line; and Ctrl+C."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Protocol

from promptlab.app.run import Run
from promptlab.cli.output import console, print_json, say
from promptlab.core.board import Board
from promptlab.core.events import Event, Finished
from promptlab.core.job import Job
from promptlab.core.record import Cell, Record
from promptlab.views import columns as view
from promptlab.views.answer import answer, failure_line, labels

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

REFRESH_S = 0.1
"""Between two drawings; more when drawing itself takes long, so that it never takes more than a fifth of the time."""


class Watcher(Protocol):
    """Shows a run while it goes on. A context: what it drew on a terminal is in order again when it ends."""

    def __enter__(self) -> Watcher:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def see(self, board: Board, event: Event) -> None:
        """Something has happened; the board knows it already."""


def choose(json: bool, jsonl: bool, jobs: Sequence[Job]) -> Watcher:
    """The way to show a run that fits where standard output goes."""
    if json:
        return Progress(jobs)
    if jsonl:
        return Lines(jobs)
    return Columns(jobs) if sys.stdout.isatty() else Plain(jobs)


def follow(run: Run, watcher: Watcher) -> tuple[list[Record], bool]:
    """Do a run to its end. Returns the records in the order of the jobs, and whether it was interrupted."""
    with stopping(run) as pressed, watcher:
        for event in run.events():
            watcher.see(run.board, event)
    return run.board.records, bool(pressed)


class Cancellable(Protocol):
    """What Ctrl+C ends."""

    def cancel(self) -> None:
        """End it; what there is is kept."""
        ...


@contextmanager
def stopping(run: Cancellable) -> Iterator[list[int]]:
    """Ctrl+C once ends the run with what there is; a second time ends the program at once. Yields a list of signals.

    SIGTERM does the same: records are kept, and the terminal is in order again.
    """
    pressed: list[int] = []
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        for each in before:
            signal.signal(each, signal.default_int_handler)
        run.cancel()

    for each in before:
        signal.signal(each, stop)
    try:
        yield pressed
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class Progress:
    """For `--json`: counts on standard error, where that is a terminal, until there is data to print."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.names = labels([Cell(job) for job in jobs])
        self.done = 0
        self.status = console(stderr=True).status(self._count()) if sys.stderr.isatty() else None

    def __enter__(self) -> Progress:
        if self.status:
            self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.quiet()

    def see(self, board: Board, event: Event) -> None:
        """Count, and say what failed."""
        if not isinstance(event, Finished):
            return
        self.done += 1
        # That the user ended it, the user knows.
        if (error := event.record.error) and error.type != "Cancelled":
            self.quiet()
            reason = failure_line(error).removeprefix(f"{event.record.model.name}: ")  # some messages begin with it
            say(f"{self.names[event.job]}: {reason}")
        self.show(board, event)
        if self.status:
            self.status.update(self._count())

    def show(self, board: Board, event: Finished) -> None:
        """Print what is data; nothing here, since the document is printed when it is whole."""

    def quiet(self) -> None:
        """Count no more: a pipe may well lead to the same terminal, and what is drawn there must not mix with data."""
        if self.status:
            self.status.stop()
            self.status = None

    def _count(self) -> str:
        return f"{self.done} of {len(self.names)} done"


class Lines(Progress):
    """For `--jsonl`: a record a line, each as soon as it is there."""

    def show(self, board: Board, event: Finished) -> None:
        """Print it."""
        self.quiet()
        print_json(event.record, indent=None)


class Plain(Progress):
    """For a pipe: each answer below its name, in the order of the jobs; for one job only its answer."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__(jobs)
        self.printed = 0

    def show(self, board: Board, event: Finished) -> None:
        """Print what is next in order and has ended."""
        cells = board.cells
        while self.printed < len(cells) and (record := cells[self.printed].record):
            self.quiet()
            if len(cells) > 1:
                failed = f" ({cells[self.printed].status})" if record.error else ""
                print(f"{chr(10) if self.printed else ''}== {self.names[self.printed]}{failed}")
            if text := answer(record):
                print(text, end="" if text.endswith("\n") else "\n")
            sys.stdout.flush()
            self.printed += 1


class Columns:
    """For a terminal. Rows that are over, with all above them, are printed whole and for good; the others are live.

    All drawing happens here, between events: rich's own refreshing thread could draw at the same moment as a print
    above the live part, and then both would move the cursor up.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        from rich.live import Live

        self.console = console()
        self.board = Board(jobs)
        self.labels = labels(self.board.cells)
        self.printed = 0
        self.next = 0.0
        self.live = Live(self, console=self.console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[view.Sheet]:
        """Draw what is live, as it is at this moment."""
        yield view.Sheet(self._columns(self.printed), self._abreast(), max(1, options.size.height - 1))

    def __enter__(self) -> Columns:
        self.live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()
        self._print(len(self.labels))

    def see(self, board: Board, event: Event) -> None:
        """Print what is over; draw what is live, but not all the time."""
        self.board = board
        if isinstance(event, Finished):
            self._print(self.printed + view.finished(self._columns(self.printed), self._abreast()))
        if (start := time.monotonic()) >= self.next:
            self.live.refresh()
            now = time.monotonic()
            self.next = now + max(REFRESH_S, 4 * (now - start))

    def _columns(self, start: int, end: int | None = None) -> list[view.Column]:
        pairs = zip(self.labels[start:end], self.board.cells[start:end], strict=True)
        return [view.Column(label, cell) for label, cell in pairs]

    def _abreast(self) -> int:
        return view.per_row(len(self.labels), self.console.width)

    def _print(self, end: int) -> None:
        """Print columns for good, and take them out of the live part."""
        ready = self._columns(self.printed, end)
        self.printed = end
        if ready:
            self.console.print(view.Sheet(ready, self._abreast()))
