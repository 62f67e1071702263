"""The child process that owns one model. Started as `python -m promptlab.engine.worker`.

It reads requests and writes events, a JSON line each:

    {"op": "load", "model": …, "path": …, "context": …, "threads": null | …, "usable": …, "safe_mode": …,
     "mode": …, "layout": {…}, "gpu_layers": …, "kv_type": null | …, "kv_bytes": null | …, "shelf_bytes": …,
     "measure": …, "known": null | {…}}              once, first; a "found" event tells what was not known
    {"op": "ask", "seq": …, "segments": [[text, control], …], "options": {…}, "seed": …, "top": …,
     "constraint": null | {"kind": …, "value": …}, "interactive": …}
    {"op": "measure", "seq": …, "segments": …, "texts": […], "interactive": …, "embed": …}
    {"op": "cancel", "seq": …}
    {"op": "tokenize", "id": …, "segments": …}       answered by {"event": "tokenized", "id": …, "ids": […]}
    {"op": "pieces", "id": …, "ids": […]}            answered by {"event": "pieces", "id": …, "pieces": [hex, …]},
                                                     null for what is no token
    {"op": "turn"}                                   answered by {"event": "turn"} when the turn is over

Every sequence has a number, and events of several mix, as `engine/batch.py` advances them. The worker computes only
during its turn, so that models side by side share the cores without splitting threads. To measure how it is quickest
it wants one long turn, and says so by the event "waiting". It ends when its input closes.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import EngineEvent, Failed, Failure, Loading, Ready, encode
from promptlab.core.options import Options
from promptlab.engine.backend import Measurement, Question
from promptlab.engine.batch import Batch
from promptlab.engine.embedding import Embedding
from promptlab.engine.llama import Embedder, Llama, Log
from promptlab.engine.rules import FREE, read_found
from promptlab.engine.shelf import Shelf
from promptlab.engine.tuning import Terms, Tuning, read_tuning, terms, tune
from promptlab.engine.work import Job
from promptlab.errors import EngineError

TURN_S = 0.05
"""How long a turn lasts: short enough for columns that stream together, long enough to cost nothing."""


class Worker:
    """One model and the sequences that it works on."""

    def __init__(self, requests: queue.SimpleQueue[dict[str, Any]], out: BinaryIO) -> None:
        self._requests = requests
        self._out = out
        self._model = ""
        self._llama: Llama | Embedder
        self._batch: Batch | Embedding

    def serve(self) -> None:
        """Load the model, then answer until the process ends."""
        try:
            self._load(self._requests.get())
        except EngineError as error:
            self._say(Failed(self._model, None, Failure.of(error)))
            return
        while True:
            self._take(self._requests.get())

    def _load(self, request: Mapping[str, Any]) -> None:
        self._model = request["model"]
        begun = time.perf_counter()
        self._said = -1.0
        tuning = self._load_embedder(request) if request["layout"].get("embedding") else self._load_llama(request)
        loaded = round(time.perf_counter() - begun, 6)
        self._say(Ready(self._model, self._llama.engine(), self._llama.vocabulary(), loaded, tuning))

    def _load_embedder(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Load it for vectors alone."""
        self._llama = Embedder(
            Path(request["path"]),
            context=request["context"],
            threads=request["threads"] or request["usable"],
            safe_mode=request["safe_mode"],
            gpu_layers=request["gpu_layers"],
            log=Log(),
            progress=self._progress,
        )
        self._batch = Embedding(self._llama, self._model)
        return {}

    def _load_llama(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Load it for answers; how its work is laid out."""
        choice = _terms(request)
        self._llama = llama = Llama(
            Path(request["path"]),
            context=request["context"],
            tuning=choice.usual,
            safe_mode=request["safe_mode"],
            gpu_layers=request["gpu_layers"],
            kv_type=request["kv_type"],
            log=Log(),
            progress=self._progress,
            mode=request["mode"],
            kv_bytes=request["kv_bytes"],
        )
        llama.warm_up()
        tuning = self._lay_out(llama, request, choice)
        self._batch = Batch(
            llama,
            self._model,
            exact=request["mode"] == "exact",
            rules=llama.rules,
            shelf=Shelf(request["shelf_bytes"]),
            threads=tuning.threads,
            chunk=tuning.chunk,
            max_slots=tuning.slots,
        )
        return tuning.plain()

    def _lay_out(self, llama: Llama, request: Mapping[str, Any], choice: Terms) -> Tuning:
        """Find out what an answer depends on, and what is quickest; or go by what is known of that."""
        known = request["known"] or {}
        exact, wide = request["mode"] == "exact", bool(request["layout"].get("wide"))
        found, tuning = read_found(known.get("rules")), read_tuning(known.get("tuning"))
        llama.arrange(tuning or choice.usual)
        new = (exact and found is None) or (request["measure"] and tuning is None)
        if exact:
            found = found or llama.try_rules()
        llama.keep_to(found.rules(wide=wide) if exact and found else FREE)
        if request["measure"] and tuning is None:
            tuning = self._measured(llama, choice)
            if exact and tuning.threads != choice.usual.threads:
                found = llama.try_rules()
                llama.keep_to(found.rules(wide=wide))
        if new:
            kept = {"rules": found and found.plain(), "tuning": tuning and tuning.plain()}
            self._write({"event": "found", "found": kept})
        return tuning or choice.usual

    def _measured(self, llama: Llama, choice: Terms) -> Tuning:
        """Measure while no other model computes."""
        self._write({"event": "waiting"})
        while self._requests.get()["op"] != "turn":
            pass  # there is nothing that can be asked of it yet
        tuning = tune(llama, choice, time.perf_counter)
        self._write({"event": "turn"})
        return tuning

    def _progress(self, fraction: float) -> None:
        if fraction - self._said >= 0.02 or fraction >= 1.0:
            self._said = fraction
            self._say(Loading(self._model, round(fraction, 3)))

    def _take(self, request: Mapping[str, Any]) -> None:
        match request["op"]:
            case "ask":
                self._begin(request["seq"], lambda: self._answering().begin(_question(self._model, request)))
            case "measure":
                self._measure(_measurement(self._model, request))
            case "cancel":
                self._tell(self._batch.cancel(request["seq"]))
            case "tokenize":
                ids = self._llama.tokenize(_segments(request))
                self._write({"event": "tokenized", "id": request["id"], "ids": ids})
            case "pieces":
                pieces = [data if data is None else data.hex() for data in map(self._llama.spelling, request["ids"])]
                self._write({"event": "pieces", "id": request["id"], "pieces": pieces})
            case "turn":
                self._turn()
                self._write({"event": "turn"})

    def _turn(self) -> None:
        """Work until the turn is over or there is nothing to do, but take requests between two pieces of work."""
        over = time.perf_counter() + TURN_S
        while time.perf_counter() < over and self._batch.busy:
            self._tell(self._batch.advance())
            while not self._requests.empty():
                self._take(self._requests.get())

    def _answering(self) -> Llama:
        if not isinstance(self._llama, Llama):
            raise EngineError(f"{self._model} was loaded for vectors, and answers nothing")
        return self._llama

    def _measure(self, asked: Measurement) -> None:
        if asked.embed and isinstance(self._batch, Embedding):
            self._batch.add(asked)
        elif asked.embed:
            failure = Failure("EngineError", f"{self._model} was loaded for answers, and has no vectors")
            self._say(Failed(self._model, asked.seq, failure))
        else:
            self._begin(asked.seq, lambda: self._answering().measure(asked))

    def _begin(self, seq: int, begin: Callable[[], Job]) -> None:
        try:
            job = begin()
            assert isinstance(self._batch, Batch)
            self._batch.add(job)
        except EngineError as error:
            self._say(Failed(self._model, seq, Failure.of(error)))

    def _tell(self, events: Sequence[EngineEvent]) -> None:
        """Write some events at once: whoever reads them wakes up once."""
        if events:
            self._out.write(b"".join(json.dumps(encode(event)).encode() + b"\n" for event in events))
            self._out.flush()

    def _say(self, event: EngineEvent) -> None:
        self._write(encode(event))

    def _write(self, message: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(message).encode() + b"\n")
        self._out.flush()


def _terms(request: Mapping[str, Any]) -> Terms:
    exact = request["mode"] == "exact"
    how = {"threads": request["threads"], "layout": request["layout"], "kv_type": request["kv_type"]}
    return terms(request["usable"], exact=exact, **how)


def _question(model: str, request: Mapping[str, Any]) -> Question:
    options = Options(**{**request["options"], "stop": tuple(request["options"]["stop"])})
    constraint = Constraint(**request["constraint"]) if request["constraint"] else None
    how = (options, request["seed"], request["top"], constraint, request["interactive"])
    return Question(model, request["seq"], _segments(request), *how)


def _measurement(model: str, request: Mapping[str, Any]) -> Measurement:
    texts, how = tuple(request["texts"]), (request["interactive"], request.get("embed", False))
    return Measurement(model, request["seq"], _segments(request), texts, *how)


def _segments(request: Mapping[str, Any]) -> tuple[Segment, ...]:
    return tuple(Segment(text, control) for text, control in request["segments"])


def _listen(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Read requests until the input closes; then end at once, whatever the model is doing."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)


SWITCH_S = 0.0005
"""How long a thread waits for another's Python code; between two steps of sampling that is only a few lines."""


def main() -> None:
    """Serve on standard input and output; what llama.cpp prints goes to standard error."""
    sys.setswitchinterval(SWITCH_S)
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
