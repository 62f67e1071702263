"""`promptlab doctor`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from promptlab.cli.output import print_json, print_page
from promptlab.cli.paths import Json
from promptlab.cli.state import lab
from promptlab.errors import Exit


def doctor(context: typer.Context, json: Json = False) -> None:
    """Look at the engine, the processor, memory and the model store, and say what to do about each problem."""
    from promptlab.app.doctor import examine
    from promptlab.views.pages import finding_lines

    findings = []
    with lab(context) as here:
        for finding in examine(here):
            findings.append(finding)
            if not json:
                print_page(finding_lines(finding.name, finding.status, finding.detail, finding.cure))
    if json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.status == "problem" for finding in findings):
        raise typer.Exit(Exit.ERROR)
