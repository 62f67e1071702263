"""What models need of memory, and what there is: read at the edge, for the plan of `core.plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.core import estimate as estimating
from promptlab.core.estimate import Estimate, at_once
from promptlab.core.job import Model
from promptlab.core.kv import planned_kv_types
from promptlab.core.plan import OVERHEAD, RESERVE, Need, Planned, schedule
from promptlab.engine.memory import SystemMemory
from promptlab.errors import EngineError
from promptlab.files.gguf import read_shape
from promptlab.files.models import present, select_models


@dataclass(frozen=True, slots=True)
class Row:
    """A model in the plan. Sizes are in bytes; None where they cannot be known."""

    name: str
    weights: int | None
    kv_per_token: int | None = None
    context: int | None = None
    """Tokens of its longest conversation."""
    kv: int | None = None
    """The KV cache that it may fill; of one conversation, where it does not fit."""
    shelf: int | None = None
    """The cache of prefixes that it may fill."""
    overhead: int = OVERHEAD
    """What its worker takes besides, what it takes to follow a constraint included."""
    total: int | None = None
    least: int | None = None
    """With less it is not loaded."""
    fits: bool | None = None
    evicts: tuple[str, ...] = ()
    """Models that must be out first."""
    beside: tuple[str, ...] = ()
    """Models that stay loaded beside it."""
    room: int | None = None
    """Where it does not fit: what could be had."""
    problem: str | None = None
    """Why nothing can be said."""
    at_once: int | None = None
    """How many conversations of full length fit in at once; 0 where it does not fit, or there is no room for one."""
    expected: Estimate | None = None
    """What its worker is expected to hold with as many conversations as were asked for, or as fit."""
    expected_total: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How models would be loaded, in this order."""

    available: int
    """Free memory."""
    reserve: int
    """What of it stays free."""
    models: tuple[Row, ...]


def need(model: Model, path: Path) -> Need:
    """What a model needs, by its file. Raises EngineError when the file is no model."""
    shape = read_shape(path)
    context = min(model.context, shape.context or model.context)
    kv_per_token = shape.kv_bytes(planned_kv_types(model))
    # What is behind a sliding window cannot be written down, so the prompt that was computed last stays in the cache.
    window = shape.sliding_window or 0
    stems = int(model.mode == "exact" and 0 < window < context)
    return Need(shape.bytes, kv_per_token, context, shape.vocabulary, shape.heads, shape.embedding, stems)


def estimate(model: Model, path: Path, sequences: int) -> Estimate:
    """What a worker is expected to hold while it works on so many conversations of full length.

    Raises EngineError when the file is no model.
    """
    return estimating.estimate(need(model, path), sequences)


def plan_models(lab: Lab, names: Sequence[str], context: int | None = None, sequences: int | None = None) -> Plan:
    """Plan the loading of the models named, or of the default ones, with the memory that is free now.

    `context` is instead of what their entries say, `sequences` how many conversations they are to work on at once:
    without it, as many as fit. Raises NotFound and SourceError.
    """
    models = select_models(lab.models, names)
    if context is not None:
        models = [replace(model, context=context) for model in models]
    needs: dict[str, Need] = {}
    troubled: dict[str, Row] = {}
    for model in models:
        path = present(model)
        try:
            if model.server is not None:
                troubled[model.name] = Row(model.name, None, problem="on a server")
            elif path is None:
                troubled[model.name] = Row(model.name, model.bytes, problem="not on disk")
            else:
                needs[model.name] = need(model, path)
        except EngineError as error:
            troubled[model.name] = Row(model.name, None, problem=error.message)
    available = SystemMemory().available()
    planned = {each.name: _row(each, sequences) for each in schedule(needs, available)}
    rows = troubled | planned
    return Plan(available, RESERVE, tuple(rows[model.name] for model in models))


def _row(planned: Planned, sequences: int | None) -> Row:
    need, grant = planned.need, planned.grant
    fit = 0 if grant is None else at_once(need, grant)
    expected = estimating.estimate(need, max(sequences or fit, 1), None if sequences else grant)
    return Row(
        name=planned.name,
        weights=need.weights,
        kv_per_token=need.kv_per_token,
        context=need.context,
        kv=need.kv_least if grant is None else grant.kv,
        shelf=0 if grant is None else grant.shelf,
        overhead=need.besides,
        total=need.least if grant is None else need.size(grant),
        least=need.least,
        fits=grant is not None,
        evicts=planned.evicts,
        beside=planned.beside,
        room=None if grant is not None else planned.room,
        at_once=fit,
        expected=expected,
        expected_total=expected.total,
    )
