"""Models on both screens: their states, pulling, and the first run."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.geometry import Region

from promptlab.core.events import Failure, Ready
from promptlab.core.job import Model
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.errors import PullError
from promptlab.files import pull as pulling
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from promptlab.files.pull import Progress, Tell
from promptlab.tui.widgets.bars import TitleBar
from promptlab.tui.widgets.models import ModelList
from tests.conftest import weights
from tests.tui.kit import PATIENCE_S, Held, Player, playing
from tests.tui.test_hostile import EVIL, SEEN, UNSAFE, squash


@pytest.fixture
def fresh(library: Path) -> Path:
    """No model is on disk, but all can be pulled from the library itself."""
    for model in read_models(library / "models.yaml").values():
        model_file(model.sha256 or "").unlink(missing_ok=True)
        (library / f"{model.name}.gguf").write_bytes(weights(model.name))
    return library


class Slow:
    """A pull that comes to 45 % and waits there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, source: str = "a.gguf") -> None:
        self.gate = threading.Event()
        self.source = source
        monkeypatch.setattr("promptlab.app.models.pull", self)

    def __call__(self, model: Model, *, library: Path, progress: Tell) -> Path:
        for _ in range(int(PATIENCE_S * 100)):
            progress(Progress(model.name, "download", 45_000_000, 100_000_000, self.source))
            if self.gate.wait(0.01):
                return pulling.pull(model, library=library, progress=progress)
        raise PullError("nobody let it go")


def stored() -> list[str]:
    return sorted(path.name for path in model_file("").parent.glob("*"))


def models(player: Player) -> ModelList:
    return player.play.query_one(ModelList)


def test_the_first_answer_in_under_ten_keys(fresh: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(fresh, engine) as player:
            text = player.text()
            assert "No models yet: press p to pull these two" in text
            assert "The first  of unknown size  apache-2.0" in text
            assert "p pulls these two" in text
            keys = ["p"]
            await player.press("p")
            await player.until(lambda: player.play.survey and player.play.survey.on_disk == 2, "the models")
            await player.until(lambda: "2 models were pulled." in player.text())
            assert models(player).ticked == ("alpha", "beta")
            assert "run on every ticked model" in player.text()
            keys += ["down", "enter", "x", "enter"]  # past the prompt that cannot be read
            await player.press(*keys[1:])
            await player.until(lambda: player.play.cells, "the answers")
            await player.ended()
            assert [cell.status for cell in player.play.cells] == ["done", "done"]
            assert len(keys) < 10

    asyncio.run(go())


@pytest.mark.parametrize(
    ("alpha", "beta", "said"),
    [
        (253_111_000, 98_400_000, "these two, 352 MB"),
        (1_100_000_000, 250_000_000, "these two, 1.4 GB"),
        (253_111_000, None, "these two, at least 253 MB"),
        (400, 300, "these two, 1 MB"),
    ],
)
def test_what_is_missing_is_added_up(fresh: Path, engine: FakeEngine, alpha: int, beta: int | None, said: str) -> None:
    file = fresh / "models.yaml"
    text = file.read_text()
    for name, size in (("alpha", alpha), ("beta", beta)):
        text = text.replace(f"  {name}:\n", f"  {name}:\n    bytes: {size}\n" if size else f"  {name}:\n")
    file.write_text(text)

    async def go() -> None:
        async with playing(fresh, engine) as player:
            shown = player.text()
            assert f"No models yet: press p to pull {said}" in shown
            assert f"p pulls {said}" in shown  # gamma, which is not asked unless it is named, is not among them

    asyncio.run(go())


def test_a_small_terminal_says_it_too(fresh: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(fresh, engine, (80, 24)) as player:
            assert "p pulls these two" in player.text()

    asyncio.run(go())


def test_a_pull_goes_on_over_screens_and_is_cancelled_from_either(
    fresh: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, EVIL)

    async def go() -> None:
        async with playing(fresh, engine, (200, 40)) as player:
            await player.press("p")
            await player.until(lambda: "45 MB of 100 MB" in player.text())
            text = player.text()
            assert "● pulling alpha 45%" in text  # in the title
            assert "↓ pulling 45%" in text
            assert "↓ is next" in text
            assert squash(SEEN) in squash(text)
            assert not UNSAFE.search(text)
            await player.press("p")
            await player.until(lambda: "One thing at a time: pulling alpha goes on" in player.text())
            await player.press("f5")
            await player.until(lambda: "↓ pulling 45%" in player.text() and "45 MB of 100 MB" in player.text())
            assert "● pulling alpha 45%" in player.text()
            assert not UNSAFE.search(player.text())
            await player.press("escape")
            await player.until(lambda: "Pulling alpha was cancelled" in player.text())
            assert not stored()
            await player.press("f2", "p")
            await player.until(lambda: "45 MB of 100 MB" in player.text())
            await player.press("escape")
            await player.until(lambda: player.app.models.doing is None)
            assert not player.app.activity
            slow.gate.set()
            await player.press("p")
            await player.until(lambda: player.play.survey and player.play.survey.on_disk == 2)
            assert len(stored()) == 2

    asyncio.run(go())


def test_what_cannot_be_pulled_is_said_and_what_was_pulled_stays(fresh: Path, engine: FakeEngine) -> None:
    (fresh / "beta.gguf").write_bytes(b"<html>")

    async def go() -> None:
        async with playing(fresh, engine) as player:
            await player.press("p")
            await player.until(lambda: "beta could not be pulled" in player.text())
            await player.until(lambda: player.play.survey and player.play.survey.on_disk == 1)
            assert models(player).ticked == ("alpha",)
            assert len(stored()) == 1

    asyncio.run(go())


def test_the_marked_model_is_pulled_and_ticked(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine) as player:
            await player.press("p")
            await player.until(lambda: "Every default model is on disk" in player.text())
            models(player).focus()
            await player.press("end", "space")
            await player.until(lambda: "Not on disk. p pulls gamma." in player.text())
            await player.press("p")
            await player.until(lambda: models(player).ticked == ("alpha", "beta", "gamma"))

    asyncio.run(go())


def test_states_and_memory(library: Path) -> None:
    engine = Held(lambda question, prompt: "Fine.", lambda event: isinstance(event, Ready))

    async def go() -> None:
        async with playing(library, engine) as player:
            await player.until(lambda: "0 MB used, 4.0 GB free" in player.text())
            assert player.text().count("○ on disk") == 2
            await player.choose("numbers/count")
            await player.press("enter", "3", "ctrl+r")
            await player.until(lambda: "◌ loading 50%" in player.within(models(player)))
            engine.gate.set()
            await player.ended()
            await player.until(lambda: player.within(models(player)).count("● ready") == 2)
            assert "400 MB used, 3.6 GB free" in player.text()

    asyncio.run(go())


def test_a_crashed_model_says_so(library: Path) -> None:
    def answer(question: Question, prompt: str) -> str:
        if question.model == "alpha":
            engine.kill("alpha", Failure("WorkerDied", EVIL, "SIGSEGV"))
        return "one two three four five six"

    engine = FakeEngine(answer)

    async def go() -> None:
        async with playing(library, engine, (300, 60)) as player:
            player.play.query_one("#sidebar").styles.width = 200
            await player.choose("numbers/count")
            await player.press("enter", "3")
            await player.run()
            await player.until(lambda: "✗ crashed" in player.within(models(player)))
            assert squash(SEEN) in squash(player.within(models(player)))
            assert not UNSAFE.search(player.text())
            assert "● ready" in player.within(models(player))

    asyncio.run(go())


def underlined(player: Player) -> str:
    """What is underlined in the title."""
    (title,) = player.top().query_one(TitleBar).render_lines(Region(0, 0, 80, 1))
    return "".join(text for text, style, _ in title if style and style.underline)


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_path_leaves_the_title_what_there_is(library: Path, engine: FakeEngine, width: int) -> None:
    wide = library.parent / "漢字の長い名前" / "漢字の長い名前" / "漢字の長い名前"
    shutil.copytree(library, wide)

    async def go() -> None:
        async with playing(wide, engine, (width, 24)) as player:
            title = player.text().split("\n")[0]
            assert cell_len(title) == width
            what = " 4 prompts · 2 of 3 models on disk " if width == 120 else " 4 prompts · 2/3 models "
            assert title.endswith(what)
            assert "…" in title

    asyncio.run(go())


def test_the_title_has_a_tab_for_each_screen(library: Path, engine: FakeEngine) -> None:
    async def go() -> None:
        async with playing(library, engine, (80, 24)) as player:
            assert underlined(player) == "Play"
            await player.click_tab("screen.models")
            await player.until(lambda: player.top() is not player.play)
            assert underlined(player) == "Models"
            assert "4 prompts · 2/3 models" in player.text()
            await player.press("f2")
            assert player.top() is player.play

    asyncio.run(go())
