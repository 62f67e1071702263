"""`promptlab compare`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.cases import complete_cases
from promptlab.cli.output import console, say
from promptlab.cli.pace import Pace
from promptlab.cli.prompts import Models, Vars, complete
from promptlab.cli.run import MAX_SAMPLES, Mode, pulled_for
from promptlab.cli.state import lab
from promptlab.errors import Exit, Interrupted, UsageError

if TYPE_CHECKING:
    from promptlab.app.compare import Comparing, Request
    from promptlab.app.lab import Lab
    from promptlab.core.baseline import Regressions
    from promptlab.core.compare import Comparison


def compare(
    context: typer.Context,
    prompts: Annotated[
        list[str], typer.Argument(metavar="PROMPT...", help="Names of prompts.", autocompletion=complete)
    ],
    cases: Annotated[
        list[str],
        typer.Option(
            "--cases", "-c", metavar="FILE", help="A case file, or its name in seeds/.", autocompletion=complete_cases
        ),
    ] = [],  # noqa: B006  (typer copies it)
    models: Models = [],  # noqa: B006
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=1, max=MAX_SAMPLES, help="Answers of each model to each case.")
    ] = 1,
    var: Vars = [],  # noqa: B006
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="The base seed; 0 unless given.")] = None,
    option: Annotated[
        list[str],
        typer.Option("--option", metavar="NAME=VALUE", help="How answers are drawn, such as temperature=0.2."),
    ] = [],  # noqa: B006
    output: Annotated[
        list[Path],
        typer.Option("--output", "-o", metavar="FILE", help="Write a file: .html .json .jsonl .csv .md .junit.xml"),
    ] = [],  # noqa: B006
    judge: Annotated[str | None, typer.Option("--judge", metavar="MODEL", help="The model that judges.")] = None,
    likeness: Annotated[
        bool, typer.Option("--likeness", help="Let each model read the answers of all: how surprised is it?")
    ] = False,
    mode: Annotated[
        Mode | None,
        typer.Option("--mode", help="`exact`: an answer depends on nothing beside it. `fast`: whatever is quickest."),
    ] = None,
    min_pass_rate: Annotated[
        float | None,
        typer.Option("--min-pass-rate", min=0.0, max=1.0, help="Exit with 100 when a column is below; 1 unless given."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", metavar="FILE", help="Exit with 100 when something got worse.")
    ] = None,
    write_baseline: Annotated[
        Path | None, typer.Option("--write-baseline", metavar="FILE", help="Write what --baseline reads.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Answer everything again.")] = False,
    retry_errors: Annotated[bool, typer.Option("--retry-errors", help="Try again what failed before.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 100 when something is unscored.")] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Run `python` checks: their code can do whatever you can.")
    ] = False,
    all_cases: Annotated[bool, typer.Option("--all-cases", help="Show every case, not only where it matters.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print an answer a line.")] = False,
    pull: Annotated[bool, typer.Option("--pull", help="First fetch the selected models that are not on disk.")] = False,
    no_log: Annotated[
        bool, typer.Option("--no-log", help="Neither keep anything in the history, nor take it from there.")
    ] = False,
) -> None:
    """Run prompts on cases and models, check the answers, and tell which is better.

    What was answered before is taken from the history: the same command goes on where it was broken off.
    """
    from promptlab.app.baseline import hold_against, keep, read, refuse_columns, refuse_place
    from promptlab.app.compare import Request
    from promptlab.app.outputs import refuse_places
    from promptlab.cli.values import read_names, read_options, read_vars
    from promptlab.views.exports import format_of

    _exclude({"--json": json, "--jsonl": jsonl})
    _exclude({"--fresh": fresh, "--retry-errors": retry_errors})
    formats = {path: format_of(path) for path in output}
    refuse_places(output)
    request = Request(
        prompts=tuple(dict.fromkeys(prompts)),
        cases=tuple(dict.fromkeys(cases)),
        models=read_names(models, "-m"),
        inputs=read_vars(var),
        samples=samples,
        options=read_options(option, seed),
        mode=mode.value if mode else None,
        log=not no_log,
        recall="nothing" if fresh or no_log else "answers" if retry_errors else "everything",
        judge=judge,
        likeness=likeness,
        allow_code=allow_code,
    )
    before = read(baseline) if baseline else None
    if write_baseline:
        refuse_place(write_baseline)
    with lab(context) as here:
        comparing = _ready(here, request, pull)
        if before:
            refuse_columns(before, comparing.columns)
        found, interrupted = _follow(comparing)
    changes = hold_against(before, found) if before else None
    _print(found, changes, json=json, jsonl=jsonl, all_cases=all_cases)
    for path, kind in formats.items():
        _write(path, kind, found, changes, request)
    if write_baseline and not interrupted:
        keep(write_baseline, found, request.cases)
    if comparing.run.trouble:
        raise comparing.run.trouble
    if interrupted:
        whole = sum(each.state != "error" for each in found.results)
        kept = "" if no_log else "; the same command goes on from there"
        raise Interrupted(f"interrupted: {whole:,} of {len(comparing.jobs):,} answers were finished{kept}")
    code = _exit(found, min_pass_rate, changes.worse if changes else None, strict)
    if code:
        raise typer.Exit(code)


def _exclude(options: dict[str, bool]) -> None:
    if all(options.values()):
        raise UsageError(f"{' and '.join(options)} exclude each other")


def _ready(here: Lab, request: Request, pull: bool) -> Comparing:
    """Check everything; fetch models only when the rest is right, and only when told to."""
    from promptlab.app.code import run_code
    from promptlab.app.compare import prepare

    selections = [request.models, *([[request.judge]] if request.judge else [])]
    return pulled_for(here, lambda: prepare(here, request, run_code), selections, pull)


def _follow(comparing: Comparing) -> tuple[Comparison, bool]:
    """Run what has not been answered before, and judge it all; whether it was interrupted."""
    from promptlab.cli.follow import stopping
    from promptlab.core.events import Failed, Finished, Loading
    from promptlab.views.answer import failure_line

    with stopping(comparing) as pressed:
        with Pace("answers", len(comparing.jobs)) as pace:
            for event in comparing.events():
                match event:
                    case Loading(model=model):
                        pace.note(f"loading {model}")
                    case Failed(seq=None, failure=failure):
                        say(failure_line(failure))
                    case Finished(cached=cached):
                        pace.count(free=cached)
        with Pace("measurements", 0) as pace:
            found = comparing.judged(pace.at)
    return found, bool(pressed)


def _print(found: Comparison, changes: Regressions | None, *, json: bool, jsonl: bool, all_cases: bool) -> None:
    """Print it as data, or as tables."""
    from promptlab.views.comparison import marks_for
    from promptlab.views.exports import export
    from promptlab.views.sections import Layout, as_group, as_lines, comparison_page, regressions_page

    if json or jsonl:
        unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        kind = "json" if json else "jsonl"
        print(export(found, kind, regressions=changes, ascii_only=not unicode), end="", flush=True)
        return
    terminal = console() if sys.stdout.isatty() else None
    layout = Layout(terminal.width if terminal else None, marks_for(sys.stdout.encoding), all_cases)
    page = comparison_page(found, layout)
    sections = [*page.details, *page.summary, *(regressions_page(changes, layout) if changes else ())]
    if terminal:
        terminal.print(as_group(sections, layout))
    else:
        print(as_lines(sections), end="", flush=True)


def _write(path: Path, kind: str, found: Comparison, changes: Regressions | None, request: Request) -> None:
    """Write a file. Raises UsageError and StoreError."""
    from promptlab.app.outputs import write
    from promptlab.views.outputs import document

    write(path, document(found, kind, request.prompts, datetime.now().astimezone(), changes))
    say(f"written: {path}")


def _exit(found: Comparison, least: float | None, worse: bool | None, strict: bool) -> Exit:
    """The first exit code that applies. `worse` is None without a baseline."""
    if any(each.errors for each in found.summaries):
        return Exit.ERROR
    if worse or (strict and any(each.unscored for each in found.summaries)):
        return Exit.CHECKS_FAILED
    # Against a baseline it counts what has changed, unless a rate is asked for as well.
    least = (1.0 if worse is None else 0.0) if least is None else least
    below = any(each.pass_rate is not None and each.pass_rate < least for each in found.summaries)
    return Exit.CHECKS_FAILED if below else Exit.OK
