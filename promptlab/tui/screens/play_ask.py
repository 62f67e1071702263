"""The play screen: what a run is asked with: inputs, options, cases; and keeping answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on

from promptlab.tui.asking import MAX_SAMPLES
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of, open_window
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
    from promptlab.core.case import CaseSet
    from promptlab.core.record import Record

__all__ = ["MAX_SAMPLES", "AskActions"]


class AskActions(PlayState):
    """Filling in what a prompt takes, and keeping what comes out."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._sets: dict[str, tuple[CaseSet, int]] = {}
        """The case set of each prompt that has one, and which case of it is in the form."""

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

    # --- cases -------------------------------------------------------------------------------------------------------

    @property
    def case_set(self) -> tuple[CaseSet, int] | None:
        """The case set of the prompt in the form, and which case of it was filled in; what it gave may be changed."""
        return self._sets.get(self.query_one(Form).prompt_name or "")

    def action_cases(self) -> None:
        """List the case sets."""
        if prompt := self.query_one(Form).prompt_name:
            self.desk.do(partial(_offers, prompt), done=partial(self._offered, prompt), key="cases")

    def _offered(self, prompt: str, offers: list[Offer]) -> None:
        from promptlab.tui.screens.case_sets import CaseSetScreen

        screen = CaseSetScreen(prompt, offers, prompt in self._sets)
        open_window(self, screen, partial(self._case_set_chosen, prompt))

    async def _case_set_chosen(self, prompt: str, file: str | None) -> None:
        if file:
            self.desk.do(partial(_open, file), done=partial(self._cases_opened, prompt), key="cases")
        elif file is not None:
            self._sets.pop(prompt, None)
            await self.query_one(Form).empty()

    def _cases_opened(self, prompt: str, cases: CaseSet) -> None:
        self.sidebar = True
        self._fill(prompt, cases, 0)

    def action_case(self, step: int) -> None:
        """Go to another case of the set."""
        prompt = self.query_one(Form).prompt_name
        if prompt is None or self.case_set is None:
            choose = key_of(self, "ask.cases")
            self.notify(f"There is no case set in the form: {choose} chooses one.", severity="warning", markup=False)
            return
        cases, at = self.case_set
        self._fill(prompt, cases, (at + step) % len(cases.cases))

    def _fill(self, prompt: str, cases: CaseSet, at: int) -> None:
        self._sets[prompt] = (cases, at)
        case, form = cases.cases[at], self.query_one(Form)
        label = f"{cases.name} {at + 1}/{len(cases.cases)}: {case.id}"
        form.call_next(partial(form.fill, prompt, case, label, typed=cases.typed))
        self.desk.do(
            partial(_misfit, prompt, cases, at),
            done=partial(form.complain, prompt, label),
            key="case",
        )

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
            self.desk.do(partial(_offers, record.prompt.name), done=partial(self._ask_case, record), key="keep")

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


def _offers(prompt: str, lab: Lab, task: Task[list[Offer]]) -> list[Offer]:
    from promptlab.app.stepping import case_sets  # here because it is slow to import

    return case_sets(lab, prompt)


def _open(file: str, lab: Lab, task: Task[CaseSet]) -> CaseSet:
    from promptlab.app.stepping import open_cases

    return open_cases(lab, file)


def _misfit(prompt: str, cases: CaseSet, at: int, lab: Lab, task: Task[str]) -> str:
    from promptlab.app.stepping import misfit

    return misfit(lab, prompt, cases, at)


def _draft(record: Record, lab: Lab, task: Task[Example]) -> Example:
    from promptlab.app.examples import draft_example

    return draft_example(lab, record)
