"""Versions of prompts: git is where they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from promptlab.core.prompt import Prompt
from promptlab.errors import UsageError
from promptlab.files import git
from promptlab.files.closure import References


class Versions:
    """The versions of a library's prompts."""

    def __init__(self, root: Path, references: References, cache: Callable[[], Path | None]) -> None:
        self.root = root

    def place(self, prompt: Prompt) -> Prompt:
        """Say which commit a working copy stands on, and whether it differs from it."""
        sources = {prompt.file: prompt.source, **prompt.partials}
        commit, dirty = git.state(self.root, {f"prompts/{name}": text.encode() for name, text in sources.items()})
        return replace(prompt, commit=commit, dirty=dirty)

    def load(self, name: str, version: str) -> Prompt:
        """Load."""
        raise UsageError("not yet")
