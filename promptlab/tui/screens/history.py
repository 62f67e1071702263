"""The history screen: search what has been run, look at it, open it again, ask again, keep it or do away with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import on
from textual.content import Content
from textual.widgets import Input

from promptlab.core.text import sanitize
from promptlab.tui.bindings import bindings
from promptlab.tui.desk import Desk, Task
from promptlab.tui.history_work import (
    again_run,
    count_pinned,
    delete_runs,
    export_runs,
    pin_runs,
    reopen_run,
    reopen_runs,
    replay_runs,
)
from promptlab.tui.program import key_of, open_window, program
from promptlab.tui.screens.dialogs import NameScreen, SureScreen
from promptlab.tui.screens.history_state import HistoryState
from promptlab.tui.widgets.field import Line
from promptlab.tui.widgets.runs import RunList

if TYPE_CHECKING:
    from promptlab.app.history import Exported
    from promptlab.app.reopen import Opened


class HistoryScreen(HistoryState):
    """The commands over what was found."""

    BINDINGS = bindings("history")

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._replaying: Task[None] | None = None
        self._export_name = "runs.jsonl"

    # --- moving ------------------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Go to the search field."""
        self.query_one("#search", Line).focus()

    def action_list(self) -> None:
        """Go to what was found."""
        self.query_one(RunList).focus()

    @on(Input.Submitted, "#search")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_list()

    def action_pane(self, step: int) -> None:
        """Move the focus a pane further."""
        if step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_details(self) -> None:
        """Show more of the marked run, or less."""
        self.details = not self.details

    def action_tick(self) -> None:
        """Tick the marked run, or clear it."""
        if (hit := self.query_one(RunList).marked) is not None:
            self.ticked ^= {hit.id}

    def action_clear(self) -> None:
        """Clear all ticks."""
        self.ticked = frozenset()

    def _chosen(self) -> tuple[str, ...]:
        """The ticked ones, in the order of the list, or else the marked one. What was ticked in an earlier search, and
        is not found by this one, comes last.
        """
        listed = dict.fromkeys(id for id in (self.found.ids if self.found else ()) if id in self.ticked)
        ids = (*listed, *sorted(self.ticked - listed.keys()))
        hit = self.query_one(RunList).marked
        return ids or ((hit.id,) if hit else ())

    @on(RunList.Chosen)
    def _enter(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        """Show the answers of the marked run in the play screen, as they were."""
        hit = self.query_one(RunList).marked
        if hit is not None and program(self).play.is_free():
            self.desk.do(partial(reopen_run, hit.id), done=self._opened, key="history open")

    def _opened(self, opened: Opened) -> None:
        play = program(self).play
        if play.is_free() and play.reopen(opened):
            play.appear()

    def action_again(self) -> None:
        """Ask the same again, beside what it came to."""
        ids = self._chosen()
        if ids and program(self).play.is_free():
            self.desk.do(partial(reopen_runs, ids), done=partial(self._opened_again, ids), key="history open")

    def _opened_again(self, ids: Sequence[str], opened: Opened) -> None:
        play = program(self).play
        if play.is_free() and play.reopen(opened):
            play.appear()
            play.begin(partial(again_run, ids), beside=True)

    def action_replay(self) -> None:
        """Ask again, and compare to the last bit."""
        ids = self._chosen()
        if not ids or self._replaying is not None:
            return
        program(self).busy("replay", f"replaying {count(len(ids))}")
        self._replaying = self.desk.do(
            partial(replay_runs, ids),
            items=self._judged,
            done=lambda _: self._replayed(),
            failed=self._replayed,
            lane="replay",
        )
        self.refresh_bindings()

    def _judged(self, verdicts: Sequence[Any]) -> None:
        self._verdicts |= {each.id: each for each in verdicts}
        self._draw()

    def _replayed(self, reasons: tuple[str, ...] = ()) -> None:
        self._replaying = None
        program(self).busy("replay", "")
        if reasons:
            self._complain(reasons)
        self.refresh_bindings()

    def action_leave(self) -> None:
        """Stop a replay; where there is none, go back."""
        if self._replaying is not None:
            self._replaying.cancel()
        else:
            program(self).action_mode("play")

    def action_compare(self) -> None:
        """Show in what two ticked answers differ."""
        ids = self._chosen()
        if len(ids) != 2:
            tick, compare = key_of(self, "history.tick"), key_of(self, "history.compare")
            self.notify(f"Tick two runs with {tick}; then {compare} compares them.", severity="warning", markup=False)
            return
        self.desk.do(partial(reopen_runs, ids), done=self._compare, key="history open")

    def _compare(self, opened: Opened) -> None:
        from promptlab.tui.screens.closer import CloserScreen

        open_window(self, CloserScreen(opened.cells, 0, "difference"))

    def action_pin(self) -> None:
        """Pin runs, or let them go."""
        if ids := self._chosen():
            self.desk.do(partial(pin_runs, ids), done=partial(self._pinned, len(ids)))

    def _pinned(self, number: int, pinned: bool) -> None:
        self._say(f"{count(number)} pinned" if pinned else f"{count(number)} no longer pinned")
        self.action_reload()

    def action_delete(self) -> None:
        """Delete runs, after a question."""
        if ids := self._chosen():
            self.desk.do(partial(count_pinned, ids), done=partial(self._ask_delete, ids))

    def _ask_delete(self, ids: Sequence[str], pinned: int) -> None:
        also = ["which is pinned" if len(ids) == 1 else f"{pinned:,} of them pinned"] if pinned else []
        hidden = len(set(ids) - set(self.found.ids if self.found else ()))
        also += [f"{hidden:,} of them not in this list"] if hidden else []
        question = Content(", ".join([f"Delete {count(len(ids))}", *also, "for good?"]))
        what = "deletes it" if len(ids) == 1 else "deletes them"
        open_window(self, SureScreen("Delete", question, what), partial(self._delete, ids))

    def _delete(self, ids: Sequence[str], sure: bool | None) -> None:
        if sure:
            self.desk.do(partial(delete_runs, ids), done=partial(self._deleted, ids), lane="slow")

    def _deleted(self, ids: Sequence[str], number: int) -> None:
        self.ticked -= set(ids)
        self._say(f"{count(number)} deleted")
        self.action_reload()

    def action_export(self) -> None:
        """Write the ticked runs, or all that are found, to a file."""
        ids = self._chosen() if self.ticked else self.found.ids if self.found else ()
        if not ids:
            return
        which = "ticked" if self.ticked else "found"
        hint = (
            "Ends with .jsonl or .json, which lose nothing, or .csv for a table. A file that is there stays as it is."
        )
        screen = NameScreen(Content(f"Write the {count(len(ids))} {which} to"), Content(hint), self._export_name)
        self.app.push_screen(screen, partial(self._export, ids))

    def _export(self, ids: Sequence[str], name: str | None) -> None:
        if name:
            self._export_name = name
            self.desk.do(partial(export_runs, ids, name), done=partial(self._exported, name), lane="slow")

    def _exported(self, name: str, done: Exported) -> None:
        self._say(f"{count(done.count)} written to {name}")
        if done.unreadable:
            self._complain((*done.unreadable[:3], f"{len(done.unreadable):,} left out"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done now."""
        if action == "replay":
            return self._replaying is None
        return True

    def _say(self, text: str) -> None:
        self.notify(sanitize(text), markup=False)

    def _complain(self, reasons: tuple[str, ...]) -> None:
        program(self).complain(reasons)


def count(number: int) -> str:
    """So many runs."""
    return "1 run" if number == 1 else f"{number:,} runs"
