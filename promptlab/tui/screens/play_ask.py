"""The play screen: what a run is asked with: inputs, options, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList

if TYPE_CHECKING:
    from promptlab.app.run import Request

MAX_SAMPLES = 16


class AskActions(PlayState):
    """Filling in what a prompt takes."""

    def request(self) -> Request:
        """What the form, the options and the ticks say. There must be a prompt."""
        from promptlab.app.run import Request

        form = self.query_one(Form)
        assert form.prompt_name is not None
        return Request((form.prompt_name,), self.query_one(ModelList).ticked, form.values(), self.samples)

    def action_samples(self, change: int) -> None:
        """Ask each model more often, or less."""
        self.samples = max(1, min(MAX_SAMPLES, self.samples + change))

    def ask_allows(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        return not self.running if action == "samples" else None
