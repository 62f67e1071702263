"""Which of the records that do not say so came of one run, as old ones do not: those of one run overlap, or follow each
other closely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GAP_S = 60.0
"""Seconds from the end of all answers so far to the beginning of the next one: a model may have to be loaded between.

A person who changes something and runs again within them asks the same models again, as a rule, which tells.
"""


@dataclass(frozen=True, slots=True)
class Span:
    """A record, of a prompt with certain inputs."""

    id: str
    column: tuple[str, str, int]
    """Prompt version, model and sample: a run has each once."""
    start: float
    end: float
    """Seconds."""


def same_run(spans: Sequence[Span], id: str) -> list[str]:
    """The ids of the records of the run that `id` belongs to, in the order in which they began."""
    runs: list[list[Span]] = []
    for span in sorted(spans, key=lambda s: (s.start, s.id)):
        if not runs or not _belongs(span, runs[-1]):
            runs.append([])
        runs[-1].append(span)
    return next(([s.id for s in run] for run in runs if any(s.id == id for s in run)), [id])


def _belongs(span: Span, run: Sequence[Span]) -> bool:
    late = span.start > max(each.end for each in run) + GAP_S
    return not late and all(each.column != span.column for each in run)
