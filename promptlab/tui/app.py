"""The playground: opens a library and shows it until the user leaves."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App, SystemCommand
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.message import Message
from textual.notifications import Notify, SeverityLevel
from textual.reactive import var
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer

from promptlab.errors import EngineError, PromptlabError
from promptlab.tui import show
from promptlab.tui.bindings import around, bindings, shown_keys
from promptlab.tui.command import Command, Scope
from promptlab.tui.compositor import draw_less
from promptlab.tui.desk import Desk, Task
from promptlab.tui.model_news import ModelNews
from promptlab.tui.model_work import ModelWork
from promptlab.tui.preferences import Preferences, own_preferences
from promptlab.tui.screens.play import PlayScreen
from promptlab.tui.screens.play_session import keep_for_sure, left_off
from promptlab.tui.screens.unsaved import Choice, UnsavedScreen
from promptlab.tui.state import Survey
from promptlab.tui.survey import survey
from promptlab.tui.theme import DARK, LIGHT
from promptlab.tui.toasts import Said, make_way
from promptlab.tui.turns import Turns

if TYPE_CHECKING:
    from textual.actions import ActionParseResult

    from promptlab.app.lab import Lab, Labs
    from promptlab.app.session import Place
    from promptlab.app.watching import Watch
    from promptlab.core.session import Session
    from promptlab.core.settings import Settings
    from promptlab.tui.palette import Commands

FRAME_S = 1 / 15
"""The shortest time between two looks at what the lab has said. Reading goes no faster, and drawing costs."""

SWITCH_S = 0.001
"""How long a thread may wait for Python while another one computes: what is drawn is written by a thread of its own."""

MAX_REASONS = 5
"""Of what is wrong in the settings, so many lines are shown."""


def _palette() -> type[Commands]:
    from promptlab.tui.palette import Commands  # here because nobody needs it before the first paint

    return Commands


class Playground(App[None]):
    """A few screens over one library, each a mode of its own."""

    CSS_PATH = "app.tcss"
    TITLE = "promptlab"
    DEFAULT_MODE = "play"
    BINDINGS = bindings("app")
    COMMANDS = {_palette}  # noqa: RUF012

    survey: var[Survey | None] = var(None, init=False, always_update=True)
    """What the library holds; None while it is being opened. Told again when it has been read again: what prompts use
    may have changed, which is not in it.
    """
    activity: var[dict[str, str]] = var(dict[str, str], init=False)
    """What is under way, in a few words each, by what it is: for the title of every screen."""

    keys: var[Mapping[str, str]] = var(dict[str, str], init=False)
    """The keys that the user has set, by the ids of commands."""

    models: var[ModelNews] = var(ModelNews(), init=False)
    """How the models stand, and what is being done with them."""

    class Nudge(Message):
        """The lab has said something."""

        bubble = False

        def can_replace(self, message: Message) -> bool:
            """One is as good as a thousand."""
            return isinstance(message, Playground.Nudge)

    class FilesChanged(Message):
        """Something in the library is another on disk."""

        bubble = False

    def __init__(
        self,
        open_labs: Callable[[], Labs],
        watch: Callable[[Path, Callable[[], object]], Watch] | None = None,
        preferences: Preferences | None = None,
    ) -> None:
        """`watch` calls a function, in any thread, when files of a library change; without it only ctrl+l looks.

        Without `preferences` everything is as it comes, and no theme is kept.
        """
        super().__init__()
        self.preferences = preferences or Preferences()
        self._set_theme = ""
        """The theme that the user's settings name."""
        self.failure: PromptlabError | None = None
        """Why the library could not be opened."""
        self.play: PlayScreen
        self.left: tuple[Place, Session] | None = None
        """What is to be kept for the next time, once the user has left."""
        self._watch = watch
        self._watching: Watch | None = None
        self.desk = Desk(open_labs, self._nudge, self._unopened, self.complain)
        self.model_work = ModelWork(self)
        self.pressed = 0.0
        """When a key was pressed last, on the monotonic clock."""
        self._turns = Turns(self)
        self._pause: Timer | None = None
        """Runs while it is too early to look again."""
        self._nudged = False

        self.register_theme(DARK)
        self.register_theme(LIGHT)
        # Not assigned: that would parse every style sheet once more before the first paint.
        known = self.preferences.theme in self.available_themes
        self.set_reactive(App.theme, self.preferences.theme if known else DARK.name)
        self._kept_theme = self.theme
        self._invalidate_css()
        self.stylesheet.set_variables(self.get_css_variables())

    @property
    def over_play(self) -> Sequence[Screen[Any]]:
        """What lies over the play screen, also while another screen is shown."""
        return self._screen_stacks["play"][1:]

    def get_default_screen(self) -> Screen[Any]:
        """The play screen is there from the start."""
        self.play = draw_less(PlayScreen(self.desk))
        return self.play

    def on_mount(self) -> None:
        """Draw first; the lab, which is slow to import, opens after that."""
        self.add_mode("play", lambda: self.play)
        self.add_mode("batch", partial(_batch_screen, self.desk))
        self.add_mode("history", partial(_history_screen, self.desk))
        self.add_mode("models", partial(_models_screen, self.desk))
        self.theme_changed_signal.subscribe(self, self._theme_changed)
        self.call_after_refresh(self._begin)

    # --- what the lab says -------------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Hand keys on in turn, and make visible what is pasted, for all fields at once: Textual's own, in the palette,
        show it as it is.
        """
        if isinstance(event, events.Key):
            self.pressed = time.monotonic()
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif self._turns.take(event):
            if isinstance(event, events.Paste):
                event.text = show.pasted(event.text)
            target = self.focused or self.screen
            await super().on_event(event)
            self._turns.handed_on(target if event.is_forwarded else None)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Give a command, and remember that one was given."""
        self._turns.commanded = True
        return await super().run_action(action, default_namespace, namespaces)

    def _nudge(self) -> None:
        self.post_message(self.Nudge())

    def on_playground_nudge(self) -> None:
        """Look, unless we have just looked: then look again when it is time."""
        if not self.is_running:  # the screens are going; nobody can show it any more
            return
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

    def _begin(self) -> None:
        gc.freeze()
        gc.enable()
        # Drawing makes many small things that live shortly and do not refer in circles: look for circles less often.
        gc.set_threshold(10_000, 20, 10)
        if (load := self.preferences.load) is not None:
            work = partial(_load, load, tuple(self.available_themes))
            self.desk.do(work, done=self._prefer, failed=self._not_preferred, key="settings")
        self.desk.do(left_off, done=self.play.restore, failed=lambda _: None, key="left off")
        self.look()

    def look(self) -> None:
        """Look at what the library holds, and show it."""
        self.desk.do(survey, done=self._surveyed, key="survey")

    def _surveyed(self, found: Survey) -> None:
        if self.survey is None:
            gc.freeze()  # what the lab has imported stays, too
        self.survey = found
        self.model_work.follow()
        if self._watching is None and self._watch is not None:
            self._watching = self._watch(found.root, lambda: self.post_message(self.FilesChanged()))

    def on_playground_files_changed(self) -> None:
        """Read the library again."""
        self.look()

    def _unopened(self, error: PromptlabError) -> None:
        self.failure = error
        self.exit()

    def complain(self, reasons: tuple[str, ...]) -> None:
        """Say on whichever screen is shown why something could not be done."""
        from promptlab.core.text import sanitize

        self.notify(sanitize("\n".join(reasons)), severity="error", markup=False)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
        about: str = "",
    ) -> None:
        """Say something for a moment: in place of what says the same, or was said `about` the same before."""
        time = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        self.post_message(Notify(Said(message, title, severity, time, markup, about=about)))

    def on_notify(self, event: Notify) -> None:
        """Make room; Textual shows it."""
        make_way(self, event.notification)

    def busy(self, what: str, how: str) -> None:
        """Something is under way, as `how` says; it is over when that is empty."""
        others = {key: words for key, words in self.activity.items() if key != what}
        self.activity = {**others, what: how} if how else others

    # --- what the user has set ---------------------------------------------------------------------------------------

    def _prefer(self, settings: Settings) -> None:
        self.set_keymap(dict(settings.keys))
        self.keys = settings.keys
        if settings.theme:
            self._set_theme = settings.theme
            self._keep_theme(settings.theme)  # so that the next start begins with it
            self.theme = settings.theme

    def _not_preferred(self, reasons: tuple[str, ...]) -> None:
        more = len(reasons) - MAX_REASONS
        rest = [f"… and {more} more."] if more > 0 else []
        what = "Your settings.yaml is wrong, so nothing in it holds (`promptlab paths` says where it is):"
        self.complain((what, *reasons[:MAX_REASONS], *rest))

    def _theme_changed(self, theme: Theme) -> None:
        """Somebody has chosen another, or the settings have been read."""
        if not self._set_theme:
            self._keep_theme(theme.name)
        elif theme.name != self._set_theme:
            self.notify(f"Until you leave: your settings say `theme: {self._set_theme}`.", markup=False)

    def _keep_theme(self, name: str) -> None:
        keep = self.preferences.keep_theme
        if keep is not None and name != self._kept_theme:
            self._kept_theme = name
            self.desk.do(partial(_keep, keep, name))

    # --- commands ----------------------------------------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every command that can be given now on a screen, or in the part of it that has the focus."""
        parts = {each.binding.id: each.node for each in screen.active_bindings.values()}
        scope: Scope = getattr(screen, "scope", "app")
        for command in around(scope):
            whole = self if command.scope == "app" else screen if command.scope == scope else None
            node = whole or parts.get(command.id)  # a part of the screen, while it has the focus
            if command.id == "palette" or node is None or not self._check_action_state(command.action, node):
                continue
            text = f"{shown_keys(command, self.keys)}  {command.help}"
            yield SystemCommand(command.name, text, partial(self.perform, command, node))

    async def perform(self, command: Command, node: DOMNode) -> None:
        """Do what a key of a command does on a screen, or in a part of it."""
        done = await self.run_action(command.action, self if command.scope == "app" else node)
        if not done:  # it could be when it was listed
            self.notify(f"{command.name}: not now.", severity="warning", markup=False)

    def action_change_theme(self) -> None:
        """Choose other colours, by name."""
        if not isinstance(self.screen, CommandPalette):
            super().action_change_theme()

    def action_mode(self, name: str) -> None:
        """Go to a screen."""
        self.switch_mode(name)

    def action_help(self) -> None:
        """Show every key of the screen or the window that is on top."""
        from promptlab.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(around(getattr(self.screen, "scope", "app")), self.keys))

    async def action_quit(self) -> None:
        """Leave, once it is said what is to become of changes that are not saved.

        What is under way is cancelled, and waited for once the terminal is itself again.
        """
        if isinstance(self.screen, UnsavedScreen):
            return
        if self.play.is_mounted and (names := self.play.unsaved):
            self.push_screen(UnsavedScreen(names), self._unsaved)
        else:
            self._quit_for_sure()

    def _unsaved(self, choice: Choice | None) -> None:
        if choice == "save":
            self.play.save_all(self.action_quit)  # where that fails, why is said, and nobody leaves
        elif choice == "discard":
            self.play.forget_unsaved()
            self._quit_for_sure()
        elif choice == "keep":
            now = self.play.session
            if now is None:
                self._unsaved_kept(("There is nowhere to keep it.",))
            else:
                self.desk.do(partial(keep_for_sure, *now), done=self._unsaved_kept, key="leaving")

    def _unsaved_kept(self, reasons: tuple[str, ...]) -> None:
        """Only now: as long as it is not on the disk, it is here alone."""
        if reasons:
            self.complain(reasons)
        else:
            self._quit_for_sure()

    def _quit_for_sure(self) -> None:
        self.left = self.play.left_off
        self.desk.cancel()
        self.exit()

    def on_unmount(self) -> None:
        """The screen is gone; end the lab."""
        if self._watching is not None:
            self._watching.stop()
        self.desk.close()


def _load(
    load: Callable[[Collection[str]], Settings], themes: Collection[str], lab: Lab, task: Task[Settings]
) -> Settings:
    return load(themes)


def _keep(keep: Callable[[str], object], name: str, lab: Lab, task: Task[None]) -> None:
    keep(name)


def _watch(root: Path, changed: Callable[[], object]) -> Watch:
    from promptlab.app.watching import Watch  # here because nobody needs it before the first paint

    return Watch(root, changed)


def _models_screen(desk: Desk) -> Screen[Any]:
    from promptlab.tui.screens.models import ModelsScreen  # here because nobody needs it before the first paint

    return draw_less(ModelsScreen(desk))


def run_playground(library: Path | None) -> int:
    """Open the library at `library`, or the nearest one, and show it. Returns the exit code.

    Once there is a picture, garbage is collected, also where the caller has switched that off until then.

    Raises PromptlabError when it cannot be opened.
    """
    sys.setswitchinterval(SWITCH_S)
    app = Playground(lambda: _open_labs(library, app.desk.fail), _watch, own_preferences())
    app.run()
    app.desk.close()
    if app.left is not None:
        from promptlab.app.session import keep
        from promptlab.core.text import sanitize

        for reason in keep(*app.left):
            print(sanitize(reason), file=sys.stderr)
    if app.play.kept_at is not None:
        app.play.kept_at.close()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _history_screen(desk: Desk) -> Screen[Any]:
    from promptlab.tui.screens.history import HistoryScreen

    return draw_less(HistoryScreen(desk))


def _batch_screen(desk: Desk) -> Screen[Any]:
    from promptlab.tui.screens.batch import BatchScreen

    return draw_less(BatchScreen(desk))


def _open_labs(library: Path | None, fail: Callable[[Exception], object]) -> Labs:
    from promptlab.app.visit import open_labs

    return open_labs(library, lambda: fail(EngineError("`promptlab serve` has ended")))
