"""The four ways of looking closer at answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from promptlab.core.tokens import Choice, Pieces, choices
from promptlab.tui import closely, show
from promptlab.tui.bindings import bindings
from promptlab.tui.widgets.listed import Listed, place
from promptlab.tui.widgets.tokenmap import TokenMap
from promptlab.tui.widgets.transcript import Paragraph, Transcript

if TYPE_CHECKING:
    from promptlab.core.record import Step
    from promptlab.core.subject import Agreement, Difference, Subject

FEW = "Only the most likely token was noted when this was answered; asked again here, it has five."
HINT = "enter twice: go on from the marked one"


class Alternatives(Listed):
    """What could have been said in the place of a token."""

    BINDINGS = bindings("alternatives")

    class Left(Message):
        """The tokens are wanted again."""

    def action_back(self) -> None:
        """Go back to the tokens."""
        self.post_message(self.Left())


class TokensPane(Vertical):
    """The answer as tokens, and what could have been said at the cursor."""

    DEFAULT_CSS = """
    TokensPane {
        & > .split { height: 1fr; }
        & TokenMap { height: 1fr; width: 1fr; padding: 0 1; }
        & .beside { height: 9; border-top: solid $border-blurred; }
        & .about { height: auto; padding: 0 1; }
        & .few { height: auto; padding: 0 1; color: $text-muted; }
        & Alternatives {
            height: auto; max-height: 1fr; background: $background; padding: 0 1;
            &, &:focus { border: none; background-tint: $foreground 0%; }
        }
        & > .legend { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .notice { display: none; height: 1fr; padding: 1 2; }
        &.-waiting { & > .split, & > .legend { display: none; } & > .notice { display: block; } }
    }
    """

    class Branch(Message):
        """The answer is to go on from another token."""

        def __init__(self, token: int, id: int) -> None:
            super().__init__()
            self.token = token
            self.id = id

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._step: Step | None = None
        self._pieces: Pieces | None = None
        self._choices: tuple[Choice, ...] = ()
        self._token = 0

    def compose(self) -> ComposeResult:
        """The tokens, and beside or below them the one at the cursor."""
        with Widget(classes="split"):
            yield TokenMap()
            with Vertical(classes="beside"):
                yield Static(classes="about")
                yield Alternatives()
                yield Static(classes="few")
        yield Static(closely.legend(), classes="legend")
        yield Static(classes="notice")

    def say(self, notice: Content) -> None:
        """There is nothing to show yet, or never."""
        self._step = self._pieces = None
        self.add_class("-waiting")
        self.query_one(".notice", Static).update(notice)

    def show(self, step: Step, pieces: Pieces, *, grown: bool = False) -> None:
        """Show the tokens of an answer: another one, or one that has `grown`. Then all stays where it is."""
        if step is self._step and pieces is self._pieces:
            return
        grown = grown and self._step is not None
        self._step, self._pieces = step, pieces
        self.remove_class("-waiting")
        self.query_one(TokenMap).show(closely.marks(step, pieces), grown=grown)
        if grown:
            self._tell_about()
        else:
            self._look(0)

    def enter(self) -> None:
        """Put the focus on the tokens."""
        self.query_one(TokenMap).focus()

    @on(TokenMap.Moved)
    def _moved(self, event: TokenMap.Moved) -> None:
        event.stop()
        self._look(event.token)

    def _look(self, token: int) -> None:
        # What was posted before another answer came is about the one before.
        if self._step is None or self._pieces is None or token >= len(self._step.tokens):
            return
        self._token = token
        drawn = self._step.tokens[token]
        self._choices = choices(drawn, self._pieces)
        self._tell_about()
        listed = self.query_one(Alternatives)
        listed.clear_options()
        control = self._pieces.control
        listed.add_options([Option(closely.choice_line(each, each.id in control)) for each in self._choices])
        listed.highlighted = next((n for n, each in enumerate(self._choices) if not each.drawn), 0)
        few = self.query_one(".few", Static)
        few.update(Content(FEW if closely.few_noted(self._step, token) else HINT))

    def _tell_about(self) -> None:
        assert self._step is not None
        assert self._pieces is not None
        self.query_one(".about", Static).update(closely.about_token(self._step, self._token, self._pieces))

    @on(TokenMap.Entered)
    def _entered(self, event: TokenMap.Entered) -> None:
        event.stop()
        self.query_one(Alternatives).focus()

    @on(Alternatives.Left)
    def _left(self, event: Alternatives.Left) -> None:
        event.stop()
        self.enter()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if (at := place(event)) is not None:
            self.post_message(self.Branch(self._token, self._choices[at].id))


class DifferencePane(Vertical):
    """Two answers, with the words marked that the other one does not have; and where their tokens part."""

    DEFAULT_CSS = """
    DifferencePane {
        & > .texts { height: 1fr; }
        & .pair { height: auto; }
        & .side { width: 1fr; height: auto; padding: 0 1; }
        & .side > Static { height: auto; }
        & Vertical.side { margin-bottom: 1; }
        & .head { color: $text-muted; margin-bottom: 1; }
        & > .where { height: auto; max-height: 6; padding: 0 1; border-top: solid $border-blurred; }
        & > .forks { height: auto; max-height: 12; }
    }
    """

    def compose(self) -> ComposeResult:
        """The texts above, the tokens below."""
        with VerticalScroll(classes="texts"), Widget(classes="pair"):
            for side in ("left", "right"):
                yield Vertical(Static(classes="head"), Static(classes="text"), classes=f"side {side}")
        yield Static(classes="where")
        with Widget(classes="pair forks"):
            for side in ("left", "right"):
                yield Static(classes=f"side fork {side}")

    def show(
        self,
        found: Difference | None,
        both: Sequence[Subject],
        names: Sequence[Content],
        pieces: Sequence[Pieces | None],
    ) -> None:
        """Show what differs; the texts alone while that is not known."""
        texts = closely.sides(found, *both) if found else [show.block(each.text[: closely.MAX_TEXT]) for each in both]
        for side, text, name in zip(("left", "right"), texts, names, strict=True):
            self.query_one(f".{side} > .head", Static).update(name)
            self.query_one(f".{side} > .text", Static).update(text)
        self.query_one(".where", Static).update(closely.where(found) if found else Content(""))
        forks = found.parting.forks if found and found.parting else (None, None)
        for side, fork, known in zip(("left", "right"), forks, pieces, strict=True):
            lines = closely.fork_lines(fork, known) if fork and known else Content("")
            self.query_one(f".fork.{side}", Static).update(lines)
        self.query_one(".forks").display = forks[0] is not None

    def enter(self) -> None:
        """Put the focus on the texts."""
        self.query_one(".texts").focus()


class Reading(Transcript):
    """A long text that is read from its beginning."""

    def _keep_up(self) -> None:
        """Stay: nothing comes after the end."""


class SawPane(Vertical):
    """Everything that the model was given."""

    DEFAULT_CSS = """
    SawPane > Reading { height: 1fr; margin: 0 1; }
    """

    def compose(self) -> ComposeResult:
        """One long text."""
        yield Reading()

    def show(self, paragraphs: Sequence[Paragraph]) -> None:
        """Show it."""
        self.query_one(Reading).show(paragraphs)

    def enter(self) -> None:
        """Put the focus on it."""
        self.query_one(Reading).focus()


class AgreementPane(VerticalScroll):
    """Who says the same."""

    DEFAULT_CSS = """
    AgreementPane { padding: 0 1; }
    AgreementPane > Static { height: auto; }
    """

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static()

    def show(self, found: Agreement | None) -> None:
        """Show it, once it is known."""
        self.query_one(Static).update(closely.agreement(found) if found else Content(""))

    def enter(self) -> None:
        """Put the focus on it."""
        self.focus()
