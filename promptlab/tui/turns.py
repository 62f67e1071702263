"""One key after the other, however fast they come.

Textual hands a key on to whatever has the focus the moment it comes. What the key before it has done, as to move the
focus into a search field or to open a window, may not have happened yet: then a word that is typed quickly, or sent by
a slow line at once, is taken for commands.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from textual.events import Key, Paste

if TYPE_CHECKING:
    from textual.app import App
    from textual.dom import DOMNode
    from textual.timer import Timer

PATIENCE_S = 1.0
"""How long a key may take before the next one is handed on all the same."""


class Turns:
    """Says of each key whether it is its turn; those that have to wait come again by themselves."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._number = 0
        """Of the key that is under way."""
        self._busy = False
        self._waiting: deque[Key | Paste] = deque()
        self._next: Key | Paste | None = None
        """Has been sent to the app again."""
        self._patience: Timer | None = None
        self.commanded = False
        """Whether a command was given since the key that is under way."""

    def take(self, event: Key | Paste) -> bool:
        """Whether it is to be handed on now."""
        if event is not self._next and self._busy:
            self._waiting.append(event)
            self._be_patient()
            return False
        self._next = None
        self._busy = True
        self._number += 1
        self.commanded = False
        return True

    def handed_on(self, target: DOMNode | None) -> None:
        """Follow a key to the widget that it has gone to, and from there up as it does, until all have heard it."""
        self._follow(target or self._app, self._number)

    def _follow(self, node: DOMNode, number: int) -> None:
        above = node.parent
        step = (self._app.call_later, self._heard) if above is None else (node.call_later, self._follow, above)
        if not step[0](*step[1:], number):  # it is being closed
            self._advance()

    def _heard(self, number: int) -> None:
        """All have heard it. What a command asks for shows with the next picture, as the focus does."""
        if number != self._number:
            return
        if not (self.commanded and self._app.call_after_refresh(self._shown, number)):
            self._advance()

    def _shown(self, number: int) -> None:
        if number == self._number:
            self._advance()

    def _be_patient(self) -> None:
        if self._patience is None and self._waiting:
            self._patience = self._app.set_timer(PATIENCE_S, partial(self._lose_patience, self._number))

    def _lose_patience(self, number: int) -> None:
        """Something that hears it takes long, or has gone together with what was to be heard."""
        self._patience = None
        if number == self._number:
            self._advance()
        self._be_patient()

    def _advance(self) -> None:
        self._busy = bool(self._waiting)
        if self._waiting:
            self._next = self._waiting.popleft()
            self._app.post_message(self._next)
