"""The play screen: the columns of answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from promptlab.tui.copying import copy
from promptlab.tui.desk import Desk
from promptlab.tui.program import program
from promptlab.tui.screens.play_state import PlayState
from promptlab.tui.widgets.columns import Columns

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.core.record import Cell
    from promptlab.tui.desk import Task
    from promptlab.tui.widgets.column import Column
    from promptlab.views.copied import Code

_SEVERAL = ("zoom", "next_layout", "hide_column", "move_column")
"""What needs more than one column."""
_ANY = ("column", "fold_steps", "copy_answer", "copy_code", "copy_comparison")
"""What needs an answer."""
LAYOUTS = {"auto": "as they fit", "columns": "columns", "grid": "grid", "tabs": "tabs"}


class AnswerActions(PlayState):
    """Laying out, reading and copying answers."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._shape: tuple[int, int] = (0, 0)
        """Cells and columns, when the keys were last shown."""
        self._code: tuple[object, int] = (None, -1)
        """The job whose code was copied last, and which block of it."""

    def watch_cells(self, cells: tuple[Cell, ...]) -> None:
        """Answers take the place of the advice."""
        shape = (len(cells), len(self._columns.columns))
        if shape != self._shape:
            self._shape = shape
            self.place()
            self.call_after_refresh(self.refresh_bindings)

    @property
    def _columns(self) -> Columns:
        return self.query_one(Columns)

    # --- laying out --------------------------------------------------------------------------------------------------

    def action_zoom(self) -> None:
        """Give one column all the room."""
        self._columns.toggle_zoom()

    def action_next_layout(self) -> None:
        """Let the columns stand in another way, and say which."""
        text = f"Layout: {LAYOUTS[self._columns.next_choice()]}"
        program(self).notify(text, timeout=2, markup=False, about="layout")

    def action_hide_column(self) -> None:
        """Hide a column."""
        if not self._columns.hide():
            self._refuse("This is the only column that is shown.")

    def action_show_columns(self) -> None:
        """Show hidden columns again."""
        self._columns.show_all()

    def action_move_column(self, step: int) -> None:
        """Let a column change places with its neighbour."""
        if not self._columns.move(step):
            self._refuse("There is no column on that side.")

    def action_column(self, step: int) -> None:
        """Go to the neighbour."""
        self._columns.go(step)

    # --- reading -----------------------------------------------------------------------------------------------------

    def action_sample(self, step: int) -> None:
        """Show another sample."""
        column = self._columns.current
        if column is None or len(column.cells) < 2:
            self._refuse("This column has one sample.")
            return
        column.turn(step)

    def action_fold_steps(self) -> None:
        """Show steps whole, or folded."""
        if (column := self._columns.current) is not None:
            column.unfolded = not column.unfolded

    # --- copying -----------------------------------------------------------------------------------------------------

    def action_copy_answer(self) -> None:
        """Copy the answer that is shown."""
        if (found := self._looked_upon()) is not None:
            column, cell = found
            self._write(partial(_exact, cell), partial(self._copied, f"the answer of {column.label.plain}"))

    def action_copy_code(self) -> None:
        """Copy a code block of the answer that is shown; the next one at each press."""
        if (found := self._looked_upon()) is not None:
            self._write(partial(_code_blocks, found[1]), partial(self._copied_code, found[1].job))

    def action_copy_comparison(self) -> None:
        """Copy all answers, in the order in which they stand."""
        cells = [cell for column in self._columns.columns for cell in column.cells]
        self._write(partial(_markdown, cells), partial(self._copied, f"{len(cells)} answers as Markdown"))

    def _looked_upon(self) -> tuple[Column, Cell] | None:
        column = self._columns.current
        return (column, column.cell) if column is not None and column.cell is not None else None

    def _write(self, work: Callable[[Lab, Task[Any]], Any], done: Callable[[Any], None]) -> None:
        self.desk.do(work, done=done, lane="slow", key="copy")

    def _copied(self, what: str, text: str) -> None:
        copy(self, what, text)

    def _copied_code(self, job: object, blocks: Sequence[Code]) -> None:
        if not blocks:
            self._refuse("There is no code block in this answer.")
            return
        number = (self._code[1] + 1) % len(blocks) if self._code[0] is job else 0
        self._code = (job, number)
        which = f"code block {number + 1} of {len(blocks)}" if len(blocks) > 1 else "the code block"
        self._copied(which, blocks[number].text)

    def _refuse(self, text: str) -> None:
        self.notify(text, severity="warning", timeout=3, markup=False)

    def answers_allow(self, action: str) -> bool | None:
        """Whether a command of this part can be given now; None where it is none of this part."""
        if action not in (*_SEVERAL, *_ANY, "show_columns", "sample"):
            return None
        if not self.cells or self.looking:  # the prompt's source stands where the answers were
            return False
        columns = self._columns
        if action in _SEVERAL:
            return len(columns.columns) > 1
        if action == "show_columns":
            return bool(columns.hidden)
        return action != "sample" or any(len(column.cells) > 1 for column in columns.columns)


def _exact(cell: Cell, lab: Lab, task: Task[str]) -> str:
    from promptlab.views.copied import exact  # here because it is slow to import

    return exact(cell)


def _code_blocks(cell: Cell, lab: Lab, task: Task[list[Code]]) -> list[Code]:
    from promptlab.views.copied import code_blocks, exact  # here because it is slow to import

    return code_blocks(exact(cell))


def _markdown(cells: Sequence[Cell], lab: Lab, task: Task[str]) -> str:
    from promptlab.views.copied import write_answers  # here because it is slow to import

    return write_answers(cells)
