"""The play screen: inputs, options and cases."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_shown = partial(Command, scope="play", topic="Inputs")
_ask = partial(_shown, footer=False)
_step = partial(_ask, group="Cases")
_keep = partial(Command, scope="play", topic="Keep an answer", footer=False)

COMMANDS: tuple[Command, ...] = (
    _ask(
        "ask.options",
        "ctrl+t,f9",
        "options",
        "Options",
        "Set temperature, seed, samples, mode and more; once more folds them.",
    ),
    _shown("ask.cases", "k", "cases", "Cases", "Choose a case set: it fills in the inputs.", title="Choose a case set"),
    _step("ask.case.previous", "comma", "case(-1)", "Case before", "Fill in the case before this one."),
    _step("ask.case.next", "full_stop", "case(1)", "Next case", "Fill in the next case of the set."),
    _keep(
        "ask.keep.case",
        "s",
        "keep_case",
        "Keep as case",
        "Save the answer in the column as a case in seeds/.",
        title="Save answer as a case",
    ),
    _keep(
        "ask.keep.example",
        "x",
        "keep_example",
        "Keep as example",
        "Save the answer in the column as a worked example in its prompt.",
        title="Save answer as a few-shot example",
    ),
)
