"""Show what a worked example changes in a prompt, and ask whether to write it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from promptlab.core.schema import shorten
from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of
from promptlab.tui.screens.window import Keeping
from promptlab.tui.widgets.bars import Problems

if TYPE_CHECKING:
    from promptlab.app.examples import Example
    from promptlab.app.lab import Lab

MAX_LINES = 1_000
MAX_LINE = 2_000
_STYLES = {"+": show.GOOD, "-": show.BAD, "@": show.ACCENT, "\\": show.DIM}


class KeepExampleScreen(Keeping):
    """Shows the difference, and writes it."""

    DEFAULT_CSS = """
    KeepExampleScreen {
        align: center middle;
        background: $background 60%;
        & > Vertical {
            width: 94%; max-width: 120; height: auto; max-height: 92%;
            border: round $accent; border-title-color: $text; border-subtitle-color: $text-muted; padding: 0 1;
        }
        & VerticalScroll { height: auto; max-height: 100%; }
        & Static { height: auto; }
    }
    """
    BINDINGS = bindings("example")
    scope = "example"

    def __init__(self, desk: Desk, example: Example) -> None:
        super().__init__(desk, "Written into")
        self._example = example

    def compose(self) -> ComposeResult:
        """The difference, and why it cannot be written."""
        with Vertical() as pane:
            pane.border_title = Content.assemble("A worked example in ", show.line(self._example.file, "bold"))
            pane.border_subtitle = Content(
                f"{key_of(self, 'example.write')} writes it · {key_of(self, 'example.close')}"
            )
            with VerticalScroll():
                yield Static(difference(self._example.changes))
            yield Problems()

    def action_write(self) -> None:
        """Write it; where it is refused, say why and stay."""
        self.keep(partial(_write, self._example))


def difference(lines: tuple[str, ...]) -> Content:
    """A unified diff, each line in the colour of its mark."""
    shown = [show.line(shorten(each, MAX_LINE), _STYLES.get(each[:1], show.DIM)) for each in lines[:MAX_LINES]]
    more = [Content.styled(f"… {len(lines) - MAX_LINES:,} more lines", show.DIM)] if len(lines) > MAX_LINES else []
    return show.lines([*shown, *more])


def _write(example: Example, lab: Lab, task: Task[str]) -> str:
    from promptlab.app.examples import write_example  # here because it is slow to import

    return write_example(lab, example)
