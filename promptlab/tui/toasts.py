"""What is said in a corner for a moment: never the same twice, and of what changes only how it is now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.notifications import Notification

if TYPE_CHECKING:
    from textual.app import App


@dataclass
class Said(Notification):
    """What is said, and of what."""

    about: str = field(default="", kw_only=True)
    """What it tells the state of, which is no longer what was said of it before; empty where it is of nothing such."""

    def supersedes(self, other: Notification) -> bool:
        """Whether nobody needs the other one beside this."""
        if self.about and isinstance(other, Said) and other.about == self.about:
            return True
        return (self.title, self.message, self.severity) == (other.title, other.message, other.severity)


def make_way(app: App[None], new: Notification) -> None:
    """Take away what is said already and is superseded by what comes now."""
    from textual.widgets._toast import Toast, ToastHolder  # here because nothing is said before the first paint

    if not isinstance(new, Said):
        return
    old = [each for each in app._notifications if new.supersedes(each)]
    for toast in app.screen.query(Toast) if old else ():
        if toast._notification in old and isinstance(toast.parent, ToastHolder):
            toast.parent.remove()  # Textual would leave it there, empty
    for each in old:
        app._unnotify(each, refresh=False)
