"""The screen that looks closer at answers."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_close = partial(Command, scope="closer", topic="View")
_view = partial(_close, footer=False)  # the tabs name their keys
_answer = partial(Command, scope="closer", topic="Answer", group="Answer")
_step = partial(Command, scope="closer", topic="Answer", group="Step")

COMMANDS: tuple[Command, ...] = (
    _close("closer.close", "escape,q", "close", "Back", "Go back to where you came from.", title="Close this view"),
    _view(
        "closer.tokens", "t", "view('tokens')", "Tokens", "Show how surprising each token was; enter goes on from one."
    ),
    _view(
        "closer.difference",
        "d",
        "view('difference')",
        "Difference",
        "Compare with another answer; once more, with the next one.",
    ),
    _close(
        "closer.choose",
        "o",
        "choose",
        "Choose",
        "Choose from a list which answer the difference is to.",
        topic="Answer",
        title="Choose the other answer",
    ),
    _view("closer.saw", "w", "view('saw')", "Seen", "Show all that the model was given.", title="What it saw"),
    _view("closer.agreement", "a", "view('agreement')", "Agreement", "Show which answers say the same."),
    _answer("closer.answer.previous", "comma", "answer(-1)", "Answer before", "Look at the answer before this one."),
    _answer("closer.answer.next", "full_stop", "answer(1)", "Next answer", "Look at the next answer."),
    _step("closer.step.previous", "left_square_bracket", "step(-1)", "Step before", "Look at the step before."),
    _step("closer.step.next", "right_square_bracket", "step(1)", "Next step", "Look at the next step of the program."),
)
