"""Take the pictures in the README, from the real program with real models: `uv run python docs/pictures.py`.

Writes docs/pictures/playground.svg (the playground after `rain` was typed and run) and docs/pictures/columns.svg (what
stays in the terminal after `promptlab run explain --var topic=rain`). Nothing is kept in the history.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from textual.pilot import Pilot

from promptlab.app.lab import open_lab
from promptlab.app.run import Request, prepare, records
from promptlab.files.paths import cache_dir
from promptlab.tui.app import Playground
from promptlab.views.columns import Sheet, columns

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "pictures"
PATIENCE_S = 120.0


def take_columns(library: Path) -> None:
    """The columns of the command line."""
    with open_lab(library) as lab:
        run = prepare(lab, Request(("explain",), inputs={"topic": "rain"}, log=False))
        records(run)
        shown = columns(run.board.cells)
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print("$ promptlab run explain --var topic=rain", highlight=False)
    console.print(Sheet(shown, abreast=2))
    write("columns", console.export_svg(title="promptlab run"))


async def take_playground(library: Path) -> None:
    """The playground, driven by keys."""
    app = Playground(lambda: open_lab(library))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: bool(app.play.prompts))
        await pilot.press("enter", *"rain", "enter")
        await until(pilot, lambda: bool(app.play.cells) and all(c.record for c in app.play.cells))
        await pilot.pause(0.5)
        write("playground", app.export_screenshot())


def write(name: str, svg: str) -> None:
    """Keep a picture, without the web fonts that it would load: nothing here records an address."""
    without = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    (FOLDER / f"{name}.svg").write_text(without.replace("Fira Code", "monospace"))


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for the lab and the screen."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the playground did not get there")
        await pilot.pause(0.05)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "my-prompts")
        # The title then reads ~/my-prompts; the models stay where they are.
        os.environ["XDG_CACHE_HOME"] = str(cache_dir().parent)
        os.environ["HOME"] = folder
        shutil.copytree(ROOT / "prompts", library / "prompts")
        shutil.copy(ROOT / "models.yaml", library)
        take_columns(library)
        asyncio.run(take_playground(library))
