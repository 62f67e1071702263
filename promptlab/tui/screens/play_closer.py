"""The play screen: looking closer at answers, and going on from them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.columns import Columns

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.run import Run
    from promptlab.core.record import Cell, Record
    from promptlab.tui.screens.closer_turn import Turn

_SEVERAL = ("closer_difference", "closer_agreement")
"""What wants more than one answer."""
_ONE = ("closer_tokens", "closer_saw")


MAX_TURNS = 20
"""Turns that are remembered while they are not said."""


class CloserActions(PlayState):
    """Differences, tokens, what the model saw; branches and further turns."""

    def action_closer_tokens(self) -> None:
        """Show the tokens of an answer."""
        self._look_closer("tokens")

    def action_closer_difference(self) -> None:
        """Compare an answer with another one."""
        self._look_closer("difference")

    def action_closer_saw(self) -> None:
        """Show what a model was given."""
        self._look_closer("saw")

    def action_closer_agreement(self) -> None:
        """Show who says the same."""
        self._look_closer("agreement")

    def _look_closer(self, view: Literal["tokens", "difference", "saw", "agreement"]) -> None:
        from promptlab.tui.screens.closer import CloserScreen  # here because it is slow to import

        cell = self._looked_at()
        if cell is not None:
            # By what it is an answer to: what a column shows may be a frame behind.
            focus = next((n for n, each in enumerate(self.cells) if each.job is cell.job), 0)
            self.app.push_screen(CloserScreen(self.cells, focus, view))

    def action_closer_turn(self) -> None:
        """Ask for something more to say."""
        from promptlab.tui.screens.closer_turn import TurnScreen  # here because hardly anybody asks for it

        cell, records = self._looked_at(), self._finished()
        record = cell.record if cell is not None else None
        if record is None or record not in records:
            self.notify("This column has no finished answer to go on from.", severity="warning", markup=False)
            return
        screen = TurnScreen(record, len(records), self.turns.get(record.id, ""), partial(self._turn_typed, record.id))
        self.app.push_screen(screen, partial(self._go_on, record, records))

    def _turn_typed(self, id: str, text: str) -> None:
        self.turns.pop(id, None)
        if text:
            self.turns[id] = text
        for oldest in list(self.turns)[:-MAX_TURNS]:
            del self.turns[oldest]

    def _go_on(self, record: Record, records: tuple[Record, ...], turn: Turn | None) -> None:
        if turn is not None:
            asked = records if turn.everywhere else (record,)
            if self.begin(partial(_next_turns, asked, turn.text), beside=True):
                self.turns.pop(record.id, None)

    def _looked_at(self) -> Cell | None:
        """What the column that commands are about shows."""
        column = self.query_one(Columns).current
        return column.cell if column is not None else None

    def _finished(self) -> tuple[Record, ...]:
        """What all columns show that are not hidden, as far as one can go on from it."""
        records = [column.cell.record for column in self.query_one(Columns).open if column.cell is not None]
        return tuple(each for each in records if each is not None and each.error is None and each.steps)

    def closer_allows(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        if action in _SEVERAL:
            return len(self.cells) > 1
        if action in _ONE:
            return bool(self.cells)
        return bool(self.cells) and not self.running if action == "closer_turn" else None


def _next_turns(records: tuple[Record, ...], text: str, lab: Lab) -> Run:
    from promptlab.app.branch import next_turns  # here because it is slow to import

    return next_turns(lab, records, text)
