"""Where people have left off, a small file for each library in their own folder, never in the library; several where
several playgrounds are open over the same one.

Best effort: what cannot be read is as if it were not there, and what cannot be written is lost. It is said where that
is something that was typed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import weakref
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path

from promptlab.core import codec
from promptlab.core.session import Session, join, left_out, slim
from promptlab.errors import PromptlabError
from promptlab.files.paths import state_dir
from promptlab.files.writing import replace_file

MAX_BYTES = 16 << 20
"""Room for every character that is kept, were each written as two escapes."""
MAX_FILES = 200
"""Libraries that are remembered; of more, those are forgotten that were not used for the longest time."""


class Place:
    """Where one running playground keeps what it is left with. As long as it is open, it is nobody else's."""

    def __init__(self, file: Path, lock: int | None) -> None:
        """`lock` is an open file that is locked; None where there are no locks."""
        self.file = file
        self._release = weakref.finalize(self, os.close, lock) if lock is not None else None

    def close(self) -> None:
        """Let others have it. The system does so when the program dies."""
        if self._release is not None:
            self._release()


def session_file(root: Path, number: int = 1) -> Path:
    """A file for the library at `root`: the first, or that of one of several playgrounds that are open at once.

    Nothing that lies in a library has a say in it.
    """
    name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return state_dir() / "sessions" / f"{name}{f'.{number}' if number > 1 else ''}.json"


def take_place(root: Path) -> tuple[Place, Session]:
    """A place of one's own for the library at `root`, and what was left off in it.

    Joined with that is what other playgrounds have left behind that are no longer open.
    """
    first = session_file(root)
    try:
        _make(first.parent)
    except OSError:
        return Place(first, None), Session()
    places = [place for file in [first, *_later(first)] if (place := _taken(file)) is not None]
    if not places:
        return _beside(root)
    mine, *others = sorted(places, key=lambda place: _written(place.file), reverse=True)
    session = _gathered(mine, others) if others else read_session(mine.file)
    for other in others:
        other.close()
    return mine, session


def read_session(file: Path) -> Session:
    """Where somebody has left off; the beginning, where nothing can be read."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return Session()
        return codec.load(Session, json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return Session()


def write_session(file: Path, session: Session) -> tuple[str, ...]:
    """Keep it for the next time. Says what of that was typed could not be kept, a sentence each."""
    try:
        _make(file.parent)
        new = not file.exists()
        replace_file(file, json.dumps(asdict(slim(session))))
        if new:
            _forget(file.parent)
    except (OSError, PromptlabError) as error:
        # Without changes that are not saved there is little to type again; a home that is read-only is no news.
        return (f"Changes that are not saved cannot be kept for the next time: {error}",) if session.sources else ()
    return tuple(f"Too long to be kept for the next time: {what}." for what in left_out(session))


def remove_sessions(root: Path) -> None:
    """Forget all that was left off in the library at `root`, and what had been typed."""
    file = session_file(root)
    with contextlib.suppress(OSError):
        for each in [file, *_later(file)]:
            _remove(each)


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _later(first: Path) -> list[Path]:
    """The files of further playgrounds over the same library."""
    return [each for each in first.parent.glob(f"{first.stem}.*.json") if each.suffixes[0][1:].isdecimal()]


def _taken(file: Path) -> Place | None:
    """A place that is ours from now on; None where a program that runs has it."""
    try:
        lock = os.open(file.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    except OSError:
        return Place(file, None)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:  # this disk knows no locks
        pass
    return Place(file, lock)


def _beside(root: Path) -> tuple[Place, Session]:
    """A further place, where all that are known are in use: it begins with what is chosen in the newest one. What was
    typed there and is saved nowhere stays there.
    """
    first = session_file(root)
    newest = read_session(max([first, *_later(first)], key=_written))
    mine = next(place for n in count(1) if (place := _taken(session_file(root, n))) is not None)
    return mine, replace(newest, sources={}, turns={})


def _gathered(mine: Place, others: Sequence[Place]) -> Session:
    """What is in all of these places, the newest first, and is from now on in ours."""
    session, rests = read_session(mine.file), {}
    for other in others:
        joined, rest = join(session, read_session(other.file))
        if not left_out(joined):  # else it waits until there is room
            session = joined
            rests[other.file] = rest
    write_session(mine.file, session)
    if read_session(mine.file) == slim(session):  # only now may it go where it was
        for file, rest in rests.items():
            if rest.sources:
                write_session(file, rest)
            else:
                _remove(file)
        mine.file.touch()  # still the newest
    return session


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0


def _forget(folder: Path) -> None:
    for file in sorted(folder.glob("*.json"), key=_written, reverse=True)[MAX_FILES:]:
        if (place := _taken(file)) is not None:
            _remove(file)
            file.with_suffix(".lock").unlink(missing_ok=True)
            place.close()


def _remove(path: Path) -> None:
    """Remove a file, and halves of it that were being written when the program was killed."""
    for each in (path, *path.parent.glob(f".{path.name}.*")):
        each.unlink(missing_ok=True)
