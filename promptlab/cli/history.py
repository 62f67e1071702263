"""`promptlab runs search`, `export`, `delete` and `purge`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand

from promptlab.cli.output import console, print_grid, print_json, say
from promptlab.cli.paths import Json
from promptlab.cli.prompts import complete, complete_model
from promptlab.cli.state import lab
from promptlab.errors import Exit, UsageError

if TYPE_CHECKING:
    from promptlab.app.lab import Lab
    from promptlab.core.search import Hit, Search

MOST = 100_000
SHOWN = 20
"""Records that a search shows unless told otherwise."""
COMPLAINTS = 5
"""Records that cannot be read, named one by one."""
_SHOWN_FIELDS = ("id", "prompt", "label", "model", "started_at", "case", "verdict", "error", "excerpt")


class Verdict(StrEnum):
    """What came of checks: `core.verdict.Outcome`."""

    passed = "pass"
    fail = "fail"
    unscored = "unscored"


Text = Annotated[
    str, typer.Option("--text", metavar="TEXT", help="Records with these words, as `runs search` finds them.")
]
Model = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Of this model; repeat it, or put commas between.",
        autocompletion=complete_model,
    ),
]
Prompt = Annotated[
    list[str],
    typer.Option(
        "--prompt", "-p", metavar="NAME", help="Of this prompt, in any version; repeatable.", autocompletion=complete
    ),
]
Version = Annotated[
    list[str],
    typer.Option(
        "--version", metavar="VERSION", help="Of this version: a label, explain@2, or how its hash begins; repeatable."
    ),
]
CaseId = Annotated[list[str], typer.Option("--case", metavar="ID", help="Of this case; repeatable.")]
Judged = Annotated[Verdict | None, typer.Option("--verdict", help="Whose newest verdict is this.")]
Failed = Annotated[bool | None, typer.Option("--error/--no-error", help="Only those that failed, or did not.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE", help="Started then or later: 2026-01-31, 2026-01-31T18:30 (UTC)."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="Started before the end of that day or second.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", "-l", min=1, max=MOST, help="Of all these so many, the newest ones.")
]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids from `runs list`, or how they begin.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask no question.")]
Wanted: TypeAlias = "Search | None"


class Words(TyperCommand):
    """A command whose text may hold words with a dash before them. So what a short option says is a word of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `-word` for text."""
        valued = {name for each in self.params if not getattr(each, "is_flag", True) for name in each.opts}
        return super().parse_args(ctx, _words_last(args, valued))


def _words_last(args: Iterable[str], valued: set[str]) -> list[str]:
    """Put what begins with one dash and is no option behind the others, where it is taken as it is."""
    options: list[str] = []
    words: list[str] = []
    rest = iter(args)
    for each in rest:
        if each == "--":
            words += rest
        elif each in valued:
            options += [each, *islice(rest, 1)]
        elif len(each) > 2 and each.startswith("-") and not each.startswith("--"):
            words.append(each)
        else:
            options.append(each)
    return [*options, "--", *words] if words else options


def _wanted(
    text: Text = "",
    model: Model = [],  # noqa: B006  (typer copies it)
    prompt: Prompt = [],  # noqa: B006
    version: Version = [],  # noqa: B006
    case: CaseId = [],  # noqa: B006
    verdict: Judged = None,
    error: Failed = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
) -> Wanted:
    """What the filters say; None where they say nothing. Its parameters are the options of every command here."""
    from promptlab.cli.values import read_names
    from promptlab.core.search import Search, after_moment, both, first_moment, read_search

    if named := [name for name in prompt if "@" in name]:
        raise UsageError(f"--prompt takes a name; a version is --version {named[0]}")
    options = Search(
        models=read_names(model, "--model"),
        prompts=tuple(prompt),
        versions=tuple(version),
        cases=tuple(case),
        verdict=verdict.value if verdict else None,
        failed=error,
        since=None if since is None else first_moment(since, "--since"),
        until=None if until is None else after_moment(until, "--until"),
        limit=limit,
    )
    wanted = both(read_search(text), options)
    return None if wanted == Search() else wanted


def _filtered(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `_wanted`, all but some, in the place of its parameter `wanted`: it is handed what
    they say.
    """
    options = [each for each in _parameters(_wanted) if each.name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:
            said = {each.name: given.pop(each.name) for each in options}
            command(**given, wanted=_wanted(**said))

        parameters: list[inspect.Parameter] = []
        for each in _parameters(command):
            parameters += options if each.name == "wanted" else [each]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # which is where typer looks
        return run

    return decorate


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return [each.replace(kind=keyword) for each in inspect.signature(function, eval_str=True).parameters.values()]


@_filtered("text", "limit")
def search(
    context: typer.Context,
    text: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT",
            help='Words and "phrases" that must occur, and -words that must not; filters such as verdict:fail.',
        ),
    ] = [],  # noqa: B006
    wanted: Wanted = None,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, max=MOST, help="How many, the newest ones.")] = SHOWN,
    json: Json = False,
) -> None:
    """Search what was asked, put in and answered: all words must occur, the last one only with its beginning.

    A phrase is in quotes that the shell leaves alone: '"old man" sea -fish'. Filters may stand among the words:
    model: prompt: version: case: verdict: failed: pinned: since: until:
    """
    from promptlab.app.history import search
    from promptlab.core.search import Search, both, read_search

    typed = both(read_search(" ".join(text)), wanted or Search())
    if typed == Search():
        raise UsageError("say what to search for: some words, or a filter such as --model NAME")
    with lab(context) as here:
        hits = search(here, replace(typed, limit=limit + 1))
    if json:
        print_json([{name: getattr(hit, name) for name in _SHOWN_FIELDS} for hit in hits[:limit]])
    elif hits:
        _print_hits(hits[:limit])
    if not hits:
        say("nothing was found")
    elif len(hits) > limit:
        say(f"these are the newest {limit:,}; there are more (--limit)")


@_filtered()
def export(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to: NAME.jsonl, NAME.json or NAME.csv.")
    ],
    ids: Ids = [],  # noqa: B006
    every: Annotated[bool, typer.Option("--all", help="Export every record.")] = False,
    wanted: Wanted = None,
) -> None:
    """Write records to a file: .jsonl, a record a line; .json, a list of them; or .csv, the main things as a table.

    Nothing is lost in the first two. In a table, cells that a spreadsheet could take for formulas begin with '.
    """
    from promptlab.app.history import export, form
    from promptlab.core.search import Search

    form(output)
    if sum((bool(ids), every, wanted is not None)) != 1:
        raise UsageError("name some records, or say --all, or filter them, for example by --model NAME")
    with lab(context) as here:
        done = export(here, _selected(here, ids, wanted or Search()), output)
    for reason in done.unreadable[:COMPLAINTS]:
        say(reason)
    if len(done.unreadable) > COMPLAINTS:
        say(f"and {len(done.unreadable) - COMPLAINTS:,} more that cannot be read")
    say(f"{_records(done.count)} written to {output}")
    if done.unreadable:
        raise typer.Exit(Exit.ERROR)


@_filtered()
def delete(
    context: typer.Context,
    ids: Ids = [],  # noqa: B006
    wanted: Wanted = None,
    yes: Yes = False,
) -> None:
    """Delete records, named or filtered, with the verdicts on them; nothing of their text is left in the files.

    Records that are filtered are counted first, and you are asked.
    """
    from promptlab.app.history import delete
    from promptlab.core.search import Search

    if bool(ids) == (wanted is not None):
        hint = "`promptlab runs purge` deletes everything"
        raise UsageError("name some records, or filter them, for example by --model NAME", hint=hint)
    with lab(context) as here:
        found = _selected(here, ids, wanted or Search())
        if not found:
            say("nothing was found, and nothing deleted")
        elif ids or _sure(f"delete {_counted(here, found)} for good", yes):
            say(f"{_records(delete(here, found))} deleted")


def purge(context: typer.Context, yes: Yes = False) -> None:
    """Delete the whole history: records, verdicts, and what was measured for them. No text is left in the files.

    What was typed in the playground is forgotten too, also sources that are not saved.
    """
    from promptlab.app.history import chosen, purge
    from promptlab.core.search import Search

    with lab(context) as here:
        if _sure(f"delete the whole history, {_counted(here, chosen(here, Search()))}, for good", yes):
            say(f"{_records(purge(here))} deleted; the history is empty")


def _counted(here: Lab, ids: Sequence[str]) -> str:
    """How many there are, and how many of them somebody wanted to keep at hand."""
    from promptlab.app.history import pinned

    count = pinned(here, ids)
    return _records(len(ids)) + (f" ({count:,} of them pinned)" if count else "")


def _selected(here: Lab, ids: Sequence[str], wanted: Search) -> list[str]:
    from promptlab.app.history import chosen, named

    return named(here, ids) if ids else chosen(here, wanted)


def _sure(what: str, yes: bool) -> bool:
    """Ask whether to do that, where somebody can be asked. Raises UsageError where nobody can."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"this would {what}; say --yes to do so")
    print(f"promptlab: {what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    say("nothing was deleted")
    return False


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _print_hits(hits: Sequence[Hit]) -> None:
    """Print a table; on a terminal, what was searched for is bold."""
    from promptlab.core.text import sanitize_line
    from promptlab.views.table import as_rich, grid

    judged = any(_outcome(hit) for hit in hits)
    headers = ["ID", "STARTED (UTC)", "PROMPT", "MODEL", *(["VERDICT"] if judged else []), "TEXT"]
    rows = [
        [hit.id, hit.started_at[:16].replace("T", " "), hit.label, hit.model, *([_outcome(hit)] if judged else [])]
        for hit in hits
    ]
    shown = [[(sanitize_line(piece.text), piece.matched) for piece in hit.pieces] for hit in hits]
    lines = [[*row, "".join(text for text, _ in pieces)] for row, pieces in zip(rows, shown, strict=True)]
    table = grid(headers, lines, cut_last=True, spare=(1, 3))
    if not sys.stdout.isatty():
        print_grid(table, "")
        return
    terminal = console()
    drawn = as_rich(table, terminal.width)
    for cell, pieces in zip(drawn.columns[-1].cells, shown, strict=True):
        at = 0
        for text, matched in pieces:
            if matched:
                cell.stylize("bold", at, at + len(text))  # type: ignore[union-attr]  # as_rich makes Text
            at += len(text)
    terminal.print(drawn)


def _outcome(hit: Hit) -> str:
    return hit.verdict or ("error" if hit.error is not None else "")
