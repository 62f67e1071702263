"""`promptlab models quantize`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import console, print_json, say
from promptlab.cli.paths import Json
from promptlab.cli.prompts import complete_model
from promptlab.cli.state import lab

if TYPE_CHECKING:
    from promptlab.app.quantize import Step, Tell, Variant

_WORDS = {"quantise": "quantising", "hash": "hashing"}


def complete_type(incomplete: str) -> list[str]:
    """The types that begin like this."""
    from promptlab.app.quantize import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete.lower())]


def quantize(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_model)],
    types: Annotated[
        list[str],
        typer.Argument(metavar="TYPE...", help="Such as q4_0, q5_0, q8_0 or q4_k_m.", autocompletion=complete_type),
    ],
    project: Annotated[
        bool, typer.Option("--project", help="Write the entries into the library's models.yaml, not into your own.")
    ] = False,
    json: Json = False,
) -> None:
    """Make variants of a model by quantising its file with llama.cpp, to compare what packaging does to answers.

    A variant is called NAME-TYPE, and its entry names its base and the types that its tensors really have. A model
    that is quantised already loses more by it.
    """
    from promptlab.app.quantize import carry_out, order

    made: list[Variant] = []
    with lab(context) as here:
        wanted = order(here, name, types, project=project)
        if wanted.warning:
            say(wanted.warning)
        with _progress() as tell:
            for variant in carry_out(here, wanted, tell):
                made.append(variant)
                say(_told(variant))
    if json:
        print_json([asdict(variant) for variant in made])
    names = ",".join([wanted.model.name, *(variant.name for variant in made)])
    say(f"compare them: -m {names}")


def _told(variant: Variant) -> str:
    from promptlab.views.table import size

    where = f", written into {variant.registry}" if variant.registry else ""
    return f"{variant.name}: {variant.how}: {size(variant.bytes)}, {variant.title}{where}"


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal; otherwise a line when something begins."""
    if not sys.stderr.isatty():
        said: list[str] = []

        def line(at: Step) -> None:
            what = f"{at.name}: {_WORDS[at.phase]}"
            if what not in said:
                said.append(what)
                say(what)

        yield line
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        task = bars.add_task("")

        def bar(at: Step) -> None:
            bars.update(task, description=f"{at.name}: {_WORDS[at.phase]}", completed=at.done, total=at.total)

        yield bar
