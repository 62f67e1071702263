"""The models that can be asked, and those that could be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from promptlab.tui import show

if TYPE_CHECKING:
    from promptlab.app.models import Listed


class ModelList(OptionList):
    """A box to tick for each model on disk; for each that is missing, the command that fetches it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "select", "Tick", show=False)]

    rows: var[tuple[Listed, ...]] = var((), init=False)
    """What to list."""
    samples: var[int] = var(1)
    """How many answers each ticked model gives."""

    class Absent(Message):
        """A model was to be ticked that is not on disk."""

        def __init__(self, row: Listed) -> None:
            super().__init__()
            self.row = row

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ticked: dict[str, bool] = {}
        self.border_title = Content("Models")

    @property
    def ticked(self) -> tuple[str, ...]:
        """The models that a run asks, by name."""
        return tuple(row.name for row in self.rows if self._is_ticked(row))

    def watch_rows(self, rows: tuple[Listed, ...]) -> None:
        """List other models. What the user ticked or cleared stays so; the rest begins as models.yaml says."""
        marked = self.highlighted
        self.clear_options()
        self.add_options([Option(_label(row, self._is_ticked(row))) for row in rows])
        self.highlighted = min(marked or 0, len(rows) - 1) if rows else None

    def watch_samples(self, samples: int) -> None:
        """Say how many answers each gives."""
        self.border_subtitle = Content("1 sample each" if samples == 1 else f"{samples} samples each")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        row = self.rows[event.option_index]
        if not row.present:
            self.post_message(self.Absent(row))
            return
        self._ticked[row.name] = not self._is_ticked(row)
        self.replace_option_prompt_at_index(event.option_index, _label(row, self._is_ticked(row)))

    def _is_ticked(self, row: Listed) -> bool:
        return row.present and self._ticked.get(row.name, row.default)


def _label(row: Listed, ticked: bool) -> Content:
    title = show.line(row.title or row.name, "bold" if row.present else show.DIM)
    box = Content.styled("[x] ", f"bold {show.ACCENT}") if ticked else Content.styled("[ ] " if row.present else " ·  ")
    facts = [row.license, show.size(row.bytes) if row.bytes else "", "on disk" if row.present else "missing"]
    if not row.sha256:
        facts.append("unpinned")
    about = show.line("    " + " · ".join(f for f in facts if f), show.DIM)
    if row.present:
        return show.lines([box + title, about])
    return show.lines([box + title, about, show.line(f"  promptlab models pull {row.name}", show.WARN)])
