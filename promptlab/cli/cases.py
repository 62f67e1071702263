"""`promptlab cases`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import print_grid, print_json, print_lines, print_page
from promptlab.cli.paths import Json
from promptlab.cli.prompts import complete
from promptlab.cli.state import lab, library_of
from promptlab.errors import Exit, NotFound

if TYPE_CHECKING:
    from promptlab.core.case import Case, CaseSet

app = typer.Typer(help="The case files in seeds/.", rich_markup_mode=None, no_args_is_help=False)


def complete_cases(context: typer.Context, incomplete: str) -> list[str]:
    """Names for shell completion."""
    from promptlab.app.cases import case_names

    return [name for name in case_names(library_of(context)) if name.startswith(incomplete)]


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the case files in seeds/."""
    from promptlab.app.cases import list_cases
    from promptlab.views.table import grid

    with lab(context) as here:
        rows = list_cases(here)
    if json:
        print_json([asdict(row) for row in rows])
        return
    lines = [
        (r.name, "" if r.problem else f"{r.cases:,}", f"cannot be read: {r.problem}" if r.problem else r.description)
        for r in rows
    ]
    print_grid(grid(("NAME", "CASES", "DESCRIPTION"), lines, right=[1]), f"no case files in {here.root / 'seeds'}")


@app.command("show")
def show(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A case file, or its name in seeds/.", autocompletion=complete_cases)
    ],
    case: Annotated[str | None, typer.Option("--case", metavar="ID", help="Everything about this one.")] = None,
    json: Json = False,
) -> None:
    """Show the cases of a file as they are read, with what they share and refer to."""
    from promptlab.app.cases import load_cases

    with lab(context) as here:
        (found,) = load_cases(here, [file])
    chosen = [each for each in found.cases if case in (None, each.id)]
    if not chosen:
        raise NotFound(f"{found.file}: there is no case {case!r}", hint=f"`promptlab cases show {file}` lists them")
    if json:
        print_json([asdict(each) for each in chosen])
    elif case is None:
        _print_cases(found)
    else:
        _print_case(chosen[0])


@app.command("check")
def check(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[FILE]...",
            help="Case files, or their names in seeds/; all those in seeds/ unless given.",
            autocompletion=complete_cases,
        ),
    ] = [],  # noqa: B006  (typer copies it)
    prompt: Annotated[
        list[str],
        typer.Option(
            "--prompt",
            metavar="NAME[@VERSION]",
            help="A prompt whose inputs the variables must fit; may be repeated.",
            autocompletion=complete,
        ),
    ] = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Find what is wrong with case files, without any model.

    Everything is said at once, as file:line:column: message. Ends with 2 when something is wrong.
    """
    from promptlab.app.cases import check_cases
    from promptlab.views.table import grid

    with lab(context) as here:
        found = check_cases(here, files, prompt)
    rows = [(s.name, s.file, len(s.cases), s.assertions) for s in found.sets]
    if json:
        keys = ("name", "file", "cases", "assertions")
        print_json({"files": [dict(zip(keys, row, strict=True)) for row in rows], "problems": found.problems})
    elif found.problems:
        print_lines(map(str, found.problems))
    else:
        lines = [(file, f"{cases:,}", f"{assertions:,}") for _, file, cases, assertions in rows]
        table = grid(("FILE", "CASES", "ASSERTIONS"), lines, right=[1, 2])
        print_grid(table, f"no case files in {here.root / 'seeds'}")
    if found.problems:
        raise typer.Exit(Exit.USAGE)


def _print_cases(found: CaseSet) -> None:
    from promptlab.views.pages import one_line
    from promptlab.views.table import grid

    lines = [(c.id, ", ".join(a.type for a in c.asserts), one_line(dict(c.vars))) for c in found.cases]
    print_grid(grid(("CASE", "EXPECTED", "VARS"), lines, cut_last=True), "")


def _print_case(case: Case) -> None:
    from promptlab.views.pages import fields, heading, page

    facts = {"id": case.id, "description": case.description, "threshold": case.threshold}
    blocks = [fields(facts), [heading("vars"), *fields(dict(case.vars))]]
    blocks += [[heading("assert"), *fields(asdict(each))] for each in case.asserts]
    blocks += [[heading("metadata"), *fields(dict(case.metadata))]] if case.metadata else []
    print_page(page(blocks))
