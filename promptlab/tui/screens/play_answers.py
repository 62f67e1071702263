"""The play screen: the columns of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptlab.tui.desk import Desk
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.columns import Columns

if TYPE_CHECKING:
    from promptlab.core.record import Cell


class AnswerActions(PlayState):
    """Laying out, copying and keeping answers."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._count = 0
        """Of columns, when the keys were last shown."""

    def action_zoom(self) -> None:
        """Give one column all the room."""
        self.query_one(Columns).toggle_zoom()

    def watch_cells(self, cells: tuple[Cell, ...]) -> None:
        """Answers take the place of the advice."""
        self.set_class(bool(cells), "-answers")
        if len(cells) != self._count:
            self._count = len(cells)
            self.refresh_bindings()

    def answers_allow(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        return len(self.cells) > 1 if action == "zoom" else None
