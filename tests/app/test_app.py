from __future__ import annotations

from pathlib import Path

import pytest

from promptlab.app.init import init_library
from promptlab.app.lab import Lab
from promptlab.app.models import list_models, model_names, pull_models, show_model, verify_models
from promptlab.app.places import places
from promptlab.app.prompts import list_prompts, prompt_names, render_prompt, show_prompt
from promptlab.app.run import Request, Run, Typed, prepare
from promptlab.app.runs import list_runs, show_run
from promptlab.core.board import Board
from promptlab.core.events import Failed, Failure, Ready
from promptlab.core.record import Cell
from promptlab.engine.fake import FakeEngine
from promptlab.errors import EngineError, ModelMissing, NotFound, StoreError, UsageError
from promptlab.views.jsontext import dumps


def started(lab: Lab, **more: object) -> Run:
    return prepare(lab, Request(("explain",), inputs={"topic": Typed("rain")}, **more))  # type: ignore[arg-type]


def test_the_board_keeps_every_cell_up_to_date(lab: Lab) -> None:
    run = started(lab, samples=2)
    board = Board(run.jobs)
    assert board.cells == tuple(Cell(job) for job in run.jobs)
    seen: set[str] = set()
    for event in run.events():
        board.take(event)
        seen |= {cell.status for cell in board.cells}
    assert seen == {"waiting", "loading", "running", "done"}
    assert [r.model.name for r in board.records] == ["alpha", "alpha", "beta", "beta"]
    assert [r.sample for r in board.records] == [0, 1, 0, 1]
    assert [c.text for c in board.cells] == [r.output for r in board.records]


def test_a_model_that_dies_ends_its_cells_only(lab: Lab, engine: FakeEngine) -> None:
    run = started(lab)
    board = Board(run.jobs)
    for event in run.events():
        board.take(event)
        if isinstance(event, Ready) and event.model == "alpha":
            engine.kill("alpha", Failure("EngineError", "died", "SIGKILL"))
    assert [c.status for c in board.cells] == ["failed", "done"]


def test_records_come_back_from_the_history(lab: Lab) -> None:
    run = started(lab, models=("alpha",))
    board = Board(run.jobs)
    for event in run.events():
        board.take(event)
    [row] = list_runs(lab, 5)
    assert (row.prompt, row.model, row.error) == ("explain", "alpha", None)
    assert dumps(show_run(lab, row.id)) == dumps(board.records[0])
    with pytest.raises(NotFound):
        show_run(lab, "nope")


def test_models(lab: Lab) -> None:
    assert [(m.name, m.present) for m in list_models(lab)] == [("alpha", True), ("beta", True), ("gamma", False)]
    assert show_model(lab, "alpha").sources == ("alpha.gguf",)
    with pytest.raises(NotFound):
        show_model(lab, "delta")
    assert [(p.name, p.fetched) for p in pull_models(lab, ["alpha", "gamma"], lambda progress: None)] == [
        ("alpha", False),
        ("gamma", True),
    ]
    assert [(v.model, v.ok) for v in verify_models(lab, [], lambda progress: None)] == [
        ("alpha", True),
        ("beta", True),
        ("gamma", True),
    ]


def test_prompts(lab: Lab) -> None:
    assert [r.name for r in list_prompts(lab) if r.problem] == ["broken"]
    page = show_prompt(lab, "explain")
    assert (page.label, page.commit, page.dirty) == ("explain", None, None)
    assert [i.required for i in page.inputs] == [True, False]


def test_render_waits_for_the_model(lab: Lab, engine: FakeEngine) -> None:
    rendered = render_prompt(lab, "explain", {"topic": "rain"}, "alpha")
    assert rendered.text is not None
    assert rendered.tokens == engine.tokenize("alpha", [])[:0] + (rendered.tokens or ())
    assert engine.loaded == ["alpha"]
    with pytest.raises(ModelMissing):
        render_prompt(lab, "explain", {"topic": "rain"}, "gamma")


def test_render_says_why_a_model_cannot_be_loaded(
    lab: Lab, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = iter(
        [None, Failed("beta", None, Failure("EngineError", "other")), Failed("alpha", None, Failure("X", "no memory"))]
    )
    monkeypatch.setattr(engine, "next_event", lambda timeout: next(events))
    with pytest.raises(EngineError, match="no memory"):
        render_prompt(lab, "explain", {"topic": "rain"}, "alpha")


def test_names_for_completion_never_fail(library: Path) -> None:
    assert model_names(None) == ["alpha", "beta", "gamma"]
    assert prompt_names(None) == ["broken", "explain", "numbers/count", "verdict"]
    assert model_names(library / "nowhere") == prompt_names(library / "nowhere") == []
    (library / "models.yaml").write_text("models: [")
    assert model_names(None) == []
    assert not (library / ".promptlab").exists()


def test_init_tells_what_it_made(home: Path) -> None:
    made = init_library(home / "new")
    assert made.kept == ()
    again = init_library(home / "new")
    assert (again.created, again.kept) == ((), made.created)


def test_init_does_not_follow_a_link_to_nowhere(home: Path) -> None:
    (home / "models.yaml").symlink_to(home / "elsewhere")
    assert "models.yaml" in init_library(home).kept
    assert not (home / "elsewhere").exists()


def test_init_in_a_place_that_takes_nothing(home: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        init_library(Path("/proc/promptlab"))


def test_init_where_the_name_is_too_long(home: Path) -> None:
    with pytest.raises(UsageError, match="File name too long"):
        init_library(home / ("a" * 300))


def test_init_leaves_no_half_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptlab.app.init.HELLO", "\ud800")  # writing it fails, as on a full disk
    with pytest.raises(UnicodeEncodeError):
        init_library(home / "new")
    assert not (home / "new" / "prompts" / "hello.jinja").exists()


def test_places(library: Path, home: Path) -> None:
    found = places(None)
    assert found.library == str(library)
    assert found.cache == str(home / "cache" / "promptlab")
    with pytest.raises(NotFound):
        places(home / "nowhere")
