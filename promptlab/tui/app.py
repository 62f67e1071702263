"""The playground: opens a library and shows it until the user leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App, SystemCommand
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer

from promptlab.errors import PromptlabError
from promptlab.tui.bindings import bindings, of
from promptlab.tui.desk import Desk
from promptlab.tui.screens.play import PlayScreen
from promptlab.tui.state import Survey
from promptlab.tui.survey import survey
from promptlab.tui.theme import DARK, LIGHT

if TYPE_CHECKING:
    from promptlab.app.lab import Labs

FRAME_S = 1 / 15
"""The shortest time between two looks at what the lab has said. Reading goes no faster, and drawing costs."""


class Playground(App[None]):
    """A few screens over one library, each a mode of its own."""

    CSS_PATH = "app.tcss"
    TITLE = "promptlab"
    DEFAULT_MODE = "play"
    BINDINGS = bindings("app")

    survey: var[Survey | None] = var(None, init=False)
    """What the library holds; None while it is being opened."""
    activity: var[dict[str, str]] = var(dict[str, str], init=False)
    """What is under way, in a few words each, by what it is: for the title of every screen."""

    class Nudge(Message):
        """The lab has said something."""

        bubble = False

        def can_replace(self, message: Message) -> bool:
            """One is as good as a thousand."""
            return isinstance(message, Playground.Nudge)

    def __init__(self, open_labs: Callable[[], Labs]) -> None:
        super().__init__()
        self.failure: PromptlabError | None = None
        """Why the library could not be opened."""
        self.play: PlayScreen
        self.desk = Desk(open_labs, self._nudge, self._unopened, self.complain)
        self._pause: Timer | None = None
        """Runs while it is too early to look again."""
        self._nudged = False

        self.register_theme(DARK)
        self.register_theme(LIGHT)
        # Not assigned: that would parse every style sheet once more before the first paint.
        self.set_reactive(App.theme, DARK.name)
        self._invalidate_css()
        self.stylesheet.set_variables(self.get_css_variables())

    def get_default_screen(self) -> Screen[Any]:
        """The play screen is there from the start."""
        self.play = PlayScreen(self.desk)
        return self.play

    def on_mount(self) -> None:
        """Draw first; the lab, which is slow to import, opens after that."""
        self.add_mode("play", lambda: self.play)
        self.call_after_refresh(self.look)

    # --- what the lab says -------------------------------------------------------------------------------------------

    def _nudge(self) -> None:
        self.post_message(self.Nudge())

    def on_playground_nudge(self) -> None:
        """Look, unless we have just looked: then look again when it is time."""
        if self._pause is not None:
            self._nudged = True
            return
        self.desk.deliver()
        self._pause = self.set_timer(FRAME_S, self._paused)

    def _paused(self) -> None:
        self._pause = None
        if self._nudged:
            self._nudged = False
            self.on_playground_nudge()

    def look(self) -> None:
        """Look at what the library holds, and show it."""
        self.desk.do(survey, done=self._surveyed, key="survey")

    def _surveyed(self, found: Survey) -> None:
        self.survey = found

    def _unopened(self, error: PromptlabError) -> None:
        self.failure = error
        self.exit()

    def complain(self, reasons: tuple[str, ...]) -> None:
        """Say on whichever screen is shown why something could not be done."""
        from promptlab.core.text import sanitize

        self.notify(sanitize("\n".join(reasons)), severity="error", markup=False)

    def busy(self, what: str, how: str) -> None:
        """Something is under way, as `how` says; it is over when that is empty."""
        others = {key: words for key, words in self.activity.items() if key != what}
        self.activity = {**others, what: how} if how else others

    # --- commands ----------------------------------------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every command that holds on a screen, and the themes."""
        for command in of(getattr(screen, "scope", "app"), "app"):
            if command.id == "palette":
                continue
            yield SystemCommand(command.name, command.help, partial(screen.run_action, command.action))
        yield SystemCommand("Theme", "Choose other colours.", self.action_change_theme)

    def action_mode(self, name: str) -> None:
        """Go to a screen."""
        self.switch_mode(name)

    def action_help(self) -> None:
        """Show every key."""
        from promptlab.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(of(getattr(self.screen, "scope", "app"), "app")))

    async def action_quit(self) -> None:
        """Leave. What is under way is cancelled, and waited for once the terminal is itself again."""
        self.desk.cancel()
        self.exit()

    def on_unmount(self) -> None:
        """The screen is gone; end the lab."""
        self.desk.close()


def run_playground(library: Path | None) -> int:
    """Open the library at `library`, or the nearest one, and show it. Returns the exit code.

    Raises PromptlabError when it cannot be opened.
    """
    app = Playground(partial(_open_labs, library))
    app.run()
    app.desk.close()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _open_labs(library: Path | None) -> Labs:
    from promptlab.app.lab import Labs

    return Labs(library)
