"""The play screen: prompts, their versions and their source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import SuspendNotSupported
from textual.reactive import var

from promptlab.errors import PromptlabError
from promptlab.tui import show
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of, program
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.screens.unsaved import Choice, UnsavedScreen
from promptlab.tui.screens.versions import VersionsScreen
from promptlab.tui.state import PromptRow
from promptlab.tui.widgets.form import Form
from promptlab.tui.widgets.prompts import PromptList, PromptPane
from promptlab.tui.widgets.source import Draft, SourcePane

if TYPE_CHECKING:
    from pathlib import Path

    from promptlab.app.editing import Source
    from promptlab.app.lab import Lab
    from promptlab.core.checker import Finding


class PromptActions(PlayState):
    """Choosing, reading and editing prompts."""

    source: var[Source | None] = var(None, init=False)
    """Of the prompt that is marked, or of the version that is chosen."""
    findings: var[tuple[Finding, ...]] = var((), init=False)
    """What the checker says of the source as it stands in the editor."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._saving: Task[None] | None = None
        self._next_save: Callable[[], None] | None = None
        """What was to be saved while something was being saved."""

    # --- choosing ----------------------------------------------------------------------------------------------------

    @on(PromptList.Chosen)
    def _chosen(self, event: PromptList.Chosen) -> None:
        """Another prompt is marked, or the library was read again."""
        self.choose(event.row)

    def choose(self, row: PromptRow) -> None:
        """Show a prompt's form and its source."""
        another = self.chosen is None or row.name != self.chosen.name
        if another:
            self.versions = self.picked.get(row.name, ())
        if another or not self.versions:
            self.chosen = row
        self.read_source()

    def read_source(self) -> None:
        """Read what is chosen again: it, or what it uses, may be another."""
        if self.chosen is None:
            self.source = None
        elif self.versions:
            self._load_versions(self.versions)
        else:
            self._read(self.chosen.name)

    @on(PromptList.Entered)
    def _entered(self) -> None:
        self.query_one(Form).enter()

    def action_filter(self) -> None:
        """Look for a prompt."""
        self.sidebar = True
        self.query_one(PromptPane).filter()

    def action_versions(self) -> None:
        """Choose versions to run."""
        if self.chosen is not None:
            name = self.chosen.name
            self.app.push_screen(VersionsScreen(self.desk, name, self.versions or (name,)), self._picked)

    def _picked(self, labels: tuple[str, ...] | None) -> None:
        if labels and self.chosen is not None:
            self._load_versions(() if labels == (self.chosen.name,) else labels)

    def _load_versions(self, labels: tuple[str, ...]) -> None:
        """Make the form and show the source of versions; without any, of the working copy."""
        assert self.chosen is not None
        name = self.chosen.name
        if labels:
            self.desk.do(
                partial(_versions, name, labels),
                done=partial(self._versions_read, labels),
                failed=partial(self._versions_gone, labels),
                key="source",
            )
            return
        self.versions = ()
        self.picked.pop(name, None)
        self.chosen = next((row for row in self.prompts if row.name == name), None)
        self._read(name)

    def _versions_read(self, labels: tuple[str, ...], read: tuple[PromptRow, Source]) -> None:
        self.versions = labels
        self.chosen, source = read
        self.picked[self.chosen.name] = labels
        self._take(source)

    def _versions_gone(self, labels: tuple[str, ...], reasons: tuple[str, ...]) -> None:
        """They cannot be had. Where they are what was chosen before, the working copy takes their place."""
        program(self).complain(reasons)
        if labels == self.versions:
            self._load_versions(())

    # --- the source --------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> None:
        """Read the working copy. A prompt that has gone in between is no longer in the list the next time."""
        self.desk.do(partial(_source, name), done=self._take, failed=lambda _: None, key="source")

    def _take(self, source: Source) -> None:
        if self.source is None or (source.name, source.label) != (self.source.name, self.source.label):
            self.findings = ()
        if source == self.source:
            self.query_one(SourcePane).check()
        self.source = source

    @on(SourcePane.Unsaved)
    def _unsaved_told(self, event: SourcePane.Unsaved) -> None:
        self.query_one(PromptList).unsaved = event.names

    @on(SourcePane.Typed)
    def _typed(self, event: SourcePane.Typed) -> None:
        """Let the checker look at the working copy; what git keeps stays as it is."""
        if event.source.name == event.source.label:
            check = partial(_check, event.source, event.text)
            self.desk.do(check, done=partial(setattr, self, "findings"), failed=lambda _: None, key="check")

    def action_edit(self) -> None:
        """Show the source, and let it be changed where it can be."""
        if not self.looking:
            self.looking = True
        elif self.query_one(SourcePane).body.is_on_screen:
            self._leave()
        else:  # on a narrow screen it lies behind the prompts
            self.sidebar = False
            self.query_one(SourcePane).body.focus()

    def watch_looking(self, looking: bool) -> None:
        """The source takes the place of the answers, or gives it back."""
        self.place()
        narrow = self.has_class("-narrow")
        if looking:
            self.give_way()
        elif narrow and not self.cells:
            self.sidebar = True
        if not looking and not narrow:
            self.query_one(PromptList).focus()

    @on(SourcePane.Left)
    def _leave(self) -> None:
        """Go back to where the answers are; first ask what is to become of changes."""
        pane = self.query_one(SourcePane)
        if pane.is_changed and pane.base is not None:
            self.app.push_screen(UnsavedScreen([pane.base.name]), self._left)
        else:
            self.looking = False

    def _left(self, choice: Choice | None) -> None:
        if choice == "save":
            self._save(self._finish)
        elif choice == "keep":
            self._finish()
        elif choice == "discard":
            self.query_one(SourcePane).discard()
            self._finish()

    def _finish(self) -> None:
        self.looking = False

    def action_save(self) -> None:
        """Save what was typed."""
        self._save()

    def save_all(self, then: Callable[[], Any]) -> None:
        """Save what was typed for any prompt; `then` is called once all of it is on disk."""
        self._save(then, everything=True)

    def _save(self, then: Callable[[], Any] | None = None, *, everything: bool = False) -> None:
        if self._saving is not None and not self._saving.over:
            self._next_save = partial(self._save, then, everything=everything)  # of what the file is by then
            return
        self._next_save = None
        pane = self.query_one(SourcePane)
        done = partial(self._all_saved, then)
        work = partial(_save, pane.base, pane.text) if pane.base and not everything else partial(_save_all, pane.drafts)
        self._saving = self.desk.do(work, items=self._saved, done=done, failed=self._not_saved)

    def _saved(self, sources: Sequence[Source]) -> None:
        for source in sources:
            self.query_one(SourcePane).saved(source)
            if self.source is not None and (self.source.name, self.source.label) == (source.name, source.label):
                self.source = source
            self.notify(f"Saved prompts/{show.line(source.file).plain}", markup=False)
        program(self).look()

    def _all_saved(self, then: Callable[[], Any] | None, _: object) -> None:
        if self._next_save is not None:
            self._next_save()
        if then is not None:
            self.call_next(then)

    def _not_saved(self, reasons: tuple[str, ...]) -> None:
        self._next_save = None
        program(self).complain(reasons)

    def action_open(self) -> None:
        """Find out where the file lies, and let the user's own editor have the terminal."""
        if self.source is None:
            return
        if self.query_one(SourcePane).is_changed:
            save = key_of(self, "prompts.save")
            self.notify(f"Save what you typed first: {save}.", severity="warning", markup=False)
            return
        self.desk.do(partial(_locate, self.source), done=self._opened, key="open")

    def _opened(self, path: Path) -> None:
        import os

        from promptlab.app.editing import editor_command

        reasons: tuple[str, ...] = ()
        try:
            command = editor_command(os.environ)
            with self.app.suspend():
                reasons = _edit(command, path)
        except SuspendNotSupported:
            reasons = ("This terminal cannot be lent to another program.",)
        except PromptlabError as error:
            reasons = (*show.problems(error), f"Or edit it here: {key_of(self, 'prompts.edit')}.")
        if reasons:
            program(self).complain(reasons)
        self.app.refresh(layout=True)
        program(self).look()

    # --- what can be done --------------------------------------------------------------------------------------------

    @property
    def unsaved(self) -> tuple[str, ...]:
        """Prompts with changes that are not saved."""
        return self.query_one(SourcePane).unsaved

    def prompts_allow(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        match action:
            case "filter":
                return bool(self.prompts)
            case "versions" | "edit" | "open":
                return self.chosen is not None
            case "save":
                pane = self.query_one(SourcePane)
                return pane.is_changed or (self.looking and pane.body.has_focus)
        return None


def _source(name: str, lab: Lab, task: Task[Source]) -> Source:
    from promptlab.app.editing import read_source  # here because the lab is slow to import

    return read_source(lab, name)


def _check(source: Source, text: str, lab: Lab, task: Task[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    from promptlab.app.editing import check_source

    return check_source(lab, source, text)


def _save(source: Source, text: str, lab: Lab, task: Task[None]) -> None:
    from promptlab.app.editing import save_source

    task.say(save_source(lab, source, text))


def _save_all(drafts: Mapping[str, Draft], lab: Lab, task: Task[None]) -> None:
    from promptlab.app.editing import save_draft

    for name, draft in drafts.items():
        task.say(save_draft(lab, name, draft.text, draft.stamp))


def _locate(source: Source, lab: Lab, task: Task[Path]) -> Path:
    from promptlab.app.editing import locate_source

    return locate_source(lab, source.file)


def _edit(command: Sequence[str], path: Path) -> tuple[str, ...]:
    """Edit a file with another program; why that failed. Nothing may be raised: the screen would not come back."""
    from promptlab.app.editing import edit_outside

    try:
        edit_outside(command, path)
    except PromptlabError as error:
        return show.problems(error)
    return ()


def _versions(name: str, labels: tuple[str, ...], lab: Lab, task: Task[object]) -> tuple[PromptRow, Source]:
    from promptlab.app.editing import past_source, read_source
    from promptlab.app.versions import load_versions, united

    prompts = load_versions(lab, labels)
    row = PromptRow(name, prompts[0].description, united(prompts, labels))
    return row, read_source(lab, name) if labels[0] == name else past_source(prompts[0])
