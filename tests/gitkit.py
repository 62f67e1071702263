"""Git for tests: the settings of nobody, and a command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def use_own_settings(patch: pytest.MonkeyPatch) -> None:
    """Let git see neither the user's settings nor those of a hook that runs the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        patch.delenv(name)
    patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{who}_NAME", "A")
        patch.setenv(f"GIT_{who}_EMAIL", "a@b.c")


@pytest.fixture
def git_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, for a test."""
    use_own_settings(monkeypatch)


def run(folder: Path, *arguments: str, check: bool = True) -> str:
    """What a git command in a folder says."""
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=check)
    return done.stdout.strip()
