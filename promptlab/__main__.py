"""`python -m promptlab`, and the command `promptlab`."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def main() -> None:
    """Run the command line and exit."""
    try:
        # Here, so that Ctrl+C while it is imported ends as quietly as at any other time.
        from promptlab.cli.main import main as command

        code = command(sys.argv[1:], _playground)
    except KeyboardInterrupt:
        code = 130  # Exit.INTERRUPTED, which may not be imported yet
    sys.exit(code)


def _playground(library: Path | None) -> int:
    # Until the first picture nothing is thrown away: to look through all of it again and again takes time.
    gc.disable()
    # Here, because the command line and the terminal interface are siblings: neither knows the other.
    from promptlab.tui.app import run_playground

    return run_playground(library)


if __name__ == "__main__":
    main()
