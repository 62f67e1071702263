"""What holds where one part of a screen has the focus."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_list = partial(Command, scope="prompts", topic="In the list of prompts", footer=False)
_filter = partial(Command, scope="filter", topic="In the field that filters prompts", footer=False)
_ticks = partial(Command, scope="ticks", topic="In a list of things to tick", footer=False)
_tokens = partial(Command, scope="tokens", topic="On the tokens", footer=False)
_instead = partial(Command, scope="alternatives", topic="On a token's alternatives", footer=False)
_text = partial(Command, scope="source", topic="In the source", footer=False)
_field = partial(Command, scope="field", topic="In a field", footer=False)

COMMANDS: tuple[Command, ...] = (
    _list("prompts.fold", "space", "select", "Fold", "Open or close the folder; on a prompt, go to its inputs."),
    _list("prompts.folder.close", "left", "fold(True)", "Close folder", "Close the folder, or the one around it."),
    _list("prompts.folder.open", "right", "fold(False)", "Open folder", "Open the folder."),
    _filter("filter.next", "down", "move(1)", "Next match", "Mark the next match."),
    _filter("filter.previous", "up", "move(-1)", "Match before", "Mark the match before."),
    _filter("filter.leave", "escape", "leave", "Clear", "Look for nothing any more."),
    _ticks("ticks.tick", "space", "select", "Tick", "Tick what is marked, or clear it."),
    _text("source.leave", "escape", "leave", "Leave", "Leave the source for the answers.", title="Leave the source"),
    _field(
        "field.leave",
        "escape",
        "leave",
        "Leave",
        "End what goes on, or leave for the answers.",
        title="Leave the field",
    ),
    _tokens("tokens.alternatives", "enter", "enter", "Alternatives", "Go to what could have been said instead."),
    _instead(
        "alternatives.back", "left,escape", "back", "Tokens", "Go back to the tokens.", title="Back to the tokens"
    ),
)
