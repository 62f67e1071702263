"""The program, as screens and widgets see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from promptlab.tui.bindings import shown_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.message_pump import MessagePump
    from textual.screen import Screen

    from promptlab.tui.app import Playground


T = TypeVar("T")


def program(part: MessagePump) -> Playground:
    """The program that a screen or a widget is part of."""
    return cast("Playground", part.app)


def key_of(part: MessagePump, id: str) -> str:
    """The key by which a hint names the command of an id, as the user has set it.

    The settings are read a moment after the first paint: what is shown before that watches the program's `keys`.
    """
    return shown_key(id, program(part).keys)


def open_window(
    screen: Screen[Any],
    window: Screen[T],
    then: Callable[[T | None], None] | Callable[[T | None], Awaitable[None]] | None = None,
) -> None:
    """Open a window over the screen on which somebody has asked for it, unless they have gone elsewhere meanwhile."""
    if screen.is_active:
        screen.app.push_screen(window, then)
