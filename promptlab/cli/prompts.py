"""`promptlab prompts`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from promptlab.cli.output import print_grid, print_json, print_page
from promptlab.cli.paths import Json
from promptlab.cli.state import lab, library_of

app = typer.Typer(help="The prompts of the library.", rich_markup_mode=None, no_args_is_help=False)


def complete(context: typer.Context, incomplete: str) -> list[str]:
    """Names for shell completion."""
    from promptlab.app.prompts import prompt_names

    return [name for name in prompt_names(library_of(context)) if name.startswith(incomplete)]


def complete_model(context: typer.Context, incomplete: str) -> list[str]:
    """Names of models for shell completion; after a comma, the next one."""
    from promptlab.app.models import model_names

    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in model_names(library_of(context)) if name.startswith(last)]


Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete)]
Vars = Annotated[
    list[str],
    typer.Option("--var", metavar="NAME=VALUE", help="A value; NAME=@FILE reads it, NAME=- from standard input."),
]


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the prompts."""
    from promptlab.app.prompts import list_prompts
    from promptlab.views.table import grid

    with lab(context) as here:
        rows = list_prompts(here)
    if json:
        print_json([asdict(row) for row in rows])
        return
    lines = [(r.name, " ".join(r.inputs), f"cannot be read: {r.problem}" if r.problem else r.description) for r in rows]
    print_grid(grid(("PROMPT", "INPUTS", "DESCRIPTION"), lines), f"no prompts in {here.root / 'prompts'}")


@app.command("show")
def show(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show a prompt: its signature, inputs, hash and source."""
    from promptlab.app.prompts import show_prompt
    from promptlab.views.pages import prompt_page

    with lab(context) as here:
        found = show_prompt(here, name)
    if json:
        print_json(found)
        return
    state = {None: None, True: "changed since that commit", False: "as in that commit"}[found.dirty]
    facts = {"hash": found.hash, "commit": found.commit, "working copy": state, "options": dict(found.options)}
    inputs = [(i.name, i.type, i.description) for i in found.inputs]
    print_page(
        prompt_page(
            signature=found.signature,
            description=found.description,
            facts=facts,
            inputs=inputs,
            source=found.source,
            partials=found.partials,
        )
    )


@app.command("render")
def render(
    context: typer.Context,
    name: Name,
    var: Vars = [],  # noqa: B006  (typer copies it)
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Also show the text and tokens that it reads.",
            autocompletion=complete_model,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the messages of a prompt's first question, without asking a model."""
    from promptlab.app.prompts import render_prompt
    from promptlab.cli.values import read_vars
    from promptlab.views.pages import rendered_page

    given = read_vars(var)
    with lab(context) as here:
        rendered = render_prompt(here, name, given, model)
    if json:
        print_json({k: v for k, v in asdict(rendered).items() if v is not None})
    else:
        print_page(rendered_page(rendered.messages, rendered.text, rendered.tokens))
