"""Show what a worked example changes in a prompt, and ask whether to write it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of
from promptlab.tui.screens.window import Keeping
from promptlab.tui.widgets.bars import Problems
from promptlab.tui.widgets.hanging import Hanging, difference

if TYPE_CHECKING:
    from promptlab.app.examples import Example
    from promptlab.app.lab import Lab


class KeepExampleScreen(Keeping):
    """Shows the difference, and writes it."""

    DEFAULT_CSS = """
    KeepExampleScreen {
        & > Vertical {
            width: 94%; max-width: 120; height: auto; max-height: 92%;
            border: round $accent; border-title-color: $text; border-subtitle-color: $text-muted; padding: 0 1;
        }
        & VerticalScroll { height: auto; max-height: 100%; }
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
                yield Hanging(difference(self._example.changes), hang=1)
            yield Problems()

    def action_write(self) -> None:
        """Write it; where it is refused, say why and stay."""
        self.keep(partial(_write, self._example))


def _write(example: Example, lab: Lab, task: Task[str]) -> str:
    from promptlab.app.examples import write_example  # here because it is slow to import

    return write_example(lab, example)
