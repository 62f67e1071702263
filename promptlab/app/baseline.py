"""Baselines: what a comparison came to, kept in a file, and what has become worse since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from promptlab.core.baseline import Baseline, Regressions, compare_baseline, make_baseline, match
from promptlab.core.compare import Column, Comparison
from promptlab.files.baseline import check_place, read_baseline, write_baseline


def read(path: Path) -> Baseline:
    """Read a baseline. Raises SourceError."""
    return read_baseline(path)


def refuse_place(path: Path) -> None:
    """Say before anything runs that a baseline cannot be written there. Raises UsageError."""
    check_place(path)


def refuse_columns(before: Baseline, columns: Sequence[Column]) -> None:
    """Say before anything runs that a baseline has nothing, or nothing clear, to hold columns against.

    Raises UsageError.
    """
    match(before, columns)


def keep(path: Path, found: Comparison, cases: Sequence[str]) -> None:
    """Write what `read` reads. Raises UsageError and StoreError."""
    write_baseline(path, make_baseline(found, cases))


def hold_against(before: Baseline, found: Comparison) -> Regressions:
    """Say what got better and worse. Raises UsageError."""
    return compare_baseline(before, found)
