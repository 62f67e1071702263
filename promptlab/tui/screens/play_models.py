"""The play screen: the models that are asked."""

from __future__ import annotations

from textual import on

from promptlab.core.text import sanitize_line
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.models import ModelList


class ModelActions(PlayState):
    """Ticking models, and fetching those that are missing."""

    @on(ModelList.Absent)
    def _absent(self, event: ModelList.Absent) -> None:
        command = f"promptlab models pull {sanitize_line(event.row.name)}"
        self.notify(f"Not on disk. Fetch it with: {command}", severity="warning", markup=False)

    def models_allow(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        return None
