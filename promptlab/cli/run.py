"""`promptlab run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from promptlab.cli.output import print_json, say
from promptlab.cli.prompts import Models, Vars, complete
from promptlab.cli.state import lab
from promptlab.errors import Exit, Interrupted, ModelMissing, UsageError

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.app.run import Request, Run

MAX_SAMPLES = 1000
T = TypeVar("T")


class Mode(StrEnum):
    """How a model works: `core.job.Mode`."""

    exact = "exact"
    fast = "fast"


def run(
    context: typer.Context,
    prompts: Annotated[
        list[str], typer.Argument(metavar="PROMPT...", help="Names of prompts.", autocompletion=complete)
    ],
    models: Models = [],  # noqa: B006  (typer copies it)
    var: Vars = [],  # noqa: B006
    samples: Annotated[int, typer.Option("--samples", "-n", min=1, max=MAX_SAMPLES, help="Answers of each model.")] = 1,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="The base seed; 0 unless given.")] = None,
    option: Annotated[
        list[str],
        typer.Option("--option", "-o", metavar="NAME=VALUE", help="How answers are drawn, such as temperature=0.2."),
    ] = [],  # noqa: B006
    mode: Annotated[
        Mode | None,
        typer.Option("--mode", help="`exact`: an answer depends on nothing beside it. `fast`: whatever is quickest."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document: a list of records.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a record a line, each as soon as it is there.")] = False,
    pull: Annotated[bool, typer.Option("--pull", help="First fetch the selected models that are not on disk.")] = False,
    no_log: Annotated[bool, typer.Option("--no-log", help="Keep no record in the history.")] = False,
) -> None:
    """Run prompts on models, and show the answers side by side."""
    from promptlab.app.run import Request
    from promptlab.cli.follow import choose, follow
    from promptlab.cli.values import read_names, read_options, read_vars

    if json and jsonl:
        raise UsageError("--json and --jsonl exclude each other")
    request = Request(
        prompts=tuple(dict.fromkeys(prompts)),
        models=read_names(models, "-m"),
        inputs=read_vars(var),
        samples=samples,
        options=read_options(option, seed),
        mode=mode.value if mode else None,
        log=not no_log,
    )
    with lab(context) as here:
        ready = _ready(here, request, pull)
        records, interrupted = follow(ready, choose(json, jsonl, ready.jobs))
    if json:
        print_json(records)
    if ready.trouble:
        raise ready.trouble
    if interrupted:
        whole = sum(record.error is None for record in records)
        kept = "" if no_log else "; what there is of them is in `promptlab runs list`"
        raise Interrupted(f"interrupted: {whole} of {len(ready.jobs)} answers were finished{kept}")
    if any(record.error for record in records):
        raise typer.Exit(Exit.ERROR)


def _ready(here: Lab, request: Request, pull: bool) -> Run:
    """Check everything; fetch models only when the rest is right, and only when told to."""
    from promptlab.app.run import prepare

    return pulled_for(here, lambda: prepare(here, request), [request.models], pull)


def pulled_for(here: Lab, prepare: Callable[[], T], selections: Iterable[Sequence[str]], pull: bool) -> T:
    """Prepare something; with `pull`, fetch the models of these selections where some are missing, and try again."""
    try:
        return prepare()
    except ModelMissing:
        if not pull:
            raise
    from promptlab.app.models import pull_models
    from promptlab.cli.progress import progress

    with progress() as tell:
        for names in selections:
            for pulled in pull_models(here, names, tell):
                if pulled.fetched:
                    say(f"{pulled.name}: pulled")
    return prepare()
