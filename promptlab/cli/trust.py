"""`promptlab trust`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import print_grid, print_json, say
from promptlab.cli.paths import Json
from promptlab.cli.state import lab
from promptlab.errors import UsageError

if TYPE_CHECKING:
    from promptlab.app.trust import Wanting


def trust(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Trust the library no more.")] = False,
    every: Annotated[bool, typer.Option("--list", help="List the libraries that are trusted, and in what.")] = False,
    json: Json = False,
) -> None:
    """Let the library in use ask the servers, and read the files outside it, that its models.yaml names.

    They are shown before anything is written. What is added or changed there later is asked for again.
    """
    if every:
        _list(json)
        return
    from promptlab.app.trust import revoke as take_back
    from promptlab.app.trust import trust_library, wanting

    with lab(context) as here:
        if revoke:
            say(f"{here.root} is {'not trusted any more' if take_back(here) else 'not trusted, and was not before'}")
            return
        found = wanting(here)
        _show(found, json)
        if found.new and (yes or not json) and _sure(found, yes):  # JSON alone only shows
            trust_library(here, found)
            say(f"{found.library} is trusted in this; `promptlab trust --revoke` takes it back")


def _show(found: Wanting, json: bool) -> None:
    from promptlab.views.table import grid

    rows = [
        (name, {"server": "asks", "path": "reads"}[want.kind], want.what, "not yet" if want in found.new else "yes")
        for name, want in found.entries
    ]
    if json:
        keys = ("model", "kind", "what", "trusted")
        entries = [
            dict(zip(keys, (name, want.kind, want.what, want not in found.new), strict=True))
            for name, want in found.entries
        ]
        print_json({"library": found.library, "wants": entries})
        return
    nothing = f"{found.library} asks no server and reads no file outside it: there is nothing to trust"
    print_grid(grid(("MODEL", "WANTS", "WHAT", "TRUSTED"), rows), nothing)
    if rows and not found.new:
        say(f"{found.library} is trusted in all of this already")


def _sure(found: Wanting, yes: bool) -> bool:
    """Ask, where somebody can be asked. Raises UsageError where nobody can."""
    if yes:
        return True
    what = f"this would trust {found.library} in what is marked `not yet`"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(what, hint="Say --yes to do so")
    print(f"promptlab: trust {found.library} in this? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was changed")
    return False


def _list(json: bool) -> None:
    from promptlab.app.trust import all_trusted
    from promptlab.views.table import grid

    known = all_trusted()
    if json:
        print_json([asdict(each) for each in known])
        return
    rows = [(each.library, what) for each in known for what in (*each.servers, *each.paths)]
    print_grid(grid(("LIBRARY", "TRUSTED IN"), rows), "no library is trusted")
