"""Whether the server of an entry can be asked now."""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.app.lab import Lab
from promptlab.app.loading import start
from promptlab.app.models import one_model
from promptlab.app.run import POLL_S
from promptlab.core.events import Failed, Ready, Server
from promptlab.errors import PromptlabError


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of asking a server for a model."""

    server: Server | None
    """What it says of itself; None where it cannot be asked."""
    context: int = 0
    """Tokens that fit into a conversation; 0 where it does not say."""
    problem: str = ""
    """Why it cannot be asked."""


def reach_server(lab: Lab, name: str) -> Reached | None:
    """Ask the server of a model's entry what it has; None where the entry names none.

    Takes the engine's events: not for use while a run goes on. Raises NotFound and SourceError.
    """
    model = one_model(lab, name)
    if model.server is None:
        return None
    try:
        start(lab, model)
    except PromptlabError as error:
        return Reached(None, problem=str(error))
    try:
        while True:
            match lab.backend.next_event(POLL_S):
                case Ready(model=model.name, engine=engine):
                    return Reached(engine.server, engine.context)
                case Failed(model=model.name, seq=None, failure=failure):
                    return Reached(None, problem=failure.message)
    finally:
        lab.backend.release(model.name)
