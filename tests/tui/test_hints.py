"""Hints name the keys that the user has set, wherever they stand."""

from __future__ import annotations

import ast
import asyncio
import re
import string
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import promptlab.tui
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import present, read_models
from promptlab.tui.bindings import COMMANDS, shown_key
from promptlab.tui.widgets.bars import TitleBar
from promptlab.tui.widgets.models import ModelList
from promptlab.tui.widgets.options import OptionsPane
from promptlab.tui.widgets.prompts import PromptList
from promptlab.tui.widgets.source import SourcePane
from tests.tui.kit import Player, playing
from tests.tui.test_settings import preferring, settings

__all__ = ["settings"]  # a fixture

FILES = [path for path in Path(promptlab.tui.__path__[0]).rglob("*.py") if path.parent.name != "commands"]
IN_BROWSERS = {"ctrl+n", "ctrl+t", "ctrl+w"}
"""Keys that browsers keep for themselves."""
OLD = re.compile(r"(?<![\w+])(ctrl\+[a-z]|f\d|f1[0-2])(?!\w)|(?<![\w+])\w (pulls|chooses|shows|edit|versions|open) ")
"""How hints name the keys as they come."""
SCREENS = ("play", "batch", "history", "models")


# --- as they are written ---


def hinted(tree: ast.AST) -> Iterator[ast.expr]:
    """What the hints of a file give as the ids of commands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("key_of", "shown_key"):
            id = node.args[1 if node.func.id == "key_of" else 0]
            yield from [id.body, id.orelse] if isinstance(id, ast.IfExp) else [id]


def bound(tree: ast.AST) -> Iterator[set[str]]:
    """The keys of each thing that a window or a widget binds for itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Binding":
            keys = node.args[0]
            yield (
                set(keys.value.split(",")) if isinstance(keys, ast.Constant) and isinstance(keys.value, str) else set()
            )


def test_every_hint_names_a_command_that_there_is() -> None:
    ids = [id for path in FILES for id in hinted(ast.parse(path.read_text()))]
    named = {id.value for id in ids if isinstance(id, ast.Constant)}
    assert len(named) > 20
    assert named <= {command.id for command in COMMANDS}
    assert {ast.unparse(id) for id in ids if not isinstance(id, ast.Constant)} == {"id", "command.id"}


def test_no_text_has_the_key_of_a_command_in_it() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text())
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        own = {"f18"}.union(*bound(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                keys = re.findall(r"(?<![\w+])(?:ctrl\+\w|f\d+)\b", node.value)
                assert set(keys) <= own, (path.name, node.value)


def test_what_is_said_below_the_interface_names_no_key() -> None:
    """Keys can be set otherwise, and other callers have none: whoever shows it adds them."""
    key = re.compile(r"\b(ctrl\+\w|esc\b|press \w\b|f\d{1,2}\b)|\(\w\) to |^\w (opens|saves|edits) ")
    root = Path(promptlab.tui.__path__[0]).parent
    files = [path for layer in ("app", "core", "files") for path in (root / layer).rglob("*.py")]
    for path in (each for each in files if each.name != "settings.py"):  # which is about keys
        tree = ast.parse(path.read_text())
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                assert " " not in node.value or not key.search(node.value), (path.name, node.value)


def test_browsers_leave_everything_a_key() -> None:
    keys = {command.id: set(command.keys.split(",")) for command in COMMANDS}
    assert [id for id, some in keys.items() if some <= IN_BROWSERS] == []
    own = [some for path in FILES for some in bound(ast.parse(path.read_text())) if some]
    assert len(own) > 10
    assert [some for some in own if some <= IN_BROWSERS] == []


def test_a_hint_names_the_first_key_that_people_know() -> None:
    assert shown_key("ask.options") == "ctrl+t"
    assert shown_key("run", {"run": "left_square_bracket,f12"}) == "["
    assert shown_key("pane.next", {"pane.next": "f18,slash"}) == "/"
    assert shown_key("pane.next", {"pane.next": "f18"}) == "f18"


# --- as they are shown ---


def moved() -> dict[str, str]:
    """Another key for every command."""
    winning = (f"ctrl+{plus}f{number}" for plus in ("", "shift+", "alt+") for number in range(13, 25))
    plusses = ("alt", "hyper", "super", "meta", "alt+hyper", "alt+super")
    others = (f"{plus}+{letter}" for plus in plusses for letter in string.ascii_lowercase)
    return {command.id: next(winning if command.wins else others) for command in COMMANDS}


KEYS = moved()


@asynccontextmanager
async def elsewhere(library: Path, settings: Path, engine: FakeEngine) -> AsyncIterator[Player]:
    """The app, every key of which is another."""
    settings.write_text("keys:\n" + "".join(f"  {id}: {key}\n" for id, key in KEYS.items()))
    async with preferring(library, engine, (200, 60)) as player:
        await player.until(lambda: player.app.keys, "the settings")
        yield player


async def seen(player: Player, *texts: str) -> None:
    """Wait until all of this is on the screen, and no key as it was."""
    await player.until(lambda: all(text in player.text() for text in texts), str(texts))
    await player.until(lambda: not OLD.search(player.text()), "other keys")  # the footer comes a little later


async def give(player: Player, *ids: str) -> None:
    """Press the keys of commands."""
    await player.press(*(KEYS[id] for id in ids))


def test_on_the_play_screen(library: Path, settings: Path, engine: FakeEngine) -> None:
    (library / "prompts" / "plain.jinja").write_text("Hello.")

    async def go() -> None:
        async with elsewhere(library, settings, engine) as player:
            await player.choose("explain")
            await seen(player, f"{KEYS['run']}  run on every ticked model", f"{KEYS['help']}  every key")
            edit, versions, outside = (KEYS[f"prompts.{what}"] for what in ("edit", "versions", "open"))
            await seen(player, f"{edit} edit · {versions} versions · {outside} open in $EDITOR")
            await give(player, "ask.case.next")
            await seen(player, f"{KEYS['ask.cases']} chooses one.")
            await give(player, "ask.cases")
            await seen(player, f"go to an answer ({KEYS['pane.next']}), and press {KEYS['ask.keep.case']}:")
            await give(player, "cases.close")
            await give(player, "ask.options")
            await seen(player, f"{KEYS['ask.options']} folds")
            tooltip = str(player.play.query_one(OptionsPane)._samples.tooltip)
            assert f"{KEYS['samples.fewer']} and {KEYS['samples.more']} do the same" in tooltip
            await give(player, "ask.options")
            player.play.query_one(PromptList).focus()
            await give(player, "prompts.edit")
            await seen(player, f"{KEYS['prompts.save']} saves · {KEYS['source.leave']} leaves")
            await player.press("x")
            await give(player, "run")
            assert f"that are not saved: {KEYS['prompts.save']} saves them" in player.play.reasons[0]
            player.play.query_one(SourcePane).discard()
            await give(player, "source.leave")
            player.play.query_one(ModelList).tick([])
            await give(player, "run")
            assert f"go to the models ({KEYS['pane.next']})" in player.play.reasons[0]
            await player.choose("plain")
            await seen(player, f"It takes none: {KEYS['run']} runs it.")
            tabs = [spot for _, spot in player.play.query_one(TitleBar).tabs]
            assert len(tabs) == len(SCREENS)
            for tab in tabs:
                assert tab.tip.startswith(f"{KEYS[tab.target.id]}: ")

    asyncio.run(go())


def test_with_answers(library: Path, settings: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with elsewhere(library, settings, engine) as player:
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await give(player, "run")
            await player.until(lambda: player.columns and not player.play.running, "the answers")
            player.play.query_one(ModelList).focus()
            await give(player, "ask.keep.case")
            await seen(player, f"that you want to keep: {KEYS['pane.next']}.")
            player.columns[0].body.focus()
            await give(player, "play.difference")
            await seen(player, f" {KEYS['closer.difference']} Difference ", f" {KEYS['closer.saw']} What it saw ")
            await give(player, "closer.close", "answers.hide")
            await seen(player, f"1 hidden: {KEYS['answers.show']} shows all")

    asyncio.run(go())


def test_without_models(library: Path, settings: Path, engine: FakeEngine) -> None:
    for model in read_models(library / "models.yaml").values():
        if (path := present(model)) is not None:
            path.unlink()

    async def go() -> None:
        async with elsewhere(library, settings, engine) as player:
            await player.choose("numbers/count")
            pull = KEYS["play.pull"]
            await seen(player, f"No models yet: press {pull} to pull these two", f"{pull} pulls these two")
            await give(player, "run")
            assert f"{pull} pulls the default ones" in player.play.reasons[0]
            player.play.query_one(ModelList).focus()
            await give(player, "ticks.tick")
            await seen(player, f"Not on disk. {pull} pulls alpha.")
            await give(player, "screen.models", "models.load")
            await seen(player, f"alpha is not on disk. {KEYS['models.pull']} pulls it.")
            await give(player, "screen.batch")
            await seen(player, f"Tick what to compare, then {KEYS['batch.start']}.")
            await give(player, "screen.history")
            await seen(player, f"go to the play screen ({KEYS['screen.play']})", f"run it with {KEYS['run']}.")
            await give(player, "history.list", "history.compare")
            tick, compare = KEYS["history.tick"], KEYS["history.compare"]
            await seen(player, f"Tick two runs with {tick}; then {compare} compares them.")

    asyncio.run(go())


def test_what_is_shown_before_the_settings_are_read_is_made_anew(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (200, 60)) as player:
            await player.press("ctrl+t")
            await player.until(lambda: "ctrl+t folds" in player.text())
            await player.press("f3")
            await player.until(lambda: "then ctrl+r." in player.text())
            player.app.set_keymap(KEYS)
            player.app.keys = KEYS
            await player.until(lambda: f"then {KEYS['batch.start']}." in player.text())
            await give(player, "screen.play")
            await player.until(lambda: f"{KEYS['ask.options']} folds" in player.text())
            tips = [spot.tip for _, spot in player.play.query_one(TitleBar).tabs]
            assert [tip.split(":")[0] for tip in tips] == [KEYS[f"screen.{s}"] for s in SCREENS]

    asyncio.run(go())
