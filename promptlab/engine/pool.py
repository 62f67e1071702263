"""Which models are loaded: one worker process each, the cores shared in turns, deaths survived.

The number of threads is a property of a model, never of what else runs, because an answer can depend on it. So models
that run at once do not split the cores; they take turns of a few tokens each, and the pool hands the turns out.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptlab.core.chat import Segment
from promptlab.core.events import Answered, EngineEvent, Failed, Failure, Loading, Measured, Ready, decode
from promptlab.core.job import Model
from promptlab.core.text import sanitize_line
from promptlab.engine.backend import Measurement, Question
from promptlab.errors import EngineError
from promptlab.sandbox import absolute_paths

COMMAND = (sys.executable, "-P", "-m", "promptlab.engine.worker")
"""-P keeps the working folder, which may be a stranger's library, off the import path."""
CRASHES = frozenset({"SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE", "SIGABRT"})
"""How a worker dies of its own code. SIGKILL comes from outside, and trying again would not help."""
STDERR_LINES = 20
TOKENIZE_S = 60.0
END_S = 2.0
"""How long a worker may take to end by itself."""


def default_threads() -> int:
    """One for each processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool:
    """An engine (`engine.backend.Backend`) of llama.cpp workers."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = tuple(command)
        self._lock = threading.RLock()
        self._events: deque[EngineEvent] = deque()
        self._news = threading.Condition(self._lock)
        self._workers: dict[str, _Worker] = {}
        self._turns: deque[_Worker] = deque()
        self._working: _Worker | None = None
        """Whose turn it is."""

    def load(self, model: Model, path: Path) -> None:
        """Start a worker for a model, or say `Ready` again if it has one."""
        with self._lock:
            # What was said of the model before, and heard by nobody, is not about this loading of it.
            self._events = deque(e for e in self._events if not _about(e, model.name))
            outdated = [w for w in self._workers.values() if w.model.name == model.name and not w.fits(model, path)]
            for old in outdated:
                self._forget(old)
            worker = self._workers.get(model.name)
            if worker is None:
                self._start(model, path, safe_mode=False)
            elif worker.ready is not None:
                self._tell(worker.ready)
        for old in outdated:
            old.close()

    def ask(self, question: Question) -> None:
        """Hand a question to the model's worker."""
        request = _ask(question)
        try:
            json.dumps(request["constraint"])
        except (TypeError, ValueError, RecursionError):  # a date that YAML made, a loop, endless nesting
            failure = Failure("EngineError", "the constraint cannot be written as JSON")
            self._tell(Failed(question.model, question.seq, failure))
            return
        self._put(question.model, question.seq, request)

    def measure(self, measurement: Measurement) -> None:
        """Hand a measurement to the model's worker."""
        asked = measurement
        request = {"segments": _plain(asked.segments), "texts": asked.texts, "interactive": asked.interactive}
        self._put(asked.model, asked.seq, {"op": "measure", "seq": asked.seq, **request})

    def _put(self, model: str, seq: int, request: Mapping[str, Any]) -> None:
        with self._lock:
            worker = self._workers.get(model)
            if worker is None:  # it has just died; its `Failed` is on its way, and this sequence's comes with it
                self._tell(Failed(model, seq, Failure("WorkerDied", f"{model}: its worker is gone")))
                return
            worker.seqs.add(seq)
            worker.send(request)
            self._hand_out()

    def cancel(self, model: str, seq: int) -> None:
        """End a sequence early."""
        with self._lock:
            worker = self._workers.get(model)
            if worker is not None and seq in worker.seqs:
                worker.send({"op": "cancel", "seq": seq})

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """Ask a ready model for token ids. Raises EngineError when it is not there, or dies."""
        with self._lock:
            worker = self._workers.get(model)
            if worker is None:
                raise EngineError(f"{model} is not loaded")
            reply = worker.tokenize(_plain(segments))
        try:
            ids = reply.get(timeout=TOKENIZE_S)
        except queue.Empty:
            ids = None
        if ids is None:
            raise EngineError(f"{model}: its worker did not answer")
        return tuple(ids)

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event; None when there is none for `timeout` seconds."""
        with self._news:
            if not self._events:
                self._news.wait(timeout)
            return self._events.popleft() if self._events else None

    def close(self) -> None:
        """End every worker."""
        with self._lock:
            workers = list(self._workers.values())
            self._workers.clear()
            self._turns.clear()
        for worker in workers:
            worker.close()

    def _tell(self, event: EngineEvent) -> None:
        with self._news:
            self._events.append(event)
            self._news.notify()

    def pid(self, model: str) -> int | None:
        """The process of a model's worker."""
        worker = self._workers.get(model)
        return worker.pid if worker else None

    # --- called by the workers' reader threads -----------------------------------------------------------------------

    def said(self, worker: _Worker, message: Mapping[str, Any]) -> None:
        """Take one message of a worker."""
        if message.get("event") == "turn":
            with self._lock:
                self._turn_over(worker)
            return
        if message.get("event") == "tokenized":
            worker.tokenized(int(message["id"]), message["ids"])
            return
        event = decode(message)
        with self._lock:
            if isinstance(event, Ready):
                worker.ready = event
            elif isinstance(event, Failed) and event.seq is None:
                self._forget(worker)
            elif isinstance(event, Answered | Measured | Failed) and event.seq is not None:
                worker.seqs.discard(event.seq)
            self._tell(event)

    def died(self, worker: _Worker, failure: Failure) -> None:
        """A worker's output has ended."""
        with self._lock:
            worker.answer_nobody()
            if self._workers.get(worker.model.name) is not worker:
                self._turn_over(worker)
                return
            if worker.ready is None and failure.signal in CRASHES and not worker.safe_mode:
                # The default kernels crash on some machines (CONTRIBUTING, "The build"): try once more without them.
                self._start(worker.model, worker.path, safe_mode=True)
                return
            self._forget(worker)
            for seq in sorted(worker.seqs):
                self._tell(Failed(worker.model.name, seq, failure))
            self._tell(Failed(worker.model.name, None, failure))

    def _start(self, model: Model, path: Path, *, safe_mode: bool) -> None:
        try:
            self._workers[model.name] = _Worker(self, model, path, safe_mode=safe_mode)
            self._tell(Loading(model.name, 0.0))
        except OSError as error:
            self._workers.pop(model.name, None)
            failure = Failure("EngineError", f"{model.name}: its worker cannot be started: {error.strerror or error}")
            self._tell(Failed(model.name, None, failure))

    def _forget(self, worker: _Worker) -> None:
        self._workers.pop(worker.model.name, None)
        self._turn_over(worker)

    def _turn_over(self, worker: _Worker) -> None:
        if self._working is worker:
            self._working = None
        self._hand_out()

    def _hand_out(self) -> None:
        """Give the turn to whoever has waited longest among those that have work."""
        for worker in self._workers.values():
            if worker.seqs and worker not in self._turns and worker is not self._working:
                self._turns.append(worker)
        while self._working is None and self._turns:
            worker = self._turns.popleft()
            if worker.seqs and self._workers.get(worker.model.name) is worker:
                self._working = worker
                worker.send({"op": "turn"})


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, pool: Pool, model: Model, path: Path, *, safe_mode: bool) -> None:
        self.model = model
        self.path = path
        self.safe_mode = safe_mode
        self.ready: Ready | None = None
        self.seqs: set[int] = set()
        """Sequences asked for and not ended."""
        self._pool = pool
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._replies: dict[int, queue.SimpleQueue[list[int] | None]] = {}
        self._ids = itertools.count()
        self._process = subprocess.Popen(
            pool._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            cwd="/",
            start_new_session=True,  # Ctrl+C in the terminal is for the parent
        )
        self.pid = self._process.pid
        self._listener = self._thread(self._listen_stderr)
        self._thread(self._listen)
        self.send(
            {
                "op": "load",
                "model": model.name,
                "path": str(path),
                "context": model.context,
                "threads": model.threads or default_threads(),
                "mode": model.mode,
                "layout": dict(model.layout),
                "safe_mode": safe_mode,
            }
        )

    def send(self, request: Mapping[str, Any]) -> None:
        """Write a request; a worker that has died takes none, and its reader thread tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def tokenize(self, segments: list[list[Any]]) -> queue.SimpleQueue[list[int] | None]:
        """Ask for token ids; they, or None if the worker dies, come through the queue."""
        number = next(self._ids)
        reply = self._replies[number] = queue.SimpleQueue()
        self.send({"op": "tokenize", "id": number, "segments": segments})
        return reply

    def answer_nobody(self) -> None:
        """Tell whoever waits for token ids that none will come. Called with the pool's lock held."""
        while self._replies:
            self._replies.popitem()[1].put(None)

    def fits(self, model: Model, path: Path) -> bool:
        """Whether this is the model that is meant, loaded as it is meant to be."""
        return self.path == path and all(
            getattr(self.model, each) == getattr(model, each)
            for each in ("sha256", "context", "threads", "mode", "layout")
        )

    def tokenized(self, number: int, ids: list[int]) -> None:
        """Hand token ids to whoever asked for them."""
        self._replies.pop(number).put(ids)

    def close(self) -> None:
        """End the process: it does so by itself when its input closes."""
        self._close_input()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what was not yet written to a dead process cannot be
            self._process.stdin.close()

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, daemon=True, name=f"{self.model.name} {target.__name__}")
        thread.start()
        return thread

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._pool.said(self, json.loads(line))
        except (ValueError, KeyError) as error:
            self._stderr.append(f"broke the protocol: {error}")
            self._process.kill()
        self._process.stdout.close()
        self._process.wait()
        self._close_input()
        self._listener.join(END_S)
        self._pool.died(self, self._failure(self._process.returncode))

    def _listen_stderr(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._stderr.append(sanitize_line(line.decode("utf-8", "replace").rstrip()))

    def _failure(self, code: int) -> Failure:
        name = self.model.name
        if code >= 0:
            return Failure("WorkerDied", f"{name}: its worker ended with exit code {code}", None, tuple(self._stderr))
        died = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        cause = f"{name}: its worker was killed by {died}"
        if died == "SIGKILL":
            cause += " (perhaps by the system, for want of memory)"
        elif self.ready is None and self.safe_mode:
            cause += " while it loaded, in safe mode too; `promptlab doctor` says more"
        return Failure("WorkerDied", cause, died, tuple(self._stderr))


def environment() -> dict[str, str]:
    """The environment of a worker."""
    # How long OpenMP's threads spin at a barrier before they sleep. Measured with both default models: longer gives up
    # to 10 % more tokens a second on an idle machine, and 3 to 10 times fewer where anything else wants a core.
    return {"GOMP_SPINCOUNT": "1000"} | absolute_paths(os.environ) | {"PYTHONUTF8": "1"}


def _about(event: EngineEvent, model: str) -> bool:
    """Whether an event is about a model as a whole."""
    return isinstance(event, Loading | Ready | Failed) and event.model == model and getattr(event, "seq", None) is None


def _ask(question: Question) -> dict[str, Any]:
    constraint = question.constraint
    return {
        "op": "ask",
        "seq": question.seq,
        "segments": _plain(question.segments),
        "options": question.options.plain(),
        "seed": question.seed,
        "top": question.top,
        "interactive": question.interactive,
        "constraint": {"kind": constraint.kind, "value": constraint.value} if constraint else None,
    }


def _plain(segments: Sequence[Segment]) -> list[list[Any]]:
    return [[s.text, s.control] for s in segments]
