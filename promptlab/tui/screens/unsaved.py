"""What to do with changes that would be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from promptlab.tui import show

Choice = Literal["save", "discard"]


class UnsavedScreen(ModalScreen[Choice | None]):
    """Asks whether to save what was typed, to forget it, or to stay."""

    DEFAULT_CSS = """
    UnsavedScreen {
        align: center middle;
        background: $background 60%;
        & > Vertical { width: 60; max-width: 90%; height: auto; border: round $warning; padding: 1 2; }
        & Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,enter", "choose('save')", "Save", id="unsaved.save"),
        Binding("d", "choose('discard')", "Discard", id="unsaved.discard"),
        Binding("escape", "dismiss(None)", "Stay", id="unsaved.stay"),
    ]

    def __init__(self, names: Sequence[str], *, can_save: bool = True) -> None:
        super().__init__()
        self._names = names
        self._can_save = can_save

    def compose(self) -> ComposeResult:
        """The prompts, and the keys."""
        keys = [("s", "saves")] if self._can_save else []
        keys += [("d", "forgets what was typed"), ("esc", "goes back")]
        with Vertical() as pane:
            pane.border_title = Content("Not saved")
            yield Static(show.line(", ".join(self._names), "bold"))
            yield Static(
                Content("") + show.lines([Content.assemble((f"{k:>5}", show.ACCENT), f"  {w}") for k, w in keys])
            )

    def action_choose(self, choice: Choice) -> None:
        """That is what to do."""
        if choice == "discard" or self._can_save:
            self.dismiss(choice)
