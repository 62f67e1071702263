"""The batch screen: a comparison set up, watched while it fills, and looked into."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from promptlab.core.text import sanitize
from promptlab.tui import show
from promptlab.tui.batch_words import progress
from promptlab.tui.bindings import bindings, relabel
from promptlab.tui.desk import Task
from promptlab.tui.program import program
from promptlab.tui.screens.batch_answers import BatchAnswers
from promptlab.tui.screens.batch_state import Page
from promptlab.tui.state import Survey
from promptlab.tui.widgets.askline import AskLine
from promptlab.tui.widgets.bars import Problems, TitleBar
from promptlab.tui.widgets.casepage import CasePage
from promptlab.tui.widgets.keybar import KeyBar
from promptlab.tui.widgets.matrix import LEGEND, MatrixTable
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.picture import Picture
from promptlab.tui.widgets.setup import Setup
from promptlab.tui.widgets.ticks import TickList

if TYPE_CHECKING:
    from promptlab.app.cases import CaseRow
    from promptlab.app.lab import Lab
    from promptlab.app.prompts import Logged

PAGES: tuple[Page, ...] = ("setup", "table", "case", "picture")


class BatchScreen(BatchAnswers):
    """All parts together: one of four pages is shown."""

    BINDINGS = bindings("batch")
    scope = "batch"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (160, "-roomy")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        """The pages between the title and the keys."""
        yield TitleBar()
        yield Static(id="batch-progress")
        yield Static(id="batch-baseline")
        yield Setup(id="batch-setup").data_bind(BatchScreen.reasons)
        with Horizontal(id="batch-table"):
            yield MatrixTable(id="matrix")
            with VerticalScroll(id="batch-peeking", can_focus=False):
                yield Static(id="batch-peek")
        yield CasePage(id="batch-case")
        yield Picture(id="batch-picture")
        yield Problems(id="batch-trouble").data_bind(BatchScreen.reasons)
        yield Static(Content.styled(LEGEND, show.DIM), id="batch-legend")
        yield AskLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Follow what the library holds; begin with what was left here, or with what has been chosen in play since."""
        self.query_one(MatrixTable).border_title = Content("Cases")
        self.query_one(Picture).border_title = Content("All columns")
        self.query_one("#batch-peeking").border_title = Content("The marked case")
        self.watch(self.app, "survey", self._surveyed)
        play, setup = program(self).play, self.query_one(Setup)
        if (left := play.batch_left()) is not None:
            setup.put(left)
        if left is None or play.chose_otherwise:
            if play.chosen is not None:
                setup.choose(play.versions or (play.chosen.name,))
            setup.models.tick(play.query_one(ModelList).ticked)
        play.batch_left = lambda: setup.left
        self.watch_page("setup")
        self.watch(self.app, "keys", self._tell)

    # --- what the lab says -------------------------------------------------------------------------------------------

    def _surveyed(self, survey: Survey | None) -> None:
        self.query_one(Setup).survey = survey
        self.desk.do(_cases, done=partial(setattr, self.query_one(Setup), "files"), key="batch.cases")

    def _logged(self, prompt: str, versions: tuple[Logged, ...]) -> None:
        if not versions:
            self.notify(sanitize(f"{prompt} has no version in git yet."), severity="warning", markup=False)
        setup = self.query_one(Setup)
        setup.folded -= {prompt}
        setup.versions = {**setup.versions, prompt: versions}

    def watch_phase(self) -> None:
        """Say so."""
        super().watch_phase()
        relabel(self, "batch.pause", "Go on" if self.phase == "paused" else "Pause")
        self._tell()

    def watch_paced(self) -> None:
        """Say how far it is."""
        super().watch_paced()
        self._tell()

    def _tell(self) -> None:
        errors = sum(self.matrix.errors) if self.matrix else 0
        line = progress(self.phase, self.paced, errors, self.took, program(self).keys)
        self.query_one("#batch-progress", Static).update(line)

    # --- pages -------------------------------------------------------------------------------------------------------

    def watch_page(self, page: Page) -> None:
        """Show another page."""
        for each in PAGES:
            self.set_class(each == page, f"-{each}")
        self.settle_focus()

    def settle_focus(self) -> None:
        """Put the focus where the page that is shown wants it."""
        there = {"setup": "#batch-prompts", "table": "#matrix", "picture": "#batch-picture"}.get(self.page)
        if there is not None:
            self.call_after_refresh(self.query_one(there).focus)

    def complained(self) -> None:
        """What is wrong stands below what was set up."""
        self.page = "setup"

    # --- commands ----------------------------------------------------------------------------------------------------

    def action_start(self) -> None:
        """Compare what is set up; what was stopped goes on."""
        draft = self.query_one(Setup).draft
        if draft == self.asked and self.phase in ("paused", "stopped", "broken"):
            self.proceed()
        else:
            self.begin(draft)

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self.phase == "running":
            self.halt("pausing")
        elif self.phase == "paused":
            self.proceed()

    def action_stop(self) -> None:
        """End it with what there is."""
        if self.phase == "paused":
            self.phase = "stopped"
        elif self.active:
            self.halt("stopping")

    def action_setup(self) -> None:
        """Choose what to compare."""
        self.page = "setup"

    def action_back(self) -> None:
        """Close what is open."""
        line = self.query_one(AskLine)
        if line.what:
            line.close()
            self.settle_focus()
        elif self.page == "case":
            if (column := self.query_one(CasePage).column) is not None:
                table = self.query_one(MatrixTable)
                table.mark(table.case, column)
            self.page = "table"
        elif self.page in ("picture", "setup") and self.matrix is not None:
            self.page = "table"
        else:
            self.page = "setup"

    def action_versions(self) -> None:
        """List the versions of the marked prompt, or hide them."""
        setup = self.query_one(Setup)
        marked = setup.prompts.marked
        if marked is None:
            return
        name = marked.below or marked.key
        if setup.versions.get(name) and name not in setup.folded:
            setup.folded |= {name}
        else:
            self.desk.do(partial(_versions, name), done=partial(self._logged, name), lane="slow", key="batch.versions")

    def action_pane(self, step: int) -> None:
        """Move the focus a pane further."""
        self.focus_next() if step > 0 else self.focus_previous()

    @on(TickList.Refused)
    def _refused(self, event: TickList.Refused) -> None:
        self.notify(sanitize(f"{event.row.key}: {event.row.problem}"), severity="warning", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done now."""
        match action:
            case "start":
                # What is paused goes on with the key that has paused it, unless something else has been set up.
                return not self.active and (self.phase != "paused" or self.page == "setup")
            case "pause":
                return self.phase in ("running", "paused")
            case "stop":
                return self.active or self.phase == "paused"
            case "versions":
                return self.page == "setup"
            case "failing" | "splitting" | "worse" | "filter" | "order" | "open":
                return self.page == "table" and self.matrix is not None
            case "beside" | "play" | "closer":
                return self.page in ("table", "case") and self.matrix is not None
            case "keep":
                return self.phase == "done"
            case "picture" | "write" | "copy":
                return self.matrix is not None
            case "back":
                return self.matrix is not None or bool(self.query(AskLine) and self.query_one(AskLine).what)
            case "setup":
                return self.page != "setup"
        return True


def _cases(lab: Lab, task: Task[tuple[CaseRow, ...]]) -> tuple[CaseRow, ...]:
    from promptlab.app.cases import list_cases

    return tuple(list_cases(lab))


def _versions(name: str, lab: Lab, task: Task[tuple[Logged, ...]]) -> tuple[Logged, ...]:
    from promptlab.app.prompts import log_prompt

    return tuple(log_prompt(lab, name))
