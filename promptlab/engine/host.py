"""One engine for several processes: the end of the socket where the engine is (`engine/remote.py` is the other).

Whoever may open the socket's file may use the engine, so its folder has to be private. Each connection is one more user
of a switchboard: what it asks is numbered anew, so that nobody can touch what others have asked, and when it ends, for
whatever reason, all that it has left behind is cancelled and released.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from promptlab.core.chat import Segment
from promptlab.core.codec import load
from promptlab.core.events import EngineEvent, Loading, Ready, Started, Token, encode
from promptlab.core.job import Model
from promptlab.engine.backend import Measurement, Question
from promptlab.engine.remote import MAX_LINE
from promptlab.engine.shared import Switchboard
from promptlab.errors import EngineError

WAIT_S = 0.1
"""How long a connection waits for an event before it looks whether it is to end."""
END_S = 5.0
"""How long to wait for a connection to notice that it has been ended."""
AT_ONCE = 256
"""Events that are written together, when so many are there."""


class Host:
    """Listens at an address, and shares an engine among all who come. Closing it leaves the engine to its owner."""

    def __init__(self, address: Path, shared: Switchboard) -> None:
        self._shared = shared
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._closed = False
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(str(address))
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise EngineError(f"{address}: no socket can be opened there: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._accept, name="engine host", daemon=True)
        self._thread.start()

    @property
    def users(self) -> int:
        """How many are connected."""
        return len(self._connections)

    def close(self) -> None:
        """Hang up on everybody."""
        with self._lock:
            self._closed = True
            open_ = list(self._connections)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in open_:
            connection.end()
        for connection in open_:
            connection.join()
        self._thread.join()

    def gone(self, connection: _Connection) -> None:
        """A connection has ended."""
        with self._lock:
            self._connections.discard(connection)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:  # closed
                return
            with self._lock:
                if self._closed:
                    peer.close()
                    return
                connection = _Connection(peer, self, self._shared, self._numbers)
                self._connections.add(connection)
                connection.start()


class _Connection:
    """One user, in two threads: one reads what it asks, the other writes what it is to hear."""

    def __init__(self, peer: socket.socket, host: Host, shared: Switchboard, numbers: itertools.count[int]) -> None:
        self._socket = peer
        self._host = host
        self._seat = shared.seat()
        self._numbers = numbers
        self._lock = threading.Lock()
        self._ours: dict[int, int] = {}
        """From the user's number of a sequence to the engine's."""
        self._theirs: dict[int, int] = {}
        self._sending = threading.Lock()
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, name="engine host: reader", daemon=True)
        self._writer = threading.Thread(target=self._write, name="engine host: writer", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._writer.start()  # first, because the reader waits for it at its end
        self._reader.start()

    def end(self) -> None:
        """Hang up."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Wait until both threads have ended; but not for ever, should the engine hang."""
        self._reader.join(END_S)

    def _read(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                while line := lines.readline(MAX_LINE):
                    self._take(json.loads(line))
        except (OSError, EngineError):
            pass  # the user, or the engine, has gone
        except (ValueError, KeyError, TypeError, RecursionError):
            pass  # this is no user of an engine
        self.end()
        self._writer.join()
        self._seat.close()
        self._socket.close()
        self._host.gone(self)

    def _take(self, request: Mapping[str, Any]) -> None:
        match request["op"]:
            case "load":
                self._seat.load(load(Model, request["model"]), Path(request["path"]))
            case "release":
                self._seat.release(str(request["model"]))
            case "ask":
                question = load(Question, request["question"])
                self._seat.ask(replace(question, seq=self._number(question.seq)))
            case "measure":
                measurement = load(Measurement, request["measurement"])
                self._seat.measure(replace(measurement, seq=self._number(measurement.seq)))
            case "cancel":
                with self._lock:
                    ours = self._ours.get(request["seq"])
                if ours is not None:
                    self._seat.cancel(str(request["model"]), ours)
            case "call":
                self._send([self._answer(request)])
            case other:
                raise ValueError(f"{other!r} is no request")

    def _number(self, theirs: int) -> int:
        ours = next(self._numbers)
        with self._lock:
            self._ours[theirs], self._theirs[ours] = ours, theirs
        return ours

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"event": "reply", "id": request["id"], "value": self._call(request)}
        except EngineError as error:
            return {"event": "reply", "id": request["id"], "error": str(error)}

    def _call(self, request: Mapping[str, Any]) -> Any:
        match request["name"]:
            case "expected":
                found = self._seat.expected(load(Model, request["what"]), Path(request["path"]))
                return None if found is None else asdict(found)
            case "tokenize":
                segments = [Segment(str(text), control=bool(control)) for text, control in request["segments"]]
                return self._seat.tokenize(str(request["model"]), segments)
            case "pieces":
                ids = [int(id) for id in request["ids"]]
                return [piece.hex() for piece in self._seat.pieces(str(request["model"]), ids)]
            case "unload":
                return self._seat.unload(str(request["model"]))
            case "residents":
                return dict(self._seat.residents())
            case "room":
                return self._seat.room()
        raise ValueError(f"{request['name']!r} is no call")

    def _write(self) -> None:
        try:
            while not self._ended.is_set():
                if events := self._heard():
                    self._send([encode(event) for event in events])
        except OSError:
            pass  # the user has gone
        except Exception as error:  # what the engine has raised: it will say nothing more
            with contextlib.suppress(OSError):
                self._send([{"event": "broken", "error": str(error)}])
        self.end()

    def _heard(self) -> list[EngineEvent]:
        """What there is to tell, in the user's own numbers."""
        event = self._seat.next_event(WAIT_S)
        events: list[EngineEvent] = []
        while event is not None:
            if (named := self._renamed(event)) is not None:
                events.append(named)
            event = self._seat.next_event(0) if len(events) < AT_ONCE else None
        return events

    def _renamed(self, event: EngineEvent) -> EngineEvent | None:
        if isinstance(event, Loading | Ready) or event.seq is None:
            return event
        goes_on = isinstance(event, Started | Token)
        with self._lock:
            theirs = self._theirs.get(event.seq) if goes_on else self._theirs.pop(event.seq, None)
            if theirs is None:
                return None
            if not goes_on and self._ours.get(theirs) == event.seq:
                del self._ours[theirs]
        return replace(event, seq=theirs)

    def _send(self, messages: list[dict[str, Any]]) -> None:
        data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        with self._sending:
            self._socket.sendall(data)
