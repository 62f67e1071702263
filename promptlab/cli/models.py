"""`promptlab models`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from promptlab.cli import registry
from promptlab.cli.output import print_grid, print_json, print_page, say
from promptlab.cli.paths import Json
from promptlab.cli.plan import plan
from promptlab.cli.prompts import complete_model
from promptlab.cli.quantize import quantize
from promptlab.cli.state import lab
from promptlab.errors import Exit

if TYPE_CHECKING:
    from promptlab.app.models import Listed

app = typer.Typer(help="The models of models.yaml.", rich_markup_mode=None, no_args_is_help=False)

app.command("quantize")(quantize)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", autocompletion=complete_model)]


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> None:
    """List the models, and whether they are on disk."""
    from promptlab.app.models import list_models
    from promptlab.views.table import grid, size

    with lab(context) as here:
        models = list_models(here)
    if json:
        print_json([asdict(model) for model in models])
        return
    own = any(m.origin == "yours" for m in models)
    lines = [
        (
            m.name,
            _standing(m),
            "yes" if m.default else "",
            size(m.bytes),
            m.license,
            *([m.origin] if own else []),
            m.title if m.sha256 or m.server else f"{m.title} (unpinned)".strip(),
        )
        for m in models
    ]
    headers = ("MODEL", "ON DISK", "DEFAULT", "SIZE", "LICENSE", *(["FROM"] if own else []), "TITLE")
    print_grid(grid(headers, lines, right=[3]), f"no models in {here.root / 'models.yaml'}")
    if hiding := [m.name for m in models if m.hides]:
        say(f"{', '.join(hiding)}: yours, in the place of the project's of the same name")
    if waiting := [m.name for m in models if m.trusted is False]:
        want = "want" if len(waiting) > 1 else "wants"
        say(f"{', '.join(waiting)} {want} more than this library: `promptlab trust` shows what, and lets it")


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_model)],
    json: Json = False,
) -> None:
    """Show everything about one model: its entry, and what its file or its server says."""
    from promptlab.app.model_details import model_details
    from promptlab.app.reach import reach_server
    from promptlab.cli.model_page import as_json, as_page

    with lab(context) as here:
        found = model_details(here, name)
        reached = reach_server(here, found.entry.name)
    if json:
        print_json(as_json(found) | {"reached": reached and asdict(reached)})
    else:
        print_page(as_page(found, reached))


@app.command("pull")
def pull(
    context: typer.Context,
    names: Names = None,
    pin: Annotated[bool, typer.Option("--pin", help="Write the hash of an entry that has none into it.")] = False,
) -> None:
    """Fetch models that are not on disk; the default ones if none is named."""
    from promptlab.app.models import pull_models
    from promptlab.cli.progress import progress
    from promptlab.cli.values import read_names

    with lab(context) as here, progress() as tell:
        for pulled in pull_models(here, read_names(names or [], "NAME"), tell, pin=pin):
            say(f"{pulled.name}: {'pulled' if pulled.fetched else 'was there already'}: {pulled.path}")
            if written := pulled.pinned:
                then = ": commit this" if written.shared else ""
                say(f"{pulled.name}: SHA-256 {written.sha256} is written into {written.written}{then}")


@app.command("verify")
def verify(context: typer.Context, names: Names = None, json: Json = False) -> None:
    """Hash the files of models again, and compare; all that are on disk if none is named."""
    from promptlab.app.models import verify_models
    from promptlab.cli.progress import progress
    from promptlab.cli.values import read_names
    from promptlab.views.table import grid

    with lab(context) as here, progress() as tell:
        found = list(verify_models(here, read_names(names or [], "NAME"), tell))
    if json:
        print_json([{"name": v.model, "ok": v.ok, "sha256": v.actual, "path": str(v.path)} for v in found])
    else:
        lines = [(v.model, "ok" if v.ok else "DIFFERS", v.actual, str(v.path)) for v in found]
        print_grid(grid(("MODEL", "FILE", "SHA256", "PATH"), lines), "no model is on disk")
    if bad := [v for v in found if not v.ok]:
        for each in bad:
            cure = f"Remove it, then `promptlab models pull {each.model}`"
            say(f"{each.model}: {each.path} is not what its hash says. {cure}")
        raise typer.Exit(Exit.ERROR)


app.command("plan")(plan)
app.command("add")(registry.add)
app.command("remove")(registry.remove)
app.command("usage")(registry.usage)
app.command("import-ollama")(registry.import_ollama)
app.command("import-lmstudio")(registry.import_lmstudio)


def _standing(model: Listed) -> str:
    if model.server:
        return "server" if model.trusted is not False else "not trusted"
    return "yes" if model.present else "no"
