"""Where people have left off, a small file for each library in their own folder, never in the library.

Best effort: what cannot be read is as if it were not there, and what cannot be written is lost. It is said where that
is something that was typed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from promptlab.core import codec
from promptlab.core.session import Session, left_out, slim
from promptlab.errors import PromptlabError
from promptlab.files.paths import state_dir
from promptlab.files.writing import replace_file

MAX_BYTES = 16 << 20
"""Room for every character that is kept, were each written as two escapes."""
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


def write_session(root: Path, session: Session) -> tuple[str, ...]:
    """Keep it for the next time. Says what of that was typed could not be kept, a sentence each."""
    try:
        path = session_file(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        new = not path.exists()
        replace_file(path, json.dumps(asdict(slim(session))))
        if new:
            _forget(path.parent)
    except (OSError, PromptlabError) as error:
        # Without changes that are not saved there is little to type again; a home that is read-only is no news.
        return (f"Changes that are not saved cannot be kept for the next time: {error}",) if session.sources else ()
    return tuple(f"Too long to be kept for the next time: {what}." for what in left_out(session))


def remove_session(root: Path) -> None:
    """Forget it, and what had been typed."""
    with contextlib.suppress(OSError):
        _remove(session_file(root))


def _forget(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[MAX_FILES:]:
        _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, and halves of it that were being written when the program was killed."""
    for each in (path, *path.parent.glob(f".{path.name}.*")):
        each.unlink(missing_ok=True)
