"""Holding models in memory over many runs, and how all of them stand there.

Only where the engine is shared: alone with it, a use case loads what it needs and lets go of it at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from promptlab.app.lab import Lab
from promptlab.app.loading import absent, missing, start
from promptlab.app.models import one_model
from promptlab.core.events import Failed, Loading
from promptlab.engine.shared import Seat, Standing
from promptlab.errors import EngineError

State = Literal["waiting", "loading", "ready", "failed", "crashed"]
"""`waiting`: for memory. `failed`: it could not be loaded. `crashed`: its process died. Either can be tried again."""


@dataclass(frozen=True, slots=True)
class Held:
    """A model in memory, on its way there, or that has failed."""

    name: str
    state: State
    fraction: float = 1.0
    """Of the loading."""
    bytes: int | None = None
    """What its process holds; None where that cannot be told."""
    kept: bool = False
    """Somebody has asked for it to stay, with `hold`."""
    used: bool = False
    """A run, a batch or a measurement needs it now."""
    reason: str = ""
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is in memory, and what more could be."""

    models: tuple[Held, ...] = ()
    free: int = 0
    """Bytes that more models could take, as the plan for loading them reckons."""

    @property
    def used(self) -> int:
        """Bytes that the models' processes hold."""
        return sum(model.bytes or 0 for model in self.models)


def holdings(lab: Lab) -> Holdings:
    """How the models stand. The lab must share its engine."""
    seat = _seat(lab)
    residents = seat.residents()
    return Holdings(
        tuple(_held(name, each, residents.get(name)) for name, each in seat.standings().items()), seat.room()
    )


def hold(lab: Lab, name: str) -> None:
    """Begin to load a model, and keep it in memory until `let_go`. What comes of it is told by `holdings`.

    Raises NotFound, SourceError and ModelMissing; and EngineError where its file is none, or others use it otherwise.
    """
    model = one_model(lab, name)
    if absent([model]):
        raise missing([model])
    seat = _seat(lab)
    standing = seat.standings().get(name)
    if standing is not None and standing.mine:
        return
    start(lab, model)
    while event := seat.next_event(0):
        if isinstance(event, Failed) and event.model == name and event.seq is None:
            raise EngineError(event.failure.message)


def let_go(lab: Lab, name: str) -> bool:
    """Keep a model no more, and take it out of memory. False where that has to wait, because others need it."""
    seat = _seat(lab)
    standing = seat.standings().get(name)
    if standing is not None and standing.mine:
        seat.release(name)
    return seat.unload(name) or name not in seat.residents()


def _seat(lab: Lab) -> Seat:
    backend = lab.backend
    if not isinstance(backend, Seat):
        raise TypeError("this lab does not share its engine")
    return backend


def _held(name: str, standing: Standing, bytes: int | None) -> Held:
    state, fraction, reason = _state(standing)
    return Held(name, state, fraction, bytes, standing.mine, standing.others, reason)


def _state(standing: Standing) -> tuple[State, float, str]:
    match standing.said:
        case Failed(failure=failure):
            crashed = failure.signal or failure.type == "WorkerDied"
            return ("crashed" if crashed else "failed"), 0.0, failure.message
        case Loading(fraction=fraction):
            return ("loading" if standing.resident else "waiting"), fraction, ""
    return "ready", 1.0, ""
