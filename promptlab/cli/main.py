"""The command `promptlab`: how errors become one line and an exit code, and the playground at once where nothing is
asked for.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from promptlab.cli.output import drop, open_closed_streams, say, use_lenient_streams
from promptlab.cli.state import LIBRARY, Playground, State, trace
from promptlab.errors import Exit, PromptlabError

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
_FOR_COMMANDS = ("PROMPTLAB_DEBUG", "_PROMPTLAB_COMPLETE")
"""Variables that typer reads: to tell where errors arise, and to complete a line of the shell."""


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
        trace(here)
        say(str(error))
        return error.exit_code
    except Exception as error:
        trace(here)
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
    """Leave it to the commands; but the playground opens without them, for they take a while to import."""
    if arguments or any(os.environ.get(name) for name in _FOR_COMMANDS):
        from promptlab.cli.commands import run_command

        return run_command(arguments, here)
    library = os.environ.get(LIBRARY)
    return here.playground(Path(library) if library else None)


def _defect(error: Exception, here: State) -> str:
    what = f"this is a defect in promptlab: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return what if here.debug else f"{what}. `promptlab --debug …` shows where it arose"
