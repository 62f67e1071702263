"""A scripted OpenAI-compatible server on loopback, and what a test needs to ask it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from promptlab.core.constraint import Constraint
from promptlab.core.events import Answered, EngineEvent, Failed, Ready, Started, Token
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.core.tape import Message
from promptlab.engine.backend import Backend, Question
from promptlab.engine.servers import Servers
from promptlab.files.registry import user_file

WAIT_S = 20.0
LLAMA = {"id": "/home/ann/weights/tiny.gguf", "owned_by": "llamacpp", "created": 1, "meta": {"size": 5}}
OTHER = {"id": "tiny", "owned_by": "somebody", "created": 7}
PROPS = {
    "build_info": "b1-abc",
    "model_path": "/home/ann/weights/tiny.gguf",
    "chat_template": "x",
    "total_slots": 2,
    "default_generation_settings": {"n_ctx": 512},
}


class Ask(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Scripted

    @property
    def body(self) -> Any:
        """What was sent, as JSON."""
        return self.sent

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _answer(self, sent: Any) -> None:
        self.sent = sent
        self.server.asked.append(self)
        if self.path.endswith("/models"):
            self.server.models(self)
        elif self.path.endswith("/props"):
            self.json(self.server.props)
        else:
            self.server.script(self)

    def json(self, value: Any, code: int = 200, **headers: str) -> None:
        """Answer with JSON."""
        self.raw(json.dumps(value).encode(), code, **headers)

    def raw(self, data: bytes, code: int = 200, **headers: str) -> None:
        """Answer with bytes."""
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, *chunks: Any, done: bool = True) -> None:
        """Answer with events; what is bytes is sent as it is."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in (*chunks, *([b"data: [DONE]\n\n"] if done else [])):
            self.wfile.write(chunk if isinstance(chunk, bytes) else b"data: " + json.dumps(chunk).encode() + b"\n\n")
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def said(text: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of a chat's answer."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish, **more}]}


def drawn(text: str, *ids: int, logprob: Any = -0.5) -> dict[str, Any]:
    """The same with its tokens, as llama.cpp's server tells them."""
    tokens = [{"id": id, "token": "", "logprob": logprob, "top_logprobs": [{"id": id, "logprob": -0.5}]} for id in ids]
    return said(text, logprobs={"content": tokens})


END = said(None, "stop")
COUNTED = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}


class Scripted(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ask)
        self.asked: list[Ask] = []
        self.props: Any = PROPS
        self.models: Callable[[Ask], object] = lambda ask: ask.json({"data": [OTHER]})
        self.script: Callable[[Ask], object] = lambda ask: ask.stream(said("Hel"), said("lo"), END, COUNTED)
        self.go_on = threading.Event()
        """What a script waits for that is to stay silent."""

    def silent(self, ask: Ask) -> None:
        """A script: say nothing."""
        self.go_on.wait(WAIT_S)

    def later(self, ask: Ask) -> None:
        """A script: answer when the test says so."""
        self.go_on.wait(WAIT_S)
        ask.stream(said("x"), END)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has hung up, as some tests want it."""


@contextmanager
def scripted() -> Iterator[Scripted]:
    """A server that listens."""
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def own_models(text: str) -> None:
    """Write the user's own models.yaml."""
    path = user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def entry(server: Scripted, name: str = "tiny", **more: Any) -> Model:
    """An entry of models.yaml for it."""
    return Model(name, None, server=server.url, trusted=True, **more)


def load(engine: Backend, model: Model) -> Ready | Failed:
    """Load a model, and wait for what comes of it."""
    engine.load(model, Path())
    return next(e for e in _events(engine) if isinstance(e, Ready | Failed))


def question(seq: int = 1, *, model: str = "tiny", constraint: Constraint | None = None, **options: Any) -> Question:
    """Somebody says hello."""
    messages = (Message("system", "Be kind."), Message("user", "Hello?"))
    return Question(model, seq, (), Options(**options), 3, 2, constraint, messages=messages)


def answers(engine: Backend, *asked: Question) -> dict[int, Answered | Failed]:
    """Ask, and wait for all the ends."""
    for each in asked:
        engine.ask(each)
    left, ends = {each.seq for each in asked}, {}
    for event in _events(engine):
        if isinstance(event, Answered | Failed) and event.seq is not None:
            ends[event.seq] = event
            left.discard(event.seq)
        if not left:
            return ends
    raise AssertionError("it never ended")


def events_of(engine: Backend, asked: Question) -> list[EngineEvent]:
    """Ask, and collect what is said until the end."""
    engine.ask(asked)
    found: list[EngineEvent] = []
    for event in _events(engine):
        found.append(event)
        if isinstance(event, Answered | Failed):
            return found
    raise AssertionError("it never ended")


def wait_for_start(engine: Backend) -> None:
    """Wait until a request is on its way."""
    next(event for event in _events(engine) if isinstance(event, Started))


def wait_for_text(engine: Backend) -> None:
    """Wait until something of the answer is there."""
    next(event for event in _events(engine) if isinstance(event, Token))


def _events(engine: Backend) -> Iterator[EngineEvent]:
    while (event := engine.next_event(WAIT_S)) is not None:
        yield event
    raise AssertionError(f"nothing was said for {WAIT_S} s")


@contextmanager
def servers(**limits: float) -> Iterator[Servers]:
    """The engine."""
    engine = Servers(**limits)
    try:
        yield engine
    finally:
        engine.close()
