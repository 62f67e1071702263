"""Compare: prompts × models × cases × samples, with verdicts.

`prepare` refuses whatever is wrong before anything is loaded, all of it at once. `Comparing.events` then runs what has
not been answered before, and `Comparing.judged` measures what checks want and sums up. What is answered and measured is
in the history: the same command goes on where it was broken off, however that happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from promptlab.app.cases import inputs_for, load_cases
from promptlab.app.judging import JUDGED, UNJUDGED, Judging, RunCode
from promptlab.app.lab import Lab
from promptlab.app.loading import absent, missing, refuse_servers
from promptlab.app.run import Recall, Run, Typed, complete_inputs
from promptlab.core.case import Assertion, Case, CaseSet
from promptlab.core.compare import Column, Comparison, Result, compare
from promptlab.core.events import Event, Finished
from promptlab.core.job import Job, Mode, Model, expand
from promptlab.core.prompt import Prompt
from promptlab.core.record import Record
from promptlab.core.variants import families
from promptlab.errors import InputError, NotFound, Problem, SourceError, UsageError
from promptlab.files.models import EMBEDDING, answering

MAX_CELLS = 100_000
SIMILAR = "similar"
"""The check that needs vectors."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to compare."""

    prompts: tuple[str, ...]
    """Names, each perhaps with a version: `explain@3`."""
    cases: tuple[str, ...] = ()
    """Case files; none means one case, of `inputs`."""
    models: tuple[str, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What every case has, unless it says otherwise."""
    samples: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode | None = None
    log: bool = True
    """Whether to keep records, measurements and verdicts."""
    recall: Recall = "everything"
    """What of the history need not be answered again."""
    judge: str | None = None
    """The model that judges, where an assertion names none."""
    likeness: bool = False
    """Whether each model is to read the answers of all columns, to tell how likely they are to it."""
    allow_code: bool = False
    """Whether `python` checks may run."""


def prepare(lab: Lab, request: Request, run_code: RunCode | None = None) -> Comparing:
    """Check everything that can be checked before a model is loaded. `run_code` runs `python` checks.

    Raises a UsageError: NotFound, OptionError, ModelMissing, or SourceError with every problem of prompts and cases;
    and StoreError.
    """
    prompts, sets = _read(lab, request)
    models = [_laid_out(model, request.mode) for model in answering(lab.models, request.models)]
    rows = _rows(lab, request, prompts, sets)
    if (count := len(rows) * len(models) * request.samples) > MAX_CELLS:
        raise UsageError(f"that is {count:,} answers; at most {MAX_CELLS:,} can be compared at once")
    jobs = expand(rows, models, request.samples, request.options)
    for job in jobs[:: max(len(rows) // len(prompts) * request.samples, 1)]:
        job.options()
    cases = tuple(case for each in sets for case in each.cases) or (_only_case(request, rows[0][1]),)
    cases = _with_vectors(lab, cases)
    wanted = {model.name: model for model in (*_judges(lab, request, cases), *_embedders(lab, cases), *models)}
    if gone := absent(wanted.values()):
        raise missing(gone, ", or run again with --pull")
    if request.log or request.recall != "nothing":
        _ = lab.store  # a history that cannot be opened is said now, not after the answers
    return Comparing(lab, request, jobs, prompts, cases, wanted, run_code)


def _read(lab: Lab, request: Request) -> tuple[list[Prompt], list[CaseSet]]:
    """Read prompts and case files, and say all that is wrong with any of them."""
    problems: list[Problem] = []
    prompts: list[Prompt] = []
    for name in dict.fromkeys(request.prompts):
        try:
            prompts.append(lab.library.load(name))
        except SourceError as error:
            problems += error.problems
    sets: list[CaseSet] = []
    try:
        sets = load_cases(lab, request.cases)
    except SourceError as error:
        problems += error.problems
    if not problems:
        problems = _twice(sets)
    if problems:
        raise SourceError(dict.fromkeys(problems))
    return prompts, sets


def _twice(sets: Sequence[CaseSet]) -> list[Problem]:
    """Cases of several files that have one id: a record would not say which of them it is of."""
    seen: dict[str, str] = {}
    problems = []
    for each in sets:
        for index, case in enumerate(each.cases):
            other = seen.setdefault(case.id, each.file)
            if other != each.file:
                problems.append(each.problem(index, f"there is a case {case.id!r} in {other} too; give one another id"))
    return problems


def _laid_out(model: Model, mode: Mode | None) -> Model:
    """A model as a batch wants it: answers in calls of many."""
    return replace(model.for_batch(), mode=mode or model.mode)


def _rows(
    lab: Lab, request: Request, prompts: Sequence[Prompt], sets: Sequence[CaseSet]
) -> list[tuple[Prompt, Mapping[str, Any], str | None]]:
    """The complete inputs of each prompt for each case. Raises SourceError with every case that does not fit."""
    if not sets:
        return [(prompt, complete_inputs(lab, prompt, request.inputs, prompts), None) for prompt in prompts]
    rows: list[tuple[Prompt, Mapping[str, Any], str | None]] = []
    problems: list[Problem] = []
    for prompt in prompts:
        for each in sets:
            for index, case in enumerate(each.cases):
                try:
                    rows.append((prompt, inputs_for(lab, prompt, each, case, prompts, request.inputs), case.id))
                except InputError as error:
                    problems.append(each.problem(index, error.message))
    if problems:
        raise SourceError(dict.fromkeys(problems))
    return rows


def _only_case(request: Request, inputs: Mapping[str, Any]) -> Case:
    """What was given for all, as a case: as a prompt read it, where one takes it."""
    given = {
        name: inputs.get(name, value.text if isinstance(value, Typed) else value)
        for name, value in request.inputs.items()
    }
    return Case("", given)


def _judges(lab: Lab, request: Request, cases: Sequence[Case]) -> list[Model]:
    """The models that judge. Raises NotFound."""
    judged = [check for case in cases for check in case.asserts if check.kind in JUDGED]
    names = {check.provider or request.judge for check in judged} | {request.judge}
    known = lab.models
    for name in names - {None}:
        if name not in known:
            raise NotFound(f"there is no model {name!r} to judge", hint=f"models.yaml has {', '.join(known)}")
    found = [known[name] for name in sorted(name for name in names if name)]
    refuse_servers(found, "judging, by how likely verdicts are,")
    return [_laid_out(model, request.mode) for model in found]


def _with_vectors(lab: Lab, cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """The cases, with a model for each check of likeness that names none: the first one tagged for that."""
    if not any(check.kind == SIMILAR for case in cases for check in case.asserts):
        return cases
    first = next((model.name for model in lab.models.values() if EMBEDDING in model.tags), None)

    def named(check: Assertion) -> Assertion:
        return replace(check, provider=first) if check.kind == SIMILAR and check.provider is None else check

    return tuple(replace(case, asserts=tuple(map(named, case.asserts))) for case in cases)


def _embedders(lab: Lab, cases: Sequence[Case]) -> list[Model]:
    """The models that make vectors for checks. Raises NotFound, and UsageError for one that does not."""
    names = {check.provider for case in cases for check in case.asserts if check.kind == SIMILAR} - {None}
    known = lab.models
    for name in sorted(name for name in names if name):
        if name not in known:
            raise NotFound(f"there is no model {name!r} for {SIMILAR}", hint=f"models.yaml has {', '.join(known)}")
        if EMBEDDING not in known[name].tags:
            raise UsageError(f"{SIMILAR} wants a model tagged `{EMBEDDING}` in models.yaml, and {name} is not")
    found = [known[name] for name in sorted(name for name in names if name)]
    refuse_servers(found, SIMILAR)
    return [replace(model, mode="exact", layout={EMBEDDING: True}) for model in found]


class Comparing:
    """A comparison that can begin."""

    def __init__(
        self,
        lab: Lab,
        request: Request,
        jobs: Sequence[Job],
        prompts: Sequence[Prompt],
        cases: tuple[Case, ...],
        models: Mapping[str, Model],
        run_code: RunCode | None,
    ) -> None:
        self.cases = cases
        self._names = list(dict.fromkeys(job.model.name for job in jobs))
        self.columns = tuple(Column(label, model) for label in _labels(request, prompts) for model in self._names)
        self._variants = families(lab.models, self._names)
        self.jobs = tuple(jobs)
        self.run = Run(lab, jobs, request.log, recall=request.recall, interactive=False)
        self.cached: set[int] = set()
        """Jobs that were answered before."""
        self.ours: Set[str] = frozenset()
        """Records that were made for this comparison before it was paused: they count as answered now."""
        self.cancelled = False
        self._request = request
        self._judging = Judging(
            lab,
            cases,
            models,
            judge=request.judge,
            run_code=run_code if request.allow_code else None,
            keep=request.log,
            recall=request.recall != "nothing",
        )

    def cancel(self) -> None:
        """End it; what there is is kept, and counts. May be called from any thread."""
        self.cancelled = True
        self.run.cancel()
        self._judging.cancel()

    def pause(self) -> None:
        """End it so that the same request goes on from there: nothing is kept of answers that have not ended.

        May be called from any thread.
        """
        self.cancelled = True
        self.run.cancel(keep=False)
        self._judging.cancel()

    def events(self) -> Iterator[Event]:
        """Run what has not been answered before. Ends when each job has its `Finished`."""
        for event in self.run.events():
            if isinstance(event, Finished) and event.cached and event.record.id not in self.ours:
                self.cached.add(event.job)
            yield event

    def place(self, job: int) -> tuple[int, int, int]:
        """Column, case and sample of a job. Jobs are laid out by model, prompt, case and sample."""
        rest, sample = divmod(job, self._request.samples)
        rest, case = divmod(rest, len(self.cases))
        model, prompt = divmod(rest, len(self.columns) // len(self._names))
        return prompt * len(self._names) + model, case, sample

    def at_once(self, job: int, record: Record) -> tuple[Result, bool]:
        """A cell as far as it can be told before the others are there, and whether its verdict is the final one."""
        result = Result(*self.place(job), record, UNJUDGED, job in self.cached)
        verdict = self._judging.at_once(result)
        return (result, False) if verdict is None else (replace(result, verdict=verdict), True)

    def judged(self, tell: Callable[[int, int], None] = lambda done, total: None) -> Comparison:
        """Measure what checks want, judge every answer, and sum up. `tell` hears how many measurements are done.

        Raises StoreError.
        """
        results = [
            Result(*self.place(cell.job.id), cell.record, UNJUDGED, cell.job.id in self.cached)
            for cell in self.run.board.cells
            if cell.record is not None
        ]
        away = {job.model.name for job in self.jobs if job.model.server}  # they cannot be made to read
        readers = [name for name in self._names if name not in away] if self._request.likeness else []
        judged = self._judging.judge(results, tell, readers, len(self.columns))
        return compare(
            self.columns,
            self.cases,
            judged.results,
            bias=judged.bias,
            likeness=judged.likeness,
            variants=self._variants,
        )


def _labels(request: Request, prompts: Sequence[Prompt]) -> list[str]:
    """What to call prompts: by their labels, but as they were asked for where two of them are the same version."""
    labels = [prompt.label for prompt in prompts]
    return labels if len(set(labels)) == len(labels) else list(dict.fromkeys(request.prompts))
