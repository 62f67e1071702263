"""`promptlab runs`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from promptlab.cli.output import print_grid, print_json, print_page
from promptlab.cli.paths import Json
from promptlab.cli.state import lab

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
    table = grid(("ID", "STARTED (UTC)", "PROMPT", "MODEL", "OUTPUT"), lines, cut_last=True)
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


def _short(error: str | None, output: str) -> str:
    from promptlab.core.schema import shorten

    text = f"error: {error}" if error else output
    return shorten(" ".join(text.split()), 60)
