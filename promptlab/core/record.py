"""The record of one execution: what happened, with everything that is needed to do it again.

`fold` turns events into the growing `Cell` of a job, which is what columns show; `finish` turns a cell into a `Record`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from promptlab.core.chat import template_hash
from promptlab.core.constraint import Constraint
from promptlab.core.events import (
    UNCOUNTED,
    UNKNOWN,
    Alternative,
    Answered,
    Asked,
    Engine,
    Event,
    Failed,
    Failure,
    Finished,
    FinishReason,
    Loading,
    Ready,
    Started,
    Timings,
    Token,
    Usage,
)
from promptlab.core.job import Job
from promptlab.core.tape import Message

SCHEMA = 1

Status = Literal["waiting", "loading", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One token of an answer."""

    id: int
    logprob: float
    top: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One generation of a program."""

    name: str
    """In a prompt that the program called, `CALL.GENERATION`."""
    messages: tuple[Message, ...]
    """Where the last one is an assistant's, `text` goes on from it."""
    prompt_ids: tuple[int, ...]
    seed: int
    options: Mapping[str, Any]
    """All options that held for this step."""
    tokens: tuple[Drawn, ...]
    text: str
    finish_reason: FinishReason | None = None
    """None while it runs, and where it failed."""
    usage: Usage | None = None
    timings: Timings | None = None
    distribution: Mapping[str, float] | None = None
    system_moved: bool = False
    """The model's template takes no system message: its text stands before the first user message."""
    constraint: Constraint | None = None
    """What the answer had to be."""


@dataclass(frozen=True, slots=True)
class PromptRef:
    """Which prompt it was."""

    name: str
    label: str
    hash: str
    source: str
    partials: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    """The commit that it is from; of a working copy, the one checked out. None without git."""
    dirty: bool | None = None
    """Whether the prompt, or what it uses, differs from that commit; None without git."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model it was."""

    name: str
    sha256: str | None
    template_hash: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """One execution of one prompt on one model: self-sufficient, and the same as JSON. `schema` counts its versions."""

    schema: int
    id: str
    """A ULID."""
    key: str
    """SHA-256 of what determines the answer: see `key`."""
    started_at: str
    """UTC, ISO 8601 with a Z."""
    prompt: PromptRef
    case: str | None
    inputs: Mapping[str, Any]
    sample: int
    seed: int
    """The base seed; each step has its own, derived from it."""
    options: Mapping[str, Any]
    """What held for steps whose tag said nothing else."""
    model: ModelRef
    engine: Engine | None
    """None when the model never ran."""
    steps: tuple[Step, ...]
    output: Any
    checks: tuple[Any, ...] = ()
    error: Failure | None = None
    overrides: Mapping[str, Any] | None = None
    """Of the options, those that were asked for with the run: they won over those of tags too. None in old records."""
    run: str | None = None
    """The run that it came of, a ULID that all its records have. No answer depends on it. None in old records."""
    place: int | None = None
    """Which of that run's jobs it was, from 0: columns stand in their order. None in old records."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A job as it stands: what a column shows."""

    job: Job
    status: Status = "waiting"
    progress: float = 0.0
    """Of loading the model, from 0 to 1."""
    steps: tuple[Step, ...] = ()
    """The last one may still be running."""
    seq: int | None = None
    """The running sequence."""
    engine: Engine | None = None
    load_s: float = 0.0
    template: str | None = None
    """The chat template in use."""
    record: Record | None = None
    """Once it is done."""
    cached: bool = False
    """It was answered before: the record is from the history."""

    @property
    def text(self) -> str:
        """The answer as far as it has come: the text of the last step."""
        return self.steps[-1].text if self.steps else ""


def fold(cell: Cell, event: Event) -> Cell:
    """Take one event into a cell; events of other jobs, models and sequences leave it as it is."""
    match event:
        case Finished(job=job, record=record, cached=cached) if job == cell.job.id:
            status: Status = "done"
            if record.error:
                status = "cancelled" if record.error.type == "Cancelled" else "failed"
            return replace(cell, status=status, record=record, steps=record.steps, seq=None, cached=cached)
        case Loading(model=model, fraction=fraction) if model == cell.job.model.name and cell.status in (
            "waiting",
            "loading",
        ):
            return replace(cell, status="loading", progress=fraction)
        case Ready(model=model) if model == cell.job.model.name and cell.status in ("waiting", "loading"):
            template = cell.job.model.chat_template or event.vocabulary.chat_template
            return replace(
                cell, status="waiting", progress=1.0, engine=event.engine, load_s=event.load_s, template=template
            )
        case Asked(job=job) if job == cell.job.id:
            step = Step(
                event.name,
                event.messages,
                (),
                event.seed,
                event.options,
                (),
                "",
                system_moved=event.system_moved,
                constraint=event.constraint,
            )
            return replace(cell, status="running", seq=event.seq, steps=(*cell.steps, step))
        case Started(seq=seq, prompt_ids=ids) if seq == cell.seq:
            return _amend(cell, prompt_ids=ids)
        case Token(seq=seq) if seq == cell.seq:
            step = cell.steps[-1]
            # All tokens of an answer are known, or none: a few of them would pass for the whole.
            tokens = () if event.id == UNKNOWN else (*step.tokens, Drawn(event.id, event.logprob, event.top))
            return _amend(cell, tokens=tokens, text=step.text + event.text)
        case Answered(seq=seq) if seq == cell.seq:
            timings = replace(event.timings, load_s=cell.load_s)
            cell = _amend(
                cell,
                text=event.text,
                finish_reason=event.finish_reason,
                usage=None if event.usage == UNCOUNTED else event.usage,
                timings=timings,
                distribution=event.distribution,
            )
            return replace(cell, seq=None)
        case Failed(seq=seq) if seq is not None and seq == cell.seq:
            return replace(cell, seq=None)
    return cell


def _amend(cell: Cell, **changes: Any) -> Cell:
    return replace(cell, steps=(*cell.steps[:-1], replace(cell.steps[-1], **changes)))


def finish(
    cell: Cell,
    *,
    id: str,
    started_at: str,
    output: Any = None,
    failure: Failure | None = None,
    run: str | None = None,
) -> Record:
    """Make the record of a cell that has ended."""
    job = cell.job
    options, seed = job.options()
    prompt = PromptRef(
        job.prompt.name,
        job.prompt.label,
        job.prompt.hash,
        job.prompt.source,
        job.prompt.partials,
        job.prompt.commit,
        job.prompt.dirty,
    )
    template = template_hash(cell.template) if cell.template else None
    return Record(
        schema=SCHEMA,
        id=id,
        key=job_key(job, cell.engine, template),
        started_at=started_at,
        prompt=prompt,
        case=job.case,
        inputs=job.inputs,
        sample=job.sample,
        seed=seed,
        options=options.plain(),
        model=ModelRef(job.model.name, job.model.sha256, template),
        engine=cell.engine,
        steps=cell.steps,
        output=output,
        error=failure,
        overrides=dict(job.overrides),
        run=run,
        place=job.id if run else None,
    )


def job_key(job: Job, engine: Engine | None, template: str | None) -> str:
    """The key of the record that a job comes to, on an engine and with a chat template of this hash.

    Raises OptionError.
    """
    options, seed = job.options()
    model = ModelRef(job.model.name, job.model.sha256, template)
    return key(job.prompt.hash, job.inputs, job.case, model, engine, options.plain(), job.overrides, seed, job.sample)


def key(
    prompt_hash: str,
    inputs: Mapping[str, Any],
    case: str | None,
    model: ModelRef,
    engine: Engine | None,
    options: Mapping[str, Any],
    overrides: Mapping[str, Any],
    seed: int,
    sample: int,
) -> str:
    """SHA-256, in hex, over JSON of everything that determines an answer.

    `options` are those that hold where a tag says nothing. `overrides`, the command line's, stand there by themselves
    too: only they win over those of a tag.
    """
    what = {
        "prompt": prompt_hash,
        # As text, in their order: a template sees the order of a mapping.
        "inputs": _json(inputs, sort_keys=False),
        "case": case,
        "model": [model.sha256, model.template_hash],
        "engine": None if engine is None else decisive(engine),
        "options": options,
        "overrides": overrides,
        "seed": seed,
        "sample": sample,
    }
    return hashlib.sha256(_json(what, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def decisive(engine: Engine) -> list[Any]:
    """What of an engine an answer depends on."""
    decisive = [engine.mode, dict(engine.layout), engine.threads, engine.context, engine.llama_cpp, engine.build]
    more: list[Any] = [each for each in (engine.llguidance, engine.revision) if each]
    more += [asdict(engine.server)] if engine.server else []
    return [*decisive, *more]


def _json(value: Any, *, sort_keys: bool) -> str:
    return json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False)
