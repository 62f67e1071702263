"""Choose which versions of a prompt to run, and see what they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.desk import Desk, Task
from promptlab.tui.program import key_of
from promptlab.tui.screens.window import Window
from promptlab.tui.widgets.field import Line
from promptlab.tui.widgets.hanging import Hanging, difference, source

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.versions import Listing, Preview, Version


class VersionsScreen(Window[tuple[str, ...] | None]):
    """Lists the versions of a prompt with their log; gives the labels of those that were chosen."""

    DEFAULT_CSS = """
    VersionsScreen {
        & > Vertical { width: 94%; max-width: 130; height: 92%; border: round $accent; padding: 0 1; }
        & OptionList {
            height: auto; max-height: 45%; border: none; padding: 0; text-wrap: nowrap; text-overflow: ellipsis;
            background: transparent;
            &:focus { border: none; background-tint: $foreground 0%; }
        }
        & Line { background: $panel; padding: 0 1; }
        & .notice { display: none; height: auto; color: $text-warning; }
        & .notice.-shown { display: block; }
        & VerticalScroll { height: 1fr; border-top: solid $border-blurred; border-title-color: $text-muted; }
    }
    """
    BINDINGS = bindings("versions")
    scope = "versions"

    def __init__(self, desk: Desk, name: str, chosen: Sequence[str]) -> None:
        super().__init__()
        self._desk = desk
        self._prompt = name
        self._versions: list[Version] = []
        self._ticked: list[str] = [label for label in chosen if len(chosen) > 1]
        self._first = chosen[0] if chosen else name
        self._preview: Preview | None = None
        self._sources = False
        """Whether sources are shown, rather than what is different now."""

    def compose(self) -> ComposeResult:
        """The versions, a field for any other, and what is marked."""
        with Vertical() as pane:
            pane.border_title = Content.assemble("Versions of ", show.line(self._prompt, "bold"))
            tick, turn = key_of(self, "versions.tick"), key_of(self, "versions.difference")
            close = key_of(self, "versions.close")
            pane.border_subtitle = Content(f"enter chooses · {tick} ticks several · {turn} source/difference · {close}")
            yield Static(classes="notice")
            yield OptionList()
            yield Line("", placeholder="another revision: HEAD~2, a branch, a tag, a commit")
            with VerticalScroll(can_focus=True):
                yield Hanging()

    def on_mount(self) -> None:
        """Ask for the log."""
        self.query_one(OptionList).focus()
        self._say("Reading the log …")
        read = partial(_list, self._prompt)
        self._desk.do(read, done=self._listed, failed=self._failed, lane="slow", key="versions", owner=self)

    @property
    def marked(self) -> Version | None:
        """The version that is marked."""
        at = self.query_one(OptionList).highlighted
        return self._versions[at] if at is not None and at < len(self._versions) else None

    # --- what the lab says -------------------------------------------------------------------------------------------

    def _listed(self, listing: Listing) -> None:
        self._say(listing.problem)
        self._versions = list(listing.versions)
        known = {version.label for version in self._versions}
        for label in dict.fromkeys([*self._ticked, self._first]):
            if label not in known:
                self._versions.append(_other(label))
        self._fill(self._first)

    def _failed(self, reasons: tuple[str, ...]) -> None:
        self._say(" ".join(reasons))

    def _previewed(self, preview: Preview) -> None:
        self._preview = preview
        self._show()

    def _unseen(self, reasons: tuple[str, ...]) -> None:
        self.query_one(Hanging).show([show.line(reason, show.BAD) for reason in reasons])

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _say(self, notice: str) -> None:
        label = self.query_one(".notice", Static)
        label.update(show.line(notice))
        label.set_class(bool(notice), "-shown")

    def _fill(self, marked: str) -> None:
        listed = self.query_one(OptionList)
        labels = [version.label for version in self._versions]
        with self.prevent(OptionList.OptionHighlighted):
            listed.clear_options()
            listed.add_options([Option(self._row(version)) for version in self._versions])
        listed.highlighted = labels.index(marked) if marked in labels else 0 if labels else None

    def _row(self, version: Version) -> Content:
        box = ("[x] ", f"bold {show.ACCENT}") if version.label in self._ticked else ("[ ] ", "")
        at = version.label.partition("@")[2]
        name = show.line(f"{at or 'working copy':<13}", "bold")
        facts = [
            show.line(f"{version.date[:16].replace('T', ' '):<16}"),
            show.line(version.hash[:8], show.DIM),
            show.line(version.subject),
        ]
        if version.dirty:
            facts.append(Content.styled("● not committed", show.WARN))
        facts += [show.line(f"⌂ {tag}", show.ACCENT) for tag in version.tags[:5]]
        return Content.assemble(box, name, " ", show.join(facts))

    def _show(self) -> None:
        """The marked version, or what is different now."""
        preview = self._preview
        pane = self.query_one(VerticalScroll)
        if preview is None:
            return
        is_past = preview.label != self._prompt
        if self._sources or not is_past:
            pane.border_title = show.line(f" source of {preview.label} ")
            self.query_one(Hanging).show(source(preview.source.split("\n")))
        else:
            pane.border_title = show.line(f" from {preview.label} to the working copy ")
            self.query_one(Hanging).show(_difference(preview), hang=1)
        pane.scroll_home(animate=False)

    # --- what is done ------------------------------------------------------------------------------------------------

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self.marked is not None:
            look = partial(_look, self._prompt, self.marked.label)
            self._desk.do(look, done=self._previewed, failed=self._unseen, lane="slow", key="preview", owner=self)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self.marked is not None:
            order = [version.label for version in self._versions if version.label in self._ticked]
            self.dismiss(tuple(order) or (self.marked.label,))

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        """A revision in git's words is one more line, and marked."""
        event.stop()
        revision = event.value.strip().removeprefix(f"{self._prompt}@")
        if not revision:
            return
        label = f"{self._prompt}@{revision}"
        if all(version.label != label for version in self._versions):
            self._versions.append(_other(label))
        event.input.value = ""
        self._fill(label)
        self.query_one(OptionList).focus()

    def action_tick(self) -> None:
        """One more that is run, or one less."""
        if self.marked is None:
            return
        label = self.marked.label
        self._ticked = [t for t in self._ticked if t != label] if label in self._ticked else [*self._ticked, label]
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.query_one(OptionList).replace_option_prompt_at_index(at, self._row(self.marked))

    def action_turn(self) -> None:
        """Show sources, or differences."""
        if self.marked is not None and self.marked.label == self._prompt:
            what = "Mark another version: what is different is shown from there to the working copy."
            self.notify(what, severity="warning", markup=False)
            return
        self._sources = not self._sources
        self._show()


def _difference(preview: Preview) -> list[Content]:
    if preview.problem:
        return [show.line(preview.problem, show.BAD)]
    if not preview.changes:
        return [Content.styled("Nothing is different now.", show.DIM)]
    lines: list[str] = []
    for change in preview.changes:
        if len(preview.changes) > 1:
            lines.append(f"@ {change.new or change.old}")
        lines += change.lines
    return difference(lines)


def _other(label: str) -> Version:
    from promptlab.app.versions import Version  # here because it is slow to import

    return Version(label)


def _list(name: str, lab: Lab, task: Task[Listing]) -> Listing:
    from promptlab.app.versions import list_versions  # here because it is slow to import

    return list_versions(lab, name)


def _look(name: str, label: str, lab: Lab, task: Task[Preview]) -> Preview:
    from promptlab.app.versions import preview_version

    return preview_version(lab, name, label)
