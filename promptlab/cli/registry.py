"""`promptlab models add|remove|usage|import-ollama|import-lmstudio`: entries made from files, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli.output import print_grid, print_json, say
from promptlab.cli.paths import Json
from promptlab.cli.prompts import complete_model
from promptlab.cli.state import lab
from promptlab.errors import Exit

if TYPE_CHECKING:
    from promptlab.app.registry import Added, Removed, Skipped, Used

Folder = Annotated[
    Path | None, typer.Argument(metavar="[DIR]", help="Where its models are, if not where they usually are.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Only list what would be done.")]
_KEPT = {
    "was there": "it is in the store already",
    "clone": "the store has a clone of it, which takes no space until one of them is changed",
    "hard link": "the store has it under a second name, which takes no space; do not change the file in place",
    "link": "the store has a link to it: it is gone when the file is",
    "copy": "the store has a copy of it",
}


_SHORT = {
    "was there": "in the store already",
    "clone": "as a clone",
    "hard link": "as a second name of the file",
    "link": "as a link to the file",
    "copy": "as a copy",
}


def add(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PATH", help="A GGUF file.")],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What to call it; made from the file's name if not given."),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(
            "--license", metavar="LICENSE", help="Its license, where the file does not say, or says otherwise."
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TITLE", help="A line about it; what the file says if not given.")
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="Write into the library's models.yaml, not into your own.")
    ] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Put a link into the store, where the file lies on another disk: no copy.")
    ] = False,
    json: Json = False,
) -> None:
    """Make an entry for a GGUF file: with its hash, its size, and what the file says of itself."""
    from promptlab.app.registry import Wish, add_model
    from promptlab.cli.progress import progress

    with lab(context) as here, progress() as tell:
        added = add_model(here, file, Wish(name, license, title, project, link), tell)
    if json:
        print_json(asdict(added))
    else:
        say(f"{added.name}: added to {added.registry}; {_KEPT[added.kept or 'was there']}")
        _noted(added)


def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_model)],
    file: Annotated[bool, typer.Option("--file", help="Delete its file from the store too.")] = False,
    json: Json = False,
) -> None:
    """Take an entry out of the models.yaml that it is in, which is your own where both have one."""
    from promptlab.app.registry import remove_model

    with lab(context) as here:
        removed = remove_model(here, name, file=file)
    if json:
        print_json(asdict(removed))
        return
    say(f"{removed.name}: is out of {removed.registry}{_freed(removed, file)}")
    for note in removed.notes:
        say(f"{removed.name}: {note}")


def usage(context: typer.Context, json: Json = False) -> None:
    """Show what lies in the model store, which entries name it, and when it was used last."""
    from promptlab.app.registry import store_folder
    from promptlab.app.registry import usage as look
    from promptlab.views.table import grid, size

    with lab(context) as here:
        found = look(here)
    if json:
        print_json(asdict(found))
        return
    rows = [*map(_used, found.files), *((*_used(each)[:2], "left by a pull", "", "", "") for each in found.leftovers)]
    headers = ("FILE", "SIZE", "IS", "ENTRIES", "RUNS HERE", "LAST RUN (UTC)")
    print_grid(grid(headers, rows, right=[1, 4], spare=(5,)), "the model store is empty")
    links = ", without what links lead to" if any(each.link for each in found.files) else ""
    say(f"{size(found.bytes)} in {store_folder()}{links}")
    if any(not each.entries and each.sha256 for each in found.files):
        say("a file that no entry names here may be named in another library; to be rid of it, delete it")


def import_ollama(context: typer.Context, folder: Folder = None, dry_run: Dry = False, json: Json = False) -> None:
    """Make entries in your own models.yaml for what Ollama has on this disk, without a copy."""
    from promptlab.app.registry import import_ollama as take
    from promptlab.cli.progress import progress

    with lab(context) as here, progress() as tell:
        _imported(take(here, folder, tell, dry_run=dry_run), dry_run, json)


def import_lmstudio(context: typer.Context, folder: Folder = None, dry_run: Dry = False, json: Json = False) -> None:
    """Make entries in your own models.yaml for what LM Studio has on this disk, without a copy."""
    from promptlab.app.registry import import_lmstudio as take
    from promptlab.cli.progress import progress

    with lab(context) as here, progress() as tell:
        _imported(take(here, folder, tell, dry_run=dry_run), dry_run, json)


def _imported(found: Iterator[Added | Skipped], dry_run: bool, json: bool) -> None:
    """Tell each as soon as it is there."""
    from promptlab.app.registry import Skipped

    added: list[Added] = []
    skipped: list[Skipped] = []
    for each in found:
        if isinstance(each, Skipped):
            skipped.append(each)
            say(f"{each.name}: left out: {each.reason}")
            continue
        added.append(each)
        if not json:
            _told(each)
    if json:
        print_json({"added": [asdict(each) for each in added], "skipped": [asdict(each) for each in skipped]})
    else:
        new = [each for each in added if not each.already]
        done = "would be added" if dry_run else "added"
        where = f" to {new[0].registry}" if new and not dry_run else ""
        say(f"{len(new)} {done}{where}, {len(added) - len(new)} known, {len(skipped)} left out")
    if skipped and not added:
        raise typer.Exit(Exit.ERROR)


def _told(added: Added) -> None:
    """A line for a file of another program, and what else is to be said of it."""
    from promptlab.views.table import size

    if added.already:
        say(f"{added.name}: is this file already: {added.path}")
    elif added.kept is None:
        say(f"{added.name}: {size(added.bytes)}, license {added.license}: {added.path}")
    else:
        say(f"{added.name}: added, {_SHORT[added.kept]}; license {added.license}")
    _noted(added)


def _noted(added: Added) -> None:
    for note in added.notes:
        say(f"{added.name}: {note}")


def _freed(removed: Removed, file: bool) -> str:
    from promptlab.views.table import size

    if not file:
        return "; its file stays where it is"
    if removed.freed is None:
        return "; it had no file in the store"
    return (
        f"; its file is deleted, which frees {size(removed.freed)}"
        if removed.freed
        else "; its file is out of the store, and frees nothing, as it has another name on this disk"
    )


def _used(each: Used) -> tuple[str, ...]:
    from promptlab.views.table import size

    name = Path(each.path).name
    short = f"{each.sha256[:12]}…" if each.sha256 else name
    last = (each.last_run or "")[:16].replace("T", " ")
    kind = "a link" if each.link else "a second name" if each.shared else "a file"
    return (short, size(each.bytes), kind, ", ".join(each.entries) or "none", f"{each.runs:,}", last)
