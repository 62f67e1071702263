"""The models screen: every entry of models.yaml, its details, and what can be done with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import var
from textual.screen import Screen

from promptlab.tui.bindings import bindings
from promptlab.tui.desk import Desk
from promptlab.tui.model_news import ModelNews
from promptlab.tui.model_work import ModelWork
from promptlab.tui.program import key_of, program
from promptlab.tui.state import Survey
from promptlab.tui.widgets.bars import Problems, TitleBar
from promptlab.tui.widgets.keybar import KeyBar
from promptlab.tui.widgets.model_details import ModelDetails
from promptlab.tui.widgets.model_table import ModelTable

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.model_details import Details
    from promptlab.app.models import Entry
    from promptlab.tui.desk import Task


class ModelsScreen(Screen[None]):
    """A table, and beside or below it the model that is marked."""

    BINDINGS = bindings("models")
    scope = "models"
    HORIZONTAL_BREAKPOINTS = [(0, "-below"), (180, "-beside")]  # noqa: RUF012

    rows: var[tuple[Entry, ...]] = var((), init=False)
    news: var[ModelNews] = var(ModelNews(), init=False)
    details: var[Details | None] = var(None, init=False)
    reasons: var[tuple[str, ...]] = var((), init=False)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._known: dict[str, Details] = {}
        """What has been read of files since the library was last looked at."""

    def compose(self) -> ComposeResult:
        """Table and details between the title and the keys."""
        yield TitleBar()
        with Container(id="shelf"):
            yield ModelTable(id="model-table").data_bind(ModelsScreen.rows, ModelsScreen.news)
            yield ModelDetails(id="model-details").data_bind(ModelsScreen.details, ModelsScreen.news)
        yield Problems(id="problems").data_bind(ModelsScreen.reasons)
        yield KeyBar()

    def on_mount(self) -> None:
        """Follow what the library holds, and what is done with it."""
        self.watch(self.app, "survey", self._surveyed)
        self.watch(self.app, "models", partial(setattr, self, "news"))
        self.query_one(ModelTable).focus_list()

    def _surveyed(self, survey: Survey | None) -> None:
        if survey is None:
            return
        self._known.clear()
        self.reasons = tuple(reason for reason in survey.problems if not survey.models)
        if not survey.models and not self.reasons:
            self.reasons = ("models.yaml has no entries.",)
        self.rows = survey.models
        self._look(self.marked)

    def watch_news(self, old: ModelNews, news: ModelNews) -> None:
        """Offer to cancel what is under way."""
        if (old.doing is None) != (news.doing is None):
            self.refresh_bindings()

    # --- the model that is marked ------------------------------------------------------------------------------------

    @property
    def marked(self) -> Entry | None:
        """The model that the cursor is on."""
        return self.query_one(ModelTable).marked

    @on(ModelTable.Marked)
    def _marked(self, event: ModelTable.Marked) -> None:
        self._look(event.row)

    @on(ModelTable.Entered)
    def _entered(self) -> None:
        self.query_one(ModelDetails).focus()

    def _look(self, row: Entry | None) -> None:
        """Show a model, once its file has been read."""
        if row is None or row.name in self._known:
            self.details = self._known[row.name] if row else None
            return
        self._desk.do(partial(_details, row.name), done=self._read, failed=self._unread, key="model details")

    def _read(self, details: Details) -> None:
        self._known[details.entry.name] = details
        self.reasons = ()
        if self.marked is not None and self.marked.name == details.entry.name:
            self.details = details

    def _unread(self, reasons: tuple[str, ...]) -> None:
        self.details = None
        self.reasons = reasons

    # --- commands ----------------------------------------------------------------------------------------------------

    @property
    def _work(self) -> ModelWork:
        return program(self).model_work

    def _on_disk(self) -> str | None:
        """The marked model; where it is not on disk, say so instead."""
        row = self.marked
        if row is None:
            return None
        if row.server:
            self._warn(f"{row.name} is on a server, and has no file here.")
            return None
        if not row.present:
            self._warn(f"{row.name} is not on disk. {key_of(self, 'models.pull')} pulls it.")
            return None
        return row.name

    def action_pull(self) -> None:
        """Fetch the marked model, or the default ones that are missing."""
        row = self.marked
        if row is None:
            return
        missing = [each.name for each in self.rows if each.default and not each.present and not each.server]
        names = missing if row.present or row.server else [row.name]
        if names:
            self._work.pull(names)
        else:
            where = "is on a server, and" if row.server else "is on disk, and so is"
            self._warn(f"{row.name} {where} every default model{' is on disk' if row.server else ''}.")

    def action_verify(self) -> None:
        """Hash the marked model's file."""
        if (row := self.marked) is not None and not row.sha256 and not row.server:
            self._warn(f"{row.name} has no hash in models.yaml to compare with.")
        elif name := self._on_disk():
            self._work.verify(name)

    def action_load(self) -> None:
        """Keep the marked model in memory."""
        row = self.marked
        if name := row.name if row is not None and row.askable else self._on_disk():
            self._work.load(name)

    def action_unload(self) -> None:
        """Take the marked model out of memory."""
        if (row := self.marked) is None:
            return
        if self.news.held(row.name) is None:
            self._warn(f"{row.name} is not in memory.")
        else:
            self._work.unload(row.name)

    def action_bench(self) -> None:
        """Measure the marked model."""
        if name := self._on_disk():
            self._work.bench(name)

    def action_copy_hash(self) -> None:
        """Copy the marked model's SHA-256."""
        row = self.marked
        if row is None or not row.sha256:
            self._warn("There is no hash to copy.")
            return
        self.app.copy_to_clipboard(row.sha256)
        self.notify(f"The SHA-256 of {row.name} is copied.", markup=False)

    def action_cancel(self) -> None:
        """End what goes on."""
        self._work.cancel()

    def action_template(self) -> None:
        """Fold or unfold the chat template."""
        details = self.query_one(ModelDetails)
        details.whole = not details.whole

    def action_pane(self) -> None:
        """Go to the other pane."""
        details = self.query_one(ModelDetails)
        if details.has_focus:
            self.query_one(ModelTable).focus_list()
        else:
            details.focus()

    def action_reload(self) -> None:
        """Read models.yaml again."""
        program(self).look()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done now."""
        return self.news.doing is not None if action == "cancel" else True

    def _warn(self, text: str) -> None:
        self.notify(text, severity="warning", markup=False)


def _details(name: str, lab: Lab, task: Task[Details]) -> Details:
    from promptlab.app.model_details import model_details  # here because it is slow to import

    return model_details(lab, name)
