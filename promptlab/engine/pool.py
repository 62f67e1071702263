"""Which models are loaded: one worker process each, while memory lasts; the cores shared in turns, deaths survived.

The number of threads is a property of a model, never of what else runs, because an answer can depend on it. So models
that run at once do not split the cores; they take turns of a few tokens each, and the pool hands the turns out.

Before a model is loaded, `core.plan` says whether there is room. If not, models that nobody needs are taken out, the
least recently used first; and where that is not enough, the load waits until others are done.
"""

from __future__ import annotations

import itertools
import json
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from promptlab.core import plan
from promptlab.core.chat import Segment
from promptlab.core.events import Answered, Embedded, EngineEvent, Failed, Failure, Loading, Measured, Ready, decode
from promptlab.core.job import Model
from promptlab.core.plan import Grant, Need
from promptlab.engine.backend import Expected, Measurement, Question
from promptlab.engine.machine import Known, default_threads, loading_name
from promptlab.engine.memory import Memory, SystemMemory
from promptlab.engine.process import WorkerProcess, same_loading
from promptlab.engine.protocol import ask_request, load_request, measure_request, plain
from promptlab.errors import EngineError

__all__ = ["COMMAND", "CRASHES", "MAX_CRASHES", "Pool", "default_threads", "file_size"]

COMMAND = (sys.executable, "-P", "-m", "promptlab.engine.worker")
"""-P keeps the working folder, which may be a stranger's library, off the import path."""
CRASHES = frozenset({"SIGSEGV", "SIGILL", "SIGBUS", "SIGFPE", "SIGABRT"})
"""How a worker dies of its own code. SIGKILL comes from outside, and says nothing about the model."""
MAX_CRASHES = 2
"""A model whose worker crashes this often is set aside until the pool ends."""
REPLY_S = 60.0
"""How long token ids, or what they stand for, may be waited for."""
NOTHING = Grant(0, 0)


def file_size(model: Model, path: Path) -> Need:
    """What can be said of a model's need without reading its file."""
    return Need(path.stat().st_size if path.is_file() else 0)


@dataclass(slots=True)
class _Entry:
    """A model that somebody has asked for."""

    model: Model
    path: Path
    need: Need
    holds: int = 1
    """How many need it: each `load` is one more, each `release` one less."""
    used: int = 0
    """When it was last of use, on the pool's own clock."""
    grant: Grant = NOTHING
    worker: WorkerProcess | None = None
    """None while it waits for memory."""


@dataclass(slots=True)
class _Crashes:
    """How often a model's worker has died of its own code."""

    model: Model
    path: Path
    count: int = 0


class Pool:
    """An engine (`engine.backend.Backend`) of llama.cpp workers."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        needs: Callable[[Model, Path], Need] = file_size,
        memory: Memory | None = None,
        known: Known | None = None,
    ) -> None:
        """`needs` says what a model needs of memory, `memory` what there is. `needs` may raise EngineError.

        `known` keeps what a worker has found out about a model, so that the next one need not try again. Without it,
        nobody measures how a model is quickest.
        """
        self._known = known
        self._command = tuple(command)
        self._needs = needs
        self._memory = memory or SystemMemory()
        self._lock = threading.RLock()
        self._events: deque[EngineEvent] = deque()
        self._news = threading.Condition(self._lock)
        self._entries: dict[str, _Entry] = {}
        """In the order in which they were asked for."""
        self._leaving: set[WorkerProcess] = set()
        """Workers that are ending, and have not given back their memory yet."""
        self._crashes: dict[str, _Crashes] = {}
        self._safe: set[Path] = set()
        """Files that loaded in safe mode only."""
        self._clock = itertools.count(1)
        self._turns: deque[WorkerProcess] = deque()
        self._working: WorkerProcess | None = None
        """Whose turn it is."""

    def load(self, model: Model, path: Path) -> None:
        """Start a worker for a model as soon as there is room, or say `Ready` again if it has one."""
        with self._lock:
            # What was said of the model before, and heard by nobody, is not about this loading of it.
            self._events = deque(e for e in self._events if not _about(e, model.name))
            entry = self._entries.get(model.name)
            if entry is not None and same_loading(entry.model, entry.path, model, path):
                entry.holds += 1
                self._touch(entry)
                if entry.worker is not None and entry.worker.ready is not None:
                    self._tell(entry.worker.ready)
                return
            outdated = self._forget(entry) if entry is not None else None
        if outdated is not None:
            outdated.close()
        self._want(model, path)

    def _want(self, model: Model, path: Path) -> None:
        try:
            with self._lock:
                self._check_crashes(model, path)
            need = self._needs(model, path)
        except EngineError as error:
            self._tell(Failed(model.name, None, Failure.of(error)))
            return
        with self._lock:
            self._entries[model.name] = _Entry(model, path, need)
            self._proceed()

    def release(self, model: str) -> None:
        """Need a model no more. What nobody needs may be taken out of memory; loading it is given up at once."""
        with self._lock:
            entry = self._entries.get(model)
            if entry is None:
                return
            entry.holds = max(entry.holds - 1, 0)
            if entry.holds == 0 and (entry.worker is None or entry.worker.ready is None):
                self._evict(entry)
            self._proceed()

    def ask(self, question: Question) -> None:
        """Hand a question to the model's worker."""
        request = ask_request(question)
        try:
            json.dumps(request["constraint"])
        except (TypeError, ValueError, RecursionError):  # a date that YAML made, a loop, endless nesting
            failure = Failure("EngineError", "the constraint cannot be written as JSON")
            self._tell(Failed(question.model, question.seq, failure))
            return
        self._put(question.model, question.seq, request)

    def measure(self, measurement: Measurement) -> None:
        """Hand a measurement to the model's worker."""
        self._put(measurement.model, measurement.seq, measure_request(measurement))

    def _put(self, model: str, seq: int, request: Mapping[str, Any]) -> None:
        with self._lock:
            worker = self._worker(model)
            if worker is None:  # it has just died; its `Failed` is on its way, and this sequence's comes with it
                self._tell(Failed(model, seq, Failure("WorkerDied", f"{model}: its worker is gone")))
                return
            self._touch(self._entries[model])
            worker.seqs.add(seq)
            worker.send(request)
            self._hand_out()

    def cancel(self, model: str, seq: int) -> None:
        """End a sequence early."""
        with self._lock:
            worker = self._worker(model)
            if worker is not None and seq in worker.seqs:
                worker.send({"op": "cancel", "seq": seq})

    def tokenize(self, model: str, segments: Sequence[Segment]) -> tuple[int, ...]:
        """Ask a ready model for token ids. Raises EngineError when it is not there, or dies."""
        return tuple(self._request(model, {"op": "tokenize", "segments": plain(segments)}))

    def pieces(self, model: str, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Ask a ready model what tokens stand for. Raises EngineError when it is not there, dies, or has no such."""
        found = self._request(model, {"op": "pieces", "ids": list(ids)})
        if None in found:
            raise EngineError(f"{model} has no token {ids[found.index(None)]}")
        return tuple(map(bytes.fromhex, found))

    def _request(self, model: str, what: Mapping[str, Any]) -> list[Any]:
        with self._lock:
            worker = self._worker(model)
            if worker is None:
                raise EngineError(f"{model} is not loaded")
            reply = worker.request(what)
        try:
            found = reply.get(timeout=REPLY_S)
        except queue.Empty:
            found = None
        if found is None:
            raise EngineError(f"{model}: its worker did not answer")
        return found

    def next_event(self, timeout: float) -> EngineEvent | None:
        """The next event; None when there is none for `timeout` seconds."""
        with self._news:
            if not self._events:
                self._news.wait(timeout)
            return self._events.popleft() if self._events else None

    def close(self) -> None:
        """End every worker."""
        with self._lock:
            workers = [*self._workers.values(), *self._leaving]
            self._entries.clear()
            self._turns.clear()
        for worker in workers:
            worker.close()

    def _tell(self, event: EngineEvent) -> None:
        with self._news:
            self._events.append(event)
            self._news.notify()

    def pid(self, model: str) -> int | None:
        """The process of a model's worker."""
        worker = self._worker(model)
        return worker.pid if worker else None

    def resident(self, model: str) -> int | None:
        """Bytes in memory of a model's worker, the pages of its file included; None when there is none."""
        pid = self.pid(model)
        return None if pid is None else self._memory.taken(pid).rss or None

    def residents(self) -> dict[str, int | None]:
        """The models that have a worker, and what it holds."""
        with self._lock:
            return {name: self._memory.taken(worker.pid).rss or None for name, worker in self._workers.items()}

    def room(self) -> int:
        """What more models could take of the free memory."""
        with self._lock:
            return max(plan.spare(self._memory.available(), self._loaded()), 0)

    def unload(self, model: str) -> bool:
        """Take a model out of memory that nobody needs."""
        with self._lock:
            entry = self._entries.get(model)
            if entry is None or entry.holds or (entry.worker is not None and entry.worker.busy):
                return False
            self._evict(entry)
            self._proceed()
            return True

    def forget(self, model: Model, path: Path) -> None:
        """Find out again about a model, when it is loaded next, what was found out before."""
        if self._known is not None:
            for safe_mode in (False, True):
                self._known.put(loading_name(model, path, safe_mode=safe_mode), {})

    def expected(self, model: Model, path: Path) -> Expected | None:
        """What it was when it was last loaded, if all that this depends on is the same."""
        from promptlab.core.codec import load  # here because pydantic is slow to import

        kept = self._known.get(loading_name(model, path, safe_mode=False)) if self._known is not None else None
        ready = (kept or {}).get("ready")
        if not isinstance(ready, dict) or ready.get("context") != model.context:
            return None
        try:
            return load(Expected, ready.get("expected"))
        except ValueError:
            return None

    def _keep_expected(self, worker: WorkerProcess, ready: Ready) -> None:
        if self._known is None:
            return
        name = loading_name(worker.model, worker.path, safe_mode=worker.safe_mode)
        expected = Expected.of(ready.engine, ready.vocabulary.chat_template)
        kept = dict(self._known.get(name) or {})
        found = {"context": worker.model.context, "expected": asdict(expected)}
        if kept.get("ready") != found:
            self._known.put(name, {**kept, "ready": found})

    @property
    def _workers(self) -> dict[str, WorkerProcess]:
        return {name: entry.worker for name, entry in self._entries.items() if entry.worker is not None}

    def _worker(self, model: str) -> WorkerProcess | None:
        entry = self._entries.get(model)
        return entry.worker if entry is not None else None

    # --- called by the workers' reader threads -----------------------------------------------------------------------

    def said(self, worker: WorkerProcess, message: Mapping[str, Any]) -> None:
        """Take one message of a worker."""
        if message.get("event") == "turn":
            with self._lock:
                self._turn_over(worker)
            return
        if message.get("event") == "waiting":
            with self._lock:
                worker.waiting = True
                self._hand_out()
            return
        if (kind := message.get("event")) in ("tokenized", "pieces"):
            worker.replied(int(message["id"]), message["ids" if kind == "tokenized" else "pieces"])
            return
        if message.get("event") == "found":
            if self._known is not None:
                self._known.put(loading_name(worker.model, worker.path, safe_mode=worker.safe_mode), message["found"])
            return
        event = decode(message)
        with self._lock:
            entry = self._entry(worker)
            if entry is None:  # it is on its way out: nobody waits for what it says
                return
            self._touch(entry)
            if isinstance(event, Ready):
                worker.ready = event
                self._keep_expected(worker, event)
                if worker.safe_mode:
                    self._safe.add(worker.path)
            elif isinstance(event, Failed) and event.seq is None:
                self._evict(entry)
            elif isinstance(event, Answered | Measured | Embedded | Failed) and event.seq is not None:
                worker.seqs.discard(event.seq)
            self._tell(event)
            if isinstance(event, Answered | Measured | Embedded | Failed):
                self._proceed()

    def died(self, worker: WorkerProcess, failure: Failure) -> None:
        """A worker's output has ended, and so has its process."""
        with self._lock:
            worker.answer_nobody()
            self._leaving.discard(worker)
            entry = self._entry(worker)
            if entry is None:
                self._turn_over(worker)
            elif worker.ready is None and failure.signal in CRASHES and not worker.safe_mode:
                # The default kernels crash on some machines (CONTRIBUTING, "The build"): try once more without them.
                entry.worker = None
                self._turn_over(worker)
                self._start(entry, safe_mode=True)
            else:
                self._fail(entry, worker, failure)
            self._proceed()

    def _fail(self, entry: _Entry, worker: WorkerProcess, failure: Failure) -> None:
        """Tell that a model has died: first its sequences, then itself."""
        if failure.signal in CRASHES:
            self._crashes.setdefault(entry.model.name, _Crashes(entry.model, entry.path)).count += 1
        self._forget(entry)
        self._leaving.discard(worker)
        for seq in sorted(worker.seqs):
            self._tell(Failed(entry.model.name, seq, failure))
        self._tell(Failed(entry.model.name, None, failure))

    def _check_crashes(self, model: Model, path: Path) -> None:
        """Raises EngineError when a model has crashed too often, loaded as it is meant to be now."""
        crashes = self._crashes.get(model.name)
        if crashes is None:
            return
        if not same_loading(crashes.model, crashes.path, model, path):
            del self._crashes[model.name]
        elif crashes.count >= MAX_CRASHES:
            raise EngineError(f"{model.name}: set aside after it crashed twice; see `promptlab doctor`")

    # --- memory ------------------------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Load what waits and has room now, in the order in which it was asked for."""
        for entry in [e for e in self._entries.values() if e.worker is None]:
            loaded = self._loaded()  # before the free memory: what a process takes in between is then not overlooked
            verdict = plan.admit(entry.need, self._memory.available(), loaded)
            if isinstance(verdict, plan.Load):
                entry.grant = verdict.grant
                self._start(entry, safe_mode=entry.path in self._safe)
            elif self._leaving:
                return  # there is more room when they have ended, and then this is called again
            elif isinstance(verdict, plan.Never):
                self._forget(entry)
                self._tell(Failed(entry.model.name, None, Failure("EngineError", _shortage(entry, verdict.room))))
            else:
                for name in verdict.names if isinstance(verdict, plan.Evict) else ():
                    self._evict(self._entries[name])
                return

    def _loaded(self) -> list[plan.Loaded]:
        """What is in memory, the least recently used first."""
        loaded = []
        for entry in sorted(self._entries.values(), key=lambda e: e.used):
            if (worker := entry.worker) is not None:
                taken = self._memory.taken(worker.pid)
                planned = entry.need.size(entry.grant)
                idle = entry.holds == 0 and worker.ready is not None and not worker.busy
                loaded.append(plan.Loaded(entry.model.name, planned, taken.rss, taken.private, idle))
        return loaded

    def _start(self, entry: _Entry, *, safe_mode: bool) -> None:
        model = entry.model
        kept = self._known
        known = kept.get(loading_name(model, entry.path, safe_mode=safe_mode)) if kept is not None else None
        request = load_request(
            model, entry.path, entry.grant, safe_mode=safe_mode, measure=kept is not None, known=known
        )
        self._touch(entry)
        try:
            entry.worker = WorkerProcess(self._command, self, model, entry.path, request)
            self._tell(Loading(model.name, 0.0))
        except OSError as error:
            self._forget(entry)
            failure = Failure("EngineError", f"{model.name}: its worker cannot be started: {error.strerror or error}")
            self._tell(Failed(model.name, None, failure))

    def _evict(self, entry: _Entry) -> None:
        """Take a model out that nobody needs. Its worker has nothing to lose, so it is not asked."""
        if (worker := self._forget(entry)) is not None:
            worker.kill()

    def _forget(self, entry: _Entry) -> WorkerProcess | None:
        """Take an entry out; its worker, if it has one, has yet to end."""
        self._entries.pop(entry.model.name, None)
        if entry.worker is not None:
            self._leaving.add(entry.worker)
            self._turn_over(entry.worker)
        return entry.worker

    def _entry(self, worker: WorkerProcess) -> _Entry | None:
        entry = self._entries.get(worker.model.name)
        return entry if entry is not None and entry.worker is worker else None

    def _touch(self, entry: _Entry) -> None:
        entry.used = next(self._clock)

    # --- turns -------------------------------------------------------------------------------------------------------

    def _turn_over(self, worker: WorkerProcess) -> None:
        worker.waiting = False
        if self._working is worker:
            self._working = None
        self._hand_out()

    def _hand_out(self) -> None:
        """Give the turn to whoever has waited longest among those that have work."""
        for worker in self._workers.values():
            if worker.computes and worker not in self._turns and worker is not self._working:
                self._turns.append(worker)
        while self._working is None and self._turns:
            worker = self._turns.popleft()
            if worker.computes and self._entry(worker) is not None:
                self._working = worker
                worker.send({"op": "turn"})


def _shortage(entry: _Entry, room: int) -> str:
    cure = "Lower its `context` in models.yaml or take a smaller model; `promptlab models plan` shows the numbers"
    return f"{plan.shortage(entry.model.name, entry.need, room)}. {cure}"


def _about(event: EngineEvent, model: str) -> bool:
    """Whether an event is about a model as a whole."""
    return isinstance(event, Loading | Ready | Failed) and event.model == model and getattr(event, "seq", None) is None
