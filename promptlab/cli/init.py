"""`promptlab init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptlab.cli.output import print_page, say


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; the working folder if not given.")] = Path(),
) -> None:
    """Make a new library: prompts/, seeds/, models.yaml, .gitignore. Overwrites nothing."""
    from rich.text import Text

    from promptlab.app.init import init_library
    from promptlab.core.text import sanitize_line

    made = init_library(folder)
    lines = [Text(f"made  {name}") for name in made.created]
    lines += [Text(f"kept  {name}  (was there before)", style="yellow") for name in made.kept]
    print_page(Text("\n").join(lines))
    if "prompts/hello.jinja" in made.created:
        say(f"the library is {sanitize_line(made.root)}; try `promptlab run hello --var name=Ada --pull` there")
