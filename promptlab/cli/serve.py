"""`promptlab serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptlab.cli.output import print_lines, say
from promptlab.cli.state import state


def serve(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="The port; 0 for any. Unless given: 8642, or any if it is taken."
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="A loopback address; no other is served.")] = "127.0.0.1",
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Show the playground in a browser on this machine, at an address that only you know."""
    from promptlab.app.serve import serve as begin

    def started(url: str, page: Path) -> None:
        print_lines([url])
        say("The playground is at the address above; whoever has it can use it. Ctrl+C ends it.")
        if open_:
            _show(page)

    begin(state(context).library, host, port, started, say)


def _show(page: Path) -> None:
    """Open a page that leads there: the address itself would be seen among the arguments of the browser's process."""
    import webbrowser

    if not webbrowser.open(page.as_uri()):
        say("no browser was found; open the address yourself")
