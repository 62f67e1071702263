"""Every command of `promptlab`, the options before them, and what is said of wrong usage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from promptlab import __version__
from promptlab.cli import bench, cases, compare, doctor, init, models, paths, prompts, run, runs, score, serve, trust
from promptlab.cli.output import say
from promptlab.cli.state import LIBRARY, NAME, State, state, trace
from promptlab.errors import Exit

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    no_args_is_help=False,
    context_settings=HELP,
)
app.command("run")(run.run)
app.command("compare")(compare.compare)
app.command("score")(score.score)
app.add_typer(prompts.app, name="prompts")
app.add_typer(cases.app, name="cases")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.command("bench")(bench.bench)
app.command("init")(init.init)
app.command("doctor")(doctor.doctor)
app.command("serve")(serve.serve)
app.command("paths")(paths.paths)
app.command("trust")(trust.trust)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    library: Annotated[
        Path | None,
        typer.Option(
            "--library",
            metavar="DIR",
            envvar=LIBRARY,
            help="The library to use, instead of the nearest one.",
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="PROMPTLAB_DEBUG", help="Show where an error arose.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version and end.")
    ] = False,
) -> None:
    """Run a prompt as a program on many local open-weight models at once, side by side.

    Without a command, opens the playground in the terminal.
    """
    here = state(context)
    here.library, here.debug = library, debug
    if context.invoked_subcommand is None:
        raise typer.Exit(here.playground(library))


def run_command(arguments: Sequence[str], here: State) -> int:
    """Do what the arguments say. Returns the exit code, that of wrong usage included."""
    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments), prog_name=NAME, standalone_mode=False, obj=here)
    except SystemExit as end:  # how typer ends on a broken pipe and after shell completion
        code = end.code
    except typer.TyperException as error:
        trace(here)
        say(_usage(error))
        return error.exit_code
    return code if isinstance(code, int) else Exit.OK


def _usage(error: typer.TyperException) -> str:
    """One line: what is wrong with what was typed, and where to read more."""
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    path = context.command_path if context else NAME
    option = getattr(error, "option_name", None)
    if option in ("--library", "--debug", "--version") and path != NAME:
        return f"{message} here; it stands before the command: `{NAME} {option} …`"
    return f"{message.rstrip('.')}. Try `{path} --help`"
