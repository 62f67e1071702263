"""Reopen what the history holds: records as the cells that columns show, and the same asked once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ulid import ULID

from promptlab.app.lab import Lab
from promptlab.app.loading import absent, missing
from promptlab.app.run import TOP, Run
from promptlab.core.formats import SUFFIXES, parse_file
from promptlab.core.job import Job, Model
from promptlab.core.options import merge_options
from promptlab.core.prompt import Prompt
from promptlab.core.record import Cell, Record, Status
from promptlab.core.samerun import Span, same_run
from promptlab.errors import NotFound, PromptlabError, SourceError, StoreError, UsageError

AROUND = timedelta(hours=1)
"""How far from a record others of its run are looked for."""
MOST = 64
"""Records that are looked at for that, and columns that come of it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Records, as they are shown again."""

    cells: tuple[Cell, ...]
    focus: int
    """The cell that was asked for, from 0."""
    prompt: str | None
    """The prompt to choose; None where there is none of this name any more, or the records are of several."""
    versions: tuple[str, ...] = ()
    """The versions to choose, by their labels; none where they are no longer to be had."""
    note: str = ""
    """In what the library is not as it was; a sentence, or empty."""

    @property
    def records(self) -> tuple[Record, ...]:
        """What the cells show."""
        return tuple(cell.record for cell in self.cells if cell.record is not None)

    @property
    def record(self) -> Record:
        """What was asked for."""
        record = self.cells[self.focus].record
        assert record is not None
        return record

    @property
    def samples(self) -> int:
        """How often each model was asked."""
        return max(record.sample for record in self.records) + 1

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were asked, by name."""
        return tuple(dict.fromkeys(record.model.name for record in self.records))

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The options that neither the prompt nor the model says: those that somebody chose for the run."""
        return self.cells[self.focus].job.overrides

    @property
    def mode(self) -> str | None:
        """The mode, where it is not the one that models.yaml says."""
        engine = self.record.engine
        return None if engine is None or engine.mode == self.cells[self.focus].job.model.mode else engine.mode


def reopen(lab: Lab, id: str) -> Opened:
    """A record with those of its run that are of its prompt and case. Raises NotFound and StoreError."""
    record = lab.store.get(id)
    ids = lab.store.of_run(record) if record.run else _likely(lab, record)
    return _open(lab, _together(lab, ids if record.id in ids else [record.id], record), record)


def reopen_all(lab: Lab, ids: Sequence[str]) -> Opened:
    """These records and no others, at most `MOST`. Raises NotFound and StoreError."""
    records = [lab.store.get(id) for id in ids[:MOST]]
    return _open(lab, records, records[0])


def again(lab: Lab, ids: Sequence[str]) -> Run:
    """What records say was asked, to be asked once more: the same source, inputs, options, model, sample and seed.

    Raises UsageError (also where a prompt cannot be read, or a model is gone), and StoreError.
    """
    entries = lab.models
    records = [lab.store.get(id) for id in ids]
    jobs = [_job(n, record, _read(lab, record), _model(entries, record)) for n, record in enumerate(records)]
    files: dict[str, Model] = {}
    for job in jobs:
        if files.setdefault(job.model.name, job.model).sha256 != job.model.sha256:
            raise UsageError(f"{job.model.name} was another file in some of these runs; run them again one by one")
        job.options()
        lab.sandbox.step(job.prompt, job.inputs, ())
    if gone := absent(files.values()):
        raise missing(gone)
    return Run(lab, jobs, True, top=TOP)


# --- the records of a run --------------------------------------------------------------------------------------------


def _likely(lab: Lab, record: Record) -> list[str]:
    """Of a record that does not say of which run it came, those that are likely of the same: see `core.samerun`."""
    return same_run([_span(each) for each in _around(lab, record)], record.id)


def _around(lab: Lab, record: Record) -> list[Record]:
    """Records of the same prompt with the same inputs, from about the same time, that do not say of which run."""
    try:
        start = datetime.fromisoformat(record.started_at)
        since, until = ((start + by).isoformat()[:19] for by in (-AROUND, AROUND))
    except (ValueError, OverflowError):
        return [record]
    ids = lab.store.alike(record, since, until)
    at = ids.index(record.id) if record.id in ids else 0
    near = ids[max(0, at - MOST) : at + MOST]
    return [each for each in _readable(lab, near) if each.inputs == record.inputs and not each.run]


def _together(lab: Lab, ids: Sequence[str], record: Record) -> list[Record]:
    """The records of a run, in the order of its jobs: model by model. The one that is wanted is among them."""
    at = ids.index(record.id)
    records = _readable(lab, ids[max(0, at - MOST + 1) :][:MOST])
    if len({_column(each) for each in records}) < len(records):  # cases of two files may have the same id
        records = [each for each in records if each.inputs == record.inputs]
    # Older ones do not say which job they were: then whichever began first stands first.
    records.sort(key=lambda each: (each.place is None, each.place or 0))
    models = list(dict.fromkeys(each.model.name for each in records))
    labels = list(dict.fromkeys(each.prompt.label for each in records))
    return sorted(records, key=lambda r: (models.index(r.model.name), labels.index(r.prompt.label), r.sample))


def _readable(lab: Lab, ids: Sequence[str]) -> list[Record]:
    found: list[Record] = []
    for id in ids:
        try:
            found.append(lab.store.get(id))
        except (NotFound, StoreError):
            continue
    return found


def _span(record: Record) -> Span:
    try:
        start = datetime.fromisoformat(record.started_at).timestamp()
    except (ValueError, OverflowError, OSError):
        start = 0.0
    try:
        end = ULID.from_str(record.id).timestamp  # an id is made when its job ends
    except ValueError:
        end = start
    return Span(record.id, _column(record), start, max(start, end))


def _column(record: Record) -> tuple[str, str, int]:
    """What a run has once for each case."""
    return record.prompt.label, record.model.name, record.sample


# --- records as cells ------------------------------------------------------------------------------------------------


def _open(lab: Lab, records: Sequence[Record], record: Record) -> Opened:
    try:
        entries = lab.models
    except PromptlabError:
        entries = {}
    cells = tuple(_cell(lab, n, each, entries) for n, each in enumerate(records))
    focus = next(n for n, each in enumerate(records) if each.id == record.id)
    name = record.prompt.name
    if any(each.prompt.name != name for each in records):
        return Opened(cells, focus, None)
    if not lab.library.exists(name):
        return Opened(cells, focus, None, (), f"There is no prompt {name} any more: the history holds what is shown.")
    versions = {each.prompt.hash: _version(lab, each) for each in records}
    found = tuple(dict.fromkeys(version for version in versions.values() if version))
    changed = f"{name} has changed since: what is shown is of the source that the history holds."
    return Opened(cells, focus, name, found, "" if all(versions.values()) else changed)


def _version(lab: Lab, record: Record) -> str:
    """What a record's version of its prompt is called now; empty where it is no longer to be had."""
    name, label = record.prompt.name, record.prompt.label
    for version in (name, label) if label.startswith(f"{name}@") else (name,):
        try:
            if lab.library.load(version).hash == record.prompt.hash:
                return version
        except PromptlabError:
            continue
    return ""


def _cell(lab: Lab, number: int, record: Record, entries: Mapping[str, Model]) -> Cell:
    try:
        prompt = _read(lab, record)
    except SourceError:
        ref = record.prompt
        prompt = Prompt(ref.name, ref.source, ref.source, partials=ref.partials, label=ref.label)
    model = _entry(entries, record) or Model(record.model.name, record.model.sha256)
    job = _job(number, record, prompt, model)
    return Cell(job, _status(record), 1.0, record.steps, None, record.engine, record=record)


def _status(record: Record) -> Status:
    if record.error is None:
        return "done"
    return "cancelled" if record.error.type == "Cancelled" else "failed"


def _job(number: int, record: Record, prompt: Prompt, model: Model) -> Job:
    return Job(number, prompt, record.inputs, model, record.sample, _overrides(record, prompt, model), record.case)


def _overrides(record: Record, prompt: Prompt, model: Model) -> dict[str, Any]:
    """What was asked for with the run; of an old record, the options that do not follow from prompt and model."""
    if record.overrides is not None:
        return dict(record.overrides)
    held = {**record.options, "seed": record.seed}
    try:
        options, seed = merge_options(model.options, prompt.options)
    except PromptlabError:
        return held
    follow = {**options.plain(), "seed": seed}
    return {name: value for name, value in held.items() if follow.get(name) != value}


def _read(lab: Lab, record: Record) -> Prompt:
    """The prompt as it was. Raises SourceError."""
    ref = record.prompt
    problem: SourceError | None = None
    for suffix in sorted(SUFFIXES, key=lambda suffix: suffix != _suffix(lab, ref.name)):
        try:
            prompt = parse_file(ref.source, ref.name + suffix).with_partials(ref.partials)
        except SourceError as error:
            problem = problem or error
            continue
        return replace(prompt, label=ref.label, commit=ref.commit, dirty=ref.dirty)
    assert problem is not None
    raise problem


def _suffix(lab: Lab, name: str) -> str:
    """What the prompt's file ends in now. A record does not say which kind of file its prompt was in."""
    try:
        file, _ = lab.library.text(name)
    except PromptlabError:
        return SUFFIXES[0]
    return file.removeprefix(name)


def _entry(entries: Mapping[str, Model], record: Record) -> Model | None:
    """The entry for the weights that answered, of the same name if there is one."""
    if record.model.sha256 is None:
        return entries.get(record.model.name)
    same = [model for model in entries.values() if model.sha256 == record.model.sha256]
    return next((m for m in same if m.name == record.model.name), same[0] if same else None)


def _model(entries: Mapping[str, Model], record: Record) -> Model:
    """The model that answered. Raises NotFound where models.yaml does not know its weights."""
    model = _entry(entries, record)
    if model is None:
        sha256 = f", sha256 {record.model.sha256}" if record.model.sha256 else ""
        hint = "Add it to models.yaml, or run the prompt on another model"
        raise NotFound(f"no entry of models.yaml is {record.model.name} as it was{sha256}", hint=hint)
    return model
