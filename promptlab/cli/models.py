"""`promptlab models`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import print_grid, print_json, print_page, say
from promptlab.cli.paths import Json
from promptlab.cli.prompts import complete_model
from promptlab.cli.state import lab
from promptlab.errors import Exit

if TYPE_CHECKING:
    from promptlab.app.memory import Row

app = typer.Typer(help="The models of models.yaml.", rich_markup_mode=None, no_args_is_help=False)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", autocompletion=complete_model)]


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the models, and whether they are on disk."""
    from promptlab.app.models import list_models
    from promptlab.views.table import grid, size

    with lab(context) as here:
        models = list_models(here)
    if json:
        print_json([asdict(model) for model in models])
        return
    lines = [
        (
            m.name,
            "yes" if m.present else "no",
            "yes" if m.default else "",
            size(m.bytes),
            m.license,
            _title(m.title, m.sha256),
        )
        for m in models
    ]
    headers = ("MODEL", "ON DISK", "DEFAULT", "SIZE", "LICENSE", "TITLE")
    print_grid(grid(headers, lines, right=[3]), f"no models in {here.root / 'models.yaml'}")


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_model)],
    json: Json = False,
) -> None:
    """Show everything about one model's entry."""
    from promptlab.app.models import show_model
    from promptlab.views.pages import fields, page

    with lab(context) as here:
        entry = asdict(show_model(here, name))
    if json:
        print_json(entry)
        return
    facts = {
        k: ("yes" if v else "no") if isinstance(v, bool) else str(v) if isinstance(v, int) else v
        for k, v in entry.items()
    }
    sources = {f"source {i}": source for i, source in enumerate(facts.pop("sources"), 1)}
    print_page(page([fields({**facts, **sources})]))


@app.command("pull")
def pull(context: typer.Context, names: Names = None) -> None:
    """Fetch models that are not on disk; the default ones if none is named."""
    from promptlab.app.models import pull_models
    from promptlab.cli.progress import progress
    from promptlab.cli.values import read_names

    with lab(context) as here, progress() as tell:
        for pulled in pull_models(here, read_names(names or [], "NAME"), tell):
            say(f"{pulled.name}: {'pulled' if pulled.fetched else 'was there already'}: {pulled.path}")


@app.command("verify")
def verify(context: typer.Context, names: Names = None, json: Json = False) -> None:
    """Hash the files of models again, and compare; all that are on disk if none is named."""
    from promptlab.app.models import verify_models
    from promptlab.cli.progress import progress
    from promptlab.cli.values import read_names
    from promptlab.views.table import grid

    with lab(context) as here, progress() as tell:
        found = list(verify_models(here, read_names(names or [], "NAME"), tell))
    if json:
        print_json([{"name": v.model, "ok": v.ok, "sha256": v.actual, "path": str(v.path)} for v in found])
    else:
        lines = [(v.model, "ok" if v.ok else "DIFFERS", v.actual, str(v.path)) for v in found]
        print_grid(grid(("MODEL", "FILE", "SHA256", "PATH"), lines), "no model is on disk")
    if bad := [v for v in found if not v.ok]:
        for each in bad:
            cure = f"Remove it, then `promptlab models pull {each.model}`"
            say(f"{each.model}: {each.path} is not what its hash says. {cure}")
        raise typer.Exit(Exit.ERROR)


@app.command("plan")
def plan(context: typer.Context, names: Names = None, json: Json = False) -> None:
    """Say what models need of memory, and which fit in together; the default ones if none is named."""
    from promptlab.app.memory import plan_models
    from promptlab.cli.values import read_names
    from promptlab.core.plan import amount
    from promptlab.views.table import grid

    with lab(context) as here:
        plan = plan_models(here, read_names(names or [], "NAME"))
    if json:
        print_json(asdict(plan))
    else:
        headers = ("MODEL", "WEIGHTS", "KV CACHE", "PREFIXES", "BESIDES", "TOTAL", "LEAST", "CONTEXT", "LOADED")
        # A narrow terminal does without the parts of the total that say least.
        print_grid(grid(headers, map(_planned, plan.models), right=range(1, 8), spare=(4, 3, 7)), "")
        say(f"{amount(plan.available)} of memory are free, and {amount(plan.reserve)} of that stay free")
    if any(row.fits is False for row in plan.models):
        raise typer.Exit(Exit.ERROR)


def _title(title: str, sha256: str | None) -> str:
    return title if sha256 else f"{title} (unpinned)".strip()


def _planned(row: Row) -> tuple[str, ...]:
    from promptlab.views.table import size

    numbers = map(size, (row.weights, row.kv, row.shelf, row.overhead if row.least else None, row.total, row.least))
    return (row.name, *numbers, f"{row.context:,}" if row.context else "", _when(row))


def _when(row: Row) -> str:
    if row.problem:
        return row.problem
    if not row.fits:
        from promptlab.views.table import size

        return f"does not fit: {size(row.room)} can be had"
    after = f"when {', '.join(row.evicts)} is out" if row.evicts else ""
    beside = f"beside {', '.join(row.beside)}" if row.beside else ""
    return ", ".join(filter(None, (after, beside))) or "alone"
