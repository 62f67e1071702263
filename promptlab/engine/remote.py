"""An engine that lives in another process on this machine, reached through a socket; `engine/host.py` is its other end.

Requests and events are JSON lines, as between the pool and its workers:

    {"op": "load", "model": {…}, "path": …}          {"op": "release", "model": …}
    {"op": "ask", "question": {…}}                   {"op": "measure", "measurement": {…}}
    {"op": "cancel", "model": …, "seq": …}
    {"op": "call", "id": …, "name": …, …}            answered by {"event": "reply", "id": …, "value": …},
                                                     or {"event": "reply", "id": …, "error": …}

and each event as `core.events.encode` writes it; {"event": "broken", "error": …} when there will be no more.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptlab.core.chat import Segment
from promptlab.core.codec import load
from promptlab.core.events import EngineEvent, Failed, Failure, decode
from promptlab.core.job import Model
from promptlab.engine.backend import Expected, Measurement, Question
from promptlab.engine.protocol import plain
from promptlab.errors import EngineError

REPLY_S = 90.0
"""How long the answer to a call may be waited for; longer than the engine waits for its worker."""
MAX_LINE = 256 << 20
"""Bytes of one message. A prompt, or its tokens, may be large; nothing is larger than this by right."""


class Remote:
    """A backend (`engine.backend.Backend`) at the other end of a socket."""

    def __init__(self, address: Path, lost: Callable[[], object] | None = None) -> None:
        """Connect; `lost` is called, from any thread, when the other end has gone. Raises EngineError."""
        self._lost = lost
        self._news = threading.Condition()
        self._events: deque[EngineEvent] = deque()
        self._broken: EngineError | None = None
        self._replies: dict[int, queue.SimpleQueue[Mapping[str, Any] | None]] = {}
        self._ids = itertools.count()
        self._sending = threading.Lock()
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(address))
        except OSError as error:
            self._socket.close()
            raise EngineError(f"the engine of `promptlab serve` cannot be reached: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._listen, name="remote engine", daemon=True)
        self._thread.start()

    def load(self, model: Model, path: Path) -> None:
        """Load a model, or use it as another user has it loaded."""
        self._send({"op": "load", "model": asdict(model), "path": str(path)})

    def expected(self, model: Model, path: Path) -> Expected | None:
        """What a model will be when it is loaded."""
        found = self._call("expected", what=asdict(model), path=str(path))
        return None if found is None else load(Expected, found)

    def release(self, model: str) -> None:
        """Hold a model no more."""
        self._send({"op": "release", "model": model})

    def ask(self, question: Question) -> None:
        """Generate a sequence."""
        self._put(question, {"op": "ask", "question": asdict(question)})

    def measure(self, measurement: Measurement) -> None:
        """Score texts."""
        self._put(measurement, {"op": "measure", "measurement": asdict(measurement)})

    def cancel(self, model: str, seq: int) -> None:
        """End a sequence early."""
        self._send({"op": "cancel", "model": model, "seq": seq})

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """The token ids that a model would read. Raises EngineError."""
        return tuple(self._call("tokenize", model=model, segments=plain(segments)))

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        """What tokens stand for. Raises EngineError."""
        return tuple(map(bytes.fromhex, self._call("pieces", model=model, ids=list(ids))))

    def unload(self, model: str) -> bool:
        """Take a model out of memory that nobody holds. Raises EngineError."""
        return bool(self._call("unload", model=model))

    def residents(self) -> Mapping[str, int | None]:
        """The models that are in memory. Raises EngineError."""
        return dict(self._call("residents"))

    def room(self) -> int:
        """Bytes of memory that more models could take. Raises EngineError."""
        return int(self._call("room"))

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event. Raises EngineError when the other end has gone, for ever after."""
        with self._news:
            if not self._events and self._broken is None:
                self._news.wait(timeout)
            if self._events:
                return self._events.popleft()
            if self._broken is not None:
                raise self._broken
        return None

    def close(self) -> None:
        """Leave: the other end cancels and releases what is left of this user."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _put(self, asked: Question | Measurement, request: Mapping[str, Any]) -> None:
        try:
            self._send(request)
        except (TypeError, ValueError, RecursionError):  # a constraint that JSON cannot say
            failure = Failure("EngineError", "the question cannot be written as JSON")
            self._tell(Failed(asked.model, asked.seq, failure))

    def _call(self, name: str, **arguments: Any) -> Any:
        number = next(self._ids)
        reply: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        with self._news:
            if self._broken is not None:
                raise self._broken
            self._replies[number] = reply
        self._send({"op": "call", "id": number, "name": name, **arguments})
        try:
            message = reply.get(timeout=REPLY_S)
        except queue.Empty:
            raise EngineError("the engine of `promptlab serve` does not answer") from None
        finally:
            with self._news:
                self._replies.pop(number, None)
        if message is None:
            raise self._broken or EngineError("the engine of `promptlab serve` has ended")
        if "error" in message:
            raise EngineError(str(message["error"]))
        return message["value"]

    def _send(self, request: Mapping[str, Any]) -> None:
        """Write a request; when the other end has gone, the reader tells."""
        line = json.dumps(request).encode() + b"\n"
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(line)

    def _tell(self, event: EngineEvent) -> None:
        with self._news:
            self._events.append(event)
            self._news.notify()

    # --- in the reader's thread --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        reason = "the engine of `promptlab serve` has ended"
        try:
            with self._socket, self._socket.makefile("rb") as lines:
                for line in lines:
                    message = json.loads(line)
                    if message["event"] == "broken":
                        reason = str(message["error"])
                        break
                    self._take(message)
        except OSError:
            pass  # the other end has gone
        except (ValueError, KeyError, TypeError) as error:
            reason = f"the engine of `promptlab serve` broke the protocol: {error}"
        with self._news:
            self._broken = EngineError(reason)
            replies = list(self._replies.values())
            self._news.notify_all()
        for reply in replies:
            reply.put(None)
        if self._lost is not None and not self._closed:
            self._lost()

    def _take(self, message: Mapping[str, Any]) -> None:
        if message["event"] != "reply":
            self._tell(decode(message))
            return
        with self._news:
            reply = self._replies.get(message["id"])
        if reply is not None:
            reply.put(message)
