"""The play screen: what a run is asked with, and keeping answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on

from promptlab.tui.asking import MAX_SAMPLES
from promptlab.tui.desk import Task
from promptlab.tui.program import key_of, open_window
from promptlab.tui.screens.play_cases import offers
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.columns import Columns
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.options import OptionsPane

if TYPE_CHECKING:
    from promptlab.app.examples import Example
    from promptlab.app.lab import Lab
    from promptlab.app.run import Request
    from promptlab.app.stepping import Offer
    from promptlab.core.record import Record

__all__ = ["MAX_SAMPLES", "AskActions"]


class AskActions(PlayState):
    """Filling in what a prompt takes, and keeping what comes out."""

    def request(self) -> Request:
        """What the form, the options and the ticks say. There must be a prompt."""
        from promptlab.app.run import Request

        form, asked = self.query_one(Form), self.query_one(OptionsPane).asked
        assert form.prompt_name is not None
        return Request(
            self.versions or (form.prompt_name,),
            self.query_one(ModelList).ticked,
            form.values(),
            self.samples,
            asked.options,
            asked.mode,
        )

    def ask_obstacles(self) -> tuple[str, ...]:
        """What is wrong with what was set for all runs."""
        return self.query_one(OptionsPane).asked.wrong

    # --- options -----------------------------------------------------------------------------------------------------

    def action_samples(self, change: int) -> None:
        """Ask each model more often, or less."""
        self.samples = max(1, min(MAX_SAMPLES, self.samples + change))

    @on(OptionsPane.SamplesSet)
    def _samples_set(self, event: OptionsPane.SamplesSet) -> None:
        self.samples = event.samples

    def action_options(self) -> None:
        """Unfold the options, go to them, or fold them."""
        options = self.query_one(OptionsPane)
        if not (options.open and options.has_focus_within):
            self.sidebar = True
            options.enter()
            return
        options.open = False
        if not self.query_one(Form).enter():
            self.query_one(ModelList).focus()

    # --- keeping -----------------------------------------------------------------------------------------------------

    @property
    def _to_keep(self) -> Record | None:
        """The record of the column that has the focus; None, and a word about it, where there is none to keep."""
        column = next((each for each in self.query_one(Columns).columns if each.has_focus_within), None)
        record = column.cell.record if column is not None and column.cell is not None else None
        if column is None:
            pane = key_of(self, "pane.next")
            self.notify(f"Go to the answer that you want to keep: {pane}.", severity="warning", markup=False)
        elif record is None or record.error is not None:
            self.notify("Only an answer that is finished can be kept.", severity="warning", markup=False)
            return None
        return record

    def action_keep_case(self) -> None:
        """Ask where the answer is kept as a case."""
        if (record := self._to_keep) is not None:
            self.desk.do(partial(offers, record.prompt.name), done=partial(self._ask_case, record), key="keep")

    def _ask_case(self, record: Record, offers: list[Offer]) -> None:
        from promptlab.app.keeping import answer_text, proposed_id
        from promptlab.tui.screens.keep_case import KeepCaseScreen

        open_window(self, KeepCaseScreen(self.desk, record, answer_text(record), proposed_id(record.inputs), offers))

    def action_keep_example(self) -> None:
        """Show what the answer would be as an example in its prompt."""
        if (record := self._to_keep) is not None:
            self.desk.do(partial(_draft, record), done=self._ask_example, key="keep")

    def _ask_example(self, example: Example) -> None:
        from promptlab.tui.screens.keep_example import KeepExampleScreen

        open_window(self, KeepExampleScreen(self.desk, example))

    def ask_allows(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        if action == "samples":
            return not self.running
        if action in ("cases", "case"):
            return self.chosen is not None
        return bool(self.cells) if action in ("keep_case", "keep_example") else None


def _draft(record: Record, lab: Lab, task: Task[Example]) -> Example:
    from promptlab.app.examples import draft_example

    return draft_example(lab, record)
