"""The play screen: the columns of answers."""

from __future__ import annotations

from functools import partial

from promptlab.tui.command import Command

_shown = partial(Command, scope="play", topic="Columns")
_columns = partial(_shown, footer=False)
_sample = partial(_shown, group="Sample")
_first = partial(Command, scope="play", topic="Copy")
_copy = partial(_first, footer=False)

COMMANDS: tuple[Command, ...] = (
    _columns("answers.left", "left", "column(-1)", "Column left", "Go to the column before."),
    _columns("answers.right", "right", "column(1)", "Column right", "Go to the next column."),
    _shown("answers.layout", "l", "next_layout", "Layout", "Show answers as columns, a grid, tabs, or as they fit."),
    _columns("answers.hide", "h", "hide_column", "Hide", "Hide the column; its run goes on.", title="Hide column"),
    _columns("answers.show", "H", "show_columns", "Show all", "Show hidden columns again.", title="Show all columns"),
    _columns("answers.earlier", "less_than_sign", "move_column(-1)", "Move left", "Move the column one place left."),
    _columns("answers.later", "greater_than_sign", "move_column(1)", "Move right", "Move the column one place right."),
    _sample("answers.previous", "left_square_bracket", "sample(-1)", "Sample before", "Show the sample before."),
    _sample("answers.next", "right_square_bracket", "sample(1)", "Next sample", "Show the column's next sample."),
    _shown("answers.fold", "f", "fold_steps", "Unfold", "Show every step with its prompt, or fold them again."),
    _first("answers.copy", "y", "copy_answer", "Copy", "Copy the answer as it is stored.", title="Copy answer"),
    _copy("answers.code", "c", "copy_code", "Copy code", "Copy the answer's code block; again for the next one."),
    _copy(
        "answers.compared",
        "Y",
        "copy_comparison",
        "Copy all",
        "Copy all answers as Markdown.",
        title="Copy all answers",
    ),
)
