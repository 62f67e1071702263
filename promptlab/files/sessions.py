"""Where people have left off, a small file for each library in their own folder, never in the library.

Best effort: what cannot be read is as if it were not there, and what cannot be written is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from promptlab.core import codec
from promptlab.core.session import Session, slim
from promptlab.errors import PromptlabError
from promptlab.files.paths import state_dir
from promptlab.files.writing import replace_file

MAX_BYTES = 4 << 20
MAX_FILES = 200
"""Libraries that are remembered; of more, those are forgotten that were not used for the longest time."""


def session_file(root: Path) -> Path:
    """The file for the library at `root`. Nothing that lies in a library has a say in it."""
    name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return state_dir() / "sessions" / f"{name}.json"


def read_session(root: Path) -> Session:
    """Where somebody has left off in the library at `root`; the beginning, where nothing can be read."""
    path = session_file(root)
    try:
        if path.stat().st_size > MAX_BYTES:
            return Session()
        return codec.load(Session, json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return Session()


def write_session(root: Path, session: Session) -> None:
    """Keep it for the next time."""
    path = session_file(root)
    with contextlib.suppress(OSError, PromptlabError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        new = not path.exists()
        replace_file(path, json.dumps(asdict(slim(session))))
        if new:
            _forget(path.parent)


def remove_session(root: Path) -> None:
    """Forget it, and what had been typed."""
    with contextlib.suppress(OSError):
        session_file(root).unlink(missing_ok=True)


def _forget(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[MAX_FILES:]:
        path.unlink(missing_ok=True)
