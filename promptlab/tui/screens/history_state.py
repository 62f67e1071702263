"""The search of the history screen: what is found, and the run that is marked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import var
from textual.screen import Screen
from textual.widgets import Input, Static

from promptlab.tui import show
from promptlab.tui.bindings import shown_key
from promptlab.tui.desk import Desk, Task
from promptlab.tui.history_work import FIRST, find_more, find_runs, record_of
from promptlab.tui.program import program
from promptlab.tui.record_text import preview
from promptlab.tui.widgets.bars import TitleBar
from promptlab.tui.widgets.field import Line
from promptlab.tui.widgets.keybar import KeyBar
from promptlab.tui.widgets.runs import RunList

if TYPE_CHECKING:
    from promptlab.app.history import Found
    from promptlab.core.record import Record
    from promptlab.core.replay import Replayed
    from promptlab.core.search import Hit

MORE = 200
"""Runs that are added when the end of the list comes near."""
FILTERS = "model: prompt: version: case: verdict:fail failed: pinned: since:2026-01-31 until:"
EXAMPLES = f'{FILTERS}   "a phrase"   -without'
"""Where there is room for them too."""


class HistoryState(Screen[None]):
    """A search field over the runs that it finds, and beside them the one that is marked."""

    AUTO_FOCUS = "#search"
    scope = "history"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (160, "-roomy")]  # noqa: RUF012

    found: var[Found | None] = var(None, init=False)
    """What the search has found."""
    hits: var[tuple[Hit, ...]] = var((), init=False)
    """As many of them as have been looked at."""
    ticked: var[frozenset[str]] = var(frozenset(), init=False)
    problem: var[str] = var("", init=False)
    """Why the search could not be done."""
    record: var[Record | None] = var(None, init=False)
    """The marked one."""
    details: var[bool] = var(False, init=False)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._verdicts: dict[str, Replayed] = {}
        """What came of replays, by record."""
        self._reached = 0
        """How many of the ids that were found have been looked at; some may have been deleted since."""
        self._more: Task[tuple[Hit, ...]] | None = None
        """Looks at more."""

    def compose(self) -> ComposeResult:
        """The field above, list and preview below it."""
        yield TitleBar()
        with Vertical(id="finder"):
            field = Line("", placeholder="type to search all runs")
            field.id = "search"
            yield field
            yield Static(id="search-help")
        with Horizontal(id="runs-body"):
            yield RunList(id="runs").data_bind(HistoryState.hits, HistoryState.ticked)
            with VerticalScroll(id="run") as pane:
                pane.border_title = Content("Run")
                yield Static(id="run-text")
        yield KeyBar()

    # --- searching ---------------------------------------------------------------------------------------------------

    @on(events.ScreenResume)
    def _come_back(self) -> None:
        """There may be new runs."""
        self.action_reload()

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._search(again=False)

    def action_reload(self) -> None:
        """Search again; the mark stays where it is."""
        self._search(again=True)

    def _search(self, *, again: bool) -> None:
        line = self.query_one("#search", Line).value
        first = max(FIRST, self._reached) if again else FIRST
        self.desk.do(
            partial(find_runs, line, first),
            done=partial(self._searched, again=again),
            failed=self._refused,
            key="history search",
        )

    def _searched(self, found: Found, *, again: bool) -> None:
        self.problem = ""
        self.found = found
        self._reached = min(len(found.ids), max(FIRST, len(found.hits)))
        self._more = None
        if found.hits != self.hits:
            self.hits = found.hits
            if not again:
                self.query_one(RunList).to_first()
        if not found.hits:
            self._mark(None)

    def _refused(self, reasons: tuple[str, ...]) -> None:
        self.problem = " ".join(reasons)

    @on(RunList.Wanted)
    def _look_further(self) -> None:
        found = self.found
        if found is None or self._reached >= len(found.ids) or (self._more is not None and not self._more.over):
            return
        some = found.ids[self._reached : self._reached + MORE]
        more = partial(self._looked_further, found, self._reached + len(some))
        self._more = self.desk.do(partial(find_more, found, some), done=more, key="history more")

    def _looked_further(self, found: Found, reached: int, hits: tuple[Hit, ...]) -> None:
        if found is self.found:
            self._reached = reached
            self.hits = (*self.hits, *hits)

    def watch_found(self, found: Found | None) -> None:
        """Count what was found, or say what to do."""
        if found is None:
            return
        runs = self.query_one(RunList)
        count = len(found.ids)
        runs.border_title = Content("1 run" if count == 1 else f"{count:,} runs")
        runs.today = found.today
        self._subtitle()

    def watch_ticked(self) -> None:
        """Count them."""
        self._subtitle()

    def _subtitle(self) -> None:
        self.query_one(RunList).border_subtitle = Content(
            f"{len(self.ticked):,} ticked" if self.ticked else "times are UTC"
        )

    def watch_problem(self) -> None:
        """Say it instead of the help."""
        self._help()

    def on_resize(self) -> None:
        """Say as much as fits."""
        self._help()

    def _help(self) -> None:
        line = self.query_one("#search-help", Static)
        wide = self.size.width >= len(EXAMPLES) + 4
        help = Content.styled(EXAMPLES if wide else FILTERS, show.DIM)
        line.update(show.line(self.problem, show.BAD) if self.problem else help)

    # --- the marked run ----------------------------------------------------------------------------------------------

    @on(RunList.Marked)
    def _marked(self, event: RunList.Marked) -> None:
        self._mark(event.hit.id)

    def _mark(self, id: str | None) -> None:
        if id is None:
            self.record = None
            self._draw()
        else:
            self.desk.do(partial(record_of, id), done=self._loaded, failed=self._unread, key="history preview")

    def _loaded(self, record: Record) -> None:
        moved = self.record is None or self.record.id != record.id
        self.record = record
        self._draw()
        if moved:
            self.query_one("#run", VerticalScroll).scroll_home(animate=False)

    def _unread(self, reasons: tuple[str, ...]) -> None:
        self.record = None
        self.query_one("#run-text", Static).update(show.lines([show.line(reason, show.BAD) for reason in reasons]))

    def watch_details(self) -> None:
        """Show more, or less."""
        self._draw()

    def _draw(self) -> None:
        text = self.query_one("#run-text", Static)
        if self.record is None:
            text.update(_advice(self.found, program(self).keys))
        else:
            id = self.record.id
            checked = next((hit.verdict for hit in self.hits if hit.id == id), None)
            text.update(preview(self.record, self.details, checked, self._verdicts.get(id)))


def _advice(found: Found | None, keys: Mapping[str, str]) -> Content:
    """What stands where a run would be shown; `keys` are those that the user has set."""
    if found is None or found.ids:
        return Content("")
    if found.anything:
        return Content("No run matches. Every word must occur in it; the last one may be the beginning of a word.")
    play, run = (shown_key("screen.play", keys), show.ACCENT), (shown_key("run", keys), show.ACCENT)
    lines = [
        Content.styled("Nothing has been run yet.", "bold"),
        Content(""),
        Content.assemble("Every answer is kept here: go to the play screen (", play, "), choose a prompt,"),
        Content.assemble("and run it with ", run, "."),
    ]
    return show.lines(lines)
