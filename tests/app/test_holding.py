from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from promptlab.app.holding import Held, Holdings, hold, holdings, let_go
from promptlab.app.lab import Lab, Labs, open_lab
from promptlab.core.events import Failure, Ready
from promptlab.engine.fake import FAKE_BYTES, FAKE_ROOM, FakeEngine
from promptlab.errors import EngineError, ModelMissing, NotFound
from promptlab.files.models import read_models
from promptlab.files.paths import model_file
from tests.tui.kit import Held as HeldEngine


@pytest.fixture
def labs(library: Path, engine: FakeEngine) -> Iterator[Labs]:
    labs = Labs(library, lambda: engine)
    yield labs
    labs.close()


@pytest.fixture
def here(labs: Labs) -> Iterator[Lab]:
    with labs.open() as lab:
        yield lab


def until(lab: Lab, condition: Callable[[Holdings], bool]) -> Holdings:
    """Wait for the engine's thread."""
    for _ in range(3000):
        found = holdings(lab)
        if condition(found):
            return found
        lab.backend.next_event(0.01)
    raise AssertionError(found)


def states(found: Holdings) -> dict[str, str]:
    return {model.name: model.state for model in found.models}


def test_a_model_is_kept_and_let_go(here: Lab, engine: FakeEngine) -> None:
    assert holdings(here) == Holdings((), FAKE_ROOM)
    hold(here, "alpha")
    found = until(here, lambda found: states(found) == {"alpha": "ready"})
    assert found == Holdings((Held("alpha", "ready", 1.0, FAKE_BYTES, kept=True),), FAKE_ROOM - FAKE_BYTES)
    assert found.used == FAKE_BYTES
    hold(here, "alpha")  # once is enough
    assert engine.loaded == ["alpha"]
    assert let_go(here, "alpha")
    assert engine.released == ["alpha"]
    assert holdings(here) == Holdings((), FAKE_ROOM)
    assert let_go(here, "alpha")  # there is nothing left to do


def test_what_others_need_stays(labs: Labs, here: Lab) -> None:
    with labs.open() as other:
        hold(other, "alpha")
        hold(here, "alpha")
        until(here, lambda found: states(found) == {"alpha": "ready"})
        assert not let_go(here, "alpha")
        (alpha,) = holdings(here).models
        assert (alpha.kept, alpha.used) == (False, True)
    (alpha,) = holdings(here).models
    assert (alpha.state, alpha.used) == ("ready", False)  # it is still in memory, and nobody needs it
    assert let_go(here, "alpha")


def test_loading_is_told(library: Path) -> None:
    engine = HeldEngine(lambda question, prompt: "", lambda event: isinstance(event, Ready))
    labs = Labs(library, lambda: engine)
    with labs.open() as lab:
        hold(lab, "alpha")
        (alpha,) = until(lab, lambda found: bool(found.models and found.models[0].fraction)).models
        assert (alpha.state, alpha.fraction) == ("loading", 0.5)
        engine.gate.set()
        until(lab, lambda found: states(found) == {"alpha": "ready"})
    labs.close()


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (Failure("WorkerDied", "it died", "SIGSEGV"), "crashed"),
        (Failure("WorkerDied", "it ended with exit code 1"), "crashed"),
        (Failure("EngineError", "set aside"), "failed"),
    ],
)
def test_a_model_that_died_says_why_and_can_be_held_again(
    here: Lab, engine: FakeEngine, failure: Failure, state: str
) -> None:
    hold(here, "alpha")
    until(here, lambda found: states(found) == {"alpha": "ready"})
    engine.kill("alpha", failure)
    found = until(here, lambda found: states(found) == {"alpha": state})
    assert found.models == (Held("alpha", state, 0.0, reason=failure.message),)  # type: ignore[arg-type]
    hold(here, "alpha")
    until(here, lambda found: states(found) == {"alpha": "ready"})


def test_what_cannot_be_held(here: Lab, library: Path) -> None:
    with pytest.raises(NotFound):
        hold(here, "delta")
    with pytest.raises(ModelMissing, match="gamma"):
        hold(here, "gamma")
    sha256 = read_models(library / "models.yaml")["beta"].sha256
    assert sha256
    model_file(sha256).write_bytes(b"<html>")
    with pytest.raises(EngineError, match="it is a web page"):
        hold(here, "beta")
    assert holdings(here).models == ()


def test_a_model_that_others_use_otherwise_is_not_held(labs: Labs, here: Lab, library: Path) -> None:
    with labs.open() as other:
        hold(other, "alpha")
        models = library / "models.yaml"
        models.write_text(models.read_text().replace("title: The first", "title: The first\n    threads: 3"))
        with pytest.raises(EngineError, match="alpha is in use with threads None, not 3"):
            hold(here, "alpha")


def test_a_lab_that_is_alone_with_its_engine_holds_nothing(library: Path, engine: FakeEngine) -> None:
    with open_lab(library) as lab, pytest.raises(TypeError):
        holdings(lab)
