"""The play screen: choose a prompt, fill in its inputs, tick models, and watch the answers come side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Footer

from promptlab.core.text import sanitize_line
from promptlab.tui.bindings import bindings
from promptlab.tui.desk import Began, Desk, Ended, Notice, Refused, Surveyed, Unopened
from promptlab.tui.state import PromptRow, Survey
from promptlab.tui.widgets.bars import Problems, TitleBar, Welcome
from promptlab.tui.widgets.column import Column
from promptlab.tui.widgets.columns import Columns
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.prompts import PromptList

if TYPE_CHECKING:
    from promptlab.core.board import Board
    from promptlab.core.job import Job
    from promptlab.core.record import Cell
    from promptlab.errors import PromptlabError

FRAME_S = 1 / 15
"""The shortest time between two looks at what the lab has said. Reading goes no faster, and drawing costs."""
MAX_SAMPLES = 16


class PlayScreen(Screen[None]):
    """Holds the state; the widgets show it."""

    BINDINGS = bindings("play")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (160, "-roomy")]  # noqa: RUF012

    survey: var[Survey | None] = var(None, init=False)
    prompts: var[tuple[PromptRow, ...]] = var((), init=False)
    chosen: var[PromptRow | None] = var(None, init=False)
    """The prompt that is marked."""
    samples: var[int] = var(1, init=False, bindings=True)
    reasons: var[tuple[str, ...]] = var((), init=False)
    """Why something could not be done."""
    cells: var[tuple[Cell, ...]] = var((), always_update=True, init=False)
    running: var[bool] = var(False, init=False, bindings=True)
    """From the moment a run is asked for until it has ended."""
    sidebar: var[bool] = var(True, init=False)

    class Nudge(Message):
        """The lab has said something."""

        bubble = False

        def can_replace(self, message: Message) -> bool:
            """One is as good as a thousand."""
            return isinstance(message, PlayScreen.Nudge)

    class Unopened(Message):
        """The library cannot be opened."""

        def __init__(self, error: PromptlabError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._pause: Timer | None = None
        """Runs while it is too early to look again."""
        self._nudged = False
        self._count = 0
        """Of columns, when the keys were last shown."""
        self._board: Board | None = None
        """The run that is shown."""

    def compose(self) -> ComposeResult:
        """Sidebar and answers between the title and the keys."""
        yield TitleBar().data_bind(PlayScreen.survey, PlayScreen.running)
        with Horizontal(id="body"):
            with Vertical(id="sidebar"):
                yield PromptList(id="prompts").data_bind(rows=PlayScreen.prompts)
                with Vertical(id="ask"):
                    yield Form(id="form").data_bind(row=PlayScreen.chosen)
                    yield Problems(id="problems").data_bind(PlayScreen.reasons)
                yield ModelList(id="models").data_bind(PlayScreen.samples)
            with Vertical(id="main"):
                yield Welcome(id="welcome", can_focus=False).data_bind(PlayScreen.survey, row=PlayScreen.chosen)
                yield Columns(id="columns").data_bind(PlayScreen.cells)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Draw first; the lab, which is slow to import, opens after that."""
        self.call_after_refresh(self._desk.start)

    # --- what the lab says -------------------------------------------------------------------------------------------

    def on_play_screen_nudge(self) -> None:
        """Look, unless we have just looked: then look again when it is time."""
        if self._pause is not None:
            self._nudged = True
            return
        self._look()
        self._pause = self.set_timer(FRAME_S, self._paused)

    def _paused(self) -> None:
        self._pause = None
        if self._nudged:
            self._nudged = False
            self.on_play_screen_nudge()

    def _look(self) -> None:
        for notice in self._desk.take():
            self._take(notice)
        if self._board is not None:
            self.cells = self._board.cells

    def _take(self, notice: Notice) -> None:
        match notice:
            case Unopened(error=error):
                self.post_message(self.Unopened(error))
            case Surveyed(survey=survey):
                self._surveyed(survey)
            case Refused(reasons=reasons):
                self.reasons = reasons
                self.running = False
                self.sidebar = True
            case Began(jobs=jobs):
                self._began(jobs)
            case Ended(reasons=reasons):
                self._ended(reasons)
            case event:
                assert self._board is not None
                self._board.take(event)

    def _surveyed(self, survey: Survey) -> None:
        self.survey = survey
        self.prompts = survey.prompts
        self.query_one(ModelList).rows = survey.models
        self.reasons = survey.problems
        if not survey.prompts:
            self.chosen = None
        if self.focused is None:
            self.query_one(PromptList).focus()

    def _began(self, jobs: tuple[Job, ...]) -> None:
        from promptlab.core.board import Board  # here because it is slow to import; the lab has done so by now

        self._board = Board(jobs)
        self.reasons = ()
        if self.has_class("-narrow"):
            self.sidebar = False

    def _ended(self, reasons: tuple[str, ...]) -> None:
        """A run is over. Where it broke off, what had not ended has failed."""
        assert self._board is not None
        cells, self._board = self._board.cells, None
        self.cells = tuple(replace(c, status="failed") if reasons and c.record is None else c for c in cells)
        self.reasons = reasons
        self.running = False

    # --- what the widgets ask for ------------------------------------------------------------------------------------

    @on(PromptList.Chosen)
    def _chosen(self, event: PromptList.Chosen) -> None:
        self.chosen = event.row

    @on(PromptList.Entered)
    def _entered(self) -> None:
        self.query_one(Form).enter()

    @on(ModelList.Absent)
    def _absent(self, event: ModelList.Absent) -> None:
        command = f"promptlab models pull {sanitize_line(event.row.name)}"
        self.notify(f"Not on disk. Fetch it with: {command}", severity="warning", markup=False)

    @on(Form.RunRequested)
    def _run_requested(self) -> None:
        self.action_run()

    # --- commands ----------------------------------------------------------------------------------------------------

    def action_run(self) -> None:
        """Run what the form and the ticks say."""
        if self.running:
            self.notify("One run at a time: esc cancels this one.", severity="warning", markup=False)
            return
        reasons = self._obstacles()
        if reasons:
            self.reasons = reasons
            self.sidebar = True
            return
        from promptlab.app.run import Request

        form = self.query_one(Form)
        assert form.prompt_name is not None
        models = self.query_one(ModelList).ticked
        self.reasons = ()
        self.running = True
        self._desk.run(Request((form.prompt_name,), models, form.values(), self.samples))

    def _obstacles(self) -> tuple[str, ...]:
        """What stands in the way of a run, as far as the screen can tell."""
        if self.survey is None:
            return ("The library is still being opened.",)
        if self.query_one(Form).prompt_name is None:
            return ("There is no prompt to run: choose one that can be read.",)
        if not self.query_one(ModelList).ticked:
            return ("No model is ticked: go to the models (f6) and tick one with the space bar.",)
        return ()

    def action_cancel(self) -> None:
        """End the run; what has been said stays."""
        self._desk.cancel()

    def action_samples(self, change: int) -> None:
        """Ask each model more often, or less."""
        self.samples = max(1, min(MAX_SAMPLES, self.samples + change))

    def action_sidebar(self) -> None:
        """Show or hide the sidebar."""
        self.sidebar = not self.sidebar

    def action_zoom(self) -> None:
        """Give one column all the room."""
        self.query_one(Columns).toggle_zoom()

    def action_reload(self) -> None:
        """Read the library again."""
        self._desk.survey()

    def action_pane(self, step: int) -> None:
        """Move the focus a pane further."""
        panes = self._panes()
        if not panes:
            return
        here = next((n for n, pane in enumerate(panes) if pane.has_focus_within), None)
        there = panes[0 if here is None and step > 0 else ((here or 0) + step) % len(panes)]
        if isinstance(there, Form):
            there.enter()
        elif isinstance(there, Column):
            there.body.focus()
        else:
            there.focus()

    def _panes(self) -> list[Widget]:
        form = self.query_one(Form)
        sidebar = [self.query_one(PromptList), *([form] if form.query("Field") else []), self.query_one(ModelList)]
        return [*(sidebar if self.sidebar else []), *(c for c in self.query_one(Columns).columns if c.display)]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to cancel while there is something to cancel, and to zoom when there are several columns."""
        if action == "cancel":
            return self.running
        if action == "samples":
            return not self.running
        if action == "zoom":
            return len(self.cells) > 1
        return True

    def watch_cells(self, cells: tuple[Cell, ...]) -> None:
        """Answers take the place of the advice."""
        self.set_class(bool(cells), "-answers")
        if len(cells) != self._count:
            self._count = len(cells)
            self.refresh_bindings()

    def watch_sidebar(self, sidebar: bool) -> None:
        """Keep the focus where it can be seen."""
        self.set_class(not sidebar, "-no-sidebar")
        self.call_after_refresh(self._settle_focus)

    def _settle_focus(self) -> None:
        if self.focused is None or not self.focused.is_on_screen:
            self.action_pane(1)
