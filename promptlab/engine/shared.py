"""One engine for several users at once: runs, batches and measurements that go on side by side, each in its own thread.

A backend says all its events in one row, and whoever takes one has it. The switchboard takes them all, in a thread of
its own, and hands each to whom it concerns: what is about a sequence, to whoever asked it; what is about a model, to
everybody who holds it.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from promptlab.core.chat import Segment
from promptlab.core.events import Answered, EngineEvent, Failed, Failure, Loading, Measured, Ready, Started, Token
from promptlab.core.job import Model
from promptlab.engine.backend import Backend, Expected, Measurement, Question

PUMP_S = 0.5
"""How long the switchboard waits for an event before it looks whether it is to end."""


class Seat:
    """A user's own end of a shared engine (`engine.backend.Backend`). Closing it ends what its user still has there."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._news = threading.Condition()
        self._events: deque[EngineEvent] = deque()

    def load(self, model: Model, path: Path) -> None:
        """Load a model, or use it as another user has it loaded, where no answer's meaning changes by that."""
        self._board.load(self, model, path)

    def expected(self, model: Model, path: Path) -> Expected | None:
        """What a model will be when it is loaded."""
        return self._board.backend.expected(model, path)

    def release(self, model: str) -> None:
        """Hold a model no more."""
        self._board.release(self, model)

    def ask(self, question: Question) -> None:
        """Generate a sequence."""
        self._board.own(self, question.model, question.seq)
        self._board.backend.ask(question)

    def measure(self, measurement: Measurement) -> None:
        """Score texts."""
        self._board.own(self, measurement.model, measurement.seq)
        self._board.backend.measure(measurement)

    def cancel(self, model: str, seq: int) -> None:
        """End a sequence early."""
        self._board.backend.cancel(model, seq)

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """The token ids that a model would read. Raises EngineError."""
        return self._board.backend.tokenize(model, segments)

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event that concerns this user. Raises what the engine itself has raised, for ever after."""
        with self._news:
            if not self._events:
                self._news.wait(timeout)
            if self._events:
                return self._events.popleft()
        if self._board.broken is not None:
            raise self._board.broken
        return None

    def close(self) -> None:
        """Cancel and release; the engine goes on for the others."""
        self._board.leave(self)

    def hear(self, event: EngineEvent) -> None:
        """Be told."""
        with self._news:
            self._events.append(event)
            self._news.notify()


@dataclass(slots=True)
class _Held:
    """A model that somebody holds."""

    model: Model
    path: Path
    holds: Counter[Seat] = field(default_factory=Counter)


class Switchboard:
    """Shares the engine that `make_backend` makes when it is first needed."""

    def __init__(self, make_backend: Callable[[], Backend]) -> None:
        self._make_backend = make_backend
        self._backend: Backend | None = None
        self._lock = threading.RLock()
        self._owners: dict[int, tuple[Seat, str]] = {}
        """By sequence: who asked, and which model."""
        self._held: dict[str, _Held] = {}
        self._closing = threading.Event()
        self._pump: threading.Thread | None = None
        self.broken: Exception | None = None
        """What the engine raised when it was asked for its next event: nothing more comes of it."""

    @property
    def backend(self) -> Backend:
        """The engine itself."""
        with self._lock:
            if self._backend is None:
                self._backend = self._make_backend()
                # A daemon: should the engine ever hang, the program still ends.
                self._pump = threading.Thread(target=self._run, name="engine events", daemon=True)
                self._pump.start()
            return self._backend

    def seat(self) -> Seat:
        """An end for one more user."""
        return Seat(self)

    def close(self) -> None:
        """End the engine."""
        self._closing.set()
        if self._backend is not None:
            self._backend.close()
        if self._pump is not None:
            self._pump.join(2 * PUMP_S)

    def load(self, seat: Seat, model: Model, path: Path) -> None:
        """Load a model for a user.

        One that others hold stays as they have it, even where its work would be laid out otherwise: records say how it
        was. Where that would change which answers are promised, the load fails.
        """
        with self._lock:
            held = self._held.get(model.name)
            others = held is not None and any(n > 0 for other, n in held.holds.items() if other is not seat)
            if held is not None and others:
                if conflict := _conflict(held, model, path):
                    seat.hear(Failed(model.name, None, Failure("EngineError", conflict)))
                    return
                model, path = held.model, held.path
            if held is None:
                held = self._held[model.name] = _Held(model, path)
            held.model, held.path = model, path
            held.holds[seat] += 1
            self.backend.load(model, path)

    def release(self, seat: Seat, model: str) -> None:
        """Hold a model no more for a user."""
        with self._lock:
            held = self._held.get(model)
            if held is None or held.holds[seat] < 1:
                return
            held.holds[seat] -= 1
            if not held.holds.total():
                del self._held[model]
            self.backend.release(model)

    def own(self, seat: Seat, model: str, seq: int) -> None:
        """Note whose sequence it is."""
        with self._lock:
            self._owners[seq] = (seat, model)

    def leave(self, seat: Seat) -> None:
        """Cancel what a user has asked, and release what it holds."""
        with self._lock:
            if self._backend is None:
                return
            for seq in [seq for seq, (owner, _) in self._owners.items() if owner is seat]:
                _, model = self._owners.pop(seq)
                self._backend.cancel(model, seq)
            for name, held in list(self._held.items()):
                for _ in range(held.holds[seat]):
                    self.release(seat, name)

    def _run(self) -> None:
        assert self._backend is not None
        try:
            while not self._closing.is_set():
                event = self._backend.next_event(PUMP_S)
                if event is not None:
                    self._route(event)
        except Exception as error:
            self.broken = error

    def _route(self, event: EngineEvent) -> None:
        with self._lock:
            match event:
                case Loading(model=name) | Ready(model=name):
                    seats = self._holders(name)
                case Failed(model=name, seq=None):
                    seats = self._holders(name)
                    self._held.pop(name, None)
                case Started(seq=seq) | Token(seq=seq):
                    owner = self._owners.get(seq)
                    seats = [owner[0]] if owner else []
                case Answered(seq=int(seq)) | Measured(seq=int(seq)) | Failed(seq=int(seq)):
                    owner = self._owners.pop(seq, None)
                    seats = [owner[0]] if owner else []
        for seat in seats:
            seat.hear(event)

    def _holders(self, model: str) -> list[Seat]:
        held = self._held.get(model)
        return [seat for seat, n in held.holds.items() if n > 0] if held else []


def _conflict(held: _Held, model: Model, path: Path) -> str:
    """Why a model cannot be used as others have it loaded; empty where it can."""
    if held.path != path or held.model.sha256 != model.sha256:
        return f"{model.name}: another file of this name is in use; wait until that run has ended"
    for what in ("mode", "threads", "context"):
        mine, theirs = getattr(model, what), getattr(held.model, what)
        if mine != theirs:
            return f"{model.name} is in use with {what} {theirs}, not {mine}; wait until that run has ended"
    return ""
