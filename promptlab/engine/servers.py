"""Models that servers of the user's have (`server:` in models.yaml): the OpenAI-compatible protocol.

llama.cpp's server, vLLM, Ollama, LM Studio and others speak it. What such a server computes with cannot be known, so
records of its answers are of the mode `remote` and hold only what it says of itself.

All requests run in one thread of their own, side by side; only so many at once go to one server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptlab.core.chat import Segment
from promptlab.core.events import (
    Answered,
    Engine,
    EngineEvent,
    Failed,
    Failure,
    Loading,
    Ready,
    Server,
    Started,
    Vocabulary,
)
from promptlab.core.job import Model
from promptlab.engine import connection
from promptlab.engine.backend import Expected, Measurement, Question
from promptlab.engine.completion import SPARE, Reply, Unanswered, begun, quoted, request, room_for
from promptlab.engine.looking import look
from promptlab.engine.process import same_loading
from promptlab.engine.turns import Turns
from promptlab.errors import EngineError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MODE = "remote"
SILENT_S = 300.0
"""How long a server may say nothing: it may have a long prompt to read, on a slow machine, after those of others."""
LAST_S = 3.0
"""The same after the end of the answer, when only the count of its tokens may still come."""
LOOK_S = 20.0
"""The same while it is asked what it has."""
END_S = 2.0
"""How long the thread may take to end."""


@dataclass(slots=True)
class _Served:
    """A model that somebody holds."""

    model: Model
    holds: int = 1
    client: AsyncOpenAI | None = None
    ready: Ready | None = None
    server: Server | None = None
    name: str = ""
    """What its server calls it."""
    turns: Turns | None = None
    """Lets so many requests through at once, of all models of its server together."""
    loading: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Asked:
    """A question that has not ended."""

    model: str
    reply: Reply
    task: asyncio.Task[Answered] | None = None
    cancelled: bool = field(default=False)


class Servers:
    """A backend (`engine.backend.Backend`) of models that servers have."""

    def __init__(self, *, silent_s: float = SILENT_S, look_s: float = LOOK_S) -> None:
        self._silent_s, self._look_s = silent_s, look_s
        self._news = threading.Condition()
        self._events: deque[EngineEvent] = deque()
        self._lock = threading.RLock()
        """For the tables. Taken before that of the events."""
        self._served: dict[str, _Served] = {}
        self._asked: dict[int, _Asked] = {}
        self._turns: dict[tuple[str, int], Turns] = {}
        """By address, and how many it takes."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._endings: set[asyncio.Task[None]] = set()
        """Connections that are being closed."""
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether anything may still come."""
        return bool(self._served or self._asked or self._events)

    def load(self, model: Model, path: Path) -> None:
        """Ask the server what it has, or say `Ready` again if that is known; and hold it."""
        with self._lock:
            self._forget_news(model.name)
            entry = self._served.get(model.name)
            if entry is not None and same_loading(entry.model, path, model, path):
                entry.holds += 1
                if entry.ready is not None:
                    self._tell(entry.ready)
                return
            self._drop(model.name)
            entry = self._served[model.name] = _Served(model)
        self._tell(Loading(model.name, 0.0))
        self._do(partial(self._begin_loading, entry))

    def expected(self, model: Model, path: Path) -> Expected | None:
        """Not known before the server has been asked."""
        return None

    def release(self, model: str) -> None:
        """Hold it no more. The server is asked again what it has when somebody loads it next."""
        with self._lock:
            if (entry := self._served.get(model)) is not None:
                entry.holds -= 1
                if entry.holds < 1:
                    self._drop(model)

    def ask(self, question: Question) -> None:
        """Ask the server."""
        with self._lock:
            entry = self._served.get(question.model)
            if entry is None or entry.server is None:
                self._fail(question.model, question.seq, f"{question.model}: its server has not been asked yet")
                return
            try:
                json.dumps(question.constraint.value if question.constraint else None)
                where, body = request(question, entry.server, entry.name)
            except EngineError as error:
                self._fail(question.model, question.seq, str(error))
                return
            except (TypeError, ValueError, RecursionError):  # a date that YAML made, a loop, endless nesting
                self._fail(question.model, question.seq, "the constraint cannot be written as JSON")
                return
            limit = question.options.max_tokens + SPARE
            reply = Reply(question.seq, limit, quoted(question, entry.server), begun(question))
            asked = _Asked(question.model, reply)
            self._asked[question.seq] = asked
        self._do(partial(self._begin, entry, asked, question, where, body))

    def measure(self, measurement: Measurement) -> None:
        """Refuse."""
        why = "a server gives answers, and does not tell how likely a text is or what it means"
        self._fail(measurement.model, measurement.seq, f"{measurement.model}: {why}")

    def cancel(self, model: str, seq: int) -> None:
        """Break the connection off; the server notices that."""
        with self._lock:
            if (asked := self._asked.get(seq)) is None:
                return
            asked.cancelled = True
        self._do(lambda: asked.task.cancel() if asked.task else None)

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """Refuse. Raises EngineError."""
        raise EngineError(f"{model}: a server has it, so how it cuts a text into tokens cannot be known")

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Refuse. Raises EngineError."""
        raise EngineError(f"{model}: a server has it, so what its tokens stand for cannot be known")

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event; None when there is none for `timeout` seconds."""
        with self._news:
            if not self._events and timeout > 0:
                self._news.wait(timeout)
            return self._events.popleft() if self._events else None

    def unload(self, model: str) -> bool:
        """There is nothing in memory that could be taken out."""
        return False

    def residents(self) -> Mapping[str, int | None]:
        """Those that are held: what they take is the server's."""
        with self._lock:
            return dict.fromkeys(self._served)

    def room(self) -> int:
        """None: nothing is loaded here."""
        return 0

    def close(self) -> None:
        """Break everything off, and end the thread."""
        with self._lock:
            self._closed = True
        if self._loop is not None and self._thread is not None:
            with contextlib.suppress(RuntimeError):  # closed before
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(2 * END_S)

    def _tell(self, event: EngineEvent) -> None:
        with self._news:
            self._events.append(event)
            self._news.notify()

    def _fail(self, model: str, seq: int | None, message: str) -> None:
        self._tell(Failed(model, seq, Failure("EngineError", message)))

    def _forget_news(self, model: str) -> None:
        """What was said of a model as a whole, and heard by nobody, is not about this loading of it."""
        with self._news:
            self._events = deque(event for event in self._events if not _about(event, model))

    def _drop(self, model: str) -> None:
        """Let go of a model's connection."""
        if (entry := self._served.pop(model, None)) is not None:
            self._do(partial(self._end_connection, entry))

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _do(self, what: Callable[[], object]) -> None:
        """Have something done in the thread, which begins with the first."""
        with self._lock:
            if self._closed:
                return
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._run, args=(self._loop,), name="servers", daemon=True)
                self._thread.start()
            self._loop.call_soon_threadsafe(what)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_forever()
        with self._lock:
            for name in list(self._served):
                self._end_connection(self._served.pop(name))
        for task in asyncio.all_tasks(loop) - self._endings:
            task.cancel()
        if left := asyncio.all_tasks(loop):  # a connection that does not want to close goes with the process
            loop.run_until_complete(asyncio.wait(left, timeout=END_S))
        loop.close()

    def _spawn(self, what: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        assert self._loop is not None
        return self._loop.create_task(what)

    def _end_connection(self, entry: _Served) -> None:
        task = self._spawn(self._hang_up(entry))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _hang_up(self, entry: _Served) -> None:
        if entry.loading is not None:
            entry.loading.cancel()
        if entry.client is not None:
            with contextlib.suppress(Exception):  # nothing hangs on how it ends
                await entry.client.close()

    def _begin_loading(self, entry: _Served) -> None:
        entry.loading = self._spawn(self._load(entry))

    async def _load(self, entry: _Served) -> None:
        model = entry.model
        began = time.monotonic()
        try:
            assert model.server is not None
            entry.client = connection.connect(model.server, self._silent_s)
            async with asyncio.timeout(self._look_s):
                offer = await look(entry.client, model)
        except Exception as error:
            with self._lock:
                if self._served.get(model.name) is entry:
                    self._drop(model.name)
                    self._fail(model.name, None, self._why(model, error, self._look_s))
            return
        server = offer.server
        vocabulary = Vocabulary(None, "", "", (), f"on a server: {server.kind or server.address}")
        engine = Engine(MODE, "", "", "", 0, context=offer.context, server=server)
        turns = self._turns.setdefault((server.address, offer.slots), Turns(offer.slots))
        with self._lock:
            entry.turns, entry.server, entry.name = turns, server, offer.name
            entry.ready = Ready(model.name, engine, vocabulary, time.monotonic() - began)
            if self._served.get(model.name) is entry:
                self._tell(entry.ready)

    def _begin(self, entry: _Served, asked: _Asked, question: Question, where: str, body: Mapping[str, Any]) -> None:
        asked.task = self._spawn(self._answer(entry, asked.reply, question, where, body))
        asked.task.add_done_callback(partial(self._end, entry.model, asked))
        if asked.cancelled:
            asked.task.cancel()

    async def _answer(
        self, entry: _Served, reply: Reply, question: Question, where: str, body: Mapping[str, Any]
    ) -> Answered:
        assert entry.turns is not None
        assert entry.client is not None
        async with entry.turns.turn(interactive=question.interactive):
            self._tell(Started(reply.seq, ()))
            reply.begun = time.monotonic()
            with connection.at_most(room_for(question)):
                await self._listen(entry.client, reply, where, body)
        return reply.end()

    async def _listen(self, client: AsyncOpenAI, reply: Reply, where: str, body: Mapping[str, Any]) -> None:
        from openai import AsyncStream

        now = asyncio.get_running_loop().time
        try:
            # The connection has a time limit of its own, but a server could send empty lines for ever.
            async with asyncio.timeout(self._silent_s) as clock:
                kind = AsyncStream[object]
                stream = await client.post(where, cast_to=object, body=body, stream=True, stream_cls=kind)
                async with stream:
                    async for data in stream:
                        for token in reply.take(data):
                            self._tell(token)
                        clock.reschedule(now() + (self._silent_s if reply.finish is None else LAST_S))
        except TimeoutError:
            if reply.finish is None:  # else all was said, but not that this was all
                raise

    def _end(self, model: Model, asked: _Asked, task: asyncio.Task[Answered]) -> None:
        """A question has ended, in one way or another."""
        seq = asked.reply.seq
        with self._lock:
            self._asked.pop(seq, None)
            if task.cancelled():
                self._tell(asked.reply.answered("cancelled"))
            elif error := task.exception():
                self._fail(model.name, seq, self._why(model, error, self._silent_s))
            else:
                self._tell(task.result())

    def _why(self, model: Model, error: BaseException, silent_s: float) -> str:
        if isinstance(error, EngineError) and not isinstance(error, Unanswered):
            return str(error)
        where = connection.shown_address(str(model.server))
        what = str(error) if isinstance(error, Unanswered) else connection.reason(error, silent_s)
        return f"{model.name}: the server at {where} {what}"


def _about(event: EngineEvent, model: str) -> bool:
    """Whether an event is about a model as a whole."""
    return isinstance(event, Loading | Ready | Failed) and event.model == model and getattr(event, "seq", None) is None
