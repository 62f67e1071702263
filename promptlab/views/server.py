"""What is said of a server that answered: a few words for pages, panes and the report."""

from __future__ import annotations

from promptlab.core.events import Server

UNKNOWN_WEIGHTS = "cannot be known: a server has them"


def server_facts(server: Server) -> list[str]:
    """Mode, model and address, what the server says it is, and what it was not told. Not yet sanitised."""
    kind = f"{server.kind} {server.version}".strip()
    untold = f"not told of {', '.join(server.unsent)}" if server.unsent else ""
    return [each for each in ("remote", f"{server.model} at {server.address}", kind, untold) if each]
