"""Replay: ask again what records say was asked, and tell whether the answers are the same.

A record holds all that is needed: the prompt's own text, what was answered, seeds, options, and what computed it. As
the recorded answers are what later steps are asked with, all steps of all records are asked at once, and the engine
batches them. Nothing is written to the history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from promptlab.app.lab import Lab
from promptlab.app.loading import start
from promptlab.app.run import POLL_S, write
from promptlab.core.chat import PLAIN, template_hash
from promptlab.core.events import Answered, EngineEvent, Failed, Failure, Ready, Started, Token
from promptlab.core.formats import SUFFIXES, parse_file
from promptlab.core.job import Mode, Model
from promptlab.core.options import merge_options
from promptlab.core.program import Transcript
from promptlab.core.prompt import Prompt
from promptlab.core.record import Record, Step
from promptlab.core.replay import (
    Compared,
    Replayed,
    compare,
    finished,
    incomparable,
    judge,
    obstacles,
    other_end,
    other_question,
    step_name,
    unfinished,
)
from promptlab.engine.backend import Question
from promptlab.errors import ModelMissing, PromptlabError, SourceError, StoreError
from promptlab.files.models import present
from promptlab.files.pull import verify

IN_FLIGHT = 256
"""Questions asked and not answered yet."""
TOP = 2
"""Alternatives to note, at least: where two answers part, both are often among them."""
EVERYTHING = 2**62
"""More records than there can be."""
_LAYOUT = ("kv_unified", "flash_attention")
"""What of a layout can be set by hand, and an answer in the mode `fast` depends on."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A model, and how it was loaded: records of the same one are replayed together."""

    name: str
    sha256: str
    mode: Mode
    threads: int
    context: int
    plain: bool
    """Whether its prompts were joined as plain text."""
    layout: tuple[tuple[str, bool | int | str], ...]
    kv_type: str | None = None
    gpu_layers: int = 0


def named(lab: Lab, ids: Sequence[str]) -> list[str]:
    """The whole ids of records, each once, of ids or beginnings that no other has. Raises NotFound and StoreError."""
    return list(dict.fromkeys(lab.store.get(id).id for id in ids))


def newest(lab: Lab, limit: int = EVERYTHING) -> list[str]:
    """The ids of the newest records, the newest first. Raises StoreError."""
    return [row.id for row in lab.store.recent(limit)]


def replay(lab: Lab, ids: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> Iterator[Replayed]:
    """Ask records again, model by model, and give the verdict on each as soon as it is there.

    Ends early, without the verdicts that are not there yet, once `stopped` says so. Takes the engine's events: not for
    use while a run goes on. Raises StoreError and SourceError.
    """
    setups: dict[Setup, list[str]] = {}
    for id in ids:  # a history may be larger than memory: only ids are kept, and records are read again when asked
        try:
            record = lab.store.get(id)
        except StoreError as error:
            yield Replayed(id, "", "", "", "incomparable", (str(error),))
            continue
        if reasons := _reasons(lab, record):
            yield incomparable(record, reasons)
        elif setup := _setup(record):
            setups.setdefault(setup, []).append(id)
        else:
            yield judge(record, {})
    for setup, same in setups.items():
        if not stopped():
            yield from _Session(lab, setup, same, stopped).verdicts()


# --- what can be said before anything is loaded ----------------------------------------------------------------------


def _reasons(lab: Lab, record: Record) -> list[str]:
    """Why a record cannot be compared, as far as it can be told without its model."""
    early = unfinished(record)
    # It says nothing that could be compared: whether it could be asked does not matter.
    return [early] if early else [*_missing(lab, record), *_program(lab, record)]


def _missing(lab: Lab, record: Record) -> Iterator[str]:
    """Say that the weights are not on disk."""
    name, sha256 = record.model.name, record.model.sha256
    if not record.steps:
        return
    if record.engine is not None and record.engine.server is not None:
        yield f"{name} is behind a server: what answered, and whether it still does, cannot be known"
    elif sha256 is None or record.engine is None:
        yield f"the record does not say which {'weights' if sha256 is None else 'engine'} answered"
    elif present(Model(name, sha256)) is None:
        entries = lab.models
        have = [model.name for model in entries.values() if model.sha256 == sha256]
        cure = f"; `promptlab models pull {have[0]}` fetches it" if have else ""
        changed = " (models.yaml names another file for it now)" if name in entries and not have else ""
        yield f"the file of {name}, sha256 {sha256}, is not on disk{changed}{cure}"


def _program(lab: Lab, record: Record) -> list[str]:
    """Say what the prompt does otherwise than it did: as another version of promptlab may read it."""
    source, name = record.prompt.source, record.prompt.name
    unread: list[str] = []
    found: list[list[str]] = []
    for suffix in SUFFIXES:  # a record does not say which kind of file its prompt was in
        try:
            prompt = parse_file(source, name + suffix).with_partials(record.prompt.partials)
        except SourceError as error:
            unread.append(f"the prompt cannot be read again: {_flat(error)}")
            continue
        found.append(_otherwise(lab, record, prompt))
        if not found[-1]:
            return []
    return found[0] if found else unread[:1]


def _otherwise(lab: Lab, record: Record, prompt: Prompt) -> list[str]:
    """Run a record's prompt on its answers, and say what it does otherwise."""
    reasons: list[str] = []
    answers = tuple(step.text for step in record.steps)
    try:
        for i in finished(record):
            now = lab.sandbox.step(prompt, record.inputs, answers[:i])
            reasons += other_question(record, i, now, prompt.options)
            if isinstance(now, Transcript):
                return reasons
        if record.error is None:
            reasons += other_end(record, lab.sandbox.step(prompt, record.inputs, answers))
    except PromptlabError as error:
        reasons.append(f"the prompt cannot be run again: {_flat(error)}")
    return reasons


def _flat(error: PromptlabError) -> str:
    return " ".join(str(error).split())


def _setup(record: Record) -> Setup | None:
    """What a record that can be compared is to be asked of; None where it asks nothing."""
    engine, sha256 = record.engine, record.model.sha256
    if not record.steps or engine is None or sha256 is None:
        return None
    mode: Mode = "fast" if engine.mode == "fast" else "exact"
    plain = record.model.template_hash == template_hash(PLAIN)
    layout = tuple((key, engine.layout[key]) for key in _LAYOUT if key in engine.layout) if mode == "fast" else ()
    if "multiple" in engine.layout:  # made in a batch, in calls of many rows
        layout = (*layout, ("wide", True))
    kv_type, gpu_layers = engine.layout.get("kv_type"), int(engine.layout.get("gpu_layers", 0))
    loaded = (engine.threads, engine.context, plain, layout, None if kv_type is None else str(kv_type), gpu_layers)
    return Setup(record.model.name, sha256, mode, *loaded)


# --- one model -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A record of which something is still to be answered."""

    record: Record
    left: int
    compared: dict[int, Compared] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    """Why it cannot be compared."""
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Asked:
    """A step that is being answered."""

    open: _Open
    index: int
    tokens: list[Token] = field(default_factory=list)

    @property
    def step(self) -> Step:
        return self.open.record.steps[self.index]

    @property
    def name(self) -> str:
        return step_name(self.open.record, self.index)


class _Session:
    """The records of one setup, while they are asked again."""

    def __init__(self, lab: Lab, setup: Setup, ids: Sequence[str], stopped: Callable[[], bool]) -> None:
        self._lab = lab
        self._ids = ids
        self._stopped = stopped
        self._model = _model(lab, setup)
        self._running: dict[int, _Asked] = {}
        self._over: deque[Replayed] = deque()
        """Verdicts that nobody has yet."""
        self._dead: Failure | None = None
        """Why the model is gone."""
        self._intact: bool | None = None
        """Whether the model's file is what its hash says, once that was asked."""

    def verdicts(self) -> Iterator[Replayed]:
        """Load the model, ask everything, and give the verdicts as they come."""
        try:
            # Nothing is asked before it is ready; where that fails, the records are gone through all the same.
            waiting = self._open_all(self._load())
            while not self._stopped():
                while len(self._running) < IN_FLIGHT and (asked := next(waiting, None)):
                    self._ask(*asked)
                while self._over:
                    yield self._over.popleft()
                if not self._running:
                    return
                if event := self._lab.backend.next_event(POLL_S):
                    self._take(event)
        finally:
            for seq in self._running:  # only where it broke off
                self._lab.backend.cancel(self._model.name, seq)
            self._lab.backend.release(self._model.name)

    def _load(self) -> Ready | None:
        """Load the model; None, and a reason in `_dead`, where that fails."""
        name = self._model.name
        try:
            start(self._lab, self._model)
        except PromptlabError as error:
            self._dead = Failure.of(error)
            return None
        while not self._stopped():
            match self._lab.backend.next_event(POLL_S):
                case Ready(model=model) as ready if model == name:
                    return ready
                case Failed(model=model, seq=None, failure=failure) if model == name:
                    self._dead = failure
                    return None
        return None

    def _open_all(self, ready: Ready | None) -> Iterator[tuple[_Asked, Ready]]:
        """Read the records one after another; give their steps, or at once the verdict where there is nothing to ask.

        A verdict may wait for the steps of the next record that has any.
        """
        template = self._model.chat_template or (ready.vocabulary.chat_template if ready else None)
        for id in self._ids:
            record = self._lab.store.get(id)
            if ready is None or self._dead:
                self._over.append(incomparable(record, [self._gone()]))
            elif reasons := obstacles(record, ready.engine, template):
                self._over.append(incomparable(record, reasons))
            else:
                steps = finished(record)
                opened = _Open(record, len(steps))
                yield from ((_Asked(opened, i), ready) for i in steps)

    def _gone(self) -> str:
        return f"the model cannot be asked: {_cause(self._dead) if self._dead else 'it is not there'}"

    def _ask(self, asked: _Asked, ready: Ready) -> None:
        """Ask a step again, with all that held for it."""
        step = asked.step
        try:
            options, _ = merge_options(step.options)
            segments = write(self._lab.sandbox, self._model, ready.vocabulary, step.messages).segments
        except PromptlabError as error:
            self._end(asked, reason=f"{asked.name} cannot be asked again: {error}")
            return
        if self._dead:
            self._end(asked, failure=self._gone())
            return
        seq = next(self._lab.sequences)
        self._running[seq] = asked
        top = max([TOP, *(len(drawn.top) for drawn in step.tokens)])
        question = Question(
            self._model.name, seq, segments, options, step.seed, top, step.constraint, interactive=False
        )
        self._lab.backend.ask(question)

    def _take(self, event: EngineEvent) -> None:
        match event:
            case Started(seq=seq, prompt_ids=ids) if (asked := self._running.get(seq)) and ids != asked.step.prompt_ids:
                del self._running[seq]
                self._lab.backend.cancel(self._model.name, seq)
                self._end(asked, reason=f"{asked.name} is read as other tokens: the prompt is not the same")
            case Token(seq=seq) if asked := self._running.get(seq):
                asked.tokens.append(event)
            case Answered(seq=seq) if asked := self._running.pop(seq, None):
                asked.open.compared[asked.index] = compare(asked.step, asked.tokens, event)
                self._end(asked)
            case Failed(seq=int(seq), failure=failure) if asked := self._running.pop(seq, None):
                self._end(asked, failure=f"{asked.name} was not answered: {_cause(failure)}")
            case Failed(model=self._model.name, seq=None, failure=failure):
                self._dead = failure

    def _end(self, asked: _Asked, *, reason: str = "", failure: str = "") -> None:
        """A step is over; with the last one, so is its record."""
        opened = asked.open
        opened.reasons += [reason] if reason else []
        opened.failures += [failure] if failure else []
        opened.left -= 1
        if opened.left == 0:
            self._over.append(self._verdict(opened))

    def _verdict(self, opened: _Open) -> Replayed:
        if opened.reasons:
            return incomparable(opened.record, opened.reasons)
        verdict = judge(opened.record, opened.compared, tuple(dict.fromkeys(opened.failures)))
        if verdict.verdict in ("identical", "incomparable") or self._is_intact():
            return verdict
        reason = f"the file of {self._model.name} is not what its hash says; `promptlab models verify` says more"
        return incomparable(opened.record, [reason])

    def _is_intact(self) -> bool:
        """Whether the weights are still those that the record names. It takes a while, so only doubt asks it."""
        if self._intact is None:
            try:
                self._intact = verify(self._model, progress=lambda at: None).ok
            except (ModelMissing, StoreError):
                self._intact = False
        return self._intact


def _cause(failure: Failure) -> str:
    """Why something failed, and the last that was heard of a process that died."""
    return ": ".join((failure.message, *failure.stderr[-1:]))


def _model(lab: Lab, setup: Setup) -> Model:
    """The model as it was loaded. Whatever else its entry says holds too, where there is one for these weights.

    Where as many threads are the usual now, they are not asked for by number: so others can use it at the same time.
    """
    entries = [model for model in lab.models.values() if model.sha256 == setup.sha256]
    entry = next((m for m in entries if m.name == setup.name), Model(setup.name, setup.sha256))
    model = replace(
        entry,
        context=setup.context,
        mode=setup.mode,
        layout=dict(setup.layout) or entry.layout,
        kv_type=setup.kv_type,
        gpu_layers=setup.gpu_layers,
        chat_template=PLAIN if setup.plain else None,
    )
    path = present(model)
    usual = lab.backend.expected(model, path) if path is not None else None
    if usual is not None and usual.engine.threads == setup.threads:
        return model
    return replace(model, threads=setup.threads)
