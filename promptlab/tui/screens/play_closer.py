"""The play screen: looking closer at answers, and going on from them."""

from __future__ import annotations

from promptlab.tui.screens.play_state import PlayState


class CloserActions(PlayState):
    """Differences, tokens, what the model saw; branches and further turns."""

    def closer_allows(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        return None
