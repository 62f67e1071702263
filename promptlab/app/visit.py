"""The playground of a visitor of `promptlab serve`: the same labs, but the engine is the server's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from promptlab.app.lab import Labs

ENGINE = "PROMPTLAB_ENGINE"
"""Where the server's engine is; `promptlab serve` sets it for its visitors' processes."""


def open_labs(library: Path | None, lost: Callable[[], object]) -> Labs:
    """Labs over a library, with an engine of their own, or that of the server whose visitor we are.

    `lost` is called, from any thread, when the server has gone. Raises EngineError when it is not there.
    """
    address = os.environ.get(ENGINE)
    if not address:
        return Labs(library)
    from promptlab.engine.remote import Remote

    remote = Remote(Path(address), lost)
    return Labs(library, lambda: remote)
