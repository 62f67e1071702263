"""The batch screen. The order is that of the last line, which shows as many as it has room for."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_do = partial(Command, scope="batch", topic="Batch")
_show = partial(Command, scope="batch", topic="What the table shows")
_move = partial(Command, scope="batch", topic="Move")

COMMANDS: tuple[Command, ...] = (
    _do("batch.start", "ctrl+r", "start", "Start", "Compare what is ticked; what the history has is not asked again."),
    _do("batch.pause", "space", "pause", "Pause", "Pause the batch, or go on with it; no answer is lost."),
    _do("batch.stop", "s", "stop", "Stop", "End the batch with what there is."),
    _do("batch.versions", "v", "versions", "Versions", "List the versions of the marked prompt, to be ticked."),
    _move("batch.open", "enter", "open", "Open", "Show what every column said to the marked case."),
    _show("batch.failing", "f", "failing", "Failing", "Only cases that fail in one of the columns, or all of them."),
    _show("batch.cases", "slash", "filter('cases')", "Search", "Only cases that have a text in their id or variables."),
    _do("batch.setup", "n", "setup", "Set up", "Choose prompts, cases and models."),
    _do("batch.write", "w", "write", "Write", "Write a report or data, as the file's name ends."),
    _show(
        "batch.splitting", "d", "splitting", "Differing", "Only cases to which columns say different things, or all."
    ),
    _show("batch.order", "o", "order", "Order", "Order cases by file, worst, split, the marked column, or name."),
    _move("batch.back", "escape", "back", "Back", "Go back to the table, or from it to what was set up."),
    _move("batch.before", "left_square_bracket", "beside(-1)", "Case before", "Show the case before.", group="Case"),
    _move("batch.after", "right_square_bracket", "beside(1)", "Next case", "Show the next case.", group="Case"),
    _move("batch.closer", "c", "closer", "Closer", "Look closer at the marked answer, and how it differs from others."),
    _move("batch.play", "p", "play", "In play", "Show the answers to the marked case in the columns of play."),
    _do("batch.picture", "a", "picture", "Picture", "Who agrees with whom, which is better, where columns split."),
    _do(
        *("batch.keep", "k", "keep", "Keep"),
        "Keep the comparison as a baseline, to compare later ones against.",
        title="Keep as a baseline",
    ),
    _do(
        *("batch.baseline", "b", "baseline", "Baseline"),
        "Compare against a baseline that was kept: what got worse and better.",
    ),
    _show("batch.worse", "r", "worse", "Worse", "Only cases that got worse than the baseline, or all of them."),
    _show("batch.columns", "m", "filter('columns')", "Columns", "Only columns that have a text in their name."),
    _do("batch.copy", "Y", "copy", "Copy", "Copy the comparison as Markdown.", title="Copy the comparison"),
    _move("batch.pane", "f6", "pane(1)", "Pane", "Go to the next pane.", footer=False, title="Next pane of the batch"),
    _move("batch.pane.previous", "shift+f6,f18", "pane(-1)", "Pane before", "Go to the pane before.", footer=False),
)
