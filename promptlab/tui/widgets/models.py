"""The models that can be asked, and those that could be fetched."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.describe_models import memory, reason, state, these
from promptlab.tui.fitting import Label
from promptlab.tui.model_news import ModelNews
from promptlab.tui.program import key_of
from promptlab.tui.widgets.listed import Listed, place

if TYPE_CHECKING:
    from promptlab.app.models import Entry


class ModelList(Listed):
    """Each model with its state, and a box to tick where it is on disk; in the border, what memory there is."""

    BINDINGS = bindings("ticks")

    rows: var[tuple[Entry, ...]] = var((), init=False)
    """What to list."""
    news: var[ModelNews] = var(ModelNews(), init=False)
    """How they stand."""
    samples: var[int] = var(1)
    """How many answers each ticked model gives."""

    class Absent(Message):
        """A model was to be ticked that is not on disk."""

        def __init__(self, row: Entry) -> None:
            super().__init__()
            self.row = row

    class Ticked(Message):
        """Other models are asked."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ticked: dict[str, bool] = {}
        self._told: tuple[str, ...] = ()
        """The models that were last said to be asked."""
        self._labels: list[Label] = []

    @property
    def ticked(self) -> tuple[str, ...]:
        """The models that a run asks, by name."""
        return tuple(row.name for row in self.rows if self._is_ticked(row))

    @property
    def marked(self) -> Entry | None:
        """The model that the cursor is on."""
        return self.rows[self.highlighted] if self.highlighted is not None and self.rows else None

    @property
    def ticks(self) -> dict[str, bool]:
        """What the user has ticked or cleared, by name."""
        return dict(self._ticked)

    def tick(self, names: Collection[str]) -> None:
        """Tick these and no others."""
        self.restore({row.name: row.name in names for row in self.rows})

    def restore(self, ticks: Mapping[str, bool]) -> None:
        """Tick and clear as the user once did."""
        self._ticked |= ticks
        self._relabel()

    def watch_rows(self, old: tuple[Entry, ...], rows: tuple[Entry, ...]) -> None:
        """List other models. What the user ticked or cleared stays so; the rest begins as models.yaml says."""
        if [row.name for row in old] == [row.name for row in rows]:
            self._relabel()
            return
        marked = self.highlighted
        self._labels = [self._label(row) for row in rows]
        self.clear_options()
        self.add_options([Option(label) for label in self._labels])
        self.highlighted = min(marked or 0, len(rows) - 1) if rows else None
        self._tell()

    def watch_news(self) -> None:
        """Say how they stand now."""
        self._relabel()

    def watch_samples(self, samples: int) -> None:
        """Say how many answers each gives."""
        each = "1 sample each" if samples == 1 else f"{samples} samples each"
        self.border_title = Content(f"Models · {each}")

    def _relabel(self) -> None:
        """Draw those again that look otherwise now."""
        for index, row in enumerate(self.rows):
            label = self._label(row)
            if not label.is_same(self._labels[index]):
                self._labels[index] = label
                self.replace_option_prompt_at_index(index, label)
        self._tell()

    def _tell(self) -> None:
        """What to do where there is nothing to ask; or else what memory there is. And whether others are asked now."""
        if self.ticked != self._told:
            self._told = self.ticked
            self.post_message(self.Ticked())
        wanted = [row for row in self.rows if row.default]
        empty = not any(row.askable for row in self.rows)
        if empty and wanted and self.news.doing is None:
            self.border_subtitle = Content.styled(f"{key_of(self, 'play.pull')} pulls {these(wanted)}", show.ACCENT)
        else:
            self.border_subtitle = memory(self.news.holdings, 8)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        at = place(event)
        if at is None:
            return
        row = self.rows[at]
        if not row.askable:
            self.post_message(self.Absent(row))
            return
        self._ticked[row.name] = not self._is_ticked(row)
        self._relabel()

    def _is_ticked(self, row: Entry) -> bool:
        return row.askable and self._ticked.get(row.name, row.default or row.name in self.news.pulled)

    def _label(self, row: Entry) -> Label:
        title = show.line(row.title or row.name, "bold" if row.askable else show.DIM)
        box = Content("[ ] " if row.askable else "    ")
        if self._is_ticked(row):
            box = Content.styled("[x] ", f"bold {show.ACCENT}")
        facts = [show.size(row.bytes) if row.bytes else "", row.license, "" if row.sha256 or row.server else "unpinned"]
        about = [show.line(fact, show.DIM) for fact in facts if fact]
        why = reason(row, self.news)
        return Label(box + title, [state(row, self.news), *about], [why] if why.plain else [], "    ")
