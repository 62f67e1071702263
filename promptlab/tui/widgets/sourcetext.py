"""The text of a prompt's source, with colours, and marks where the checker has found something."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from promptlab.core.text import sanitize
from promptlab.tui.colours import Kind, Span, State, scan

_WORD = re.compile(r"\w+|\S")
INDENT = 2
MARK = 2
"""Cells before the number of a line, for a mark."""


class SourceText(TextArea):
    """The text, with colours, and marks where the checker has found something."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"source--{kind}" for kind in ("mark", "key", "string", "number", "word", "comment", "name")),
        "source--error",
        "source--warning",
    }
    DEFAULT_CSS = """
    SourceText {
        background: $background;
        & > .source--mark { color: $text-accent; }
        & > .source--key { color: $text-primary; }
        & > .source--word { color: $text-accent; text-style: bold; }
        & > .source--name { color: $foreground; text-style: bold; }
        & > .source--string { color: $text-success; }
        & > .source--number { color: $text-success; }
        & > .source--comment { color: $secondary; text-style: italic; }
        & > .source--error { color: $text-error; text-style: bold underline; }
        & > .source--warning { color: $text-warning; text-style: bold underline; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+home", "first", "To the beginning", show=False),
        Binding("ctrl+end", "last", "To the end", show=False),
    ]

    def __init__(self) -> None:
        self._states: list[State] = ["start"]
        """In what each line begins, as far as that is known."""
        self._known = 0
        """The first line that an edit has changed."""
        self._marks: Mapping[int, tuple[int, str]] = {}
        self._width = 0
        """For which its lines are broken."""
        # What marks the cursor's line would take its colours away.
        super().__init__(
            read_only=True, show_line_numbers=True, compact=True, tab_behavior="indent", highlight_cursor_line=False
        )
        self.indent_width = INDENT
        self.cursor_blink = False

    def action_first(self) -> None:
        """Go to the beginning."""
        self.move_cursor((0, 0))

    def action_last(self) -> None:
        """Go to the end."""
        self.move_cursor(self.document.end)

    def mark(self, marks: Mapping[int, tuple[int, str]]) -> None:
        """Mark lines, counted from 0, each with a column and `error` or `warning`."""
        self._marks = marks
        self._line_cache.clear()
        self.refresh()

    def edit(self, edit: Edit) -> EditResult:
        """Make visible what is not text."""
        self._known = edit.top[0]
        return super().edit(replace(edit, text=sanitize(edit.text)))

    def get_line(self, line_index: int) -> Text:
        """A line with its colours."""
        line = super().get_line(line_index)
        for start, end, kind in self._spans(line_index):
            line.stylize(self._style(kind), start, end)
        if mark := self._marks.get(line_index):
            column, severity = mark
            word = _WORD.match(line.plain, column)
            line.stylize(self._style(severity), *(word.span() if word else ()))
        return line

    @property
    def gutter_width(self) -> int:
        """Room for a mark before the number of a line."""
        return super().gutter_width + MARK

    def render_line(self, y: int) -> Strip:
        """A line on the screen; where there is a finding, its mark stands beside the number."""
        strip = super().render_line(y)
        at = y + self.scroll_offset.y
        if not self._marks or at >= self.wrapped_document.height:
            return strip
        row, column = self.wrapped_document.offset_to_location(Offset(0, at))
        if column or row not in self._marks:
            return strip
        severity = self._marks[row][1]
        style = self.rich_style + self._style(severity) + Style(underline=False)
        mark = Segment("✗ " if severity == "error" else "! ", style)
        return Strip.join([Strip([mark], MARK), strip.crop(MARK)])

    def _spans(self, line_index: int) -> list[Span]:
        while len(self._states) <= line_index:
            number = len(self._states) - 1
            self._states.append(scan(self.document.get_line(number), self._states[number])[1])
        return scan(self.document.get_line(line_index), self._states[line_index])[0]

    def _style(self, kind: Kind | str) -> Style:
        return self.get_component_rich_style(f"source--{kind}", partial=True)

    def _build_highlight_map(self) -> None:
        """Called when the text has changed: from where on, only `edit` knows."""
        super()._build_highlight_map()
        del self._states[self._known + 1 :]
        self._known = 0

    def on_resize(self, event: events.Resize) -> None:
        """Use another width."""
        # Breaking all lines again takes a second for the largest files: only another width makes that necessary.
        if self.wrap_width == self._width:
            event.prevent_default()
        self._width = self.wrap_width

    def on_key(self, event: events.Key) -> None:
        """Leave escape to the binding."""
        # Text areas that take the tab key make escape mean the next field: here it has a meaning of its own.
        if event.key == "escape":
            event.prevent_default()
