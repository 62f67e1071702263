"""What a worker is told, as JSON can say it; the docstring of `engine/worker.py` lists it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptlab.core.chat import Segment
from promptlab.core.job import Model
from promptlab.core.plan import Grant
from promptlab.engine.backend import Measurement, Question
from promptlab.engine.machine import default_threads


def load_request(
    model: Model,
    path: Path,
    grant: Grant,
    *,
    safe_mode: bool,
    measure: bool = False,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Load a model, and take no more memory for its caches than it was granted.

    `kv_bytes` is None where nobody has read what a token takes: then the worker goes by its own limit. With `measure`
    it finds out how the model is quickest here, where that is not `known`.
    """
    return {
        "op": "load",
        "model": model.name,
        "path": str(path),
        "context": model.context,
        "threads": model.threads,
        "usable": default_threads(),
        "mode": model.mode,
        "layout": dict(model.layout),
        "gpu_layers": model.gpu_layers,
        "kv_type": model.kv_type,
        "safe_mode": safe_mode,
        "kv_bytes": grant.kv or None,
        "shelf_bytes": grant.shelf,
        "measure": measure,
        "known": None if known is None else dict(known),
    }


def ask_request(question: Question) -> dict[str, Any]:
    """Generate a sequence."""
    constraint = question.constraint
    return {
        "op": "ask",
        "seq": question.seq,
        "segments": plain(question.segments),
        "options": question.options.plain(),
        "seed": question.seed,
        "top": question.top,
        "interactive": question.interactive,
        "constraint": {"kind": constraint.kind, "value": constraint.value} if constraint else None,
    }


def measure_request(asked: Measurement) -> dict[str, Any]:
    """Score texts, or turn them into vectors."""
    return {
        "op": "measure",
        "seq": asked.seq,
        "segments": plain(asked.segments),
        "texts": asked.texts,
        "interactive": asked.interactive,
        "embed": asked.embed,
    }


def plain(segments: Sequence[Segment]) -> list[list[Any]]:
    """A prompt: texts, and whether each may stand for control tokens."""
    return [[s.text, s.control] for s in segments]
