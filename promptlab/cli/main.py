"""The command `promptlab`: its groups, the options before them, and how errors become one line and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from promptlab import __version__
from promptlab.cli import bench, cases, compare, doctor, init, models, paths, prompts, run, runs, score, serve
from promptlab.cli.output import drop, open_closed_streams, say, use_lenient_streams
from promptlab.cli.state import Playground, State, state
from promptlab.errors import Exit, PromptlabError

NAME = "promptlab"
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
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
            envvar="PROMPTLAB_LIBRARY",
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


def main(arguments: Sequence[str], playground: Playground) -> int:
    """Do what the arguments say. Returns the exit code."""
    open_closed_streams()
    use_lenient_streams()
    here = State(playground)
    try:
        code = _call(arguments, here)
        sys.stdout.flush()
    except BrokenPipeError:
        drop(sys.stdout)
        return Exit.ERROR
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except PromptlabError as error:
        _trace(here)
        say(str(error))
        return error.exit_code
    except typer.TyperException as error:
        _trace(here)
        say(_usage(error))
        return error.exit_code
    except Exception as error:
        _trace(here)
        if isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None:
            drop(sys.stdout)
            say(f"standard output cannot be written: {error.strerror}")
            return Exit.ERROR
        say(_defect(error, here))
        return Exit.ERROR
    if code == Exit.INTERRUPTED:
        say("interrupted")
    return code


def _call(arguments: Sequence[str], here: State) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments), prog_name=NAME, standalone_mode=False, obj=here)
    except SystemExit as end:  # how typer ends on a broken pipe and after shell completion
        code = end.code
    return code if isinstance(code, int) else Exit.OK


def _trace(here: State) -> None:
    if here.debug:
        traceback.print_exc()


def _usage(error: typer.TyperException) -> str:
    """One line: what is wrong with what was typed, and where to read more."""
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    path = context.command_path if context else NAME
    option = getattr(error, "option_name", None)
    if option in ("--library", "--debug", "--version") and path != NAME:
        return f"{message} here; it stands before the command: `{NAME} {option} …`"
    return f"{message.rstrip('.')}. Try `{path} --help`"


def _defect(error: Exception, here: State) -> str:
    what = f"this is a defect in promptlab: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return what if here.debug else f"{what}. `promptlab --debug …` shows where it arose"
