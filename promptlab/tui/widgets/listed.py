"""A list of options whose contents change while it is used."""

from __future__ import annotations

from textual import events
from textual.visual import VisualType
from textual.widgets import OptionList


class Listed(OptionList):
    """Changes one of many options cheaply, and survives a click on one that has gone."""

    def relabel(self, at: int, label: VisualType) -> None:
        """Show another label, as high as the one before it.

        Textual's own call measures all options once more: with thousands of them, that takes longer than a key may.
        """
        self.options[at]._set_prompt(label)
        self._option_render_cache.clear()
        self.refresh()

    async def _on_click(self, event: events.Click) -> None:
        """What was clicked on may have gone since it was drawn; then Textual does not look."""
        at = event.style.meta.get("option")
        if at is not None and at >= self.option_count:
            event.prevent_default()


def place(event: OptionList.OptionMessage) -> int | None:
    """Where the option stands that an event is about; None where the list has changed between key and event."""
    options, at = event.option_list.options, event.option_index
    return at if at < len(options) and options[at] is event.option else None
