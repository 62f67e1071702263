"""Small things around the panes: the title, the complaints, the words of an empty screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.bindings import of, shown_key, shown_keys
from promptlab.tui.command import Command
from promptlab.tui.describe_models import offer, progress, state, these
from promptlab.tui.model_news import ModelNews
from promptlab.tui.program import program
from promptlab.tui.state import Survey
from promptlab.tui.widgets.spots import Spot, Spots

WIDE = 100
"""Cells from which on the title has room for everything."""
NAME = "promptlab"
HERE = "bold underline $text"
THERE = "$text-muted"


class Tab(Static):
    """A screen or a view to go to: a click does what the key of a command does."""

    DEFAULT_CSS = """
    Tab {
        width: auto;
        text-wrap: nowrap;
        padding: 0 1;
        color: $text-muted;
        &:hover { background: $surface; }
    }
    """

    def __init__(self, command: Command, label: str = "") -> None:
        super().__init__(Content(label or command.label), name=command.id)
        self._command = command

    def on_mount(self) -> None:
        """Follow the settings."""
        self.watch(self.app, "keys", self._name_keys)

    def _name_keys(self, keys: Mapping[str, str]) -> None:
        self.tooltip = Content(f"{shown_keys(self._command, keys)}: {self._command.help}")

    async def on_click(self) -> None:
        """Go there."""
        await program(self).perform(self._command, self.screen)


class TitleBar(Spots):
    """The program, its screens, the library's path, and what is in it or under way."""

    DEFAULT_CSS = """
    TitleBar { background: $panel; padding: 0 1; }
    """

    survey: var[Survey | None] = var(None)
    """What the library holds; None while it is being opened."""

    activity: var[dict[str, str]] = var(dict[str, str])
    """What is under way."""

    def on_mount(self) -> None:
        """Follow the program."""
        for name in ("survey", "activity"):
            self.watch(self.app, name, partial(setattr, self, name))
        self.watch(self.app, "keys", self.forget_mouse)

    def watch_survey(self) -> None:
        """Say where we are."""
        self.refresh()

    def watch_activity(self) -> None:
        """Say so, also while there is no column to see it in."""
        self.refresh()

    @property
    def tabs(self) -> Iterator[tuple[int, Spot]]:
        """The screens, with the column that each begins at."""
        at, here = len(NAME) + 1, getattr(self.screen, "scope", "")
        for command in of("app"):
            scope = command.id.removeprefix("screen.")
            if scope != command.id:
                style = HERE if scope == here else THERE
                label = Content.assemble(" ", (command.label, style), " ")
                yield at, Spot(label, command, f"{shown_keys(command, program(self).keys)}: {command.help}")
                at += label.cell_length

    def placed(self) -> Iterator[tuple[int, Spot]]:
        """The screens on the left, what there is on the right, the path between them."""
        yield 0, Spot(Content.styled(NAME, "bold $text-accent"))
        at = len(NAME) + 1
        for at, spot in self.tabs:
            yield at, spot
            at += spot.label.cell_length
        width = self.size.width
        what = self._what().truncate(width * 6 // 10, ellipsis=True)
        room = width - at - 2 - what.cell_length
        if room > 0:
            yield at + 1, Spot(self._where(room))
        yield max(at, width - what.cell_length), Spot(what)

    async def clicked(self, target: Command) -> None:
        """Go there."""
        await program(self).perform(target, self.screen)

    def _what(self) -> Content:
        """What is under way, or else what there is; where it is narrow, in few words and one of both."""
        wide = self.app.size.width >= WIDE
        under_way = show.join([show.line(f"● {words}", show.ACCENT) for words in self.activity.values()], " ")
        facts = self.survey and (wide or not self.activity) and _holdings(self.survey, wide)
        return show.join([under_way, Content.styled(facts or "", "$text-muted")], " · ")

    def _where(self, room: int) -> Content:
        """The end of the path, which tells more than its beginning."""
        if self.survey is None:
            return Content.styled("opening the library …", show.DIM).truncate(room, ellipsis=True)
        path = show.line(show.path(self.survey.root))
        if path.cell_length <= room:
            return path
        while path.cell_length > max(room - 1, 0):
            path = path[1:]
        return Content("…") + path


class Problems(Static):
    """Why a run was refused, or the library cannot be read: one line each, and nothing when all is well."""

    DEFAULT_CSS = """
    Problems {
        height: auto;
        max-height: 8;
        padding: 0 1;
        border-left: outer $error;
        color: $text-error;
        display: none;
        &.-shown { display: block; }
    }
    """

    reasons: var[tuple[str, ...]] = var(())
    """One line each."""

    def watch_reasons(self, reasons: tuple[str, ...]) -> None:
        """Show them, or vanish."""
        self.set_class(bool(reasons), "-shown")
        self.update(show.lines([show.line(reason) for reason in reasons]))


class Welcome(VerticalScroll):
    """What stands above the source, where the answers will be: what to do next."""

    DEFAULT_CSS = """
    Welcome {
        padding: 1 3;
        & > #advice { height: auto; }
    }
    """

    survey: var[Survey | None] = var(None)
    """What the library holds."""
    news: var[ModelNews] = var(ModelNews())
    """What is being done with models."""

    def compose(self) -> ComposeResult:
        """The advice."""
        yield Static(id="advice")

    def watch_survey(self) -> None:
        """Advise."""
        self.query_one("#advice", Static).update(advice(self.survey, self.news, program(self).keys))

    def watch_news(self, old: ModelNews, news: ModelNews) -> None:
        """Say how far the models have come."""
        if old.doing != news.doing:
            self.watch_survey()


def advice(survey: Survey | None, news: ModelNews, keys: Mapping[str, str]) -> Content:
    """What a newcomer does next; `keys` are those that the user has set."""
    if survey is None:
        return Content("")
    if not survey.prompts:
        return _no_prompts(survey, keys)
    if news.doing is not None and news.doing.what == "pull":
        return _pulling(survey, news, keys)
    if not survey.askable:
        return _no_models(survey, keys)
    run, help = shown_key("run", keys), shown_key("help", keys)
    return _keys([("enter", "go to the inputs"), (run, "run on every ticked model"), (help, "every key")])


def _keys(rows: list[tuple[str, str]]) -> Content:
    width = max(7, *(len(key) for key, _ in rows))
    return show.lines([Content.assemble((f"{key:>{width}}", show.ACCENT), f"  {what}") for key, what in rows])


def _no_prompts(survey: Survey, keys: Mapping[str, str]) -> Content:
    return show.lines(
        [
            Content.styled("There is no prompt here yet.", "bold"),
            Content(""),
            Content(f"Leave with {shown_key('quit', keys)}, and in a folder of your own type"),
            Content.styled("  promptlab init", show.ACCENT),
            Content("which makes a library with prompts to begin with. Or write a file into"),
            show.line(f"  {show.path(survey.root)}/prompts/NAME.jinja", show.ACCENT),
            Content(f"and press {shown_key('reload', keys)} to look again."),
        ]
    )


def _no_models(survey: Survey, keys: Mapping[str, str]) -> Content:
    if not survey.missing:
        go = _keys([(shown_key("screen.models", keys), "choose one to pull")])
        return show.lines([Content.styled("No models yet.", "bold"), Content(""), go])
    pull = (shown_key("play.pull", keys), f"bold {show.ACCENT}")
    head = Content.assemble("No models yet: press ", pull, f" to pull {these(survey.missing)}")
    then = Content.styled("They are fetched once, checked by their hashes, and kept for every library.", show.DIM)
    offers = [Content("  ") + offer(row) for row in survey.missing]
    return show.lines([head.stylize("bold"), Content(""), *offers, Content(""), then])


def _pulling(survey: Survey, news: ModelNews, keys: Mapping[str, str]) -> Content:
    doing = news.doing
    assert doing is not None
    rows = [row for row in survey.models if row.name in doing.names]
    lines = [Content.styled("Pulling. You can go on meanwhile.", "bold"), Content("")]
    for row in rows:
        lines.append(show.join([offer(row), state(row, news)]))
        if row.name == doing.name:
            lines += [Content("  ") + line for line in progress(doing).split("\n")]
    cancel = _keys([(shown_key("cancel", keys), "cancel; what has been fetched whole is kept")])
    return show.lines([*lines, Content(""), cancel])


def _holdings(survey: Survey, wide: bool) -> str:
    prompts = _count(len(survey.prompts), "prompt")
    if not wide:
        return f"{prompts} · {survey.on_disk}/{_count(len(survey.models), 'model')}"
    return f"{prompts} · {survey.on_disk} of {_count(len(survey.models), 'model')} on disk"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
