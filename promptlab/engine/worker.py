"""The child process that owns one model. Started as `python -m promptlab.engine.worker`.

It reads requests and writes events, a JSON line each:

    {"op": "load", "model": …, "path": …, "context": …, "threads": …, "safe_mode": …}     once, first
    {"op": "ask", "seq": …, "segments": [[text, control], …], "options": {…}, "seed": …, "top": …,
     "constraint": null | {"kind": …, "value": …}}
    {"op": "cancel", "seq": …}
    {"op": "tokenize", "id": …, "segments": …}       answered by {"event": "tokenized", "id": …, "ids": […]}
    {"op": "turn"}                                   answered by {"event": "turn"} when the turn is over

Every sequence has a number, and events of several may mix, so batching needs no other protocol. The worker computes
only during its turn, so that models side by side share the cores without splitting threads. It ends when its input
closes.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import Answered, EngineEvent, Failed, Failure, Loading, Ready, Timings, Usage, encode
from promptlab.core.options import Options
from promptlab.engine.backend import Question
from promptlab.engine.llama import Generation, Llama, Log
from promptlab.errors import EngineError

TURN_S = 0.05
"""How long a turn lasts: short enough for columns that stream together, long enough to cost nothing."""


class Worker:
    """One model and the sequences that it works on."""

    def __init__(self, requests: queue.SimpleQueue[dict[str, Any]], out: BinaryIO) -> None:
        self._requests = requests
        self._out = out
        self._model = ""
        self._llama: Llama
        self._waiting: deque[Question] = deque()
        self._running: Generation | None = None

    def serve(self) -> None:
        """Load the model, then answer until the process ends."""
        try:
            self._load(self._requests.get())
        except EngineError as error:
            self._say(Failed(self._model, None, _failure(error)))
            return
        while True:
            self._take(self._requests.get())

    def _load(self, request: Mapping[str, Any]) -> None:
        self._model = request["model"]
        begun = time.perf_counter()
        self._said = -1.0
        self._llama = Llama(
            Path(request["path"]),
            context=request["context"],
            threads=request["threads"],
            safe_mode=request["safe_mode"],
            log=Log(),
            progress=self._progress,
        )
        self._llama.warm_up()
        loaded = time.perf_counter() - begun
        self._say(Ready(self._model, self._llama.engine(), self._llama.vocabulary(), round(loaded, 6)))

    def _progress(self, fraction: float) -> None:
        if fraction - self._said >= 0.02 or fraction >= 1.0:
            self._said = fraction
            self._say(Loading(self._model, round(fraction, 3)))

    def _take(self, request: Mapping[str, Any]) -> None:
        match request["op"]:
            case "ask":
                self._waiting.append(_question(self._model, request))
            case "cancel":
                self._cancel(request["seq"])
            case "tokenize":
                ids = self._llama.tokenize(_segments(request))
                self._write({"event": "tokenized", "id": request["id"], "ids": ids})
            case "turn":
                self._turn()
                self._write({"event": "turn"})

    def _turn(self) -> None:
        """Work until the turn is over or there is nothing to do, but take requests between two pieces of work."""
        over = time.perf_counter() + TURN_S
        while time.perf_counter() < over and self._work():
            while not self._requests.empty():
                self._take(self._requests.get())

    def _work(self) -> bool:
        """Do one piece of work; False when there is none."""
        if self._running is None and not self._begin():
            return bool(self._waiting)
        assert self._running is not None
        seq = self._running.question.seq
        try:
            for event in self._running.advance():
                self._say(event)
        except EngineError as error:
            self._running.close()
            self._say(Failed(self._model, seq, _failure(error)))
        if self._running.done:
            self._running = None
        return True

    def _begin(self) -> bool:
        if not self._waiting:
            return False
        question = self._waiting.popleft()
        try:
            self._running = self._llama.begin(question)
        except EngineError as error:
            self._say(Failed(self._model, question.seq, _failure(error)))
            return False
        self._say(self._running.started())
        return True

    def _cancel(self, seq: int) -> None:
        if self._running is not None and self._running.question.seq == seq:
            self._say(self._running.end("cancelled"))
            self._running = None
            return
        for question in [q for q in self._waiting if q.seq == seq]:
            self._waiting.remove(question)
            self._say(Answered(seq, "", "cancelled", Usage(0, 0, 0), Timings(0.0, 0.0, 0.0, 0.0, 0.0)))

    def _say(self, event: EngineEvent) -> None:
        self._write(encode(event))

    def _write(self, message: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(message).encode() + b"\n")
        self._out.flush()


def _question(model: str, request: Mapping[str, Any]) -> Question:
    options = Options(**{**request["options"], "stop": tuple(request["options"]["stop"])})
    constraint = Constraint(**request["constraint"]) if request["constraint"] else None
    return Question(model, request["seq"], _segments(request), options, request["seed"], request["top"], constraint)


def _segments(request: Mapping[str, Any]) -> tuple[Segment, ...]:
    return tuple(Segment(text, control) for text, control in request["segments"])


def _failure(error: EngineError) -> Failure:
    return Failure(type(error).__name__, str(error))


def _listen(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Read requests until the input closes; then end at once, whatever the model is doing."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)


def main() -> None:
    """Serve on standard input and output; what llama.cpp prints goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    code = 0
    try:
        Worker(requests, out).serve()
    except BrokenPipeError:
        pass  # the parent has gone
    except BaseException:
        traceback.print_exc()
        code = 1
    # Not sys.exit: the listening thread still holds standard input, and the interpreter would abort over it.
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
