"""The windows over a screen."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_versions = partial(Command, scope="versions", topic="Versions")
_cases = partial(Command, scope="cases", topic="Case sets")
_case = partial(Command, scope="keep", topic="Keep as a case")
_example = partial(Command, scope="example", topic="Keep as an example")
_turn = partial(Command, scope="turn", topic="Next turn")
_unsaved = partial(Command, scope="unsaved", topic="What is not saved")
_sure = partial(Command, scope="sure", topic="A question")
_choice = partial(Command, scope="choice", topic="A choice")
_name = partial(Command, scope="name", topic="The name of a file")
_help = partial(Command, scope="help", topic="Help")

COMMANDS: tuple[Command, ...] = (
    _versions("versions.tick", "space", "tick", "Tick", "Tick a version, or clear it: to run several at once."),
    _versions("versions.difference", "d", "turn", "Difference", "Show sources, or what is different now."),
    _versions("versions.close", "escape", "dismiss(None)", "Close", "Close the window, and choose nothing."),
    _cases("cases.close", "escape,k", "dismiss(None)", "Close", "Close the window, and choose nothing."),
    _case("keep.save", "ctrl+s", "save", "Save", "Write the case into its file."),
    _case("keep.close", "escape", "dismiss(None)", "Close", "Close the window, and keep nothing."),
    _example("example.write", "enter,y", "write", "Write", "Write the example into the prompt."),
    _example("example.close", "escape,n", "dismiss(None)", "Close", "Close the window, and leave the prompt as it is."),
    _turn("turn.say", "ctrl+r", "say(False)", "Ask", "Say it after this answer, and have it answered."),
    _turn("turn.say.everywhere", "ctrl+t,f9", "say(True)", "Ask all", "Say it after the answer in every column."),
    _turn("turn.close", "escape", "dismiss(None)", "Close", "Close the window, and say nothing."),
    _unsaved("unsaved.save", "s,enter", "dismiss('save')", "Save", "Save what was typed, and go on."),
    _unsaved(
        "unsaved.keep",
        "k",
        "dismiss('keep')",
        "Keep",
        "Go on, and leave what was typed unsaved; it stays.",
    ),
    _unsaved("unsaved.discard", "d", "dismiss('discard')", "Discard", "Forget what was typed, and go on."),
    _unsaved("unsaved.stay", "escape", "dismiss(None)", "Stay", "Go back to what was typed."),
    _sure("sure.yes", "y", "dismiss(True)", "Yes", "Do it."),
    _sure("sure.no", "n,escape,q", "dismiss(False)", "No", "Leave everything as it is."),
    _choice("choice.close", "escape,q", "dismiss(None)", "Close", "Close the window, and leave it as it is."),
    _name("name.cancel", "escape", "dismiss('')", "Cancel", "Close the window, and write nothing."),
    _help("help.close", "escape,q,enter", "dismiss(None)", "Close", "Close the help."),
)
