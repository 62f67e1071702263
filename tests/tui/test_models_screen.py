"""The models screen: what it lists and shows, and its commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from promptlab.core.events import Failure, Token
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from promptlab.tui.bindings import of
from promptlab.tui.colours import Kind, Span, State, scan
from promptlab.tui.screens.help import HelpScreen
from promptlab.tui.screens.models import ModelsScreen
from promptlab.tui.widgets.model_details import FOLDED_CHARACTERS, STYLES, ModelDetails, coloured
from promptlab.tui.widgets.model_table import ModelTable, headings
from tests.conftest import sha256
from tests.files.ggufkit import STRING, U32, gguf, typed
from tests.tui.kit import Held, Player, playing
from tests.tui.test_hostile import EVIL, QUOTED, SEEN, UNSAFE, squash

TEMPLATE = "\n".join(["{% for m in messages %}", *["{{ m.content }}"] * 20, "{% endfor %}", "THE-END"])


def real(template: str = TEMPLATE, name: str = "A model") -> bytes:
    """The file of a model that says something of itself."""
    return gguf(
        [
            ("general.architecture", typed(STRING, "llama")),
            ("general.name", typed(STRING, name)),
            ("general.license", typed(STRING, name)),
            ("general.file_type", typed(U32, 15)),
            ("llama.block_count", typed(U32, 30)),
            ("llama.context_length", typed(U32, 8192)),
            ("tokenizer.ggml.model", typed(STRING, name)),
            ("tokenizer.chat_template", typed(STRING, template)),
        ]
    )


def give_alpha(library: Path, data: bytes) -> Path:
    """Let alpha be this file."""
    models = library / "models.yaml"
    old = read_models(models)["alpha"].sha256
    assert old
    models.write_text(models.read_text().replace(old, sha256(data)))
    path = model_file(sha256(data))
    path.write_bytes(data)
    return path


@asynccontextmanager
async def shelf(library: Path, engine: FakeEngine, size: tuple[int, int] = (120, 60)) -> AsyncIterator[Player]:
    """The models screen, once the first model's details are there."""
    async with playing(library, engine, size) as player:
        await player.press("f5")
        await player.until(lambda: isinstance(screen := player.top(), ModelsScreen) and screen.details)
        await player.pilot.pause()
        yield player


def details(player: Player) -> str:
    return player.within(player.top().query_one(ModelDetails))


def test_list_and_details(library: Path, engine: FakeEngine) -> None:
    path = give_alpha(library, real())

    async def go() -> None:
        async with shelf(library, engine) as player:
            text = player.text()
            assert "MODEL" in text
            assert "CONTEXT" in text
            assert text.count("○ on disk") == 3  # twice in the list, once in the details
            assert "· missing" in text
            for fact in (
                *("llama, 30 layers", "Q4_K_M", "8,192 tokens", "4,096 tokens", "apache-2.0 (its file says A model)"),
                *(path.stem, "alpha.gguf", "The first", "yes: asked unless others are named"),
            ):
                assert fact in details(player), fact
            assert "parameters" not in details(player)  # of a file without tensors there is nothing to say
            assert "THE-END" not in text
            await player.press("t")
            await player.until(lambda: "THE-END" in player.text())
            await player.press("t", "down")
            await player.until(lambda: "it names no architecture" in details(player))
            await player.press("down")
            await player.until(lambda: "not on disk" in details(player))
            await player.press("enter")
            assert player.top().query_one(ModelDetails).has_focus
            await player.press("f6")
            assert not player.top().query_one(ModelDetails).has_focus

    asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 24)])
def test_the_marked_model_is_in_sight(library: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    models = library / "models.yaml"
    names = [f"served-{number}" for number in range(30)]
    entries = "".join(f"  {name}:\n    server: http://127.0.0.1:9/v1\n" for name in names)
    models.write_text(f"{models.read_text()}\n{entries}")

    async def go() -> None:
        async with shelf(library, engine, size) as player:
            table = player.top().query_one(ModelTable)

            def in_sight(name: str) -> bool:
                return (row := table.marked) is not None and row.name == name and f"{name} " in player.within(table)

            await player.press("end")
            for name in names[-1], names[-2]:
                await player.until(partial(in_sight, name), name)
                await player.press("up")
            await player.press("home")
            await player.until(partial(in_sight, "alpha"), "alpha")

    asyncio.run(go())


def test_files_are_verified(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with shelf(library, engine) as player:
            await player.press("v")
            await player.until(lambda: "✓ its file is what its hash says" in details(player))
            beta = model_file(read_models(library / "models.yaml")["beta"].sha256 or "")
            beta.write_bytes(b"GGUF" + beta.read_bytes()[4:] + b"!")
            await player.press("down", "v")
            await player.until(lambda: "✗ damaged" in player.text())
            await player.until(lambda: f"✗ its file has another hash: {sha256(beta.read_bytes())}" in details(player))
            await player.press("down", "v")
            await player.until(lambda: "gamma is not on disk. p pulls it." in player.text())
            await player.press("p")
            await player.until(lambda: "1 model was pulled." in player.text())
            await player.press("p")
            await player.until(lambda: "gamma is on disk, and so is every default model." in player.text())

    asyncio.run(go())


def test_models_are_kept_in_memory_and_let_go(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with shelf(library, engine) as player:
            await player.press("u")
            await player.until(lambda: "alpha is not in memory." in player.text())
            await player.press("l")
            await player.until(lambda: "● kept ready · 200 MB in memory" in details(player))
            assert "200 MB used, 3.8 GB free" in player.text()
            engine.kill("alpha", Failure("WorkerDied", EVIL, "SIGKILL"))
            await player.until(lambda: "✗ crashed" in details(player))
            assert squash(SEEN) in squash(details(player))
            assert not UNSAFE.search(player.text())
            await player.press("l")
            await player.until(lambda: "● kept ready" in details(player))
            await player.press("u")
            await player.until(lambda: "○ on disk" in details(player))
            await player.press("down", "down", "l")
            await player.until(lambda: "gamma is not on disk" in player.text())

    asyncio.run(go())


def test_a_model_is_measured_unless_something_runs(library: Path) -> None:
    engine = Held(lambda question, prompt: "word " * 40, lambda event: isinstance(event, Token))

    async def go() -> None:
        async with shelf(library, engine) as player:
            for what in ("play", "batch", "replay"):
                player.app.busy(what, "running")
                await player.press("b")
                await player.until(lambda: "Something is running, so nothing can be measured" in player.text())
                assert player.app.models.doing is None
                player.app.busy(what, "")
                player.app.clear_notifications()
                await player.until(lambda: "Something is running" not in player.text())
            await player.press("b")
            await player.until(lambda: "reading a prompt" in details(player))
            await player.press("escape")
            engine.gate.set()
            await player.until(lambda: "Measuring alpha was cancelled." in player.text())
            await player.press("b")
            await player.until(lambda: "Measured here" in details(player))
            assert "prefill" in details(player)
            assert "MODEL" not in details(player)
            assert engine.released == ["alpha", "alpha"]

    asyncio.run(go())


def test_the_hash_is_copied(library: Path, engine: FakeEngine) -> None:
    models = library / "models.yaml"
    alpha = read_models(models)["alpha"].sha256
    text = models.read_text()

    async def go() -> None:
        async with shelf(library, engine) as player:
            await player.press("y")
            assert player.app.clipboard == alpha
            models.write_text(text.replace(f"    sha256: {alpha}\n", ""))
            await player.press("ctrl+l")
            await player.until(lambda: "not pinned" in details(player))
            assert ", unpinned " in player.within(player.top().query_one(ModelTable))
            await player.press("y", "v")
            await player.until(lambda: "There is no hash to copy." in player.text())
            await player.until(lambda: "alpha has no hash in models.yaml to compare with." in player.text())
            models.write_text("models: [1]")
            await player.press("ctrl+l")
            await player.until(lambda: "Nothing to show yet." in details(player))
            assert "models.yaml" in player.text()
            await player.press(*"pvlubty")  # nothing to do it with

    asyncio.run(go())


def test_every_command_is_bound_and_in_the_help(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with shelf(library, engine) as player:
            for command in of("models"):
                for key in command.keys.split(","):
                    (bound,) = player.top()._bindings.get_bindings_for_key(key)
                    assert (bound.id, bound.action) == (command.id, command.action)
            screen = player.top()
            idle = {c.name for c in of("models") if c.action != "cancel"}  # nothing goes on that could be cancelled
            assert idle == {c.name for c in of("models")} & {c.title for c in player.app.get_system_commands(screen)}
            await player.press("f1")
            assert isinstance(player.top(), HelpScreen)
            assert all(command.help in player.text() for command in of("models"))

    asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_what_strangers_wrote_is_only_text(library: Path, engine: FakeEngine, size: tuple[int, int]) -> None:
    give_alpha(library, real(f"{EVIL}\n{{{{ x }}}} {EVIL}", EVIL))
    models = library / "models.yaml"
    text = models.read_text().replace("title: The first", f"title: {QUOTED}\n    tags: [{QUOTED}]")
    options = f"    options: {{stop: {json.dumps([EVIL])}}}\n"
    text = text.replace("license: apache-2.0\n", f"license: {QUOTED}\n{options}".replace("\\u009b", "\\x9b"))
    models.write_text(text)

    async def go() -> None:
        async with shelf(library, engine, size) as player:
            pane = player.top().query_one(ModelDetails)
            pane.focus()
            seen = ""
            while True:
                assert not UNSAFE.search(player.text())
                seen += player.text()
                if pane.scroll_offset.y >= pane.max_scroll_y:
                    break
                pane.scroll_relative(y=5, animate=False)
                await player.pilot.pause()
            if size[0] == 200:
                assert squash(details(player)).count(squash(SEEN)[:20]) >= 5
            assert "{{ x }}" in seen

    asyncio.run(go())


def test_a_narrow_table_has_fewer_columns() -> None:
    assert [each.name for each in headings(76)] == ["MODEL", "STATE", "SIZE", "LICENSE", "DEFAULT"]
    assert [each.name for each in headings(150)][-2:] == ["TAGS", "TITLE"]
    assert [each.name for each in headings(1)] == ["MODEL"]


def test_a_strangers_template_is_coloured_without_a_parser_that_it_can_stop(
    library: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pygments takes time with the square of comments that never end."""
    looked: list[int] = []

    def counted(line: str, state: State) -> tuple[list[Span], State]:
        looked.append(len(line))
        return scan(line, state)

    def never(*args: object, **more: object) -> NoReturn:
        raise AssertionError("Pygments was asked")

    monkeypatch.setattr("pygments.lexer.RegexLexer.get_tokens_unprocessed", never)
    monkeypatch.setattr("promptlab.tui.widgets.model_details.scan", counted)
    give_alpha(library, real("{#" * 20_000))

    async def go() -> None:
        async with shelf(library, engine) as player:
            assert "shows all of it" in details(player)
            assert sum(looked) == FOLDED_CHARACTERS
            await player.press("t")
            assert "shows all of it" not in details(player)
            assert sum(looked) == FOLDED_CHARACTERS + 40_000

    asyncio.run(go())


def test_the_parts_of_a_template_have_the_colours_of_a_prompts_source() -> None:
    template = coloured("{# on\nand on #}{% if a == 'b' %}")
    parts = [(template.plain[span.start : span.end], span.style) for span in template.spans]
    expected: list[tuple[str, Kind]] = [
        ("{# on", "comment"),
        ("and on #}", "comment"),
        ("{%", "mark"),
        ("if", "word"),
        ("a", "name"),
        ("'b'", "string"),
        ("%}", "mark"),
    ]
    assert parts == [(text, STYLES[kind]) for text, kind in expected]
