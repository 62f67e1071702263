"""The user's settings."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from promptlab.files.settings import keep_theme, kept_theme, read_settings_file, settings_file

if TYPE_CHECKING:
    from promptlab.core.settings import Keyboard, Settings

__all__ = ["keep_theme", "kept_theme", "load_settings"]


def load_settings(keyboard: Keyboard, themes: Collection[str]) -> Settings:
    """Read the user's settings.yaml. Raises SourceError with every problem found."""
    from promptlab.core.settings import Settings, read_settings  # here because yaml is slow to import

    text = read_settings_file()
    if text is None:
        return Settings()
    return read_settings(text, file=settings_file().name, keyboard=keyboard, themes=themes)
