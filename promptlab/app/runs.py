"""The history: list and look at what has been run."""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.app.lab import Lab
from promptlab.core.record import Record


@dataclass(frozen=True, slots=True)
class RunRow:
    """A record as a list shows it."""

    id: str
    prompt: str
    label: str
    """What its version is called."""
    model: str
    started_at: str
    error: str | None
    """The message; None when all went well."""
    sample: int
    output_start: str
    """How the output begins."""


def list_runs(lab: Lab, limit: int) -> list[RunRow]:
    """The newest records first. Raises StoreError."""
    return [
        RunRow(row.id, row.prompt, row.label, row.model, row.started_at, row.error, row.sample, row.output_start)
        for row in lab.store.recent(limit)
    ]


def show_run(lab: Lab, id: str) -> Record:
    """One record, by its id or by a beginning that no other has. Raises NotFound and StoreError."""
    return lab.store.get(id)
