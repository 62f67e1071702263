"""The batch screen: a comparison is held against a baseline, or kept as one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from textual import on
from textual.content import Content
from textual.widgets import Static

from promptlab.core.text import sanitize
from promptlab.tui import show
from promptlab.tui.batch_words import since
from promptlab.tui.desk import Desk, Task
from promptlab.tui.screens.batch_table import BatchTable
from promptlab.tui.widgets.askline import AskLine

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.core.baseline import Regressions
    from promptlab.core.compare import Column, Comparison
    from promptlab.core.matrix import Matrix
    from promptlab.tui.widgets.setup import Draft


Held: TypeAlias = "tuple[Regressions | None, Content]"
"""What came of a baseline, and how it is said."""


class BatchBaseline(BatchTable):
    """What got worse, and better. A baseline that was chosen holds for what is compared next, too."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.baseline: Path | None = None
        """What is compared against."""
        self.held: Regressions | None = None
        """What became of it; None while the comparison goes on."""

    # --- holding against it ------------------------------------------------------------------------------------------

    def laid_out(self) -> None:
        """Say at once where the baseline has nothing to hold these columns against."""
        super().laid_out()
        self._hold()

    def watch_phase(self) -> None:
        """Hold it against the baseline as soon as it does not go on."""
        super().watch_phase()
        if self.phase == "checking":
            self.held = None
            self._say_of_it(Content(""))
        elif not self.active:
            self._hold()

    def _hold(self) -> None:
        if self.baseline is None or self.matrix is None:
            return
        work = partial(_check, self.baseline, self.matrix.columns)
        if not self.active:
            work = partial(_hold, self.baseline, self.found, self.matrix)
        self.desk.do(
            work, done=partial(self._heard_of_it, self.matrix), failed=self._unheld, lane="slow", key="batch.baseline"
        )

    def _heard_of_it(self, matrix: Matrix, held: Held) -> None:
        if matrix is self.matrix and not self.active:
            self._became(*held)

    def _unheld(self, reasons: tuple[str, ...]) -> None:
        self._became(None, show.line(" ".join(reasons), show.WARN))

    def _became(self, held: Regressions | None, words: Content) -> None:
        """Show what came of it, or why nothing did."""
        self.held = held
        self._say_of_it(words)
        if self.matrix is not None:
            self.matrix.hold(held)
            self.changed(set(range(len(self.matrix.cases))))

    def _say_of_it(self, words: Content) -> None:
        if self.baseline is not None:
            so_far = Content.styled("so far" if self.held and self.phase != "done" else "", show.WARN)
            name = show.line(f"{'' if self.held else 'baseline '}{show.path(self.baseline)}", show.DIM)
            self.query_one("#batch-baseline", Static).update(show.join([words, so_far, name]))
        self.set_class(self.baseline is not None, "-against")

    # --- choosing and keeping ----------------------------------------------------------------------------------------

    def action_baseline(self) -> None:
        """Ask which baseline to compare against."""
        self.query_one(AskLine).ask("baseline", "Compare against the baseline (empty: none)", self._usual())

    def action_keep(self) -> None:
        """Ask where to keep the comparison as a baseline."""
        self.query_one(AskLine).ask("keep", "Keep as the baseline", self._usual())

    def _usual(self) -> str:
        """The file that is meant most probably, as a shell takes it."""
        import shlex

        if self.baseline is not None:
            return shlex.quote(str(self.baseline))
        return shlex.quote(f"{name_of(self.asked) if self.asked else 'prompt'}.baseline.json")

    @on(AskLine.Given)
    def _named(self, event: AskLine.Given) -> None:
        if event.what == "baseline":
            self.desk.do(partial(_read, event.text), done=self._chosen, lane="slow", key="batch.baseline")
        elif event.what == "keep" and self.phase == "done" and self.found is not None and self.asked is not None:
            work = partial(_keep, event.text, self.found, self.asked.cases)
            self.desk.do(work, done=self._kept, lane="slow", key="batch.baseline")

    def _chosen(self, path: Path | None) -> None:
        self.baseline = path
        self._became(None, Content(""))
        self._hold()

    def _kept(self, path: Path) -> None:
        self.notify(sanitize(f"Kept as a baseline: {show.path(path.absolute())}"), markup=False)
        self._chosen(path)


def name_of(draft: Draft) -> str:
    """What a file of a comparison is called."""
    return "-".join(each.rpartition("/")[2] for each in (*draft.prompts[:2], *draft.cases[:1]))


def comparison_of(found: Comparison | None, matrix: Matrix) -> Comparison:
    """What came of it, or what there is so far."""
    from promptlab.app.batch import sum_up

    return found or sum_up(matrix.columns, matrix.cases, matrix.results)


# --- in the lab's thread ---------------------------------------------------------------------------------------------


def _place(text: str) -> Path | None:
    """The file that was named; None where nothing was typed. Raises UsageError."""
    from promptlab.core.typed import words
    from promptlab.errors import UsageError

    names = words(text, "the name of a file")
    if len(names) > 1:
        raise UsageError("One file is wanted: a name with blanks stands in quotes.")
    return Path(names[0]).expanduser() if names and names[0] else None


def _read(text: str, lab: Lab, task: Task[Path | None]) -> Path | None:
    """Read it once, so that what is wrong with it is said where it is chosen. Raises UsageError and SourceError."""
    from promptlab.app.baseline import read

    path = _place(text)
    if path is not None:
        read(path)
    return path


def _check(path: Path, columns: tuple[Column, ...], lab: Lab, task: Task[Held]) -> Held:
    """Whether there is something to hold these columns against. Raises UsageError and SourceError."""
    from promptlab.app.baseline import read, refuse_columns

    refuse_columns(read(path), columns)
    return None, Content("")


def _hold(path: Path, found: Comparison | None, matrix: Matrix, lab: Lab, task: Task[Held]) -> Held:
    """Read each time: the file may be another by now. Raises UsageError and SourceError."""
    from promptlab.app.baseline import hold_against, read

    held = hold_against(read(path), comparison_of(found, matrix))
    return held, since(held)


def _keep(text: str, found: Comparison, cases: tuple[str, ...], lab: Lab, task: Task[Path]) -> Path:
    """Raises UsageError and StoreError."""
    from promptlab.app.baseline import keep
    from promptlab.errors import UsageError

    path = _place(text)
    if path is None:
        raise UsageError("No name was typed: nothing is kept.")
    keep(path, found, cases)
    return path
