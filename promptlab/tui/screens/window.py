"""Windows over a screen, and whatever else closes to give a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from textual import events, on
from textual.await_complete import AwaitComplete
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen, Screen

from promptlab.tui import show
from promptlab.tui.bindings import help_binding
from promptlab.tui.command import Scope
from promptlab.tui.desk import Desk, Task, Work
from promptlab.tui.program import program
from promptlab.tui.widgets.bars import Problems

T = TypeVar("T")


class Closing(Screen[T], Generic[T]):
    """Closes once, and never another screen in its place.

    Textual's `dismiss` takes away whatever is on top: the screen below, where somebody is quick to press enter twice,
    or what was opened above meanwhile.
    """

    _result: tuple[T | None] | None = None
    """What it closes with, once that is known."""

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor about to be."""
        return self._result is None and self.is_attached

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Close with a result; where something else is on top, as soon as that is gone."""
        if not self.is_open:
            return AwaitComplete()
        self._result = (result,)
        return super().dismiss(result) if self.is_active else AwaitComplete()

    @on(events.ScreenResume)
    def _close_late(self) -> None:
        if self._result is not None and self.is_active:
            super().dismiss(*self._result)


class Window(ModalScreen[T], Closing[T], Generic[T]):
    """A window over a screen, with keys and a help of its own."""

    BINDINGS: ClassVar[list[BindingType]] = [help_binding("app.help")]
    scope: Scope


def key_lines(keys: Sequence[tuple[str, str]]) -> Content:
    """What each key does, below each other."""
    width = max(len(key) for key, _ in keys)
    return show.lines([Content.assemble((f"{key:>{width}}", show.ACCENT), f"  {what}") for key, what in keys])


class Keeping(Window[None]):
    """Keeps something in a file, and closes once it is there. Has `Problems` to say why it is not.

    Whoever closes it earlier is told all the same what came of it.
    """

    def __init__(self, desk: Desk, kept: str) -> None:
        """`kept` is said before the name of the file."""
        super().__init__()
        self._desk = desk
        self._kept = kept
        self._keeping: Task[str] | None = None

    def keep(self, work: Work[str]) -> None:
        """Do it, unless it is being done: whoever presses twice means it once."""
        if self._keeping is None or self._keeping.over:
            self._keeping = self._desk.do(work, done=self._written, failed=self._refused)

    def _written(self, file: str) -> None:
        app = program(self)
        app.notify(f"{self._kept} {show.line(file).plain}", markup=False)
        app.look()
        self.dismiss()

    def _refused(self, reasons: tuple[str, ...]) -> None:
        if not self.is_open:
            program(self).complain(reasons)
            return
        problems = self.query_one(Problems)
        problems.reasons = reasons
        problems.call_after_refresh(problems.scroll_visible, animate=False)
