"""`promptlab runs`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli import history
from promptlab.cli.output import console, print_grid, print_json, print_page, say
from promptlab.cli.paths import Json
from promptlab.cli.state import lab
from promptlab.errors import Exit, Interrupted, UsageError

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.core.replay import Replayed

app = typer.Typer(help="The history: what has been run.", rich_markup_mode=None, no_args_is_help=False)


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, max=100_000, help="How many, the newest first.")] = 20,
    json: Json = False,
) -> None:
    """List the newest records."""
    from promptlab.app.runs import list_runs
    from promptlab.views.table import grid

    with lab(context) as here:
        rows = list_runs(here, limit)
    if json:
        print_json([asdict(row) for row in rows])
        return
    lines = [
        (r.id, r.started_at[:16].replace("T", " "), r.label, r.model, _short(r.error, r.output_start)) for r in rows
    ]
    table = grid(("ID", "STARTED (UTC)", "PROMPT", "MODEL", "OUTPUT"), lines, cut_last=True, spare=(1, 3))
    print_grid(table, "no runs yet: `promptlab run` makes some")


@app.command("show")
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="An id from `runs list`, or how it begins.")],
    json: Json = False,
) -> None:
    """Show one record: what was asked, of whom, what was answered, and the numbers."""
    from promptlab.app.runs import show_run
    from promptlab.views.pages import record_page

    with lab(context) as here:
        record = show_run(here, id)
    if json:
        print_json(record)
    else:
        print_page(record_page(record))


@app.command("replay")
def replay(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="[ID...]", help="Ids from `runs list`, or how they begin.")] = [],  # noqa: B006  (typer copies it)
    every: Annotated[bool, typer.Option("--all", help="Replay every record.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-l", min=1, max=100_000, help="Replay so many, the newest ones.")
    ] = None,
    json: Json = False,
) -> None:
    """Ask again what was asked, and tell whether the answers are the same, to the last bit.

    Exit code 1 when some record cannot be compared, otherwise 100 when some answer differs.
    """
    if sum((bool(ids), every, limit is not None)) != 1:
        raise UsageError("name some records, or say --all, or --limit N for the newest ones")
    with lab(context) as here:
        wanted = _wanted(here, ids, limit)
        verdicts, interrupted = _replayed(here, wanted)
    _print_verdicts(verdicts, alone=len(ids) == 1, json=json, whole=not interrupted)
    if interrupted:
        raise Interrupted(f"interrupted: {len(verdicts)} of {len(wanted)} records were replayed")
    found = {each.verdict for each in verdicts}
    if "incomparable" in found:
        raise typer.Exit(Exit.ERROR)
    if "differs" in found:
        raise typer.Exit(Exit.CHECKS_FAILED)


@app.command("verify")
def verify(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="[ID...]", help="Ids from `runs list`, or how they begin.")] = [],  # noqa: B006
    every: Annotated[bool, typer.Option("--all", help="Verify every record.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", "-l", min=1, max=100_000, help="Verify so many, the newest ones.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Look at the sizes of weights, and do not hash them.")] = False,
    json: Json = False,
) -> None:
    """Tell whether what answered is still here as it was: prompt, weights, template, engine, options.

    No model is loaded. Whether it would answer the same, `runs replay` tells.
    Exit code 1 when something cannot be told, otherwise 100 when something differs or is gone.
    """
    from promptlab.app.verify_run import verify_runs
    from promptlab.cli.progress import progress
    from promptlab.views.provenance import provenance_page, summary

    if sum((bool(ids), every, limit is not None)) != 1:
        raise UsageError("name some records, or say --all, or --limit N for the newest ones")
    with lab(context) as here, progress() as tell:
        found = list(verify_runs(here, _wanted(here, ids, limit), tell, quick=quick))
    alone = len(ids) == 1
    if json:
        shown = [{"standing": each.standing, **asdict(each)} for each in found]
        print_json(shown[0] if alone else shown)
    elif found:
        width = console().width if sys.stdout.isatty() else None
        print_page(provenance_page(found, whole=alone, width=width))
    if not alone and not json:
        say(summary(found))
    if any(each.named("unknown") for each in found):
        raise typer.Exit(Exit.ERROR)
    if any(each.standing == "differs" for each in found):
        raise typer.Exit(Exit.CHECKS_FAILED)


def _wanted(here: Lab, ids: Sequence[str], limit: int | None) -> list[str]:
    from promptlab.app.replay import EVERYTHING, named, newest

    return named(here, ids) if ids else newest(here, EVERYTHING if limit is None else limit)


def _replayed(here: Lab, wanted: Sequence[str]) -> tuple[list[Replayed], bool]:
    """The verdicts in the order of the records, and whether Ctrl+C came before the last one."""
    from promptlab.app.replay import replay

    done: dict[str, Replayed] = {}
    interrupted = False
    status = console(stderr=True).status(f"0 of {len(wanted):,} replayed") if sys.stderr.isatty() else None
    try:
        with _ended_alike(), status or nullcontext():
            for each in replay(here, wanted):
                done[each.id] = each
                if status:
                    status.update(f"{len(done):,} of {len(wanted):,} replayed")
    except KeyboardInterrupt:  # nothing is kept of a replay, so nothing has to be put in order first
        interrupted = True
    return [done[id] for id in wanted if id in done], interrupted


@contextmanager
def _ended_alike() -> Iterator[None]:
    """SIGTERM does what Ctrl+C does, so that the terminal is in order afterwards."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_verdicts(verdicts: Sequence[Replayed], *, alone: bool, json: bool, whole: bool) -> None:
    from promptlab.views.replay import replay_page, summary

    if json:
        if verdicts or not alone:
            print_json(verdicts[0] if alone else list(verdicts))
        return
    if verdicts:
        print_page(replay_page(verdicts))
    if whole and not alone:
        say(summary(verdicts))


def _short(error: str | None, output: str) -> str:
    from promptlab.core.schema import shorten

    text = f"error: {error}" if error else output
    return shorten(" ".join(text.split()), 60)


app.command("search", cls=history.Words)(history.search)
app.command("export")(history.export)
app.command("delete")(history.delete)
app.command("purge")(history.purge)
