"""A window to type the next turn of a conversation into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.bindings import all_keys, bindings
from promptlab.tui.program import key_of, program
from promptlab.tui.screens.window import Window
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


class TurnScreen(Window[Turn | None]):
    """Asks what to say next; gives None where nothing is."""

    BINDINGS = bindings("turn")
    scope = "turn"

    def __init__(self, record: Record, columns: int, begun: str, typed: Callable[[str], None]) -> None:
        """`columns`: how many have a finished answer. `begun` was typed before; `typed` hears what is there by now."""
        super().__init__()
        self._record = record
        self._columns = columns
        self._begun = begun
        self._typed = typed

    def compose(self) -> ComposeResult:
        """What was said last, and the room to answer it."""
        with Vertical(id="turn") as pane:
            pane.border_title = Content.assemble("Next turn for ", show.line(self._record.model.name))
            keys = [f"{key_of(self, 'turn.say')} asks"]
            if self._columns > 1:
                everywhere = all_keys("turn.say.everywhere", program(self).keys)
                keys.append(f"{everywhere} asks all {self._columns} columns")
            pane.border_subtitle = Content(" · ".join([*keys, f"{key_of(self, 'turn.close')} closes"]))
            said = self._record.steps[-1].text
            seen = said if len(said) <= MAX_SEEN else f"…{said[-MAX_SEEN:]}"
            yield Static(show.block(seen, show.DIM), classes="said")
            yield Area(self._begun, placeholder="What do you say to that?")

    def on_mount(self) -> None:
        """Type at once, after what was typed before."""
        area = self.query_one(Area)
        area.move_cursor(area.document.end)
        area.focus()

    @on(Area.Changed)
    def _changed(self, event: Area.Changed) -> None:
        event.stop()
        self._typed(event.text_area.text)

    def action_say(self, everywhere: bool) -> None:
        """Have it asked."""
        text = self.query_one(Area).text
        if not text.strip():
            self.notify("Type something first.", severity="warning", markup=False)
            return
        self.dismiss(Turn(text, everywhere))
