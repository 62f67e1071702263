"""One engine out of two: models with a file go to the pool, models that a server has go to the servers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from promptlab.core.chat import Segment
from promptlab.core.events import EngineEvent
from promptlab.core.job import Model
from promptlab.engine.backend import Backend, Expected, Measurement, Question
from promptlab.engine.servers import Servers

TURN_S = 0.01
"""How long one part is waited for before the other is looked at, while servers are asked."""


class Mixed:
    """A backend (`engine.backend.Backend`) of a pool and servers."""

    def __init__(self, files: Backend, servers: Servers) -> None:
        self.files = files
        self.servers = servers
        self._away: set[str] = set()
        """Models that a server has, by their entries as they were last loaded."""
        self._servers_first = False

    def load(self, model: Model, path: Path) -> None:
        """Load a model where it is."""
        if model.server is None:
            self._away.discard(model.name)
        else:
            self._away.add(model.name)
        self._of(model.name).load(model, path)

    def expected(self, model: Model, path: Path) -> Expected | None:
        """What a model will be when it is loaded."""
        return (self.files if model.server is None else self.servers).expected(model, path)

    def release(self, model: str) -> None:
        """Hold a model no more."""
        self._of(model).release(model)

    def ask(self, question: Question) -> None:
        """Generate a sequence."""
        self._of(question.model).ask(question)

    def measure(self, measurement: Measurement) -> None:
        """Score texts."""
        self._of(measurement.model).measure(measurement)

    def cancel(self, model: str, seq: int) -> None:
        """End a sequence early."""
        self._of(model).cancel(model, seq)

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """The token ids that a model would read. Raises EngineError."""
        return self._of(model).tokenize(model, segments)

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        """What tokens stand for. Raises EngineError."""
        return self._of(model).pieces(model, ids)

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event of either part; both get their turn, however much the other has to say."""
        end = time.monotonic() + timeout
        while self.servers.busy:
            self._servers_first = not self._servers_first
            first, other = (self.servers, self.files) if self._servers_first else (self.files, self.servers)
            event = first.next_event(0) or other.next_event(min(TURN_S, max(end - time.monotonic(), 0)))
            if event is not None or time.monotonic() >= end:
                return event
        return self.files.next_event(max(end - time.monotonic(), 0))

    def unload(self, model: str) -> bool:
        """Take a model out of memory that nobody holds."""
        return self._of(model).unload(model)

    def residents(self) -> Mapping[str, int | None]:
        """The models that are in memory, and those of servers that somebody holds."""
        return {**self.files.residents(), **self.servers.residents()}

    def room(self) -> int:
        """Bytes of memory that more models could take."""
        return self.files.room()

    def resident(self, model: str) -> int | None:
        """Bytes in memory of a model's process."""
        return self.residents().get(model)

    def forget(self, model: Model, path: Path) -> None:
        """Find out again about a model how it is laid out, where the engine can."""
        forget = getattr(self.files, "forget", None)
        if forget is not None:
            forget(model, path)

    def close(self) -> None:
        """End both."""
        self.servers.close()
        self.files.close()

    def _of(self, model: str) -> Backend:
        return self.servers if model in self._away else self.files
