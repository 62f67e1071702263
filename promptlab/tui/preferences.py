"""What a user has set, on its way to the program: the theme that was shown last at once, the rest a little later."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple, get_args

from textual.keys import KEY_ALIASES, Keys, _character_to_key

from promptlab.tui.bindings import COMMANDS
from promptlab.tui.command import PARTS, Part, always

if TYPE_CHECKING:
    from promptlab.core.settings import Keyboard, Settings

NAMES = frozenset(
    name
    for name in [*(key.value for key in Keys), *map(_character_to_key, map(chr, range(ord(" "), 0x7F))), *KEY_ALIASES]
    if len(name) > 1 and name.replace("_", "").isalnum()
)
"""Keys whose names are longer than a character."""


class Preferences(NamedTuple):
    """Where they come from, and where they go."""

    theme: str = ""
    """The one that was shown last."""
    load: Callable[[Collection[str]], Settings] | None = None
    """Read the settings, given the names of the themes that there are. Raises SourceError."""
    keep_theme: Callable[[str], object] | None = None
    """Keep the theme for the next time."""


def own_preferences() -> Preferences:
    """The user's own; only the name of the last theme is read now."""
    from promptlab.app.settings import keep_theme, kept_theme, load_settings

    return Preferences(kept_theme(), lambda themes: load_settings(keyboard(), themes), keep_theme)


def keyboard() -> Keyboard:
    """The keys, and the commands that have some."""
    from promptlab.core.settings import Bound, Keyboard

    within = {part: tuple(name for name, parts in PARTS.items() if part in parts) for part in get_args(Part)}
    commands = {c.id: Bound(c.scope, tuple(c.keys.split(",")), c.wins, within.get(c.scope, ())) for c in COMMANDS}
    return Keyboard(commands, NAMES, _normal, lambda key: not always(key))


def _normal(key: str) -> str:
    *modifiers, name = key.split("+") if len(key) > 1 and not key.endswith("+") else [key]
    return "+".join([*modifiers, _character_to_key(name) if len(name) == 1 else name])
