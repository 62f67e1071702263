"""Looking closer at answers: their tokens, how they differ, what the models saw, and who says the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import ContentSwitcher, Static

from promptlab.core.record import Record
from promptlab.core.subject import Subject, of_cell, of_record
from promptlab.core.tokens import Pieces, begun, known_part
from promptlab.tui import closely, show
from promptlab.tui.bindings import bindings, of
from promptlab.tui.closer_work import branch_run, find_agreement, find_difference, read_tokens, tell_seen
from promptlab.tui.desk import Task
from promptlab.tui.fitting import Row
from promptlab.tui.history_work import reopen_run
from promptlab.tui.program import key_of, program
from promptlab.tui.screens.window import Closing
from promptlab.tui.widgets.bars import Tab, TitleBar
from promptlab.tui.widgets.closer_panes import AgreementPane, DifferencePane, SawPane, TokensPane
from promptlab.tui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.reopen import Opened
    from promptlab.app.run import Run
    from promptlab.core.record import Cell

View = Literal["tokens", "difference", "saw", "agreement"]
FOLLOW_S = 1.0
"""How often to look whether an answer that is being written has grown."""
MARGIN = 4
"""Cells of the screen's width that a text has not, with the scroll bar."""
CHOSEN = 50
"""Cells of an answer's name in a title."""


class CloserScreen(Closing[None]):
    """Shows one answer out of several. Those of the play screen that are still being written are followed."""

    BINDINGS = bindings("closer")
    scope = "closer"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (160, "-roomy")]  # noqa: RUF012

    def __init__(self, answers: Sequence[Cell | Record], focus: int = 0, view: View = "tokens") -> None:
        """`focus` is the place of the answer to look at first. There must be one at least."""
        super().__init__()
        self._answers = tuple(answers)
        self.subjects = tuple(map(_subject, answers))
        self.at = focus
        """Which answer is looked at."""
        self.view: View = view
        self.step = max(len(self.subject.steps) - 1, 0)
        """Which step of its program."""
        self.other = self._counterpart()
        """Which answer it is compared with."""
        self.pieces: dict[str, Pieces | str] = {}
        """What tokens stand for, by the weights of their model; or why that is not known."""
        self._reading: dict[str, Task[Pieces]] = {}
        self._grown: set[str] = set()
        """Of which weights answers have more tokens than have been read."""
        self._following: Timer
        self._in_tokens: tuple[int, int] | None = None
        """The answer and the step whose tokens are shown."""
        self._told = 0
        """For which width it was told what a model saw."""
        self._samples = any(each.sample for each in self.subjects)

    @property
    def subject(self) -> Subject:
        """The answer that is looked at."""
        return self.subjects[self.at]

    def compose(self) -> ComposeResult:
        """The views, one at a time."""
        yield TitleBar()
        with Horizontal(id="views"):
            for command in of("closer"):
                if command.action.startswith("view("):
                    yield Tab(command, f"{key_of(self, command.id)} {command.name}")
        yield Static(id="which")
        with ContentSwitcher(id="closer", initial=self.view):
            yield TokensPane(id="tokens")
            yield DifferencePane(id="difference")
            yield SawPane(id="saw")
            yield AgreementPane(id="agreement")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the first view, and what is still to come."""
        self._show()
        if any(each.record is None for each in self.subjects):
            self._following = self.set_interval(FOLLOW_S, self._follow)

    def on_resize(self) -> None:
        """What stands in columns has another number of them."""
        if self.view == "saw" and self._told and self._told != self.size.width:
            self._show_saw()

    def on_unmount(self) -> None:
        """Nobody waits for tokens any more."""
        for task in self._reading.values():
            task.drop()

    # --- commands ----------------------------------------------------------------------------------------------------

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_view(self, view: View) -> None:
        """Look in another way; at the difference to the next answer, where a difference is shown already."""
        if view == self.view == "difference":
            self.other = self._another(self.other)
        self.view = view
        self._show()

    def action_answer(self, step: int) -> None:
        """Look at another answer."""
        self.at = (self.at + step) % len(self.subjects)
        self.step = max(len(self.subject.steps) - 1, 0)
        if self.other == self.at:
            self.other = self._counterpart()
        self._show()

    def action_choose(self) -> None:
        """Choose from all answers which one to compare with."""
        from promptlab.tui.screens.dialogs import ChoiceScreen  # here because hardly anybody asks for it

        names = [show.join([Content(f"{n + 1:>3}"), self._named(each)]) for n, each in enumerate(self.subjects)]
        title = Content.assemble("Compare ", names[self.at].truncate(CHOSEN, ellipsis=True), " with")
        self.app.push_screen(ChoiceScreen(title, names, self.other, without=self.at), self._chosen)

    def _chosen(self, other: int | None) -> None:
        if other is not None:
            self.other = other
            self._show()

    def action_step(self, step: int) -> None:
        """Look at another step."""
        self.step = max(min(self.step + step, len(self.subject.steps) - 1), 0)
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done."""
        if action == "choose":
            return self.view == "difference" and len(self.subjects) > 2
        if action == "answer" or parameters in (("difference",), ("agreement",)):
            return len(self.subjects) > 1
        return len(self.subject.steps) > 1 if action == "step" else True

    def _another(self, after: int) -> int:
        """The next answer that is not the one looked at; that one where there is no other."""
        count = len(self.subjects)
        places = ((after + step) % count for step in range(1, count + 1))
        return next((place for place in places if place != self.at), self.at)

    def _counterpart(self) -> int:
        """The answer to compare with first: of another column, and there the same sample, if there is one."""
        count, mine = len(self.subjects), self.subject
        places = [(self.at + step) % count for step in range(1, count)]
        pairs = [(place, self.subjects[place]) for place in places]
        ranks = {place: (each.column == mine.column, each.sample != mine.sample) for place, each in pairs}
        return min(ranks, key=ranks.__getitem__, default=self.at)

    def _named(self, subject: Subject) -> Content:
        return closely.name(subject, self._samples)

    # --- what is still being written ---------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Show how far the answers have come, while this is what is looked at."""
        if self.app.screen is not self:
            return
        now = {id(cell.job): cell for cell in program(self).play.cells}
        newer = tuple(each if isinstance(each, Record) else now.get(id(each.job), each) for each in self._answers)
        grown = [n for n, (old, new) in enumerate(zip(self._answers, newer, strict=True)) if old is not new]
        if not grown:
            return
        self._answers = newer
        self.subjects = tuple(_subject(each) if n in grown else self.subjects[n] for n, each in enumerate(newer))
        self._grown |= {self.subjects[n].weights for n in grown}
        if all(each.record is not None for each in self.subjects):
            self._following.stop()
        self._show(again=True)

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _show(self, *, again: bool = False) -> None:
        """Show what is looked at; `again` where it has only grown."""
        switcher = self.query_one(ContentSwitcher)
        moved = switcher.current != self.view or self.focused is None
        switcher.current = self.view
        for tab in self.query("#views > Tab"):
            tab.set_class(tab.name == f"closer.{self.view}", "-here")
        self.query_one("#which", Static).update(self._which())
        match self.view:
            case "tokens":
                self._show_tokens()
            case "difference":
                self._show_difference(again)
            case "saw":
                self._show_saw()
            case "agreement":
                self._ask("agreement", partial(find_agreement, self.subjects), self.query_one(AgreementPane).show)
        if moved:
            self._enter()
        self.refresh_bindings()

    def _enter(self) -> None:
        pane = self.query_one(ContentSwitcher).visible_content
        assert isinstance(pane, TokensPane | DifferencePane | SawPane | AgreementPane)
        pane.enter()

    def _which(self) -> Content | Row:
        """Which answer is looked at."""
        if self.view == "agreement":
            return Content(f"all {len(self.subjects)} answers" if len(self.subjects) > 1 else "one answer")
        if self.view == "difference":
            return Content(f"{self.at + 1} with {self.other + 1}, of {len(self.subjects)} answers")
        subject = self.subject
        several = len(self.subjects) > 1
        count = [Content.styled(f"answer {self.at + 1} of {len(self.subjects)}", show.DIM)] if several else []
        steps, totals = [], []
        if self.view == "tokens" and subject.steps:
            step = subject.steps[self.step]
            if len(subject.steps) > 1:
                steps.append(show.line(f"step {self.step + 1} of {len(subject.steps)} {step.name}"))
            tokens, surprise = (Content.styled(each, show.DIM) for each in closely.total(step))
            totals = [("  ", tokens), (" · ", surprise)]
        return Row([("", show.join([*count, self._named(subject), *steps])), *totals])

    def _show_tokens(self) -> None:
        pane = self.query_one(TokensPane)
        step = self.subject.steps[self.step] if self.subject.steps else None
        if step is None or not step.tokens:
            away = step is not None and self.subject.engine is not None and self.subject.engine.server is not None
            why = "Its server did not tell which tokens this is." if away else "There is no token to look at."
            pane.say(Content.styled(why, show.DIM))
            return
        match self._wanted(self.subject):
            case Pieces() as pieces if (known := known_part(step, pieces)).tokens:
                place = (self.at, self.step)
                pane.show(known, pieces, grown=place == self._in_tokens)
                self._in_tokens = place
            case str() as reason:
                pane.say(show.line(f"What its tokens stand for is not known: {reason}", show.WARN))
            case _:
                pane.say(self._loading())

    def _loading(self, fraction: float = 0.0) -> Content:
        what = f"{self.subject.title} is asked what its tokens stand for …"
        return show.line(what + (f" loading {fraction:.0%}" if 0 < fraction < 1 else ""), show.DIM)

    def _show_difference(self, again: bool) -> None:
        both = (self.subject, self.subjects[self.other])
        for each in both:
            self._wanted(each)
        found = {each.weights: self.pieces[each.weights] for each in both if each.weights in self.pieces}
        known = [p if isinstance(p := found.get(each.weights), Pieces) else None for each in both]
        names = [self._named(each) for each in both]
        pane = self.query_one(DifferencePane)
        if not again:
            pane.show(None, both, names, known)
        self._ask("difference", partial(find_difference, both, found), lambda it: pane.show(it, both, names, known))

    def _show_saw(self) -> None:
        pieces = self._wanted(self.subject) if self.subject.steps else None
        self._told = self.size.width
        self._ask("saw", partial(tell_seen, self.subject, pieces, self._told - MARGIN), self.query_one(SawPane).show)

    def _ask(self, what: View, work: Any, done: Any) -> None:
        """Have a view worked out, and show it unless another one is looked at by then."""
        program(self).desk.do(work, done=lambda it: done(it) if self.view == what else None, key="closer", owner=self)

    # --- what tokens stand for ---------------------------------------------------------------------------------------

    def _wanted(self, subject: Subject) -> Pieces | str | None:
        """What the tokens of an answer stand for, or why that is not known; None while the model is being asked."""
        key = subject.weights
        if (key not in self.pieces or key in self._grown) and key not in self._reading:
            self._grown.discard(key)
            steps = [step for each in self.subjects if each.weights == key for step in each.steps]
            self._reading[key] = program(self).desk.do(
                partial(read_tokens, subject.model, subject.engine, steps),
                items=lambda said: self._heard(key, said[-1]),
                done=lambda pieces: self._known(key, pieces),
                failed=lambda reasons: self._known(key, " ".join(reasons)),
                lane="closer",
                owner=self,
            )
        return self.pieces.get(key)

    def _heard(self, key: str, fraction: float) -> None:
        if self.view == "tokens" and self.subject.weights == key and key not in self.pieces:
            self.query_one(TokensPane).say(self._loading(fraction))

    def _known(self, key: str, pieces: Pieces | str) -> None:
        del self._reading[key]
        again = key in self.pieces
        if isinstance(pieces, Pieces) or not again:  # what was read before still holds
            self.pieces[key] = pieces
        if self.view != "agreement":
            self._show(again=again)

    # --- going on ----------------------------------------------------------------------------------------------------

    @on(TokensPane.Branch)
    def _branch(self, event: TokensPane.Branch) -> None:
        """Go on from another token, on the play screen."""
        record, pieces = self.subject.record, self.pieces.get(self.subject.weights)
        if record is None or not isinstance(pieces, Pieces):
            self.notify("The answer is still being written.", severity="warning", markup=False)
            return
        try:
            begun(record.steps[self.step], event.token, event.id, pieces)
        except ValueError as error:
            self.notify(f"Not from here: {error}.", severity="warning", markup=False)
            return
        app, lost = program(self), _lost(record, self.step)
        work = partial(branch_run, record, self.step, event.token, event.id, pieces)
        if app.current_mode == "play":
            self._go_on(work, lost)
        elif app.play.is_free():  # the branch is to stand beside the run that it goes on from
            opened = partial(self._go_on_beside, work, lost)
            app.desk.do(partial(reopen_run, record.id), done=opened, key="history open", owner=self)

    def _go_on_beside(self, work: Callable[[Lab], Run], lost: str, opened: Opened) -> None:
        play = program(self).play
        if play.is_free() and play.reopen(opened):
            self.dismiss()
            self._go_on(work, lost)

    def _go_on(self, work: Callable[[Lab], Run], lost: str) -> None:
        play = program(self).play
        if play.begin(work, beside=True):
            if lost:
                play.notify(lost, markup=False)
            play.appear()


def _subject(answer: Cell | Record) -> Subject:
    return of_record(answer) if isinstance(answer, Record) else of_cell(answer)


def _lost(record: Record, step: int) -> str:
    """What does not hold for a branch."""
    parts = []
    if record.steps[step].constraint is not None:
        parts.append("What the answer had to be is not asked of the rest of it.")
    if step < len(record.steps) - 1:
        parts.append("The later steps of the program are not run.")
    return " ".join(parts)
