"""The parent's end of one worker process: it starts it, writes to it, listens, and says what it died of."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from promptlab.core.events import Failure, Ready
from promptlab.core.job import Model
from promptlab.core.text import sanitize_line
from promptlab.sandbox import absolute_paths

Reply = queue.SimpleQueue[list[Any] | None]
"""Where the reply to one request comes: token ids, or what they stand for; None where the worker has died."""

STDERR_LINES = 20
END_S = 2.0
"""How long a worker may take to end by itself."""


class Listener(Protocol):
    """Who hears what a worker says. Called from the worker's own thread."""

    def said(self, worker: WorkerProcess, message: Mapping[str, Any]) -> None:
        """Take one message of a worker."""

    def died(self, worker: WorkerProcess, failure: Failure) -> None:
        """A worker's output has ended, and so has its process."""


class WorkerProcess:
    """A running worker, and what the pool knows of it."""

    def __init__(
        self, command: Sequence[str], listener: Listener, model: Model, path: Path, request: Mapping[str, Any]
    ) -> None:
        """Start it, and send its first request. Raises OSError when it cannot be started."""
        self.model = model
        self.path = path
        self.safe_mode = bool(request["safe_mode"])
        self.ready: Ready | None = None
        self.seqs: set[int] = set()
        """Sequences asked for and not ended."""
        self.waiting = False
        """Whether it wants a turn though nothing was asked: it is being loaded, and wants to measure."""
        self._pool = listener
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._replies: dict[int, Reply] = {}
        self._ids = itertools.count()
        self._process = subprocess.Popen(
            command,
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
        self.send(request)

    def send(self, request: Mapping[str, Any]) -> None:
        """Write a request; a worker that has died takes none, and its reader thread tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def request(self, what: Mapping[str, Any]) -> Reply:
        """Ask for what is told at once; it, or None if the worker dies, comes through the queue."""
        number = next(self._ids)
        reply = self._replies[number] = queue.SimpleQueue()
        self.send({**what, "id": number})
        return reply

    def answer_nobody(self) -> None:
        """Tell whoever waits for a reply that none will come. Called with the pool's lock held."""
        while self._replies:
            self._replies.popitem()[1].put(None)

    def fits(self, model: Model, path: Path) -> bool:
        """Whether this is the model that is meant, loaded as it is meant to be."""
        return same_loading(self.model, self.path, model, path)

    def replied(self, number: int, what: list[Any]) -> None:
        """Hand a reply to whoever asked for it."""
        self._replies.pop(number).put(what)

    @property
    def computes(self) -> bool:
        """Whether it has anything to do in a turn."""
        return bool(self.seqs or self.waiting)

    @property
    def busy(self) -> bool:
        """Whether anybody waits for something that it is to say."""
        return bool(self.seqs or self._replies)

    def close(self) -> None:
        """End the process: it does so by itself when its input closes."""
        self._close_input()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the process at once, whatever it is doing, and do not wait: `died` tells."""
        self._process.kill()

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


def same_loading(model: Model, path: Path, other: Model, other_path: Path) -> bool:
    """Whether two models are the same, loaded in the same way."""
    return path == other_path and all(
        getattr(model, each) == getattr(other, each)
        for each in (
            "name",
            "sha256",
            "context",
            "threads",
            "mode",
            "layout",
            "gpu_layers",
            "kv_type",
            "server",
            "model",
        )
    )


def environment() -> dict[str, str]:
    """The environment of a worker."""
    # How long OpenMP's threads spin at a barrier before they sleep. Measured with both default models: longer gives up
    # to 10 % more tokens a second on an idle machine, and 3 to 10 times fewer where anything else wants a core.
    return {"GOMP_SPINCOUNT": "1000"} | absolute_paths(os.environ) | {"PYTHONUTF8": "1"}
