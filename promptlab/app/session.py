"""Where somebody has left off in a library: read at the start, kept as it changes."""

from __future__ import annotations

from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.core.session import Session
from promptlab.files.sessions import read_session, write_session


def left_off(lab: Lab) -> Session:
    """What was last kept; the beginning, where that cannot be read."""
    return read_session(lab.root)


def keep(root: Path, session: Session) -> tuple[str, ...]:
    """Keep it for the next time, if it can be kept. Says what of that was typed could not, a sentence each."""
    return write_session(root, session)


def keep_for_sure(root: Path, session: Session) -> tuple[str, ...]:
    """Keep it, and look whether all changes that are not saved have been. Says why not; nothing where they have."""
    reasons = write_session(root, session)
    return () if read_session(root).sources == session.sources else reasons or ("They cannot be kept.",)
