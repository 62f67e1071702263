"""The play screen: where somebody has left off, put back at the start and kept as it changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from promptlab.core.text import sanitize
from promptlab.tui.asking import MAX_SAMPLES
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of
from promptlab.tui.screens.play_cases import CaseActions, keepable
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.options import OptionsPane
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.source import Draft, SourcePane

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.session import Place
    from promptlab.core.session import Batch, Session

KEEP_S = 1.0
"""How long what was typed may be unkept: no more is lost when the terminal dies."""
AT_ONCE = 100_000
"""Characters that are written so often; twice as many are written half as often, as all are written each time."""
MAX_NAMED = 3


class SessionActions(CaseActions):
    """Nothing of what a person chose and typed is asked for twice."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.kept_at: Place | None = None
        """Where it is kept. None until that is known."""
        self._found: Session | None = None
        """What was found at the start. None until that has been looked for."""
        self._session: Session | None = None
        """What was last kept, or found at the start."""
        self._rest = 0
        """How often nothing is kept before it is time again."""
        self._told: set[str] = set()
        """What was said already of what cannot be kept."""
        self.batch_left: Callable[[], Batch | None] = lambda: self._found.batch if self._found else None
        """What is set up to be compared; the batch screen, once there is one, puts itself here."""

    def restore(self, found: tuple[Place, Session]) -> None:
        """Put back what was there when the program was last left. Before the library is shown."""
        self.kept_at, session = found
        self._found = self._session = session
        self.query_one(ModelList).restore(session.ticked)
        self.query_one(Form).restore(session.drafts)
        self.samples = max(1, min(MAX_SAMPLES, session.samples))
        if session.options or session.mode:
            self.query_one(OptionsPane).restore(session.options, session.mode)
        self.picked = {**session.versions, **self.picked}
        self._stepped = dict(session.cases)
        self.turns = dict(session.turns)
        if session.sources:
            self._restore_sources({name: Draft(each.text, each.stamp) for name, each in session.sources.items()})
        self.set_interval(KEEP_S, self._keep_session)

    def _restore_sources(self, drafts: dict[str, Draft]) -> None:
        self.query_one(SourcePane).restore(drafts)
        names = [*list(drafts)[:MAX_NAMED], *([f"{len(drafts) - MAX_NAMED} more"] if len(drafts) > MAX_NAMED else [])]
        edit = key_of(self, "prompts.edit")
        still = f"Still there, and still not saved: {sanitize(', '.join(names))}. {edit} goes on."
        self.notify(still, severity="warning", markup=False)

    def choose_again(self) -> None:
        """Mark the prompt that was marked, once the library is shown for the first time."""
        if self._session is not None and any(row.name == self._session.prompt for row in self.prompts):
            self.query_one(PromptList).mark(self._session.prompt or "")

    @property
    def chose_otherwise(self) -> bool:
        """Whether another prompt, other versions or other models are chosen than when the program was last left."""
        found, ticks = self._found, self.query_one(ModelList).ticks
        if found is None or self.chosen is None or self.chosen.name != found.prompt:
            return True
        return self.versions != found.versions.get(self.chosen.name, ()) or ticks != found.ticked

    @property
    def session(self) -> tuple[Place, Session] | None:
        """What there is to keep, and where; None before that is known."""
        from promptlab.core.session import Session, Unsaved

        if self.survey is None or self.kept_at is None or not self.is_mounted:
            return None
        options = self.query_one(OptionsPane)
        return self.kept_at, Session(
            self.chosen.name if self.chosen else None,
            {name: keepable(some) for name, some in self.query_one(Form).drafts.items()},
            self.query_one(ModelList).ticks,
            self.samples,
            {name: Unsaved(*draft) for name, draft in self.query_one(SourcePane).drafts.items()},
            {name: labels for name, labels in self.picked.items() if labels},
            options.typed,
            options.asked.mode,
            self.stepping,
            self.batch_left(),
            dict(self.turns),
        )

    @property
    def left_off(self) -> tuple[Place, Session] | None:
        """The same; None where nothing has changed."""
        now = self.session
        return None if now is None or now[1] == self._session else now

    def forget_unsaved(self) -> None:
        """Forget what was typed into sources."""
        self.query_one(SourcePane).forget()

    def _keep_session(self) -> None:
        from promptlab.core.session import size

        self._rest -= 1
        if self._rest < 0 and (found := self.left_off) is not None:
            self._session = found[1]
            self._rest = size(found[1]) // AT_ONCE
            self.desk.do(partial(_keep, *found), done=self._tell_of_unkept, failed=lambda _: None, key="session")

    def _tell_of_unkept(self, reasons: tuple[str, ...]) -> None:
        """Say once what cannot be kept."""
        for reason in reasons:
            if reason not in self._told:
                self.notify(sanitize(reason), severity="warning", markup=False)
        self._told.update(reasons)


def _keep(place: Place, session: Session, lab: Lab, task: Task[tuple[str, ...]]) -> tuple[str, ...]:
    from promptlab.app.session import keep

    return keep(place, session)


def keep_for_sure(place: Place, session: Session, lab: Lab, task: Task[tuple[str, ...]]) -> tuple[str, ...]:
    """Keep it. Says why what is not saved cannot be kept; nothing where it is."""
    from promptlab.app.session import keep_for_sure

    return keep_for_sure(place, session)


def left_off(lab: Lab, task: Task[tuple[Place, Session]]) -> tuple[Place, Session]:
    """What was there when the program was last left."""
    from promptlab.app.session import left_off

    return left_off(lab)
