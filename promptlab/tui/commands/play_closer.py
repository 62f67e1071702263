"""The play screen: looking closer at answers, and going on from them."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_look = partial(Command, scope="play", topic="Look closer")

COMMANDS: tuple[Command, ...] = (
    _look(
        "play.tokens", "t", "closer_tokens", "Tokens", "Show the answer's tokens and their alternatives; branch there."
    ),
    _look("play.difference", "d", "closer_difference", "Difference", "Compare the answer with that of another column."),
    _look(
        "play.saw", "w", "closer_saw", "Seen", "Show all that the model was given, to the token.", title="What it saw"
    ),
    _look("play.agreement", "a", "closer_agreement", "Agreement", "Show which of all answers say the same."),
    _look("play.turn", "n", "closer_turn", "Next turn", "Say something more after the answer, and have it answered."),
)
