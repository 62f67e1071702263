"""The program, as screens and widgets see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from promptlab.tui.app import Playground


def program(part: MessagePump) -> Playground:
    """The program that a screen or a widget is part of."""
    return cast("Playground", part.app)
