"""A model looked at closely: its entry in models.yaml, and what its file says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.app.memory import need
from promptlab.app.models import Entry, show_model
from promptlab.errors import EngineError
from promptlab.files.gguf_header import Header, read_header

__all__ = ["Details", "Header", "model_details"]


@dataclass(frozen=True, slots=True)
class Details:
    """An entry, and what is known of its file."""

    entry: Entry
    header: Header | None = None
    """None where the file is not on disk, or cannot be read."""
    least: int | None = None
    """Bytes of memory without which it is not loaded."""
    problem: str = ""
    """Why the file cannot be read."""


def model_details(lab: Lab, name: str) -> Details:
    """Look at a model. Nothing is loaded. Raises NotFound and SourceError."""
    entry = show_model(lab, name)
    if entry.path is None:
        return Details(entry)
    try:
        path = Path(entry.path)
        return Details(entry, read_header(path), need(lab.models[name], path).least)
    except EngineError as error:
        return Details(entry, problem=str(error))
