"""One engine for several users at once: runs, batches and measurements that go on side by side, each in its own thread.

A backend says all its events in one row, and whoever takes one has it. The switchboard takes them all, in a thread of
its own, and hands each to whom it concerns: what is about a sequence, to whoever asked it; what is about a model, to
everybody who holds it. Towards the engine it holds each model once, however many users do.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from promptlab.core.chat import Segment
from promptlab.core.events import (
    Answered,
    Embedded,
    EngineEvent,
    Failed,
    Failure,
    Loading,
    Measured,
    Ready,
    Started,
    Token,
)
from promptlab.core.job import Model
from promptlab.engine.backend import Backend, Expected, Measurement, Question
from promptlab.engine.process import same_loading
from promptlab.errors import EngineError

PUMP_S = 0.1
"""How long the switchboard waits for an event before it looks whether it is to end."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a model stands that somebody has asked for."""

    said: Loading | Ready | Failed
    """The last that the engine said of it."""
    resident: bool
    """Whether it is in memory, or on its way there. One that is loading and is not has to wait for memory."""
    mine: bool
    """Whether the user who asks holds it."""
    others: bool
    """Whether anybody else does."""


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

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        """What tokens stand for. Raises EngineError."""
        return self._board.backend.pieces(model, ids)

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event that concerns this user. Raises what the engine itself has raised, for ever after."""
        with self._news:
            if not self._events and self._board.broken is None:
                self._news.wait(timeout)
            if self._events:
                return self._events.popleft()
        if self._board.broken is not None:
            raise self._board.broken
        return None

    def unload(self, model: str) -> bool:
        """Take a model out of memory that nobody holds, no other user either."""
        return self._board.backend.unload(model)

    def residents(self) -> Mapping[str, int | None]:
        """The models that are in memory, whoever loaded them, and what each holds."""
        return self._board.backend.residents()

    def resident(self, model: str) -> int | None:
        """What a model holds."""
        return self.residents().get(model)

    def room(self) -> int:
        """What more models could take."""
        return self._board.backend.room()

    def standings(self) -> dict[str, Standing]:
        """How the models stand that anybody has asked for."""
        return self._board.standings(self)

    def close(self) -> None:
        """Cancel and release; the engine goes on for the others."""
        self._board.leave(self)

    def hear(self, event: EngineEvent) -> None:
        """Be told."""
        with self._news:
            self._events.append(event)
            self._news.notify()

    def forget(self, model: str) -> None:
        """What was said of a model as a whole, and not heard yet, is about an earlier loading of it."""
        with self._news:
            self._events = deque(event for event in self._events if not _about(event, model))


@dataclass(slots=True)
class _Held:
    """A model that somebody holds."""

    model: Model
    path: Path
    holds: Counter[Seat] = field(default_factory=Counter)
    ready: Ready | None = None
    """What the engine said when it had loaded it: whoever comes later hears it too."""

    def by_others(self, seat: Seat) -> bool:
        """Whether anybody else holds it."""
        return any(n > 0 for other, n in self.holds.items() if other is not seat)


class Switchboard:
    """Shares the engine that `make_backend` makes when it is first needed."""

    def __init__(self, make_backend: Callable[[], Backend]) -> None:
        self._make_backend = make_backend
        self._backend: Backend | None = None
        self._order = threading.RLock()
        """Held while the engine is told to load or release, so that it is told in the order of the tables below. Taken
        before the other lock. Loading may be slow, and events must go on meanwhile."""
        self._lock = threading.RLock()
        """For the tables; never held for long."""
        self._owners: dict[int, tuple[Seat, str]] = {}
        """By sequence: who asked, and which model."""
        self._held: dict[str, _Held] = {}
        self._said: dict[str, Loading | Ready | Failed] = {}
        """The last of each model as a whole."""
        self._closing = threading.Event()
        self._pump: threading.Thread | None = None
        self.broken: Exception | None = None
        """Why nothing more comes of the engine: what it raised when it was asked for its next event, or that it has
        been closed."""

    @property
    def backend(self) -> Backend:
        """The engine itself. Raises EngineError once it has been closed."""
        with self._lock:
            if self._closing.is_set():
                raise EngineError("the engine has been closed")
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
        with self._lock:
            self._closing.set()
            self.broken = self.broken or EngineError("the engine has been closed")
        if self._backend is not None:
            self._backend.close()
        if self._pump is not None:
            self._pump.join(2 * PUMP_S)

    def load(self, seat: Seat, model: Model, path: Path) -> None:
        """Load a model for a user.

        One that others hold stays as they have it, even where its work would be laid out otherwise: records say how it
        was. Where that would change which answers are promised, the load fails.
        """
        with self._order:
            if self._join(seat, model, path):
                self.backend.load(model, path)

    def _join(self, seat: Seat, model: Model, path: Path) -> bool:
        """Note that a user holds a model. Whether the engine has yet to be told."""
        with self._lock:
            seat.forget(model.name)
            held = self._held.get(model.name)
            if held is not None and held.by_others(seat):
                if conflict := _conflict(held, model, path):
                    seat.hear(Failed(model.name, None, Failure("EngineError", conflict)))
                    return False
            elif held is None or not same_loading(held.model, held.path, model, path):
                before = held.holds[seat] if held is not None else 0
                self._held[model.name] = _Held(model, path, Counter({seat: before + 1}))
                self._said[model.name] = Loading(model.name, 0.0)
                return True
            held.holds[seat] += 1
            if held.ready is not None:
                seat.hear(held.ready)
            return False

    def release(self, seat: Seat, model: str) -> None:
        """Hold a model no more for a user."""
        with self._order:
            with self._lock:
                held = self._held.get(model)
                if held is None or held.holds[seat] < 1:
                    return
                held.holds[seat] -= 1
                if held.holds.total():
                    return
                del self._held[model]
            self.backend.release(model)

    def own(self, seat: Seat, model: str, seq: int) -> None:
        """Note whose sequence it is."""
        with self._lock:
            self._owners[seq] = (seat, model)

    def leave(self, seat: Seat) -> None:
        """Cancel what a user has asked, and release what it holds."""
        if self._backend is None or self._closing.is_set():
            return
        with self._order:
            with self._lock:
                asked = [(seq, model) for seq, (owner, model) in self._owners.items() if owner is seat]
                held = {name: held.holds[seat] for name, held in self._held.items()}
                for seq, _ in asked:
                    del self._owners[seq]
            for seq, model in asked:
                self._backend.cancel(model, seq)
            for name, count in held.items():
                for _ in range(count):
                    self.release(seat, name)

    def standings(self, seat: Seat) -> dict[str, Standing]:
        """How the models stand that anybody has asked for: those that are held or in memory, and those that failed."""
        residents = self.backend.residents()
        with self._lock:
            found = {}
            for name, said in self._said.items():
                held = self._held.get(name)
                mine = held is not None and held.holds[seat] > 0
                others = held is not None and held.by_others(seat)
                if mine or others or name in residents or isinstance(said, Failed):
                    found[name] = Standing(said, name in residents, mine, others)
            return found

    def _run(self) -> None:
        assert self._backend is not None
        try:
            while not self._closing.is_set():
                event = self._backend.next_event(PUMP_S)
                if event is not None:
                    self._route(event)
        except Exception as error:
            self.broken = self.broken or error

    def _route(self, event: EngineEvent) -> None:
        with self._lock:
            for seat in self._concerned(event):
                seat.hear(event)

    def _concerned(self, event: EngineEvent) -> list[Seat]:
        match event:
            case Loading(model=name) | Ready(model=name):
                self._said[name] = event
                if isinstance(event, Ready) and (held := self._held.get(name)) is not None:
                    held.ready = event
                return self._holders(name)
            case Failed(model=name, seq=None):
                self._said[name] = event
                seats = self._holders(name)
                self._held.pop(name, None)
                return seats
            case Started(seq=seq) | Token(seq=seq):
                owner = self._owners.get(seq)
            case Answered(seq=int(seq)) | Measured(seq=int(seq)) | Embedded(seq=int(seq)) | Failed(seq=int(seq)):
                owner = self._owners.pop(seq, None)
        return [owner[0]] if owner else []

    def _holders(self, model: str) -> list[Seat]:
        held = self._held.get(model)
        return [seat for seat, n in held.holds.items() if n > 0] if held else []


def _conflict(held: _Held, model: Model, path: Path) -> str:
    """Why a model cannot be used as others have it loaded; empty where it can."""
    if held.path != path or held.model.sha256 != model.sha256:
        return f"{model.name}: another file of this name is in use; wait until it is let go"
    for what in ("mode", "threads", "context", "server", "model"):
        mine, theirs = getattr(model, what), getattr(held.model, what)
        if mine != theirs:
            return f"{model.name} is in use with {what} {theirs}, not {mine}; wait until it is let go"
    return ""


def _about(event: EngineEvent, model: str) -> bool:
    """Whether an event is about a model as a whole."""
    return isinstance(event, Loading | Ready | Failed) and event.model == model and getattr(event, "seq", None) is None
