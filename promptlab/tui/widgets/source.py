"""The source of a prompt: shown with colours, edited in place, with what the checker says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option

from promptlab.core.text import sanitize
from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.program import key_of
from promptlab.tui.state import PromptRow
from promptlab.tui.widgets.listed import Listed, place
from promptlab.tui.widgets.sourcetext import SourceText

if TYPE_CHECKING:
    from textual.document._document import DocumentBase

    from promptlab.app.editing import Source
    from promptlab.core.checker import Finding

PAUSE_S = 0.2
"""How long nothing is typed before the checker looks."""
MAX_LISTED = 100
"""Findings in the list; whoever has more begins with these."""
SHOWN = 32 * 1024
"""Characters of a file that is only shown, where it is too large to edit."""
SHOWN_LINE = 1_000


class Draft(NamedTuple):
    """What was typed and is not saved."""

    text: str
    stamp: str
    """Of the file that it was typed over."""


class SourcePane(Vertical):
    """The source and its findings. What was typed for one prompt is still there when one comes back to it."""

    DEFAULT_CSS = """
    SourcePane {
        & > .notice { display: none; height: auto; padding: 0 1; color: $text-warning; }
        & > .notice.-shown { display: block; }
        & > SourceText { height: 1fr; padding: 0; }
        & > OptionList {
            display: none; height: auto; max-height: 30%; padding: 0; background: transparent;
            border: none; border-top: solid $border-blurred;
            &:focus { border: none; border-top: solid $accent; background-tint: $foreground 0%; }
        }
        & > OptionList.-shown { display: block; }
        &.-none > SourceText { display: none; }
    }
    """

    BINDINGS = bindings("source")

    row: var[PromptRow | None] = var(None, init=False)
    """The prompt that is marked."""
    source: var[Source | None] = var(None, init=False)
    """Its source as it lies on the disk, or as it was in a version."""
    findings: var[tuple[Finding, ...]] = var((), init=False)
    """What the checker says of the text that was handed to it last."""
    looking: var[bool] = var(False, init=False)
    """Whether somebody wants to work here, rather than only see it."""

    class Typed(Message):
        """The text is another; the checker has not seen it."""

        def __init__(self, source: Source, text: str) -> None:
            super().__init__()
            self.source = source
            self.text = text

    class Left(Message):
        """Somebody has left the text."""

    class Unsaved(Message):
        """Other prompts have changes that are not saved."""

        def __init__(self, names: frozenset[str]) -> None:
            super().__init__()
            self.names = names

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="-none")
        self._base: Source | None = None
        """What the text was before anything was typed."""
        self._drafts: dict[str, Draft] = {}
        """Of other prompts."""
        self._pause: Timer | None = None
        self._stale = False
        """Whether the file is another by now than what was changed here."""
        self._told: frozenset[str] = frozenset()
        """Prompts that are known to have changes."""
        self.body = SourceText()
        self.body.can_focus = False

    def compose(self) -> ComposeResult:
        """What there is to know first, the text, and the findings."""
        yield Static(classes="notice")
        yield self.body
        yield Listed()

    @property
    def parts(self) -> list[Widget]:
        """What can have the focus."""
        return [self.body, self.query_one(OptionList)]

    @property
    def base(self) -> Source | None:
        """What is being edited, as it was when it was read."""
        return self._base

    @property
    def text(self) -> str:
        """As it stands now."""
        return self.body.text

    @property
    def is_changed(self) -> bool:
        """Whether something was typed that is not saved."""
        return self._base is not None and not self._base.fixed and self.body.text != self._base.text

    @property
    def unsaved(self) -> tuple[str, ...]:
        """Prompts with changes that are not saved."""
        return tuple(self.drafts)

    @property
    def drafts(self) -> dict[str, Draft]:
        """What was typed for each of those prompts."""
        here = {self._base.name: self._draft(self._base)} if self._base is not None and self.is_changed else {}
        return {**here, **self._drafts}

    def restore(self, drafts: Mapping[str, Draft]) -> None:
        """Take up what was typed once. Before any source is shown."""
        self._drafts = {
            **{name: Draft(sanitize(text), stamp) for name, (text, stamp) in drafts.items()},
            **self._drafts,
        }
        self._tell_unsaved(self.is_changed)

    def forget(self) -> None:
        """Forget all that was typed for any prompt."""
        self._drafts.clear()
        self.discard()

    def saved(self, source: Source) -> None:
        """What was typed is on disk: `source` is what that holds now."""
        draft = self._drafts.pop(source.name, None)
        if draft is not None and draft.text != source.text:  # more has been typed since, and put aside
            self._drafts[source.name] = Draft(draft.text, source.stamp)
        if self._base is not None and source.name == self._base.name:
            self._base = source
            self._stale = False
            self._tell()
        else:
            self._tell_unsaved(self.is_changed)

    def check(self) -> None:
        """Let the checker look again: what the prompt uses may have changed."""
        self._wait()

    def discard(self) -> None:
        """Forget what was typed."""
        if self.source is not None:
            self._load(self.source)

    def watch_row(self, row: PromptRow | None) -> None:
        """Say what it takes."""
        self._head()

    def watch_source(self, source: Source | None) -> None:
        """Show another source, or the same as it is now; what was typed is never lost."""
        self.set_class(source is None, "-none")
        if source is None or self._base is None or not _same(source, self._base):
            self._keep()
            self._base = None
            if source is not None:
                self._load(source, self._drafts.pop(source.name, None) if source.label == source.name else None)
        elif self.is_changed:
            self._stale = source.stamp != self._base.stamp
            self._tell()
        elif source != self._base:
            at, scrolled = self.body.cursor_location, self.body.scroll_offset
            self._load(source)
            self.body.move_cursor(self.body.clamp_visitable(_within(at, self.body.document)))
            self.body.scroll_to(*scrolled, animate=False)

    def watch_findings(self, findings: tuple[Finding, ...]) -> None:
        """Mark their lines, and list them."""
        here = self._base.file if self._base else ""
        marks: dict[int, tuple[int, str]] = {}
        for finding in reversed(findings):
            if finding.file == here and finding.line:
                marks[finding.line - 1] = (max(finding.column - 1, 0), finding.severity)
        self.body.mark(marks)
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(_finding(each, here)) for each in findings[:MAX_LISTED]])
        listed.set_class(bool(findings), "-shown")
        self._foot()

    def watch_looking(self, looking: bool) -> None:
        """Let the text have the focus, or no more."""
        self.body.can_focus = looking
        self.query_one(OptionList).can_focus = looking
        self._settle()
        if looking:
            self.body.focus()

    def _keep(self) -> None:
        """Put aside what was typed for the prompt that was shown."""
        if self._base is not None and self.is_changed:
            self._drafts[self._base.name] = self._draft(self._base)

    def _draft(self, base: Source) -> Draft:
        return Draft(self.body.text, base.stamp)

    def _load(self, source: Source, draft: Draft | None = None) -> None:
        if draft is not None and draft.text == source.text:  # somebody has saved just that
            draft = None
        # What was typed can be read and copied, also where the file cannot be edited any more.
        self._base = replace(source, stamp=draft.stamp, fixed="") if draft else source
        self._stale = draft is not None and draft.stamp != source.stamp
        self.body.load_text(draft.text if draft else _shown(source))
        self._settle()

    def _settle(self) -> None:
        """Editable, where that is wanted and can be."""
        self.body.read_only = not self.looking or self._base is None or bool(self._base.fixed)
        self._tell()

    def _tell(self) -> None:
        """Say what there is to know before anything is typed here."""
        base = self._base
        notice = self._fixed(base) if base and (self.looking or not base.text) else ""
        if base and self._stale:
            notice = f"{base.file} has changed on disk. What you typed is still here, and not saved."
        label = self.query_one(".notice", Static)
        label.update(show.line(notice))
        label.set_class(bool(notice), "-shown")
        self._head()

    def _fixed(self, base: Source) -> str:
        """Why it cannot be edited here, and the key that helps."""
        match base.instead:
            case "outside":
                return f"{base.fixed}: {key_of(self, 'prompts.open')} opens it in your own editor"
            case "working copy":
                return f"{base.fixed}: choose the working copy ({key_of(self, 'prompts.versions')}) to edit it"
        return base.fixed

    @on(TextArea.Changed)
    def _changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._head()
        self._wait()

    def _wait(self) -> None:
        """Let the checker look once nothing is typed for a moment."""
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE_S, self._paused)

    def _paused(self) -> None:
        if self._base is not None:
            self.post_message(self.Typed(self._base, self.body.text))

    def action_leave(self) -> None:
        """Say so."""
        self.post_message(self.Left())

    @on(OptionList.OptionSelected)
    def _go_to(self, event: OptionList.OptionSelected) -> None:
        """Go where the finding is."""
        event.stop()
        at = place(event)
        finding = None if at is None else self.findings[at]
        if finding is not None and self._base is not None and finding.file == self._base.file and finding.line:
            self.body.move_cursor((finding.line - 1, max(finding.column - 1, 0)), center=True)
        self.body.focus()

    def _head(self) -> None:
        """What is shown, and whether it is saved."""
        base, changed = self._base, self.is_changed
        self._tell_unsaved(changed)
        if base is None:
            self.border_title = Content("Source")
        elif changed:
            self.border_title = Content.assemble(
                ("● ", show.WARN), show.line(f"prompts/{base.file}", "bold"), " unsaved"
            )
        elif self.looking or self.row is None or self.row.prompt is None:
            self.border_title = show.line(f"prompts/{base.file}", "bold")
        else:
            self.border_title = show.line(self.row.prompt.signature)
        self._foot()

    def _tell_unsaved(self, changed: bool) -> None:
        """Say which prompts have changes that are not saved; `changed`: the one that is shown has."""
        names = frozenset(self._drafts) | ({self._base.name} if self._base is not None and changed else set())
        if names != self._told:
            self._told = names
            self.post_message(self.Unsaved(names))

    def _foot(self) -> None:
        """What can be done."""
        if self.looking:
            save, leave = key_of(self, "prompts.save"), key_of(self, "source.leave")
            keys = f"{leave} leaves" if self.body.read_only else f"{save} saves · {leave} leaves"
        else:
            edit, log, outside = (
                key_of(self, "prompts.edit"),
                key_of(self, "prompts.versions"),
                key_of(self, "prompts.open"),
            )
            keys = f"{edit} edit · {log} versions · {outside} open in $EDITOR"
        errors = sum(finding.severity == "error" for finding in self.findings)
        others = len(self.findings) - errors
        counts = [_count(errors, "error"), _count(others, "warning")]
        self.border_subtitle = Content(" · ".join(part for part in (*counts, keys) if part))


def _count(number: int, noun: str) -> str:
    return "" if not number else f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shown(source: Source) -> str:
    """The text as it is given to the widget: as it is where it can be edited, else safe, and not endless."""
    if not source.fixed:
        return source.text
    text = source.text[:SHOWN]
    lines = [line if len(line) <= SHOWN_LINE else f"{line[:SHOWN_LINE]} …" for line in sanitize(text).split("\n")]
    return "\n".join([*lines, *(["…"] if len(source.text) > SHOWN else [])])


def _finding(finding: Finding, here: str) -> Content:
    mark, style = ("✗", show.BAD) if finding.severity == "error" else ("!", show.WARN)
    place = ":".join(str(n) for n in (finding.line, finding.column) if n)
    where = place if finding.file == here else f"{finding.file}:{place}".rstrip(":")
    return Content.assemble(
        (f"{mark} ", style), show.line(f"{where}  " if where else "", show.DIM), show.line(finding.message)
    )


def _same(one: Source, other: Source) -> bool:
    """Whether two are the same version of the same prompt, perhaps read at different times."""
    return (one.name, one.label) == (other.name, other.label)


def _within(at: tuple[int, int], document: DocumentBase) -> tuple[int, int]:
    row = min(at[0], document.line_count - 1)
    return row, min(at[1], len(document.get_line(row)))
