"""What the palette finds."""

from __future__ import annotations

from textual.command import Hit, Hits
from textual.system_commands import SystemCommandsProvider

IN_HELP = 0.01
"""The score of a command that is found by what it says of itself: below all that are found by their names."""


class Commands(SystemCommandsProvider):
    """Commands by their names, and then by what they do: `seed` finds the options."""

    async def search(self, query: str) -> Hits:
        """Give commands that match."""
        matcher, words = self.matcher(query), query.casefold().split()
        for name, text, callback, *_ in self.app.get_system_commands(self.screen):
            if (match := matcher.match(name)) > 0:
                yield Hit(match, matcher.highlight(name), callback, help=text)
            elif words and all(word in text.casefold() for word in words):
                yield Hit(IN_HELP, name, callback, help=text)
