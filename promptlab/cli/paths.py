"""`promptlab paths`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from promptlab.cli.output import print_json, print_page
from promptlab.cli.state import state

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def paths(context: typer.Context, json: Json = False) -> None:
    """Say where things lie: the library, the history, the model store."""
    from promptlab.app.places import places
    from promptlab.views.pages import fields, page

    found = asdict(places(state(context).library))
    if json:
        print_json(found)
    else:
        print_page(page([fields(found)]))
