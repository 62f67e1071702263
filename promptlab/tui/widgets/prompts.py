"""The prompts of the library, as a tree by folder, and what narrows it down."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.timer import Timer
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from promptlab.tui import show
from promptlab.tui.bindings import bindings
from promptlab.tui.state import PromptRow
from promptlab.tui.widgets.field import Line
from promptlab.tui.widgets.listed import Listed, place

INDENT = 2
UNSAVED = Content.styled("● ", show.WARN)
"""Stands before what has changes that are not saved, as it does above their source."""
FOLLOW_S = 0.15
"""How long nobody must type before a match is chosen: the form and the source take longer than a letter may."""


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree: a prompt, or a folder."""

    path: str
    """The prompt's name; of a folder its path, with a slash at its end."""
    depth: int
    row: PromptRow | None = None
    """None for a folder."""
    count: int = 0
    """Prompts in a folder."""


def tree(rows: Sequence[PromptRow], closed: Iterable[str] = ()) -> list[Node]:
    """Rows, in the order of their names, below their folders; without what is in folders that are closed."""
    nodes: list[Node] = []
    shut = tuple(closed)
    counts: dict[str, int] = {}
    for row in rows:
        for folder in _folders(row.name):
            counts[folder] = counts.get(folder, 0) + 1
    seen: set[str] = set()
    for row in rows:
        folders = _folders(row.name)
        for depth, folder in enumerate(folders):
            if folder not in seen and not any(f in shut for f in folders[:depth]):
                nodes.append(Node(folder, depth, count=counts[folder]))
            seen.add(folder)
        if not any(f in shut for f in folders):
            nodes.append(Node(row.name, len(folders), row))
    return nodes


def _folders(name: str) -> list[str]:
    """The folders that a prompt is in, each with a slash at its end, the outermost first."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: n + 1]) + "/" for n in range(len(parts))]


class PromptList(Listed):
    """Name and description of each prompt; a file that cannot be read is shown with its problem."""

    BINDINGS = bindings("prompts")

    rows: var[tuple[PromptRow, ...]] = var((), init=False)
    """What to list."""
    unsaved: var[frozenset[str]] = var(frozenset(), init=False)
    """Prompts whose source has changes that are not saved."""

    class Chosen(Message):
        """Another prompt is marked."""

        def __init__(self, row: PromptRow) -> None:
            super().__init__()
            self.row = row

    class Entered(Message):
        """Enter was pressed on a prompt: its inputs are wanted."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: list[Node] = []
        self._shut: set[str] = set()
        self._labels: dict[tuple[str, bool], Content] = {}
        """What each prompt is shown as, in the tree and among matches. Kept, as each letter that is looked for lists
        hundreds of them again, and Textual measures what it has not seen before.
        """
        self.wanted = ""
        """What is looked for; empty shows the tree."""
        self._pause: Timer | None = None
        """Runs while it is too early to choose what is marked."""

    @property
    def nodes(self) -> list[Node]:
        """What is listed."""
        return list(self._shown)

    @property
    def marked(self) -> Node | None:
        """The line that is marked."""
        return self._shown[self.highlighted] if self.highlighted is not None and self._shown else None

    def mark(self, path: str) -> None:
        """Show the tree, and mark a prompt or a folder there; the folders that it is in are opened."""
        self.wanted = ""
        self._shut.difference_update(_folders(path.rstrip("/")))
        self._fill(path)

    def watch_rows(self) -> None:
        """List other prompts, and keep the mark on the one that had it."""
        self._labels.clear()
        self._fill(self.marked.path if self.marked else "")

    def watch_unsaved(self, before: frozenset[str], now: frozenset[str]) -> None:
        """Mark others."""
        others = before ^ now
        for name in others:
            self._labels.pop((name, False), None)
            self._labels.pop((name, True), None)
        for number, node in enumerate(self._shown):
            if node.path in others or (node.row is None and any(name.startswith(node.path) for name in others)):
                self.replace_option_prompt_at_index(number, self._label(node))

    def look_for(self, wanted: str) -> None:
        """Show what matches, the best first and marked."""
        if wanted != self.wanted:
            self.wanted = wanted
            self._fill("")

    def action_fold(self, close: bool) -> None:
        """Close a folder, or the one that the marked prompt is in; or open it."""
        if self.marked is None or self.wanted:
            return
        folder = self.marked.path if self.marked.row is None else "".join(_folders(self.marked.path)[-1:])
        if close and folder in self._shut:  # it is closed already: the one around it is meant
            folder = "".join(_folders(folder.rstrip("/"))[-1:])
        if folder and (folder in self._shut) != close:
            self._shut ^= {folder}
            self._fill(folder)

    def _fill(self, marked: str) -> None:
        self._shown = self._found() if self.wanted else tree(self.rows, self._shut)
        paths = [node.path for node in self._shown]
        prompts = [n for n, node in enumerate(self._shown) if node.row]
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(self._label(node)) for node in self._shown])
            self.highlighted = None
        self.highlighted = paths.index(marked) if marked in paths else next(iter(prompts), None)

    def _found(self) -> list[Node]:
        from promptlab.core.fuzzy import rank

        order = rank(self.wanted, [(row.name, row.description) for row in self.rows])
        return [Node(self.rows[n].name, 0, self.rows[n]) for n in order]

    def _label(self, node: Node) -> Content:
        if node.row is None:
            indent = " " * INDENT * node.depth
            shut = node.path in self._shut
            folder = show.line(node.path.rstrip("/").rpartition("/")[2], show.ACCENT)
            more = Content.styled(f"  {node.count}", show.DIM) if shut else Content("")
            mark = UNSAVED if shut and any(name.startswith(node.path) for name in self.unsaved) else Content("")
            return Content.assemble(indent, ("▸ " if shut else "▾ ", show.ACCENT), mark, folder, more)
        key = (node.path, bool(self.wanted))
        if key not in self._labels:
            name = node.path if self.wanted else node.path.rpartition("/")[2]
            mark = UNSAVED if node.path in self.unsaved else Content("")
            self._labels[key] = _row(node.row, name, " " * INDENT * node.depth, mark)
        return self._labels[key]

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index != self.highlighted:  # the list has changed since
            return
        self._end_pause()
        if self.wanted:
            self._pause = self.set_timer(FOLLOW_S, self._follow)
        else:
            self._follow()

    def _follow(self) -> None:
        self._end_pause()
        if self.marked is not None and self.marked.row is not None:
            self.post_message(self.Chosen(self.marked.row))

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None

    def hurry(self) -> PromptRow | None:
        """The match that is marked and not chosen yet, as somebody may go on typing; whoever asks chooses it."""
        if self._pause is None:
            return None
        self._end_pause()
        return self.marked.row if self.marked else None

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        at = place(event)
        if at is None:
            return
        node = self._shown[at]
        if node.row is None:
            self.action_fold(node.path not in self._shut)
        else:
            self.post_message(self.Entered())


class Filter(Line):
    """What is looked for among the prompts."""

    BINDINGS = bindings("filter")

    class Left(Message):
        """Nothing is looked for any more."""

    class Moved(Message):
        """Another match is wanted."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def action_leave(self) -> None:
        """Say so."""
        self.post_message(self.Left())

    def action_move(self, step: int) -> None:
        """Say so."""
        self.post_message(self.Moved(step))


class PromptPane(Vertical):
    """The list, and above it the field that narrows it down while it is wanted."""

    DEFAULT_CSS = """
    PromptPane {
        & > PromptList {
            height: auto; max-height: 100%; border: none; padding: 0; background: transparent;
            text-wrap: nowrap; text-overflow: ellipsis;
            &:focus { border: none; background-tint: $foreground 0%; }
        }
        & > Filter { display: none; background: $panel; padding: 0 1; }
        &.-filtering > Filter { display: block; }
    }
    """

    rows: var[tuple[PromptRow, ...]] = var((), init=False)
    """What to list."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._before = ""
        """What was marked before anything was looked for."""
        self.border_title = Content("Prompts")

    def compose(self) -> ComposeResult:
        """The field and the list."""
        field = Filter("", placeholder="part of a name or description")
        field.can_focus = False  # else the screen would begin there
        yield field
        yield PromptList().data_bind(rows=PromptPane.rows)

    @property
    def prompts(self) -> PromptList:
        """The list."""
        return self.query_one(PromptList)

    def filter(self) -> None:
        """Begin to look for something."""
        if not self.has_class("-filtering"):
            self._before = self.prompts.marked.path if self.prompts.marked else ""
        self.add_class("-filtering")
        self.query_one(Filter).can_focus = True
        self.query_one(Filter).focus()

    def watch_rows(self) -> None:
        """Count them."""
        self._count()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.prompts.look_for(event.value)
        self._count()

    @on(Input.Submitted)
    def _taken(self, event: Input.Submitted) -> None:
        """The match that is marked is the one."""
        event.stop()
        self._close(self.prompts.marked.path if self.prompts.marked else self._before)

    @on(Filter.Left)
    def _left(self, event: Filter.Left) -> None:
        event.stop()
        self._close(self._before)

    @on(Filter.Moved)
    def _moved(self, event: Filter.Moved) -> None:
        event.stop()
        if event.step > 0:
            self.prompts.action_cursor_down()
        else:
            self.prompts.action_cursor_up()

    def _close(self, marked: str) -> None:
        self.remove_class("-filtering")
        field = self.query_one(Filter)
        field.can_focus = False
        with field.prevent(Input.Changed):
            field.value = ""
        self.prompts.mark(marked)
        self.prompts.focus()
        self._count()

    def _count(self) -> None:
        if not self.rows:
            self.border_subtitle = None
            return
        broken = sum(row.prompt is None for row in self.rows)
        all_of_them = f"{broken} cannot be read" if broken else f"{len(self.rows)}"
        found = f"{self.prompts.option_count} of {len(self.rows)}" if self.prompts.wanted else all_of_them
        self.border_subtitle = Content("nothing matches" if found.startswith("0 of") else found)


def _row(row: PromptRow, name: str, indent: str, mark: Content) -> Content:
    if row.prompt is None:
        problem = Content.assemble(indent, show.line(row.problem, show.BAD))
        return show.lines([Content.assemble(indent, mark, show.line(f"✗ {name}", "bold")), problem])
    title = Content.assemble(indent, mark, show.line(name, "bold"))
    if not row.description:
        return title
    return show.lines([title, Content.assemble(indent, show.line(row.description, show.DIM))])
