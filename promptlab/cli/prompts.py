"""`promptlab prompts`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import print_grid, print_json, print_lines, print_page, say
from promptlab.cli.paths import Json
from promptlab.cli.state import lab, library_of
from promptlab.errors import Exit, UsageError

if TYPE_CHECKING:
    from promptlab.app.check import Checked
    from promptlab.app.importing import Imported

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


Name = Annotated[str, typer.Argument(metavar="NAME", help="A prompt: explain.", autocompletion=complete)]
Version = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@VERSION]",
        help="A prompt as it lies on the disk, or a version of it: explain@3, explain@HEAD~2, explain@v1.0.",
        autocompletion=complete,
    ),
]
OneModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Also load this model: the exact text and the tokens that it reads.",
        autocompletion=complete_model,
    ),
]
Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A model, or `tag:TAG`, a pattern, `all` (every one on disk); repeat it, or put commas between. None: the"
        " default ones.",
        autocompletion=complete_model,
    ),
]
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
def show(context: typer.Context, name: Version, json: Json = False) -> None:
    """Show a prompt: its signature, inputs, hash and source."""
    from promptlab.app.prompts import show_prompt
    from promptlab.views.pages import prompt_page

    with lab(context) as here:
        found = show_prompt(here, name)
    if json:
        print_json(found)
        return
    state = {None: None, True: "changed since that commit", False: "as in that commit"}[found.dirty]
    version = found.label if found.label != found.name else None
    facts = {
        "version": version,
        "hash": found.hash,
        "commit": found.commit,
        "working copy": None if "@" in name else state,
        "options": dict(found.options),
    }
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


@app.command("check")
def check(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Prompts, or their files; all of them unless given.", autocompletion=complete
        ),
    ] = [],  # noqa: B006  (typer copies it)
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail too.")] = False,
    json: Json = False,
) -> None:
    """Find what is wrong with prompts, without any model.

    Everything is said at once, as file:line:column: message. Ends with 1 when there are errors.
    """
    checked = _checked(context, names)
    if json:
        print_json([asdict(f) for f in checked.findings])
    else:
        print_lines(map(str, checked.findings))
        wrong = f"{_count(checked.errors, 'error')}, {_count(checked.warnings, 'warning')}"
        say(f"{_count(checked.prompts, 'prompt')} checked: {wrong if checked.findings else 'nothing is wrong'}")
    if checked.errors or (strict and checked.warnings):
        raise typer.Exit(Exit.ERROR)


def _checked(context: typer.Context, names: list[str]) -> Checked:
    from promptlab.app.check import check_files, check_library, check_prompts, from_here
    from promptlab.core.formats import SUFFIXES

    files = [name for name in names if name.endswith(SUFFIXES)]
    if files and len(files) < len(names):
        raise UsageError("name either prompts or files, not both")
    if files:
        return check_files(map(Path, files))
    with lab(context) as here:
        anything = bool(names or library_of(context))
        return from_here(here, check_prompts(here, names) if anything else check_library(here))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@app.command("log")
def log(context: typer.Context, name: Name, json: Json = False) -> None:
    """List the versions of a prompt.

    They are the commits that changed it, or something that it includes or calls; the newest first.
    """
    from promptlab.app.prompts import log_prompt
    from promptlab.views.table import grid

    with lab(context) as here:
        rows = log_prompt(here, name)
    if json:
        print_json([asdict(row) for row in rows])
        return
    moved = len({r.file for r in rows}) > 1
    lines = [
        (
            f"{name}@{r.number}",
            r.commit[:10],
            r.date[:16].replace("T", " "),
            r.hash[:10],
            *([r.file] if moved else []),
            r.subject,
        )
        for r in rows
    ]
    headers = ("VERSION", "COMMIT", "DATE", "HASH", *(["FILE"] if moved else []), "SUBJECT")
    print_grid(grid(headers, lines, cut_last=True), "no versions")


@app.command("diff")
def diff(
    context: typer.Context,
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A version: explain@1, explain@v1.0.", autocompletion=complete)
    ],
    new: Annotated[
        str | None,
        typer.Argument(metavar="NEW", help="The other one; unless given, the working copy.", autocompletion=complete),
    ] = None,
    rendered: Annotated[
        bool, typer.Option("--rendered", "-r", help="Compare the messages that a model would see.")
    ] = False,
    var: Vars = [],  # noqa: B006
    model: OneModel = None,
    json: Json = False,
) -> None:
    """Show what changed between two versions of a prompt.

    That is in its files; or, with --rendered, --var or --model, in what a model would see.
    """
    from promptlab.app.diff import diff_rendered, diff_sources
    from promptlab.cli.values import read_vars
    from promptlab.views.diff import diff_page

    given = read_vars(var)
    with lab(context) as here:
        if rendered or given or model:
            found = diff_rendered(here, old, new, given, model)
        else:
            found = diff_sources(here, old, new)
    if json:
        print_json(found)
    elif found.changes or found.token_change:
        counts = (found.old.tokens, found.new.tokens)
        tokens = None if counts[0] is None or counts[1] is None else (counts[0], counts[1])
        changes = [(c.old, c.new, c.lines) for c in found.changes]
        print_page(diff_page(found.old.label, found.new.label, changes, tokens))
    else:
        say(f"{old} and {new or 'the working copy'} are the same")


@app.command("new")
def new(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new prompt.")]
) -> None:
    """Write a commented file to begin a prompt with."""
    from promptlab.app.new import new_prompt

    with lab(context) as here:
        path = new_prompt(here, name)
    print_lines([os.path.relpath(path)])
    say(f"try it: `promptlab prompts render {name} --var topic=rain`")


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A dotprompt file, FILE.prompt; or promptfoo's promptfooconfig.yaml.")
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What to call it; unless given, as the file, or its folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there already.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 when something is lost.")] = False,
    json: Json = False,
) -> None:
    """Turn files of other tools into prompts of the library.

    Of dotprompt: a prompt, with the partials beside it that it includes. Of promptfoo: the prompts of a config, and
    its tests as cases in seeds/. Each construct that does not map is named.
    """
    from promptlab.app.importing import import_file

    with lab(context) as here:
        made = import_file(here, file, name, force=force)
    paths = [os.path.relpath(path) for path in made.written]
    if json:
        findings = [{**asdict(f.problem), "kind": f.kind} for f in made.findings]
        facts = {"name": made.name, "prompts": made.prompts, "cases": made.cases, "written": paths}
        print_json({**facts, "findings": findings, "missing": made.missing})
    else:
        print_lines(paths)
    for finding in made.findings:
        say(str(finding))
    for partial in made.missing:
        say(f"{file}: includes {partial}, which is neither beside it nor in the library")
    _say_next(made)
    if strict and (made.lost or made.missing):
        raise typer.Exit(Exit.ERROR)


def _say_next(made: Imported) -> None:
    """What to do with what was imported."""
    names = " ".join(made.prompts)
    if made.prompts:
        say(f"look it over: `promptlab prompts check {names}`")
    if made.cases:
        say(f"look it over: `promptlab cases show {made.cases}`")
    if made.prompts and made.cases:
        say(f"compare: `promptlab compare {names} --cases {made.cases}`")


@app.command("render")
def render(
    context: typer.Context,
    name: Version,
    var: Vars = [],  # noqa: B006  (typer copies it)
    model: OneModel = None,
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
