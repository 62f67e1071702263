"""The play screen: answers from the history, and what they were asked with put back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from promptlab.core.text import sanitize
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.options import OptionsPane
from promptlab.tui.widgets.prompts import PromptList

if TYPE_CHECKING:
    from promptlab.app.reopen import Opened
    from promptlab.core.record import Record


class ReopenActions(PlayState):
    """Showing again what was shown before."""

    def reopen(self, opened: Opened) -> bool:
        """Show answers, and choose and fill in what they were asked with. False while a run goes on."""
        if not self.show_cells(opened.cells):
            return False
        self.query_one(ModelList).tick(opened.models)
        self.samples = opened.samples
        self.query_one(OptionsPane).put(opened.overrides, opened.mode)
        row = next((row for row in self.prompts if row.name == opened.prompt), None)
        if row is not None:
            self.versions = () if opened.versions == (row.name,) else opened.versions
            self.picked[row.name] = self.versions
            self.chosen = row
            self._fill_in(row.name, opened.record)
            self.query_one(PromptList).mark(row.name)
        if opened.note:
            self.notify(sanitize(opened.note), severity="warning", markup=False)
        return True

    def _fill_in(self, prompt: str, record: Record) -> None:
        """Put the inputs back, once the fields of the prompt stand."""
        from promptlab.core.case import Case

        form = self.query_one(Form)
        case = Case(record.id, record.inputs)
        form.call_next(partial(form.fill, prompt, case, "from the history", typed=False))
