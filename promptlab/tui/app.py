"""The playground: opens a library and shows it until the user leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import App, SystemCommand
from textual.screen import Screen

from promptlab.errors import PromptlabError
from promptlab.tui.bindings import COMMANDS, bindings
from promptlab.tui.desk import Desk
from promptlab.tui.screens.help import HelpScreen
from promptlab.tui.screens.play import PlayScreen
from promptlab.tui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from promptlab.app.lab import Lab


class Playground(App[None]):
    """One screen over one lab."""

    CSS_PATH = "app.tcss"
    TITLE = "promptlab"
    BINDINGS = bindings("app")

    def __init__(self, open_lab: Callable[[], AbstractContextManager[Lab]]) -> None:
        super().__init__()
        self.failure: PromptlabError | None = None
        """Why the library could not be opened."""
        self.play: PlayScreen
        self.desk = Desk(open_lab, self._nudge)

        self.register_theme(DARK)
        self.register_theme(LIGHT)
        # Not assigned: that would parse every style sheet once more before the first paint.
        self.set_reactive(App.theme, DARK.name)
        self._invalidate_css()
        self.stylesheet.set_variables(self.get_css_variables())

    def get_default_screen(self) -> Screen[Any]:
        """The play screen is the bottom of the stack."""
        self.play = PlayScreen(self.desk)
        return self.play

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every command of the table, and the themes."""
        for command in COMMANDS:
            if command.id == "palette":
                continue
            yield SystemCommand(command.name, command.help, partial(screen.run_action, command.action))
        yield SystemCommand("Theme", "Choose other colours.", self.action_change_theme)

    def action_help(self) -> None:
        """Show every key."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Leave. A run is cancelled, and waited for once the terminal is itself again."""
        self.desk.cancel()
        self.exit()

    def on_unmount(self) -> None:
        """The screen is gone; end the lab."""
        self.desk.close()

    @on(PlayScreen.Unopened)
    def _unopened(self, event: PlayScreen.Unopened) -> None:
        self.failure = event.error
        self.exit()

    def _nudge(self) -> None:
        self.play.post_message(PlayScreen.Nudge())


def run_playground(library: Path | None) -> int:
    """Open the library at `library`, or the nearest one, and show it. Returns the exit code.

    Raises PromptlabError when it cannot be opened.
    """
    app = Playground(partial(_open_lab, library))
    app.run()
    app.desk.close()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _open_lab(library: Path | None) -> AbstractContextManager[Lab]:
    from promptlab.app.lab import open_lab

    return open_lab(library)
