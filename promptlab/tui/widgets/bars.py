"""Small things around the panes: the title, the complaints, the words of an empty screen."""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.widgets import Static

from promptlab.tui import show
from promptlab.tui.state import PromptRow, Survey


class TitleBar(Horizontal):
    """The program, the library's path, and what is in it."""

    DEFAULT_CSS = """
    TitleBar {
        height: 1;
        background: $panel;
        padding: 0 1;
        & > .where { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .what { width: auto; text-wrap: nowrap; color: $text-muted; }
    }
    """

    survey: var[Survey | None] = var(None)
    """What the library holds; None while it is being opened."""

    activity: var[dict[str, str]] = var(dict[str, str])
    """What is under way."""

    def compose(self) -> ComposeResult:
        """Left and right."""
        yield Static(classes="where")
        yield Static(classes="what")

    def on_mount(self) -> None:
        """Follow the program."""
        for name in ("survey", "activity"):
            self.watch(self.app, name, partial(setattr, self, name))

    def watch_survey(self, survey: Survey | None) -> None:
        """Say where we are."""
        name = Content.styled("promptlab", f"bold {show.ACCENT}")
        where = show.line(show.path(survey.root)) if survey else Content.styled("opening the library …", show.DIM)
        self.query_one(".where", Static).update(show.join([name, where]))
        self._tell()

    def watch_activity(self) -> None:
        """Say so, also while there is no column to see it in."""
        self._tell()

    def _tell(self) -> None:
        state = show.join([show.line(f"● {words}", show.ACCENT) for words in self.activity.values()], " ")
        facts = Content(_holdings(self.survey)) if self.survey else Content("")
        self.query_one(".what", Static).update(show.join([state, facts], " · "))


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
    """What stands where the answers will be: what to do next, and the prompt that would run."""

    DEFAULT_CSS = """
    Welcome {
        padding: 1 3;
        & > #advice { height: auto; }
        & > #source { height: auto; margin-top: 1; color: $text-muted; }
    }
    """

    survey: var[Survey | None] = var(None)
    """What the library holds."""
    row: var[PromptRow | None] = var(None)
    """The prompt that is marked."""

    def compose(self) -> ComposeResult:
        """Advice above, source below."""
        yield Static(id="advice")
        yield Static(id="source")

    def watch_survey(self, survey: Survey | None) -> None:
        """Advise."""
        self.query_one("#advice", Static).update(advice(survey))

    def watch_row(self, row: PromptRow | None) -> None:
        """Show the source."""
        prompt = row.prompt if row else None
        self.query_one("#source", Static).update(show.block(prompt.source.strip()) if prompt else Content(""))
        self.border_title = show.line(prompt.signature) if prompt else Content("Answers")


def advice(survey: Survey | None) -> Content:
    """What a newcomer does next."""
    if survey is None:
        return Content("")
    if not survey.prompts:
        return show.lines(
            [
                Content.styled("There is no prompt here yet.", "bold"),
                Content(""),
                Content.assemble("Leave with ctrl+q, and in a folder of your own type"),
                Content.styled("  promptlab init", show.ACCENT),
                Content("which makes a library with prompts to begin with. Or write a file into"),
                show.line(f"  {show.path(survey.root)}/prompts/NAME.jinja", show.ACCENT),
                Content("and press ctrl+l to look again."),
            ]
        )
    if not survey.on_disk and survey.missing:
        names = " ".join(model.name for model in survey.missing)
        return show.lines(
            [
                Content.styled("No model is on disk yet.", "bold"),
                Content(""),
                Content("In another terminal type"),
                show.line(f"  promptlab models pull {names}", show.ACCENT),
                Content(f"which fetches {_total(survey)}, once. Then press ctrl+l to look again."),
            ]
        )
    keys = [("enter", "go to the inputs"), ("ctrl+r", "run on every ticked model"), ("f1", "every key")]
    return show.lines([Content.assemble((f"{key:>7}", show.ACCENT), f"  {what}") for key, what in keys])


def _holdings(survey: Survey) -> str:
    models = _count(len(survey.models), "model")
    return f"{_count(len(survey.prompts), 'prompt')} · {survey.on_disk} of {models} on disk"


def _total(survey: Survey) -> str:
    known = sum(model.bytes or 0 for model in survey.missing)
    least = "at least " if any(model.bytes is None for model in survey.missing) else ""
    return f"{_count(len(survey.missing), 'model')}, {least}{show.size(known)} in all"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
