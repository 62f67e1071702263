"""The prompts of the library."""

from __future__ import annotations

from textual import on
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.state import PromptRow


class PromptList(OptionList):
    """Name and description of each prompt; a file that cannot be read is shown with its problem."""

    rows: var[tuple[PromptRow, ...]] = var((), init=False)
    """What to list."""

    class Chosen(Message):
        """Another prompt is marked."""

        def __init__(self, row: PromptRow) -> None:
            super().__init__()
            self.row = row

    class Entered(Message):
        """Enter was pressed on a prompt: its inputs are wanted."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = Content("Prompts")

    def watch_rows(self, old: tuple[PromptRow, ...], rows: tuple[PromptRow, ...]) -> None:
        """List other prompts, and keep the mark on the one that had it."""
        marked = old[self.highlighted].name if self.highlighted is not None and self.highlighted < len(old) else None
        names = [row.name for row in rows]
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(_label(row)) for row in rows])
            self.highlighted = None
        self.highlighted = names.index(marked) if marked in names else 0 if rows else None
        broken = sum(row.prompt is None for row in rows)
        self.border_subtitle = Content(f"{broken} cannot be read" if broken else f"{len(rows)}") if rows else None

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index < len(self.rows):
            self.post_message(self.Chosen(self.rows[event.option_index]))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Entered())


def _label(row: PromptRow) -> Content:
    if row.prompt is None:
        return show.lines([show.line(f"✗ {row.name}", "bold"), show.line(row.problem, show.BAD)])
    name = show.line(row.name, "bold")
    return show.lines([name, show.line(row.description, show.DIM)]) if row.description else name
