"""The play screen: where somebody has left off, put back at the start and kept as it changes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.prompts import PromptList

if TYPE_CHECKING:
    from pathlib import Path

    from promptlab.app.lab import Lab
    from promptlab.core.session import Session
    from promptlab.tui.desk import Desk, Task

KEEP_S = 1.0
"""How long what was typed may be unkept: no more is lost when the terminal dies."""


class SessionActions(PlayState):
    """Nothing of what a person chose and typed is asked for twice."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._session: Session | None = None
        """What was last kept, or found at the start. None until that has been looked for."""

    def restore(self, session: Session) -> None:
        """Put back what was there when the program was last left. Before the library is shown."""
        self._session = session
        self.query_one(ModelList).restore(session.ticked)
        self.query_one(Form).restore(session.drafts)
        self.samples = session.samples
        self.set_interval(KEEP_S, self._keep_session)

    def choose_again(self) -> None:
        """Mark the prompt that was marked, once the library is shown for the first time."""
        if self._session is not None and any(row.name == self._session.prompt for row in self.prompts):
            self.query_one(PromptList).mark(self._session.prompt or "")

    @property
    def left_off(self) -> tuple[Path, Session] | None:
        """The library, and what there is to keep; None where nothing has changed."""
        from promptlab.core.session import Session

        if self.survey is None or self._session is None or not self.is_mounted:
            return None
        drafts = {name: _keepable(some) for name, some in self.query_one(Form).drafts.items()}
        chosen = self.chosen.name if self.chosen else None
        now = Session(chosen, drafts, self.query_one(ModelList).ticks, self.samples)
        return None if now == self._session else (self.survey.root, now)

    def _keep_session(self) -> None:
        if (found := self.left_off) is not None:
            self._session = found[1]
            self.desk.do(partial(_keep, *found), failed=lambda _: None, key="session")


def _keepable(drafts: dict[str, object]) -> dict[str, str | bool | int]:
    """Without choices that were not made."""
    return {name: draft for name, draft in drafts.items() if isinstance(draft, str | bool | int)}


def _keep(root: Path, session: Session, lab: Lab, task: Task[None]) -> None:
    from promptlab.app.session import keep

    keep(root, session)


def left_off(lab: Lab, task: Task[Session]) -> Session:
    """What was there when the program was last left."""
    from promptlab.app.session import left_off

    return left_off(lab)
