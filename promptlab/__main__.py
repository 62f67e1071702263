"""`python -m promptlab`, and the command `promptlab`."""

from __future__ import annotations

import sys
from pathlib import Path

from promptlab.cli.main import main as command


def main() -> None:
    """Run the command line and exit."""
    sys.exit(command(sys.argv[1:], _playground))


def _playground(library: Path | None) -> int:
    # Here, because the command line and the terminal interface are siblings: neither knows the other.
    from promptlab.tui.app import run_playground

    return run_playground(library)


if __name__ == "__main__":
    main()
