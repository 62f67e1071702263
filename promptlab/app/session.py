"""Where somebody has left off in a library: read at the start, kept as it changes."""

from __future__ import annotations

from promptlab.app.lab import Lab
from promptlab.core.session import Session
from promptlab.files.sessions import Place, read_session, take_place, write_session

__all__ = ["Place", "keep", "keep_for_sure", "left_off"]


def left_off(lab: Lab) -> tuple[Place, Session]:
    """What was last kept; the beginning, where that cannot be read. And where to keep it from now on, which no other
    playground uses while that is open.
    """
    return take_place(lab.root)


def keep(place: Place, session: Session) -> tuple[str, ...]:
    """Keep it for the next time, if it can be kept. Says what of that was typed could not, a sentence each."""
    return write_session(place.file, session)


def keep_for_sure(place: Place, session: Session) -> tuple[str, ...]:
    """Keep it, and look whether all changes that are not saved have been. Says why not; nothing where they have."""
    reasons = write_session(place.file, session)
    return () if read_session(place.file).sources == session.sources else reasons or ("They cannot be kept.",)
