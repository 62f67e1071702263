"""The history screen."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_find = partial(Command, scope="history", topic="Find")
_again = partial(Command, scope="history", topic="Look again")
_keep = partial(Command, scope="history", topic="Keep")

COMMANDS: tuple[Command, ...] = (
    _find("history.search", "slash", "search", "Search", "Type what to search for; words, and filters such as failed:"),
    _find("history.list", "down", "list", "To the list", "From the search field to what it has found.", footer=False),
    _find("history.pane", "f6", "pane(1)", "Pane", "Go to the next pane.", footer=False, title="Next pane"),
    _find("history.pane.previous", "shift+f6,f18", "pane(-1)", "Pane before", "Go to the pane before.", footer=False),
    _find("history.details", "i", "details", "Details", "Show more of a run, or less: messages, source, engine."),
    _find("history.reload", "ctrl+l", "reload", "Reload", "Search again.", footer=False),
    _again(
        "history.open",
        "enter",
        "open",
        "Open",
        "Show it on the play screen, as it was, with what was answered beside it.",
    ),
    _again("history.again", "r", "again", "Run again", "Ask the ticked runs, or the marked one, once more."),
    _again(
        "history.replay",
        "R",
        "replay",
        "Replay",
        "Ask again, and tell whether the answers are the same to the last bit.",
    ),
    _again("history.compare", "c", "compare", "Compare", "Show in what two ticked answers differ."),
    _again("history.cancel", "escape", "leave", "Back", "Stop a replay; otherwise go back to the play screen."),
    _keep("history.tick", "space", "tick", "Tick", "Tick a run, or clear it: for what is done to several at once."),
    _keep("history.clear", "u", "clear", "Untick all", "Clear all ticks.", footer=False),
    _keep("history.pin", "p", "pin", "Pin", "Keep ticked runs, or the marked one, at the top; or let them go again."),
    _keep("history.export", "x", "export", "Export", "Write the ticked runs, or all that are found, to a file."),
    _keep("history.delete", "d", "delete", "Delete", "Delete the ticked runs, or the marked one, after a question."),
)
