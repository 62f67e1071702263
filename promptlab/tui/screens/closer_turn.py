"""A window to type the next turn of a conversation into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.widgets.field import Area

if TYPE_CHECKING:
    from promptlab.core.record import Record

MAX_SEEN = 400
"""Characters of the answer that are shown, from its end."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What is said next."""

    text: str
    everywhere: bool
    """To every column, each after its own answer."""


class TurnScreen(ModalScreen[Turn | None]):
    """Asks what to say next; gives None where nothing is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "say(False)", "Ask", priority=True, id="turn.say"),
        Binding("ctrl+t,f9", "say(True)", "Ask all", priority=True, id="turn.say.everywhere"),
        Binding("escape", "dismiss(None)", "Close", id="turn.close"),
    ]

    def __init__(self, record: Record, columns: int) -> None:
        """`columns`: how many have a finished answer."""
        super().__init__()
        self._record = record
        self._columns = columns

    def compose(self) -> ComposeResult:
        """What was said last, and the room to answer it."""
        with Vertical(id="turn") as pane:
            pane.border_title = Content.assemble("Next turn for ", show.line(self._record.model.name))
            everywhere = f" · ctrl+t or f9 asks all {self._columns} columns" if self._columns > 1 else ""
            pane.border_subtitle = Content(f"ctrl+r asks{everywhere} · esc closes")
            said = self._record.steps[-1].text
            seen = said if len(said) <= MAX_SEEN else f"…{said[-MAX_SEEN:]}"
            yield Static(show.block(seen, show.DIM), classes="said")
            yield Area("", placeholder="What do you say to that?")

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(Area).focus()

    def action_say(self, everywhere: bool) -> None:
        """Have it asked."""
        text = self.query_one(Area).text
        if not text.strip():
            self.notify("Type something first.", severity="warning", markup=False)
            return
        self.dismiss(Turn(text, everywhere))
