"""The play screen: cases of a set, stepped through in the form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from textual import on

from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of, open_window
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.form import Form

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.stepping import Offer
    from promptlab.core.case import CaseSet
    from promptlab.core.session import Stepping


class CaseActions(PlayState):
    """Choosing a case set, going from case to case, and finding the one again that was there."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._sets: dict[str, tuple[CaseSet, int]] = {}
        """The case set of each prompt that has one, and which case of it is in the form."""
        self._files: dict[str, str] = {}
        """Where those case sets are, from wherever one looks."""
        self._stepped: dict[str, Stepping] = {}
        """The cases that were in forms when the program was last left, of prompts that have not been shown since."""

    @property
    def case_set(self) -> tuple[CaseSet, int] | None:
        """The case set of the prompt in the form, and which case of it was filled in; what it gave may be changed."""
        return self._sets.get(self.query_one(Form).prompt_name or "")

    def action_cases(self) -> None:
        """List the case sets."""
        if prompt := self.query_one(Form).prompt_name:
            self.desk.do(partial(offers, prompt), done=partial(self._offered, prompt), key="cases")

    def _offered(self, prompt: str, offers: list[Offer]) -> None:
        from promptlab.tui.screens.case_sets import CaseSetScreen

        active = self._sets.get(prompt)
        screen = CaseSetScreen(prompt, offers, active[0].file if active else None)
        open_window(self, screen, partial(self._case_set_chosen, prompt))

    async def _case_set_chosen(self, prompt: str, file: str | None) -> None:
        if file:
            self.desk.do(partial(_open, file), done=partial(self._cases_opened, prompt), key="cases")
        elif file is not None:
            self._sets.pop(prompt, None)
            self._stepped.pop(prompt, None)
            await self.query_one(Form).empty()

    def _cases_opened(self, prompt: str, opened: tuple[CaseSet, str]) -> None:
        self.sidebar = True
        cases, self._files[prompt] = opened
        self._stepped.pop(prompt, None)
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
        form = self.query_one(Form)
        form.call_next(partial(form.fill, prompt, cases.cases[at], _label(cases, at), typed=cases.typed))
        self._look_whether_it_fits(prompt, cases, at)

    def _look_whether_it_fits(self, prompt: str, cases: CaseSet, at: int) -> None:
        complain = partial(self.query_one(Form).complain, prompt, _label(cases, at))
        self.desk.do(partial(_misfit, prompt, cases, at), done=complain, key="case")

    @property
    def stepping(self) -> dict[str, Stepping]:
        """The cases that are in forms, to be there the next time."""
        from promptlab.core.session import Stepping

        form = self.query_one(Form)
        here = {
            prompt: Stepping(self._files[prompt], cases.cases[at].id, keepable(form.typed_before(prompt)))
            for prompt, (cases, at) in self._sets.items()
        }
        return {**self._stepped, **here}

    @on(Form.Built)
    def _form_stands(self, event: Form.Built) -> None:
        """Open the case set again whose case was there when the program was last left."""
        prompt, left = event.prompt, self._stepped.get(event.prompt)
        if left is not None:
            gone = partial(self._case_gone, prompt)
            self.desk.do(partial(_open_again, left), done=partial(self._resumed, prompt, left), failed=gone, key="left")

    def _resumed(self, prompt: str, left: Stepping, cases: CaseSet) -> None:
        """Go on with it, where it is still the form of that prompt, and the set still has that case."""
        at = next((n for n, case in enumerate(cases.cases) if case.id == left.case), None)
        if at is None:
            self._case_gone(prompt)
        elif prompt in self._stepped and self.query_one(Form).resume(
            prompt, cases.cases[at], _label(cases, at), left.typed, typed=cases.typed
        ):
            self._sets[prompt], self._files[prompt] = (cases, at), left.file
            del self._stepped[prompt]
            self._look_whether_it_fits(prompt, cases, at)

    def _case_gone(self, prompt: str, reasons: tuple[str, ...] = ()) -> None:
        """What the case gave stays in the form, as if it had been typed."""
        self._stepped.pop(prompt, None)


def keepable(drafts: Mapping[str, object]) -> dict[str, str | bool | int]:
    """What stands in fields, without choices that were not made."""
    return {name: draft for name, draft in drafts.items() if isinstance(draft, str | bool | int)}


def _label(cases: CaseSet, at: int) -> str:
    return f"{cases.name} {at + 1}/{len(cases.cases)}: {cases.cases[at].id}"


def offers(prompt: str, lab: Lab, task: Task[list[Offer]]) -> list[Offer]:
    """The case sets for a prompt."""
    from promptlab.app.stepping import case_sets  # here because it is slow to import

    return case_sets(lab, prompt)


def _open(file: str, lab: Lab, task: Task[tuple[CaseSet, str]]) -> tuple[CaseSet, str]:
    from promptlab.app.stepping import open_cases, place_of

    cases = open_cases(lab, file)
    return cases, place_of(cases)


def _open_again(left: Stepping, lab: Lab, task: Task[CaseSet]) -> CaseSet:
    from promptlab.app.stepping import open_placed

    return open_placed(lab, left.file)


def _misfit(prompt: str, cases: CaseSet, at: int, lab: Lab, task: Task[str]) -> str:
    from promptlab.app.stepping import misfit

    return misfit(lab, prompt, cases, at)
