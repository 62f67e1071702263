"""All entries of models.yaml, a line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.describe_models import memory, state
from promptlab.tui.model_news import ModelNews

if TYPE_CHECKING:
    from promptlab.app.models import Entry

GAP = 2


@dataclass(frozen=True, slots=True)
class Heading:
    """A column of the table."""

    name: str
    width: int
    """Cells; what is longer is cut."""
    cell: Callable[[Entry, ModelNews], Content]
    right: bool = False


def _state(row: Entry, news: ModelNews) -> Content:
    """How it stands, and whether its weights could be any."""
    how = state(row, news)
    return how if row.sha256 or row.server else how + Content.styled(", unpinned", show.DIM)


# In the order in which a narrow table gives them room; they stand in the order of _ORDER.
_HEADINGS = (
    Heading("MODEL", 20, lambda row, news: show.line(row.name, "bold" if row.askable else "")),
    Heading("STATE", 19, _state),
    Heading("SIZE", 7, lambda row, news: Content(show.size(row.bytes) if row.bytes else ""), right=True),
    Heading("LICENSE", 12, lambda row, news: show.line(row.license)),
    Heading("DEFAULT", 7, lambda row, news: Content("✓" if row.default else "")),
    Heading("CONTEXT", 7, lambda row, news: Content("" if row.server else f"{row.context:,}"), right=True),
    Heading("TAGS", 18, lambda row, news: show.line(" ".join(row.tags), show.DIM)),
    Heading("TITLE", 34, lambda row, news: show.line(row.title)),
)
_ORDER = ("MODEL", "STATE", "SIZE", "LICENSE", "CONTEXT", "DEFAULT", "TAGS", "TITLE")


def headings(width: int) -> list[Heading]:
    """The columns that fit into so many cells."""
    chosen: list[Heading] = []
    for heading in _HEADINGS:
        if sum(each.width + GAP for each in chosen) + heading.width > width:
            break
        chosen.append(heading)
    return sorted(chosen or _HEADINGS[:1], key=lambda each: _ORDER.index(each.name))


def table_line(chosen: Sequence[Heading], cells: Sequence[Content]) -> Content:
    """Cells below their headings."""
    placed = [_place(heading, cell) for heading, cell in zip(chosen, cells, strict=True)]
    return Content(" " * GAP).join(placed)


def _place(heading: Heading, cell: Content) -> Content:
    cell = cell.truncate(heading.width, ellipsis=True)
    missing = heading.width - cell.cell_length
    return cell.pad_left(missing) if heading.right else cell.pad_right(missing)


class ModelTable(Vertical):
    """The list, below its headings; in the border, what memory there is."""

    DEFAULT_CSS = """
    ModelTable {
        padding: 0 1;
        & > Static { height: 1; color: $text-muted; text-wrap: nowrap; }
        & > OptionList { height: 1fr; text-wrap: nowrap; background: transparent; border: none; padding: 0; }
        & > OptionList:focus { border: none; }
    }
    """

    rows: var[tuple[Entry, ...]] = var((), init=False)
    """What to list."""
    news: var[ModelNews] = var(ModelNews(), init=False)
    """How they stand."""

    class Marked(Message):
        """The cursor is on another model, or on none."""

        def __init__(self, row: Entry | None) -> None:
            super().__init__()
            self.row = row

    class Entered(Message):
        """Enter was pressed on a model: its details are wanted."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = Content("Models")
        self._head = Static()
        self._list = OptionList()
        self._headings: list[Heading] = []
        self._labels: list[Content] = []

    def compose(self) -> ComposeResult:
        """Headings and list."""
        yield self._head
        yield self._list

    @property
    def marked(self) -> Entry | None:
        """The model that the cursor is on."""
        index = self._list.highlighted
        return self.rows[index] if index is not None and index < len(self.rows) else None

    def focus_list(self) -> None:
        """Go to the list."""
        self._list.focus()

    def on_resize(self, event: events.Resize) -> None:
        """Show the columns that fit."""
        chosen = headings(self._list.scrollable_content_region.width)
        if chosen != self._headings:
            self._headings = chosen
            self._head.update(table_line(chosen, [Content(each.name) for each in chosen]))
            self._relabel()

    def watch_rows(self, old: tuple[Entry, ...], rows: tuple[Entry, ...]) -> None:
        """List other models, and keep the mark on the one that had it."""
        names = [row.name for row in rows]
        if [row.name for row in old] != names:
            index = self._list.highlighted
            marked = old[index].name if index is not None and index < len(old) else None
            self._labels = [self._label(row) for row in rows]
            self._list.clear_options()
            self._list.add_options([Option(label) for label in self._labels])
            self._list.highlighted = names.index(marked) if marked in names else 0 if rows else None
        else:
            self._relabel()
        self.post_message(self.Marked(self.marked))

    def watch_news(self, news: ModelNews) -> None:
        """Say how they stand now."""
        self._relabel()
        self.border_subtitle = memory(news.holdings, 20)

    def _relabel(self) -> None:
        for index, row in enumerate(self.rows):
            label = self._label(row)
            if not label.is_same(self._labels[index]):
                self._labels[index] = label
                self._list.replace_option_prompt_at_index(index, label)

    def _label(self, row: Entry) -> Content:
        return table_line(self._headings, [heading.cell(row, self.news) for heading in self._headings])

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Marked(self.marked))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Entered())
