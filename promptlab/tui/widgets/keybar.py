"""The keys that hold where the focus is, in the last line of each screen.

Textual's `Footer` makes a widget for each key, and makes all of them anew whenever the focus moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from textual.binding import ActiveBinding
from textual.content import Content
from textual.screen import Screen

from promptlab.tui.widgets.spots import Spot, Spots

GAP = 1
"""Cells between two keys."""
KEY = "bold $footer-key-foreground"
OFF = "dim"
EDGE = Spot(Content.styled("▏", "$foreground 20%"))


class KeyBar(Spots):
    """Shows as many as have room, and the palette's to the right; a click is a key press."""

    DEFAULT_CSS = """
    KeyBar {
        dock: bottom;
        color: $footer-description-foreground;
        background: $footer-background;
        &:hover { pointer: pointer; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[Spot, ...] = ()
        self._palette: Spot | None = None

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
        keys = tuple(self._listed([each for each in active.values() if each.binding.show]))
        found = active.get(self.app.COMMAND_PALETTE_BINDING)
        palette = self._key(found) if found else None
        if (keys, palette) != (self._keys, self._palette):
            self._keys, self._palette = keys, palette
            self.forget_mouse()

    def _listed(self, active: list[ActiveBinding]) -> Iterator[Spot]:
        """One for each action, by its first key; neighbours of a group share what they say."""
        first: dict[str, ActiveBinding] = {}
        for each in active:
            first.setdefault(each.binding.action, each)
        for group, some in groupby(first.values(), lambda each: each.binding.group):
            alone, *others = some
            if group is None or not others:
                yield from map(self._key, (alone, *others))
                continue
            yield from (self._key(each, named=False) for each in (alone, *others))
            yield Spot(Content(group.description))

    def _key(self, active: ActiveBinding, *, named: bool = True) -> Spot:
        binding, off = active.binding, "" if active.enabled else OFF
        key = Content.styled(self.app.get_key_display(binding), f"{KEY} {off}".strip())
        label = Content.assemble(key, (f" {binding.description}", off)) if named and binding.description else key
        return Spot(label, (binding.key, binding.action, active.enabled), active.tooltip or binding.description)

    def placed(self) -> Iterator[tuple[int, Spot]]:
        """Keys from the left while there is room for them whole, and the palette's."""
        width = self.size.width
        room = width if self._palette is None else width - self._palette.label.cell_length - 1 - GAP
        at = 0
        for key in self._keys:
            if at + key.label.cell_length > room:
                break
            yield at, key
            at += key.label.cell_length + GAP
        if self._palette is not None:
            yield room + GAP, EDGE
            yield room + GAP + 1, self._palette

    async def clicked(self, target: tuple[str, str, bool]) -> None:
        """Press the key."""
        key, _, enabled = target
        if enabled:
            self.app.simulate_key(key)
        else:
            self.app.bell()
