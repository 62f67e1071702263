"""Notice that the files of a library change, whoever changes them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from promptlab.files.paths import config_dir

WATCHED = ("prompts", "seeds")
"""Folders, with all that is below them."""
MODELS = "models.yaml"
MAX_FOLDERS = 2_000
"""The system has a limit for all programs together; with more folders, the rest is not watched."""
DEBOUNCE_MS = 400
STEP_MS = 50
CHECK_MS = 500
"""How soon it is noticed that nobody wants to know any more."""


def changes(root: Path, stop: threading.Event) -> Iterator[None]:
    """Something has changed in prompts/, seeds/ or models.yaml, or the user's own models.yaml has: says so each time,
    until `stop` is set.

    Folders that are links are not followed. Where the system cannot watch, nothing is ever said.
    """
    from watchfiles import watch  # here because it is slow to import

    late = False
    """Whether something may have changed before the folders that are new were watched."""
    while not stop.is_set():
        watched = folders(root)
        try:
            for found in watch(
                *watched,
                watch_filter=lambda _, path: concerns(root, path),
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                stop_event=stop,
                rust_timeout=CHECK_MS,
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=False,
                ignore_permission_denied=True,
            ):
                if not found and not late:
                    continue
                late = False
                yield
                if folders(root) != watched:
                    late = True
                    break
        except OSError:  # a folder has gone in between, or there are too many
            if stop.wait(CHECK_MS / 1000) or folders(root) == watched:
                return


def folders(root: Path) -> tuple[str, ...]:
    """The library itself, the user's own folder, and every real folder below what is watched."""
    found = [str(root), *([str(config_dir())] if config_dir().is_dir() else [])]
    for name in WATCHED:
        top = root / name
        if top.is_symlink():
            continue
        for folder, below, _ in os.walk(top):
            below[:] = sorted(b for b in below if not b.startswith(".") and not (Path(folder) / b).is_symlink())
            found.append(folder)
            if len(found) >= MAX_FOLDERS:
                return tuple(found)
    return tuple(found)


def concerns(root: Path, path: str) -> bool:
    """Whether a change of `path` may change what the library holds, or which models there are."""
    if Path(path) == config_dir() / MODELS:
        return True
    try:
        parts = Path(path).relative_to(root).parts
    except ValueError:
        return False
    hidden = any(part.startswith(".") or part.endswith("~") for part in parts)
    return bool(parts) and not hidden and (parts[0] in WATCHED or parts == (MODELS,))
