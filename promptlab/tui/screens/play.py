"""The play screen: choose a prompt, fill in its inputs, tick models, and watch the answers come side by side."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import ScreenResume
from textual.widget import Widget

from promptlab.tui.bindings import bindings
from promptlab.tui.program import key_of, program
from promptlab.tui.screens.play_answers import AnswerActions
from promptlab.tui.screens.play_ask import AskActions
from promptlab.tui.screens.play_closer import CloserActions
from promptlab.tui.screens.play_models import ModelActions
from promptlab.tui.screens.play_prompts import PromptActions
from promptlab.tui.screens.play_reopen import ReopenActions
from promptlab.tui.screens.play_session import SessionActions
from promptlab.tui.state import Survey
from promptlab.tui.widgets.bars import Problems, TitleBar, Welcome
from promptlab.tui.widgets.columns import Columns
from promptlab.tui.widgets.field import FieldPane
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.keybar import KeyBar
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.options import OptionsPane
from promptlab.tui.widgets.prompts import PromptList, PromptPane
from promptlab.tui.widgets.source import SourcePane

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.run import Request, Run
    from promptlab.core.case import CaseSet


KEY_S = 0.05
"""How long after a key what is drawn is taken for what it has done."""


class PlayScreen(PromptActions, AskActions, ModelActions, AnswerActions, CloserActions, ReopenActions, SessionActions):
    """All parts together."""

    BINDINGS = bindings("play")
    scope = "play"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (160, "-roomy")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        """Sidebar and answers between the title and the keys."""
        # Textual does this once it has drawn the screen, and then lays it out again.
        fitting = [name for width, name in self.HORIZONTAL_BREAKPOINTS if width <= self.app.size.width]
        self.add_class(fitting[-1], update=False)
        yield TitleBar()
        with Horizontal(id="body"):
            with Vertical(id="sidebar"):
                yield PromptPane(id="prompts").data_bind(rows=PlayScreen.prompts)
                with Vertical(id="ask"):
                    yield Form(id="form").data_bind(row=PlayScreen.chosen)
                    yield OptionsPane(id="options").data_bind(PlayScreen.samples, row=PlayScreen.chosen)
                    yield Problems(id="problems").data_bind(PlayScreen.reasons)
                yield ModelList(id="models").data_bind(PlayScreen.samples, news=PlayScreen.model_news)
            with Vertical(id="main"):
                yield Welcome(id="welcome", can_focus=False).data_bind(PlayScreen.survey, news=PlayScreen.model_news)
                yield SourcePane(id="source").data_bind(
                    PlayScreen.source, PlayScreen.findings, PlayScreen.looking, row=PlayScreen.chosen
                )
                yield Columns(id="columns").data_bind(PlayScreen.cells)
        yield KeyBar()

    def on_screen_resume(self, event: ScreenResume) -> None:
        """The first time, styles are as the widgets have just got them; Textual would make all of them once more."""
        event.refresh_styles = event.refresh_styles and self.stack_updates > 0

    def on_idle(self) -> None:
        """Draw what a key has done at once; Textual waits for its next frame."""
        if time.monotonic() - program(self).pressed < KEY_S:
            self._on_timer_update()

    def on_mount(self) -> None:
        """Follow what the library holds."""
        self.place()
        self.watch(self.app, "survey", self._surveyed)

    # --- what the lab says -------------------------------------------------------------------------------------------

    def _surveyed(self, survey: Survey | None) -> None:
        if survey is None:
            return
        first = self.survey is None
        self.survey = survey
        self.prompts = survey.prompts
        self.query_one(ModelList).rows = survey.models
        self._tell_options()
        self.reasons = survey.problems
        if not survey.prompts:
            self.chosen = None
        self.read_source()
        if first:
            self.choose_again()
        if self.focused is None:
            self.query_one(PromptList).focus()

    @on(ModelList.Ticked)
    def _tell_options(self) -> None:
        """What holds where nobody sets an option depends on who is asked."""
        askable = tuple(each for each in self.survey.models if each.askable) if self.survey else ()
        ticked = self.query_one(ModelList).ticked
        self.query_one(OptionsPane).models = tuple(each for each in askable if each.name in ticked) or askable

    @on(FieldPane.RunRequested)
    def _run_requested(self) -> None:
        self.action_run()

    # --- commands ----------------------------------------------------------------------------------------------------

    def action_run(self) -> None:
        """Run what the form and the ticks say."""
        if (row := self.query_one(PromptList).hurry()) is not None:
            self.choose(row)
            self.query_one(Form).call_next(self.action_run)  # after its fields have been made
            return
        if not self.running and (reasons := self._obstacles()):
            self.reasons = reasons
            self.sidebar = True
            return
        self.begin(partial(_prepare, self.request(), self.case_set))

    def _obstacles(self) -> tuple[str, ...]:
        """What stands in the way of a run, as far as the screen can tell."""
        if self.survey is None:
            return ("The library is still being opened.",)
        if self.query_one(Form).prompt_name is None:
            return ("There is no prompt to run: choose one that can be read.",)
        if self.query_one(SourcePane).is_changed:
            return (self._unsaved_changes(),)
        if not self.survey.askable:
            pull = key_of(self, "play.pull")
            return (f"No model is on disk yet: {pull} pulls the default ones, while no text field has the focus.",)
        if not self.query_one(ModelList).ticked:
            pane = key_of(self, "pane.next")
            return (f"No model is ticked: go to the models ({pane}) and tick one with the space bar.",)
        return self.ask_obstacles()

    def _unsaved_changes(self) -> str:
        """That the source is not saved, and the keys that help."""
        save, leave = key_of(self, "prompts.save"), key_of(self, "source.leave")
        show = ""
        if not self.looking or self.has_class("-narrow"):  # the sidebar, where this stands, takes its place there
            show = f"{key_of(self, 'prompts.edit')} in the list of prompts shows it, "
        return f"The source has changes that are not saved: {show}{save} saves them, {leave} in the editor leaves it."

    def action_cancel(self) -> None:
        """End the run; what has been said stays. Where none goes on: end what is being done with models."""
        if self.running:
            self.stop()
        else:
            self.stop_fetching()

    @on(FieldPane.Left)
    def _leave_fields(self) -> None:
        """Escape in a field: end what goes on; where nothing does, go to the answers, where letters are commands."""
        if self.running or self.fetching:
            self.action_cancel()
            return
        there = [column for column in self.query_one(Columns).columns if column in self._panes()]
        (there[0].body if there else self.query_one(PromptList)).focus()

    def action_sidebar(self) -> None:
        """Show or hide the sidebar."""
        self._gave_way = False
        self.sidebar = not self.sidebar

    def action_reload(self) -> None:
        """Read the library again."""
        program(self).look()

    def action_pane(self, step: int) -> None:
        """Move the focus a pane further."""
        panes = self._panes()
        if not panes:
            return
        here = next((n for n, pane in enumerate(panes) if pane.has_focus_within), None)
        there = panes[0 if here is None and step > 0 else ((here or 0) + step) % len(panes)]
        if isinstance(there, Form | OptionsPane):
            there.enter()
        else:
            self._within(there).focus()

    def _panes(self) -> list[Widget]:
        form = self.query_one(Form)
        options = self.query_one(OptionsPane)
        asked: list[Widget] = [*([form] if form.query("Field") else []), *([options] if options.open else [])]
        sidebar = [self.query_one(PromptList), *asked, self.query_one(ModelList)]
        main = self.query_one(SourcePane).parts if self.looking else self.query_one(Columns).columns
        return [*(sidebar if self.sidebar else []), *(pane for pane in main if pane.display)]

    def _within(self, pane: Widget) -> Widget:
        """What takes the focus in a pane."""
        column = next((each for each in self.query_one(Columns).columns if each is pane), None)
        return column.body if column else pane

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done now: each part says so of its own commands."""
        if action == "cancel":
            return self.running or self.fetching
        for part in (self.prompts_allow, self.ask_allows, self.models_allow, self.answers_allow, self.closer_allows):
            if (allowed := part(action)) is not None:
                return allowed
        return True

    def watch_sidebar(self, sidebar: bool) -> None:
        """Keep the focus where it can be seen."""
        self.place()
        self.call_after_refresh(self._settle_focus)

    def on_resize(self) -> None:
        """What has room beside what may have changed."""
        self.follow_width()
        self.place()

    def _settle_focus(self) -> None:
        # Not by where it stands: that is known only once the screen has been laid out.
        around = self.focused.ancestors_with_self if self.focused is not None else ()
        if self.focused is not None and all(part.display for part in around if isinstance(part, Widget)):
            return
        for pane in self._panes()[:1]:
            self.set_focus(self._within(pane))  # now: a focus that was asked for meanwhile comes after it


def _prepare(request: Request, cases: tuple[CaseSet, int] | None, lab: Lab) -> Run:
    from promptlab.app.run import TOP, prepare  # here because it is slow to import
    from promptlab.app.stepping import of_case

    if cases is not None:
        request = of_case(lab, request, *cases)
    return prepare(lab, replace(request, top=TOP))
