"""Take the pictures in the README, from the real program with real models: `uv run python docs/pictures.py`.

Writes into docs/pictures: playground.svg (the playground after `rain` was typed and run), and of its other screens
tokens.svg, difference.svg, source.svg, models.svg, batch.svg and history.svg; columns.svg (what
stays in the terminal after `promptlab run explain --var topic=rain`), compare.svg (the end of what
`promptlab compare answer --cases facts -n 4` prints), and report.png (its HTML report, in chromium).
Nothing is kept in the history. With the argument `playground`, only the playground's are taken.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from textual.pilot import Pilot

from promptlab.app import compare
from promptlab.app.lab import Labs, open_lab
from promptlab.app.run import Request, prepare, records
from promptlab.files.paths import cache_dir
from promptlab.tui.app import Playground
from promptlab.tui.widgets.prompts import PromptList
from promptlab.views.columns import Sheet, columns
from promptlab.views.report import write_report
from promptlab.views.sections import Layout, as_group, comparison_page

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


def take_comparison(library: Path) -> None:
    """The summary of a comparison, and its report."""
    with open_lab(library) as lab:
        asked = compare.Request(("answer",), ("facts",), samples=4, log=False, recall="nothing")
        comparing = compare.prepare(lab, asked)
        for _ in comparing.events():
            pass
        found = comparing.judged()
    layout = Layout(width=96)
    console = Console(record=True, width=96, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print("$ promptlab compare answer --cases facts -n 4", highlight=False)
    console.print("…")
    console.print(as_group(comparison_page(found, layout).summary, layout))
    write("compare", console.export_svg(title="promptlab compare"))
    page = library / "report.html"
    page.write_text(write_report(found, title="answer", made_at="2026-11-26 09:00"), encoding="utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        tab.goto(page.as_uri())
        tab.wait_for_timeout(1000)
        tab.screenshot(path=FOLDER / "report.png")
        browser.close()


async def take_playground(library: Path) -> None:
    """Every screen of the playground, driven by keys."""
    app = Playground(lambda: Labs(library))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: bool(app.play.prompts) and app.play.chosen is not None)
        await pilot.pause(1)
        await pilot.press("down", "enter")  # explain
        await pilot.pause(1)
        await pilot.press(*"rain", "enter")
        await until(pilot, lambda: bool(app.play.cells) and all(c.record for c in app.play.cells))
        await take(pilot, "playground")

        await pilot.press("escape", "t")
        await until(pilot, lambda: "probability" in shown(app) or "bits" in shown(app))
        await pilot.press(*["right"] * 3)
        await take(pilot, "tokens")
        await pilot.press("d")
        await take(pilot, "difference")
        await pilot.press("escape", "e")
        await take(pilot, "source")
        await pilot.press("escape", "f5")
        await until(pilot, lambda: "architecture" in shown(app))
        await take(pilot, "models")

        await pilot.press("f2", "shift+f6", "shift+f6")
        app.play.query_one(PromptList).mark("answer")
        await pilot.press("f3")
        await until(pilot, lambda: "[x] answer" in shown(app))
        await pilot.press("f6", "down", "space", "ctrl+r")
        await until(pilot, lambda: "48 of 48 answers" in shown(app) and "done" in shown(app))
        await take(pilot, "batch")
        await pilot.press("f4")
        await until(pilot, lambda: "50 runs" in shown(app))
        await pilot.press(*"capital")
        await until(pilot, lambda: "50 runs" not in shown(app))
        await take(pilot, "history")


async def take(pilot: Pilot[None], name: str) -> None:
    """Keep what the screen shows, once it has settled."""
    await pilot.pause(1)
    write(name, pilot.app.export_screenshot())


def shown(app: Playground) -> str:
    """The text on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


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
        # The title then reads ~/my-prompts, and paths of models ~/.cache/…; the models stay where they are.
        cache = Path(folder, ".cache")
        cache.mkdir()
        (cache / cache_dir().name).symlink_to(cache_dir())
        os.environ |= {"XDG_CACHE_HOME": str(cache), "HOME": folder}
        shutil.copytree(ROOT / "prompts", library / "prompts")
        shutil.copy(ROOT / "models.yaml", library)
        shutil.copytree(ROOT / "seeds", library / "seeds")
        if sys.argv[1:] != ["playground"]:
            take_columns(library)
            take_comparison(library)
        asyncio.run(take_playground(library))
