"""The play screen: prompts, their versions and their source."""

from __future__ import annotations

from textual import on

from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.prompts import PromptList


class PromptActions(PlayState):
    """Choosing, reading and editing prompts."""

    @on(PromptList.Chosen)
    def _chosen(self, event: PromptList.Chosen) -> None:
        self.chosen = event.row

    @on(PromptList.Entered)
    def _entered(self) -> None:
        self.query_one(Form).enter()

    def prompts_allow(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        return None
