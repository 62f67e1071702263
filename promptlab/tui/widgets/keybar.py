"""The keys that hold where the focus is, in the last line of each screen.

Textual's `Footer` makes a widget for each key and makes all of them anew whenever the focus moves; this draws a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from textual import events
from textual.binding import ActiveBinding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

GAP = 1
"""Cells between two hints."""
KEY = "bold $footer-key-foreground"
HOVER = "on $block-hover-background"
OFF = "dim"


@dataclass(frozen=True, slots=True)
class Hint:
    """A key and what it does."""

    label: Content
    key: str = ""
    """What a click sends; nothing does where there is none."""
    tip: str = ""
    enabled: bool = True


class KeyBar(Widget, can_focus=False):
    """Shows them, as many as have room, and the palette's to the right; a click is a key press."""

    ALLOW_SELECT = False

    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        height: 1;
        color: $footer-description-foreground;
        background: $footer-background;
        text-wrap: nowrap;
        &:hover { pointer: pointer; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._hints: tuple[Hint, ...] = ()
        self._palette: Hint | None = None
        self._under: Hint | None = None
        """Where the mouse is."""

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def on_unmount(self) -> None:
        """Follow it no more."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _changed(self, screen: Screen[object]) -> None:
        if not self.app.app_focus or not self.is_attached or screen is not self.screen:
            return
        active = screen.active_bindings
        hints = tuple(self._listed([each for each in active.values() if each.binding.show]))
        found = active.get(self.app.COMMAND_PALETTE_BINDING)
        palette = self._hint(found) if found else None
        if (hints, palette) != (self._hints, self._palette):
            self._hints, self._palette, self._under = hints, palette, None
            self.refresh()

    def _listed(self, active: list[ActiveBinding]) -> Iterator[Hint]:
        """One hint for each action, by its first key; neighbours of a group share what they say."""
        first: dict[str, ActiveBinding] = {}
        for each in active:
            first.setdefault(each.binding.action, each)
        for group, some in groupby(first.values(), lambda each: each.binding.group):
            hints = [self._hint(each, alone=group is None) for each in some]
            if group is None or len(hints) == 1:
                yield from hints
                continue
            yield from hints
            yield Hint(Content(group.description))

    def _hint(self, active: ActiveBinding, *, alone: bool = True) -> Hint:
        binding, off = active.binding, "" if active.enabled else OFF
        key = Content.styled(self.app.get_key_display(binding), f"{KEY} {off}".strip())
        label = Content.assemble(key, (f" {binding.description}", off)) if alone and binding.description else key
        return Hint(label, binding.key, active.tooltip or binding.description, active.enabled)

    # --- where each stands -------------------------------------------------------------------------------------------

    def _placed(self) -> Iterator[tuple[int, Hint]]:
        """Those that have room, with the column that each begins at."""
        width = self.size.width
        if self._palette is not None:
            width -= self._palette.label.cell_length
            yield width, self._palette
            width -= GAP + 1
        at = 0
        for hint in self._hints:
            if at + hint.label.cell_length > width:
                return
            yield at, hint
            at += hint.label.cell_length + GAP

    def _at(self, x: int) -> Hint | None:
        return next((hint for at, hint in self._placed() if at <= x < at + hint.label.cell_length), None)

    def render(self) -> Content:
        """The line."""
        line, here = Content(""), 0
        for at, hint in sorted(self._placed(), key=lambda placed: placed[0]):
            if hint is self._palette:
                line, here = line.pad_right(at - 1 - here) + Content.styled("▏", "$foreground 20%"), at
            label = hint.label.stylize_before(HOVER) if hint is self._under and hint.key else hint.label
            line, here = line.pad_right(at - here) + label, at + label.cell_length
        return line

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say what the key does."""
        under = self._at(event.x)
        if under is not self._under:
            self._under = under
            self.tooltip = Content(under.tip) if under and under.tip else None
            self.refresh()

    def on_leave(self) -> None:
        """It has gone."""
        self._under = None
        self.refresh()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press the key."""
        hint = self._at(event.x)
        if hint is None or not hint.key:
            return
        if hint.enabled:
            self.app.simulate_key(hint.key)
        else:
            self.app.bell()
