"""Run prompts on models: the one loop that the command line, the terminal interface and, later, batches use.

`prepare` refuses whatever is wrong before anything is loaded. `Run.events` then says everything that happens, and keeps
a record of each job. A job that fails is a record with an error; its neighbours go on.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from ulid import ULID

from promptlab.app.lab import Lab
from promptlab.app.loading import absent, missing, start
from promptlab.core import chat
from promptlab.core.board import Board
from promptlab.core.chat import PLAIN, Formatted
from promptlab.core.events import (
    Answered,
    Asked,
    EngineEvent,
    Event,
    Failed,
    Failure,
    Finished,
    Ready,
    Vocabulary,
)
from promptlab.core.job import Job, Mode, Model, expand
from promptlab.core.options import draw_seed
from promptlab.core.program import Ask, Message, Transcript
from promptlab.core.prompt import Prompt
from promptlab.core.record import Record, finish, job_key
from promptlab.core.schema import from_text
from promptlab.engine.backend import Expected, Question
from promptlab.errors import EngineError, InputError, PromptlabError, StoreError
from promptlab.files.models import answering, present
from promptlab.sandbox import Sandbox

POLL_S = 0.1
"""How soon a cancelled run notices while the engine says nothing."""
IN_FLIGHT = 256
"""Jobs of a model that have begun and not ended, at most. More need not wait in the engine than it looks through."""

TOP = 5
"""How many of the most likely tokens to note beside each one drawn where a person looks on: to see what else could have
been said, and to go on from there.
"""

Recall = Literal["nothing", "answers", "everything"]
"""Which records of the history stand for jobs that would come to the same: none; those without an error; or those with
one too, unless they were only cancelled."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A value as it was typed; the input's type says how to read it."""

    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """What to run."""

    prompts: tuple[str, ...]
    """Names, each perhaps with a version: `explain@3`."""
    models: tuple[str, ...] = ()
    """Names, with `all` for every model on disk; none means the default ones."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Values, or `Typed` ones."""
    samples: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    """They win over those of tag, prompt and model."""
    mode: Mode | None = None
    """None means what the model's entry says."""
    log: bool = True
    """Whether to keep the records."""
    top: int = 1
    """How many of the most likely tokens to note beside each one drawn. No answer depends on it."""
    case: str | None = None
    """The id of the case that the inputs are from: the seeds depend on it."""


def prepare(lab: Lab, request: Request) -> Run:
    """Check everything that can be checked before a model is loaded.

    Raises a UsageError: NotFound, InputError, OptionError, SourceError or ModelMissing; and StoreError.
    """
    prompts = [lab.library.load(name) for name in request.prompts]
    models = answering(lab.models, request.models)
    if request.mode is not None:
        models = [replace(model, mode=request.mode) for model in models]
    rows = [(p, complete_inputs(lab, p, request.inputs, prompts), request.case) for p in prompts]
    jobs = expand(rows, models, request.samples, request.options)
    for job in jobs[:: request.samples]:
        job.options()
    for prompt, inputs, _ in rows:  # up to its first question, so that a template that cannot work is refused now
        lab.sandbox.step(prompt, inputs, ())
    if gone := absent(models):
        raise missing(gone, ", or run again with --pull")
    if request.log:
        _ = lab.store  # a history that cannot be opened is said now, not after the answers
    return Run(lab, jobs, request.log, top=request.top)


def complete_inputs(
    lab: Lab, prompt: Prompt, given: Mapping[str, Any], beside: Sequence[Prompt] = ()
) -> dict[str, Any]:
    """Read typed values, check them, and fill in defaults.

    A value that a prompt has no input for is not its fault where one of those `beside` it takes it: versions of a
    prompt may differ in their inputs. Raises InputError and SourceError.
    """
    known = {i.name for i in prompt.inputs}
    elsewhere = {i.name for other in beside for i in other.inputs} - known
    mine = {name: value for name, value in given.items() if name not in elsewhere}
    return lab.sandbox.complete(prompt, read_inputs(prompt, mine))


def read_inputs(prompt: Prompt, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read typed values by the types of a prompt's inputs. Raises InputError."""
    values: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Typed):
            declared = next((i for i in prompt.inputs if i.name == name), None)
            try:
                value = from_text(value.text, declared.schema) if declared else value.text
            except ValueError as error:
                raise InputError(
                    f"{prompt.name}: the input {name!r} {error}", hint=f"It takes {prompt.signature}"
                ) from None
        values[name] = value
    return values


class Run:
    """A run that can begin."""

    def __init__(
        self,
        lab: Lab,
        jobs: Sequence[Job],
        log: bool,
        *,
        recall: Recall = "nothing",
        interactive: bool = True,
        top: int = 1,
    ) -> None:
        """`interactive`: somebody waits for the answers, so they come before those that nobody does."""
        self.lab = lab
        self.jobs = tuple(jobs)
        self._log = log
        self._recall = recall
        self._interactive = interactive
        self._top = top
        self.board = Board(jobs)
        """Every job as it stands."""
        self.trouble: StoreError | None = None
        """Why a record could not be kept. The run goes on all the same: its answers can still be shown."""
        self._id = str(ULID())
        self._begun: dict[int, str] = {}
        self._answers: dict[int, tuple[str, ...]] = {job.id: () for job in jobs}
        self._vocabularies: dict[str, Vocabulary] = {}
        self._open = Counter(job.model.name for job in jobs)
        """Jobs of each model that have not ended."""
        self._waiting = {name: deque(job for job in jobs if job.model.name == name) for name in self._open}
        """Jobs of each model that have not begun; some have ended."""
        self._flying: Counter[str] = Counter()
        """Jobs of each model that have begun and not ended."""
        self._expected: dict[str, Expected] = {}
        """What the history was last searched for."""
        self._again: set[str] = set()
        """Models whose worker died, and that were loaded once more."""
        self._held: set[str] = set()
        """Models that the engine keeps in memory for this run."""
        self._cancel = threading.Event()
        self._keep_cancelled = True

    @property
    def models(self) -> list[Model]:
        """The models in the order in which they are loaded."""
        return list({job.model.name: job.model for job in self.jobs}.values())

    def cancel(self, *, keep: bool = True) -> None:
        """End everything that runs; what has been answered so far is kept. May be called from any thread.

        Unless `keep`, nothing is kept of jobs that have not ended: somebody means to go on with them.
        """
        self._keep_cancelled = keep
        self._cancel.set()

    def events(self) -> Iterator[Event]:
        """Do it. Ends when each job has its `Finished`."""
        try:
            yield from self._events()
        finally:
            for name in sorted(self._held):  # only where it broke off
                self.lab.backend.release(name)

    def _events(self) -> Iterator[Event]:
        for model in self.models:
            if not self._cancel.is_set():
                yield from self._remember(model)
        for model in self.models:
            if self._open[model.name] and not self._cancel.is_set():
                yield from self._load(model)
        told = False
        while self.board.running:
            if self._cancel.is_set() and not told:
                told = True
                yield from self._stop()
            event = self.lab.backend.next_event(POLL_S)
            if event is not None:
                yield from self._take(event)

    def _remember(self, model: Model) -> Iterator[Event]:
        """Take from the history what a model has answered before, if what it is can be told without loading it."""
        path = present(model) if self._recall != "nothing" else None
        expected = self.lab.backend.expected(model, path) if path is not None else None
        if expected is not None:
            yield from self._look_up(model, expected)

    def _look_up(self, model: Model, expected: Expected) -> Iterator[Event]:
        if self._recall == "nothing" or self._expected.get(model.name) == expected:
            return
        self._expected[model.name] = expected
        template = expected.template_for(model)
        keys = {job: job_key(self.jobs[job], expected.engine, template) for job in self._unbegun(model.name)}
        kept = self.lab.store.current(list(keys.values()))
        for job, key in keys.items():
            record = kept.get(key)
            if record is not None and self._stands(record):
                yield from self._finish(self.jobs[job], record, cached=True)

    def _unbegun(self, model: str) -> list[int]:
        return [job.id for job in self._waiting[model] if self.board.cell(job).record is None]

    def _stands(self, record: Record) -> bool:
        """Whether a record of the history is taken for the answer."""
        if record.error is None:
            return True
        return self._recall == "everything" and record.error.type != _CANCELLED.type

    def _load(self, model: Model) -> Iterator[Event]:
        try:
            start(self.lab, model)
        except PromptlabError as error:
            yield from self._take(Failed(model.name, None, Failure.of(error)))
        else:
            self._held.add(model.name)

    def _take(self, event: EngineEvent) -> Iterator[Event]:
        """Fold an event of the engine into the cells that it is about, and go on from there."""
        cells = self.board.take(event)
        if not cells:  # left over from an earlier run
            return
        yield event
        jobs = [cell.job for cell in cells]
        model = jobs[0].model
        match event:
            case Ready():
                self._vocabularies[event.model] = event.vocabulary
                yield from self._look_up(model, Expected.of(event.engine, event.vocabulary.chat_template))
            case Answered():
                yield from self._answered(jobs[0], event)
            case Failed(failure=failure):
                yield from self._failed(jobs, event, failure)
                if failure.signal is not None:  # its worker has died: there is nobody to ask until it is loaded again
                    return
        if model.name in self._vocabularies:
            yield from self._begin(model.name)

    def _begin(self, model: str) -> Iterator[Event]:
        """Begin as many jobs as may be under way at once."""
        waiting = self._waiting[model]
        while waiting and self._flying[model] < IN_FLIGHT:
            job = waiting.popleft()
            if self.board.cell(job).record is None:
                yield from self._advance(job)

    def _failed(self, jobs: Sequence[Job], event: Failed, failure: Failure) -> Iterator[Event]:
        """End what has failed. When a worker has died, it is loaded once more for what it had not begun."""
        whole = event.seq is None
        if whole:
            self._vocabularies.pop(event.model, None)
            self._held.discard(event.model)
        retried = whole and failure.signal is not None and event.model not in self._again and not self._cancel.is_set()
        for job in jobs:
            if not (retried and job.id not in self._begun):
                yield from self._end(job, failure=failure)
        if retried and self._open[event.model]:
            self._again.add(event.model)
            yield from self._load(jobs[0].model)

    def _answered(self, job: Job, event: Answered) -> Iterator[Event]:
        if event.finish_reason == "cancelled":
            yield from self._end(job, failure=_CANCELLED)
            return
        self._answers[job.id] += (event.text,)
        yield from self._advance(job)

    def _advance(self, job: Job) -> Iterator[Event]:
        """Take a job to its next question, or to its end."""
        if self._cancel.is_set():
            yield from self._end(job, failure=_CANCELLED)
            return
        if job.id not in self._begun:
            self._begun[job.id] = _now()
            self._flying[job.model.name] += 1
        try:
            result = self.lab.sandbox.step(job.prompt, job.inputs, self._answers[job.id])
            question = None if isinstance(result, Transcript) else self._question(job, result)
        except PromptlabError as error:
            yield from self._end(job, failure=Failure.of(error))
            return
        if isinstance(result, Transcript):
            yield from self._end(job, output=result.output)
        elif question is not None:
            asked, put = question
            self.board.take(asked)
            yield asked
            self.lab.backend.ask(put)

    def _question(self, job: Job, ask: Ask) -> tuple[Asked, Question]:
        """Write what a program asks as its model reads it."""
        options, base = job.options(ask.options)
        seed = draw_seed(base, job.case, job.sample, len(self._answers[job.id]))
        formatted = write(self.lab.sandbox, job.model, self._vocabularies[job.model.name], ask.messages)
        seq = next(self.lab.sequences)
        asked = Asked(
            job.id, seq, ask.name, ask.messages, seed, options.plain(), formatted.system_moved, ask.constraint
        )
        return asked, Question(
            job.model.name,
            seq,
            formatted.segments,
            options,
            seed,
            self._top,
            constraint=ask.constraint,
            interactive=self._interactive,
            messages=() if formatted.segments else ask.messages,
        )

    def _stop(self) -> Iterator[Event]:
        """Cancel what runs, and end what does not."""
        # The last ones first: a model that waits for memory must not be loaded because one before it has been let go.
        for cell in reversed(self.board.cells):
            if cell.record is not None:
                continue
            if cell.seq is not None:
                self.lab.backend.cancel(cell.job.model.name, cell.seq)
            else:
                yield from self._end(cell.job, failure=_CANCELLED)

    def _end(self, job: Job, *, output: Any = None, failure: Failure | None = None) -> Iterator[Event]:
        cell = self.board.cell(job)
        started_at = self._begun.get(job.id) or _now()
        record = finish(cell, id=str(ULID()), started_at=started_at, output=output, failure=failure, run=self._id)
        if self._log and (failure is not _CANCELLED or self._keep_cancelled):
            self._keep(record)
        if job.id in self._begun:
            self._flying[job.model.name] -= 1
        yield from self._finish(job, record)

    def _finish(self, job: Job, record: Record, *, cached: bool = False) -> Iterator[Event]:
        event = Finished(job.id, record, cached)
        self.board.take(event)
        self._let_go(job.model.name)
        yield event

    def _let_go(self, model: str) -> None:
        """A job of this model has ended. After the last one, there is room for others; one that is loading stops."""
        self._open[model] -= 1
        if not self._open[model] and model in self._held:
            self._held.remove(model)
            self.lab.backend.release(model)

    def _keep(self, record: Record) -> None:
        try:
            self.lab.store.append(record)
        except StoreError as error:
            self.trouble = error


def write(sandbox: Sandbox, model: Model, vocabulary: Vocabulary, messages: tuple[Message, ...]) -> Formatted:
    """Write messages as the model reads them, up to where its answer begins; one that has begun already goes on.

    Nothing is written where a server has the model: it gets the messages, and uses a chat template of its own. Raises
    RenderError, and EngineError when the model has no chat template.
    """
    if model.chat_template == PLAIN:
        return chat.plain(messages)
    if model.server is not None:
        return Formatted(())
    if vocabulary.chat_template is None:
        raise EngineError(
            f"{model.name}: its file holds no chat template",
            hint="For a base model, say `chat_template: plain` in models.yaml",
        )
    hidden, table = chat.hide(messages, vocabulary.control_tokens)
    turns, begun = (hidden[:-1], hidden[-1].content) if hidden[-1].role == "assistant" else (hidden, "")
    text, moved = sandbox.chat(vocabulary.chat_template, turns, bos=vocabulary.bos, eos=vocabulary.eos)
    return Formatted(chat.show(text + begun, table, vocabulary.control_tokens), moved)


_CANCELLED = Failure("Cancelled", "cancelled before it was finished")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def records(run: Run) -> list[Record]:
    """Run to the end and give the records, in the order of the jobs."""
    for _ in run.events():
        pass
    return run.board.records
