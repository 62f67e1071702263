"""What the parts of the play screen share: its state, and how a run is begun and followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.reactive import var
from textual.screen import Screen

from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of, program
from promptlab.tui.state import PromptRow, Survey
from promptlab.tui.widgets.columns import Columns

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.run import Run
    from promptlab.core.board import Board
    from promptlab.core.job import Job
    from promptlab.core.record import Cell


class PlayState(Screen[None]):
    """Holds the state; the widgets show it. Each part of the screen is a class that adds its commands to this one."""

    survey: var[Survey | None] = var(None, init=False)
    prompts: var[tuple[PromptRow, ...]] = var((), init=False)
    chosen: var[PromptRow | None] = var(None, init=False)
    """The prompt that is marked."""
    versions: var[tuple[str, ...]] = var((), init=False)
    """Labels of the versions of that prompt which a run asks for; without any, the working copy."""
    looking: var[bool] = var(False, init=False, bindings=True)
    """Whether the prompt's source is shown in place of the answers."""
    samples: var[int] = var(1, init=False, bindings=True)
    reasons: var[tuple[str, ...]] = var((), init=False)
    """Why something could not be done."""
    cells: var[tuple[Cell, ...]] = var((), always_update=True, init=False)
    """What the columns show: of a run, or reopened from the history."""
    running: var[bool] = var(False, init=False, bindings=True)
    """From the moment a run is asked for until it has ended."""
    sidebar: var[bool] = var(True, init=False)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.turns: dict[str, str] = {}
        """Next turns that were begun, by the ids of the records that they go on from."""
        self.picked: dict[str, tuple[str, ...]] = {}
        """The versions that were chosen of each prompt; without any, the working copy is run."""
        self._board: Board | None = None
        """The run that is shown, while it goes on."""
        self._beside: tuple[Cell, ...] = ()
        """Columns that stay beside those of the run."""
        self._following: Task[None] | None = None
        self._narrow = False
        """Whether there was room for the sidebar or the answers only, when that was last seen."""
        self._gave_way = False
        """The sidebar is hidden for want of room: nobody has asked for that."""

    def begin(self, prepare: Callable[[Lab], Run], *, beside: bool = False) -> bool:
        """Run what `prepare` makes, and show it: in place of what is shown, or `beside` it. False while a run goes on.

        `prepare` is called in the lab's thread; what it raises is shown as reasons.
        """
        if self.running:
            cancel = key_of(self, "cancel")
            self.notify(f"One run at a time: {cancel} cancels this one.", severity="warning", markup=False)
            return False
        self.reasons = ()
        self.running = True
        self._beside = self.cells if beside else ()
        columns = self.query_one(Columns)
        columns.asked_from = columns.current.body if beside and columns.current is not None else None
        self._following = self.desk.do(
            partial(_perform, prepare),
            items=self._heard,
            done=lambda _: self._ended(),
            failed=self._ended,
            lane="play",
        )
        return True

    def stop(self) -> None:
        """End the run; what has been said stays."""
        if self._following is not None:
            self._following.cancel()

    def is_free(self) -> bool:
        """Whether other answers may take the place of what is here; where not, say why, whichever screen is shown."""
        there = key_of(self, "screen.play")
        if self.running:
            text = f"A run goes on in the play screen ({there}); there {key_of(self, 'cancel')} cancels it."
        elif any(getattr(each, "unsaved", False) for each in program(self).over_play):
            text = f"A window over the play screen ({there}) holds what is saved nowhere: close it first."
        else:
            return True
        self.notify(text, severity="warning", markup=False)
        return False

    def appear(self) -> None:
        """Be what is shown, with nothing over it: a view of other answers, say."""
        self.app.switch_mode("play")
        self.pop_until_active()

    def show_cells(self, cells: Sequence[Cell]) -> bool:
        """Show answers that are there already. False while a run goes on."""
        if self.running:
            self.notify(f"A run goes on: {key_of(self, 'cancel')} cancels it.", severity="warning", markup=False)
            return False
        self.cells = tuple(cells)
        self._answers_come()
        return True

    def place(self) -> None:
        """Show what is to be seen now. Not by a class on the screen: that would style every widget on it anew, which
        takes 300 ms with three columns.
        """
        narrow, answers = self.has_class("-narrow"), bool(self.cells)
        self.query_one("#sidebar").display = self.sidebar
        self.query_one("#main").display = not (narrow and self.sidebar)
        columns = self.query_one(Columns)
        columns.display = answers and not self.looking
        columns.bare = not self.sidebar
        self.query_one("#welcome").display = not answers and not self.looking
        self.query_one("#source").display = self.looking or not answers

    def give_way(self) -> None:
        """Where there is no room beside the sidebar, hide it until there is."""
        if self.has_class("-narrow") and self.sidebar:
            self.sidebar = False
            self._gave_way = True

    def follow_width(self) -> None:
        """Where it has become narrow, answers are what is to be seen; the sidebar comes back with its room."""
        narrow = self.has_class("-narrow")
        if narrow == self._narrow:
            return
        self._narrow = narrow
        if narrow and (self.cells or self.looking):
            self.give_way()
        elif not narrow and self._gave_way:
            self._gave_way = False
            self.sidebar = True

    def _heard(self, said: Sequence[Any]) -> None:
        """Take what a run says: first its jobs, then every event."""
        for each in said:
            if self._board is None:
                self._began(each)
            else:
                self._board.take(each)
        if self._board is not None:
            self.cells = (*self._beside, *self._board.cells)

    def _began(self, jobs: tuple[Job, ...]) -> None:
        from promptlab.core.board import Board  # here because it is slow to import; the lab has done so by now

        self._board = Board(jobs)
        self.reasons = ()
        self._answers_come()

    def _answers_come(self) -> None:
        self.looking = False
        self.give_way()

    def _ended(self, reasons: tuple[str, ...] = ()) -> None:
        """A run is over. Where it broke off, what had not ended has failed."""
        self.reasons = reasons
        self.running = False
        self._following = None
        self.query_one(Columns).asked_from = None
        if self._board is None:
            self.sidebar = True
            return
        cells, self._board = self._board.cells, None
        ended = (replace(c, status="failed") if reasons and c.record is None else c for c in cells)
        self.cells = (*self._beside, *ended)

    def watch_running(self, running: bool) -> None:
        """Say so in the title."""
        program(self).busy("play", "running" if running else "")


def _perform(prepare: Callable[[Lab], Run], lab: Lab, task: Task[None]) -> None:
    run = prepare(lab)
    task.on_cancel(run.cancel)
    task.say(run.jobs)
    for event in run.events():
        task.say(event)
