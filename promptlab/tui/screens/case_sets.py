"""Choose a case set for the form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.program import key_of
from promptlab.tui.screens.window import Window

if TYPE_CHECKING:
    from promptlab.app.stepping import Offer

NONE = ""
"""What is given for no case set."""


class CaseSetScreen(Window[str | None]):
    """Lists the case files, those that fit the prompt first; gives the path of the one that was chosen."""

    DEFAULT_CSS = """
    CaseSetScreen {
        & > Vertical {
            width: 94%; max-width: 100; height: auto; max-height: 92%;
            border: round $accent; border-title-color: $text; border-subtitle-color: $text-muted; padding: 0 1;
        }
        & OptionList {
            height: auto; max-height: 100%; padding: 0; background: $background;
            text-wrap: nowrap; text-overflow: ellipsis;
            &, &:focus { border: none; background-tint: $foreground 0%; }
        }
        & Static { height: auto; padding: 1; }
    }
    """
    BINDINGS = bindings("cases")
    scope = "cases"

    def __init__(self, prompt: str, offers: Sequence[Offer], active: str | None) -> None:
        """`active`: the path of the case set that is in use and can be put away."""
        super().__init__()
        self._prompt = prompt
        self._offers = offers
        self._active = active

    def compose(self) -> ComposeResult:
        """One list."""
        with Vertical() as pane:
            pane.border_title = Content.assemble("Cases for ", show.line(self._prompt, "bold"))
            pane.border_subtitle = Content(f"enter chooses · {key_of(self, 'cases.close')}")
            none = [Option(Content("No case set: what was typed before"), NONE)] if self._active is not None else []
            offers = [Option(_label(each), str(number)) for number, each in enumerate(self._offers)]
            if offers or none:
                sets = OptionList(*none, *offers)
                files = [each.file for each in self._offers]
                if self._active in files:
                    sets.highlighted = len(none) + files.index(self._active)
                yield sets
            else:
                yield Static(self._nothing)

    @property
    def _nothing(self) -> Content:
        """How the first case comes about."""
        pane, keep = key_of(self, "pane.next"), key_of(self, "ask.keep.case")
        how = Content(f"Run the prompt, go to an answer ({pane}), and press {keep}: that makes the first.")
        return show.lines([Content("There is no case file in seeds/ yet."), Content(""), how])

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        number = event.option.id
        if not number:
            self.dismiss(NONE)
            return
        offer = self._offers[int(number)]
        if offer.problem:
            self.notify(show.line(offer.problem).plain, severity="error", markup=False)
        else:
            self.dismiss(offer.file)


def _label(offer: Offer) -> Content:
    if offer.problem:
        return show.lines([show.line(f"✗ {offer.name}", "bold"), show.line(f"  {offer.problem}", show.BAD)])
    count = f"  {offer.cases:,} case{'' if offer.cases == 1 else 's'}"
    name = show.line(offer.name, "bold" if offer.fits else "") + show.line(count, show.DIM)
    said = show.line(f"  {offer.misfit}", show.WARN) if offer.misfit else show.line(f"  {offer.description}", show.DIM)
    return show.lines([name, said]) if said.plain.strip() else name
