"""`promptlab score`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import console, print_grid, print_json, print_page, say
from promptlab.cli.paths import Json
from promptlab.cli.prompts import Models, Vars, complete
from promptlab.cli.state import lab
from promptlab.errors import Exit, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptlab.app.lab import Lab
    from promptlab.app.score import Subject
    from promptlab.core.likelihood import Likelihood


def score(
    context: typer.Context,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT]", help="The prompt that the texts answer.", autocompletion=complete),
    ] = None,
    models: Models = [],  # noqa: B006  (typer copies it)
    var: Vars = [],  # noqa: B006
    text: Annotated[
        list[str],
        typer.Option("--text", "-t", metavar="TEXT", help="A text; @FILE reads it, - standard input. Repeat it."),
    ] = [],  # noqa: B006
    plain: Annotated[bool, typer.Option("--plain", help="Score the texts by themselves, after no prompt.")] = False,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Score the last answer of a record of the history.")
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the tokens too, one on a line.")] = False,
    json: Json = False,
) -> None:
    """Say how likely texts are to models, without drawing anything.

    A text stands where the answer to the prompt's first question would begin. Without --text, a prompt's choices are
    scored.
    """
    from promptlab.cli.values import read_names, read_texts

    _one_subject(prompt, var, text, plain, run)
    names, texts = read_names(models, "-m"), read_texts(text)
    with lab(context) as here:
        subject = _subject(here, prompt, var, texts, run)
        if subject.origin and not json:
            say(f"scoring {subject.origin}")
        found = _wait(here, subject, names)
    if json:
        print_json(found)
    else:
        _show(found, tokens)
    failed = {each.model: each.error for each in found if each.error}
    for name, failure in failed.items():
        say(f"{name}: {failure.message.removeprefix(f'{name}: ')}")  # some messages begin with it
    if failed:
        raise typer.Exit(Exit.ERROR)


def _one_subject(prompt: str | None, var: Sequence[str], text: Sequence[str], plain: bool, run: str | None) -> None:
    """Refuse what contradicts itself."""
    if sum((prompt is not None, plain, run is not None)) != 1:
        raise UsageError("name one of: a prompt, --plain for texts by themselves, --run ID for a recorded answer")
    if var and prompt is None:
        raise UsageError("--var is for a prompt")
    if text and run is not None:
        raise UsageError("--run scores the answer of the record; --text is for a prompt or --plain")
    if "-" in text and any(pair.endswith("=-") for pair in var):
        raise UsageError("standard input can be read only once: by --text or by --var")


def _subject(here: Lab, prompt: str | None, var: Sequence[str], texts: Sequence[str], run: str | None) -> Subject:
    from promptlab.app.score import as_answers, as_recorded, by_themselves
    from promptlab.cli.values import read_vars

    if run is not None:
        return as_recorded(here, run)
    return by_themselves(texts) if prompt is None else as_answers(here, prompt, read_vars(var), texts)


def _wait(here: Lab, subject: Subject, names: Sequence[str]) -> list[Likelihood]:
    from promptlab.app.score import score

    if not sys.stderr.isatty():
        return score(here, subject, names)
    with console(stderr=True).status("scoring"):
        return score(here, subject, names)


def _show(found: Sequence[Likelihood], tokens: bool) -> None:
    from promptlab.views.score import score_grid, tokens_page

    scored = [each for each in found if not each.error]
    if not scored:
        return
    print_grid(score_grid(scored), "")
    if tokens:
        print()
        print_page(tokens_page(scored))
