"""The keys that hold where the focus is, in the last line of each screen.

Textual's `Footer` makes a widget for each key, and makes all of them anew whenever the focus moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from textual.binding import ActiveBinding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from promptlab.tui.widgets.spots import Spot, Spots

GAP = 1
"""Cells between two keys."""
KEY = "bold $footer-key-foreground"
OFF = "dim"
STAY = ("quit", "help")
"""Commands that are shown to the right, before the palette; the last one stays longest."""
TYPED = {"slash": "/", "backslash": "\\", "at": "@", "minus": "-", "plus": "+", "underscore": "_"}
"""What can be typed though Textual does not know it: its names of these keys are not those of the characters."""
EDGE = Spot(Content.styled("▏", "$foreground 20%"))


class KeyBar(Spots):
    """Shows as many as have room, and to the right how to leave, and the help's and the palette's, which tell of
    all others; a click is a key press.
    """

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
        self._more: tuple[Spot, ...] = ()
        """What stands to the right: the last one stays longest."""

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
        field = screen.focused
        shown = [each for each in active.values() if each.binding.show]
        if field is not None:
            shown = [each for each in shown if not _is_typed(field, each.binding.key)]
        keys = tuple(self._listed([each for each in shown if each.binding.id not in STAY]))
        stay = {each.binding.id: self._key(each) for each in reversed(shown) if each.binding.id in STAY}
        palette = active.get(self.app.COMMAND_PALETTE_BINDING)
        more = (*(stay[id] for id in STAY if id in stay), *((EDGE, self._key(palette)) if palette else ()))
        if (keys, more) != (self._keys, self._more):
            self._keys, self._more = keys, more
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
        """Keys from the left while there is room for them whole, and those to the right."""
        more, room = list(self._more), self.size.width
        while more and self._width(more) > room:
            del more[0]
        start = room - self._width(more)
        at = 0
        for key in self._keys:
            if at + key.label.cell_length > start - GAP:
                break
            yield at, key
            at += key.label.cell_length + GAP
        for spot in more:
            yield start, spot
            start += spot.label.cell_length + GAP * (spot is not EDGE)

    def _width(self, spots: list[Spot]) -> int:
        """Of spots side by side; the edge stands close to what it is the edge of."""
        return sum(spot.label.cell_length + GAP * (spot is not EDGE) for spot in spots) - GAP * bool(spots)

    async def clicked(self, target: tuple[str, str, bool]) -> None:
        """Press the key."""
        key, _, enabled = target
        if enabled:
            self.app.simulate_key(key)
        else:
            self.app.bell()


def _is_typed(field: Widget, key: str) -> bool:
    return key in TYPED and field.check_consume_key(key, TYPED[key])
