"""Texts to vectors, one measurement after the other: what a worker does with a model that was loaded for that."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from promptlab.core.events import Embedded, EngineEvent, Failed, Failure, Usage
from promptlab.engine.backend import Measurement
from promptlab.errors import EngineError


class Device(Protocol):
    """What computes vectors."""

    def embed(self, text: str) -> tuple[tuple[float, ...], int]:
        """The vector of a text, of length 1, and how many tokens the text has. Raises EngineError."""
        ...


class Embedding:
    """Measurements that wait. `advance` does one of them: a text is a call by itself, and nothing is shared."""

    def __init__(self, device: Device, model: str) -> None:
        self._device = device
        self._model = model
        self._waiting: deque[Measurement] = deque()

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self._waiting)

    def add(self, asked: Measurement) -> None:
        """Take a measurement. Each is made in its turn, as none takes long."""
        self._waiting.append(asked)

    def cancel(self, seq: int) -> list[EngineEvent]:
        """End a measurement that has not been made yet."""
        mine = [asked for asked in self._waiting if asked.seq == seq]
        for asked in mine:
            self._waiting.remove(asked)
        return [Failed(self._model, seq, Failure("Cancelled", "cancelled before it was measured")) for _ in mine]

    def advance(self) -> Sequence[EngineEvent]:
        """Make the next measurement, and say what came of it."""
        if not self._waiting:
            return ()
        asked = self._waiting.popleft()
        try:
            found = [self._device.embed(text) for text in asked.texts]
        except EngineError as error:
            return (Failed(self._model, asked.seq, Failure.of(error)),)
        tokens = sum(count for _, count in found)
        return (Embedded(asked.seq, tuple(vector for vector, _ in found), Usage(tokens, 0, 0)),)
