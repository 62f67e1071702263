"""`promptlab models plan`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import print_grid, print_json, say
from promptlab.cli.paths import Json
from promptlab.cli.prompts import complete_model
from promptlab.cli.state import lab
from promptlab.core.plan import MAX_SLOTS
from promptlab.errors import Exit

if TYPE_CHECKING:
    from promptlab.app.memory import Plan, Row


def plan(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", autocompletion=complete_model)] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("-m", "--model", metavar="NAME", help="The same as NAME.", autocompletion=complete_model),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option("--context", min=16, max=1_000_000, help="Tokens of a conversation, not those of models.yaml."),
    ] = None,
    sequences: Annotated[
        int | None,
        typer.Option("--sequences", min=1, max=MAX_SLOTS, help="Conversations at once, not as many as fit."),
    ] = None,
    json: Json = False,
) -> None:
    """Say what models need of memory, and which fit in together; the default ones if none is named.

    LEAST is what a model is refused without, for a single conversation of full length. EXPECTED is what it will really
    hold, with as many conversations at once as fit, or as --sequences says.
    """
    from promptlab.app.memory import plan_models
    from promptlab.cli.values import read_names
    from promptlab.core.plan import amount

    with lab(context) as here:
        wanted = [*read_names(names or [], "NAME"), *read_names(models or [], "-m")]
        found = plan_models(here, wanted, length, sequences)
    if json:
        print_json(asdict(found))
    else:
        _show(found)
        say(f"{amount(found.available)} of memory are free, and {amount(found.reserve)} of that stay free")
        for row in found.models:
            if sequences and row.at_once and row.at_once < sequences:
                cache = amount(row.kv or 0)
                say(f"{row.name}: works on {row.at_once} of {sequences} at once in a cache of {cache}; the others wait")
    if any(row.fits is False for row in found.models):
        raise typer.Exit(Exit.ERROR)


def _show(found: Plan) -> None:
    from promptlab.views.table import grid

    safe = ("WEIGHTS", "KV CACHE", "PREFIXES", "BESIDES", "TOTAL", "LEAST")
    headers = ("MODEL", *safe, "CONTEXT", "AT ONCE", "EXPECTED", "LOADED")
    # A narrow terminal does without the parts of the total that say least.
    print_grid(grid(headers, map(_cells, found.models), right=range(1, 10), spare=(4, 3, 2, 1, 5)), "")


def _cells(row: Row) -> tuple[str, ...]:
    from promptlab.views.table import size

    numbers = map(size, (row.weights, row.kv, row.shelf, row.overhead if row.least else None, row.total, row.least))
    tokens = f"{row.context:,}" if row.context else ""
    at_once = "" if row.at_once is None else str(row.at_once)
    return (row.name, *numbers, tokens, at_once, size(row.expected_total), _when(row))


def _when(row: Row) -> str:
    if row.problem:
        return row.problem
    if not row.fits:
        from promptlab.views.table import size

        return f"does not fit: {size(row.room)} can be had"
    after = f"when {', '.join(row.evicts)} is out" if row.evicts else ""
    beside = f"beside {', '.join(row.beside)}" if row.beside else ""
    return ", ".join(filter(None, (after, beside))) or "alone"
