"""What the options before the command say, handed to every command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    from promptlab.app.lab import Lab

NAME = "promptlab"
LIBRARY = "PROMPTLAB_LIBRARY"
"""The variable that says which library to use."""

Playground = Callable[[Path | None], int]
"""Opens the terminal interface on a library, and returns an exit code."""


@dataclass(slots=True)
class State:
    """The options before the command."""

    playground: Playground
    library: Path | None = None
    debug: bool = False


def trace(here: State) -> None:
    """Show where the error that is being handled arose, where somebody wants to know."""
    if here.debug:
        import traceback  # here because hardly anybody does

        traceback.print_exc()


def state(context: typer.Context) -> State:
    """The state of this call."""
    found = context.find_root().obj
    assert isinstance(found, State)
    return found


def lab(context: typer.Context) -> AbstractContextManager[Lab]:
    """Open the library that this call is about. Raises NotFound and StoreError."""
    from promptlab.app.lab import open_lab

    return open_lab(state(context).library)


def library_of(context: typer.Context) -> Path | None:
    """The library during shell completion, when no command has begun."""
    found = context.find_root().params.get("library")
    return found if found is None else Path(found)
