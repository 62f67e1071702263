"""The user's settings, and the few words that are kept from one time to the next."""

from __future__ import annotations

import contextlib
from pathlib import Path

from promptlab.errors import Problem, PromptlabError, SourceError
from promptlab.files.paths import config_dir, state_dir

MAX_BYTES = 1 << 20
MAX_NAME = 100
"""Bytes of a theme's name."""


def settings_file() -> Path:
    """Where the user's settings are; it need not be there."""
    return config_dir() / "settings.yaml"


def read_settings_file() -> str | None:
    """What stands there; None where there is no such file. Raises SourceError."""
    path = settings_file()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError([Problem(path.name, 0, 0, f"cannot be read: {error.strerror}")]) from None
    if len(data) > MAX_BYTES:
        raise SourceError([Problem(path.name, 0, 0, f"is larger than {MAX_BYTES:,} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError([Problem(path.name, line, 0, "is not UTF-8")]) from None


def _theme_file() -> Path:
    return state_dir() / "theme"


def kept_theme() -> str:
    """The name of the theme that was shown last; empty where nobody knows."""
    try:
        with _theme_file().open("rb") as file:
            return file.read(MAX_NAME).decode("ascii", "replace").strip()
    except OSError:
        return ""


def keep_theme(name: str) -> None:
    """Keep it for the next time. What cannot be written is forgotten: it is not worth a word."""
    from promptlab.files.writing import replace_file

    with contextlib.suppress(PromptlabError):
        replace_file(_theme_file(), f"{name[:MAX_NAME]}\n")
