"""The batch screen: its state, and how a comparison is begun, followed, paused and gone on with."""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from textual.reactive import var
from textual.screen import Screen

from promptlab.core.pace import duration
from promptlab.tui.batch_words import Phase
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of, program
from promptlab.tui.widgets.setup import Draft

if TYPE_CHECKING:
    from promptlab.app.batch import Ended, Laid, Paced
    from promptlab.app.compare import Request
    from promptlab.app.lab import Lab
    from promptlab.core.compare import Comparison, Summary
    from promptlab.core.matrix import Matrix

Page = Literal["setup", "table", "case", "picture"]
ACTIVE: tuple[Phase, ...] = ("checking", "running", "pausing", "stopping")


class BatchState(Screen[None]):
    """Holds the state; the widgets show it. The rest of the screen adds its commands to this."""

    phase: var[Phase] = var("new", init=False, bindings=True)
    page: var[Page] = var("setup", init=False, bindings=True)
    paced: var[Paced | None] = var(None, init=False)
    """How far it has come."""
    reasons: var[tuple[str, ...]] = var((), init=False)
    """Why it could not begin, or broke off."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.matrix: Matrix | None = None
        self.laid: Laid | None = None
        self.found: Comparison | None = None
        """What it came to; None while it goes on."""
        self.summaries: dict[int, Summary] = {}
        self.asked: Draft | None = None
        """What the matrix is of."""
        self.took = ""
        """How long it took."""
        self._following: Task[Ended] | None = None
        self._ours: Set[str] = frozenset()
        self._began = 0.0
        self._spent = 0.0
        """Seconds before it was paused."""

    @property
    def active(self) -> bool:
        """Whether a comparison goes on."""
        return self.phase in ACTIVE

    # --- what the screen does with it --------------------------------------------------------------------------------

    def laid_out(self) -> None:
        """There is another matrix."""

    def changed(self, cases: Set[int]) -> None:
        """Cells of some cases have changed, or what columns come to."""

    def complained(self) -> None:
        """It could not begin."""

    # --- beginning, pausing, going on --------------------------------------------------------------------------------

    def begin(self, draft: Draft) -> None:
        """Compare what has been set up."""
        self.asked = draft
        self._spent = 0.0
        self._follow(draft, frozenset())

    def proceed(self) -> None:
        """Go on with what was paused or stopped: only what has no answer yet is asked."""
        assert self.asked is not None
        mine = () if self.matrix is None else self.matrix.results
        made = frozenset(each.record.id for each in mine if not each.cached)
        self._follow(self.asked, self._ours | made)

    def halt(self, phase: Phase) -> None:
        """End it soon: `pausing` or `stopping`."""
        if self._following is not None:
            self.phase = phase
            self._following.cancel()

    def _follow(self, draft: Draft, ours: Set[str]) -> None:
        self.reasons = ()
        self.phase = "checking"
        self.found = None
        self.took = ""
        self._ours = ours
        self._began = time.monotonic()
        self._following = self.desk.do(
            partial(_perform, draft, ours), items=self._heard, done=self._ended, failed=self._broke, lane="batch"
        )

    # --- what the lab says -------------------------------------------------------------------------------------------

    def _heard(self, said: Sequence[Any]) -> None:
        from promptlab.app.batch import Began, Broken, Given, Laid, Paced, Summed

        cases: set[int] = set()
        for each in said:
            match each:
                case Laid():
                    self._lay(each)
                case Began(place=place) if self.matrix:
                    self.matrix.begin(place)
                    cases.add(place[1])
                case Given(result=result, final=final) if self.matrix:
                    self.matrix.put(result, final=final)
                    cases.add(result.case)
                case Summed(summaries=summaries, agreement=agreement) if self.matrix:
                    self.summaries = {**self.summaries, **summaries}
                    self.matrix.agree(agreement)
                case Paced():
                    self.paced = each
                case Broken(model=model, failure=failure):
                    self.reasons = (*self.reasons, f"{model}: {failure.message}")
        self.changed(cases)

    def _lay(self, laid: Laid) -> None:
        from promptlab.core.matrix import Matrix

        if self._ours and self.laid is not None and self.matrix is not None and _same(laid, self.laid):
            self.laid = laid
        else:
            if self._ours:
                self.notify("Prompts, cases or models have changed meanwhile: it begins anew.", markup=False)
            self.laid = laid
            self.matrix = Matrix(laid.columns, laid.cases, laid.samples)
            self.summaries = {}
            self.laid_out()
        if self.phase == "checking":
            self.phase = "running"
        self.page = "table"

    def _ended(self, ended: Ended) -> None:
        """It is over, or paused."""
        self.found = ended.comparison
        if self.matrix is not None:
            self.matrix.halt()
        if ended.trouble:
            self.reasons = (*self.reasons, ended.trouble)
        self._spent += time.monotonic() - self._began
        self.took = f"in {duration(self._spent)}" if ended.whole else ""
        self._over("done" if ended.whole else "paused" if self.phase == "pausing" else "stopped")
        if ended.whole:
            self._announce()
        self.changed(set(range(len(ended.comparison.cases))))

    def _broke(self, reasons: tuple[str, ...]) -> None:
        """It could not begin, or broke off."""
        self.reasons = (*self.reasons, *reasons)
        begun = self.phase != "checking"
        if self.matrix is not None:
            self.matrix.halt()
        self._over("broken" if begun else "new")
        if not begun:
            self.complained()

    def _over(self, phase: Phase) -> None:
        self._following = None
        self.phase = phase

    def _announce(self) -> None:
        """Say so where another screen is shown."""
        if self.app.screen is not self and self.paced is not None:
            self.app.notify(f"The batch is done {self.took}: {key_of(self, 'screen.batch')} shows it.", markup=False)

    def watch_phase(self) -> None:
        """Say so in the title of every screen."""
        self._busy()

    def watch_paced(self) -> None:
        """Say how far it is in the title of every screen."""
        self._busy()

    def _busy(self) -> None:
        words = paused = ""
        if self.active:
            words = f"batch {self.paced.done:,}/{self.paced.total:,}" if self._counts and self.paced else "batch"
        elif self.phase == "paused" and self.paced:
            paused = f"batch paused {self.paced.done:,}/{self.paced.total:,}"
        program(self).busy("batch", words)
        program(self).busy("paused batch", paused)

    @property
    def _counts(self) -> bool:
        return self.phase != "checking"


def _perform(draft: Draft, ours: Set[str], lab: Lab, task: Task[Ended]) -> Ended:
    from promptlab.app.batch import begin, follow

    comparing = begin(lab, request(draft), ours)
    task.on_cancel(comparing.pause)
    return follow(comparing, task.say)


def request(draft: Draft) -> Request:
    """What was typed, as a comparison takes it. Raises UsageError with all that is wrong with it."""
    from promptlab.app.compare import Request
    from promptlab.app.run import Typed
    from promptlab.core.typed import json_or_text, pairs, words
    from promptlab.errors import UsageError

    problems = [] if draft.prompts else ["No prompt is ticked."]
    problems += [] if draft.models else ["No model is ticked."]
    named: dict[str, list[tuple[str, str]]] = {}
    for what, text in (("options", draft.options), ("variables", draft.variables)):
        try:
            named[what] = pairs(words(text, what), what)
        except UsageError as error:
            problems.append(str(error))
    if not (draft.samples.strip().isdecimal() and 1 <= int(draft.samples) <= MAX_SAMPLES):
        problems.append(f"samples: a number from 1 to {MAX_SAMPLES} is wanted")
    if problems:
        raise UsageError("\n".join(problems))
    return Request(
        draft.prompts,
        draft.cases,
        draft.models,
        {name: Typed(value) for name, value in named["variables"]},
        int(draft.samples),
        {name: json_or_text(value) for name, value in named["options"]},
        recall="answers" if draft.recall == "answers" else "nothing" if draft.recall == "nothing" else "everything",
        judge=draft.judge or None,
        likeness=draft.likeness,
        allow_code=draft.code,
    )


MAX_SAMPLES = 1000


def _same(laid: Laid, before: Laid) -> bool:
    """Whether the same is asked as before."""
    if (laid.columns, laid.cases, laid.samples) != (before.columns, before.cases, before.samples):
        return False
    return all(
        (job.prompt.hash, job.inputs, job.model) == (old.prompt.hash, old.inputs, old.model)
        for job, old in zip(laid.jobs.values(), before.jobs.values(), strict=True)
    )
