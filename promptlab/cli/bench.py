"""`promptlab bench`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import console, print_grid, print_json, print_page, say
from promptlab.cli.paths import Json
from promptlab.cli.prompts import complete_model
from promptlab.cli.run import Mode
from promptlab.cli.state import lab
from promptlab.errors import Exit, Interrupted, UsageError

if TYPE_CHECKING:
    from promptlab.app.bench import Stage, Tell, Terms
    from promptlab.app.lab import Lab
    from promptlab.core.bench import Benched
    from promptlab.core.job import Model


def bench(
    context: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL]...",
            help="Models; `tag:TAG`, a pattern or `all` stand for several. None: the default ones that are on disk.",
            autocompletion=complete_model,
        ),
    ] = [],  # noqa: B006  (typer copies it)
    mode: Annotated[Mode | None, typer.Option("--mode", help="Instead of what the models' entries say.")] = None,
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="N,N…", help="How many answers are drawn at once, with commas between.")
    ] = "1,2,4,8,16,32",
    tokens: Annotated[int, typer.Option("--tokens", min=16, max=1000, help="Tokens of each answer.")] = 32,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=100, help="How often everything is measured.")] = 3,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Find out anew how each model is best laid out on this machine.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure how fast models read prompts and draw answers on this machine, and how much memory they hold.

    Rates are medians over the rounds, with the lowest and the highest. `-` stands where too few tokens were drawn by
    that many answers at once: they ended early, or there are not so many slots.
    """
    from promptlab.app.bench import Terms, choose
    from promptlab.cli.values import read_names

    names = read_names(models, "MODEL")
    terms = Terms(_sizes(sizes), tokens, rounds, calibrate)
    with lab(context) as here:
        chosen = choose(here, names, mode.value if mode else None)
        found, interrupted = _measured(here, chosen, terms)
    _print(found, json=json, whole=not interrupted)
    if interrupted:
        raise Interrupted(f"interrupted: {len(found)} of {len(chosen)} models were measured")
    if any(each.error for each in found):
        raise typer.Exit(Exit.ERROR)


def _sizes(text: str) -> tuple[int, ...]:
    """Read `1,2,4`, each once. Raises UsageError."""
    from promptlab.core.plan import MAX_SLOTS

    words = [word.strip() for word in text.split(",")]
    numbers = [int(word) for word in words if word.isascii() and word.isdecimal() and len(word) < 9]
    if len(numbers) < len(words) or not all(1 <= number <= MAX_SLOTS for number in numbers):
        from promptlab.core.schema import shorten

        wants = f"--sizes wants whole numbers from 1 to {MAX_SLOTS} with commas between"
        raise UsageError(f"{wants}; got {shorten(repr(text))}")
    return tuple(dict.fromkeys(numbers))


def _measured(here: Lab, models: Sequence[Model], terms: Terms) -> tuple[list[Benched], bool]:
    """What was measured, and whether Ctrl+C came before the last model was done."""
    from promptlab.app.bench import bench

    found: list[Benched] = []
    try:
        with _progress(terms) as tell:
            for each in bench(here, models, terms, tell):
                found.append(each)
    except KeyboardInterrupt:  # nothing is kept, so nothing has to be put in order first
        return found, True
    return found, False


@contextmanager
def _progress(terms: Terms) -> Iterator[Tell]:
    """Give a function that shows how far it has come: what is done now on a terminal, otherwise a line a round."""
    if not sys.stderr.isatty():
        yield lambda at: None if at.size else say(_stage(at, terms))
        return
    with console(stderr=True).status("") as status:
        yield lambda at: status.update(_stage(at, terms, precisely=True))


def _stage(at: Stage, terms: Terms, *, precisely: bool = False) -> str:
    """What is being done, in a few words."""
    if not at.round:
        return f"{at.model}: loading"
    work = f"answers, {at.size} at once" if at.size else "a prompt"
    return f"{at.model}: round {at.round} of {terms.rounds}{f': {work}' if precisely else ''}"


def _print(found: Sequence[Benched], *, json: bool, whole: bool) -> None:
    """Print the models that were measured whole, and say why others failed."""
    from promptlab.views.bench import bench_grid, bench_page

    if json:
        if whole or found:
            print_json(list(found))
    elif any(each.engine for each in found):
        print_page(bench_page(found))
        print()
        print_grid(bench_grid(found), "")
    for each in found:
        if each.error:
            say(f"{each.model}: {each.error.message.removeprefix(f'{each.model}: ')}")  # some messages begin with it
