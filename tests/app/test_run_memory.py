"""Runs over models that do not fit into memory together, with the real pool and workers that have no model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from promptlab.app.lab import Lab, open_lab
from promptlab.app.run import Request, Run, prepare
from promptlab.core.events import Event, Failed, Finished, Loading, Ready
from promptlab.core.plan import OVERHEAD, Need
from promptlab.engine.pool import Pool
from tests.engine.test_pool import SCRIPT
from tests.engine.test_pool_memory import UNIT, Room

OpenLab = Callable[[float, str], Lab]


@pytest.fixture
def open_with(library: Path) -> Iterator[OpenLab]:
    """A lab whose models are all as large as the memory has units; the workers do what the text says."""
    listed = library / "models.yaml"
    text = listed.read_text().replace("    chat_template: plain\n", "")  # the workers know no other
    listed.write_text(text.replace("    license:", "    chat_template: plain\n    license:"))
    with ExitStack() as stack:

        def make(units: float, what: str) -> Lab:
            needs = lambda model, path: Need(UNIT - OVERHEAD)  # noqa: E731
            pool = Pool([sys.executable, SCRIPT, what], needs=needs, memory=Room(units))
            return stack.enter_context(open_lab(library, lambda: pool))

        yield make


def verdict(lab: Lab, *models: str, samples: int = 1) -> Run:
    """A program of two steps on several models."""
    return prepare(lab, Request(("verdict",), models, {"claim": "rain is wet"}, samples))


def pids(lab: Lab) -> list[int]:
    """The processes of models that are loaded."""
    assert isinstance(lab.backend, Pool)
    return [pid for name in ("alpha", "beta") if (pid := lab.backend.pid(name)) is not None]


@pytest.mark.parametrize("units", [1.5, 2.5])
def test_each_model_answers_all_steps_whether_they_fit_together_or_not(open_with: OpenLab, units: float) -> None:
    lab = open_with(units, "answer")
    run = verdict(lab, "alpha", "beta", samples=3)
    seen: list[Event] = []
    for event in run.events():
        seen.append(event)
        assert len(pids(lab)) <= int(units)
    assert [(r.model.name, len(r.steps), r.error) for r in run.board.records] == [
        *[("alpha", 2, None)] * 3,
        *[("beta", 2, None)] * 3,
    ]
    ready = [i for i, e in enumerate(seen) if isinstance(e, Ready)]
    done = [i for i, e in enumerate(seen) if isinstance(e, Finished) and e.record.model.name == "alpha"]
    assert len(ready) == 2
    if units < 2:
        assert done[-1] < ready[1]


def test_a_second_run_finds_room_again(open_with: OpenLab) -> None:
    lab = open_with(1.5, "answer")
    for models in (("alpha", "beta"), ("alpha",), ("beta", "alpha")):
        run = verdict(lab, *models)
        list(run.events())
        assert [r.error for r in run.board.records] == [None] * len(models)


def test_a_model_that_never_fits_is_a_record_with_the_numbers_and_its_neighbours_go_on(library: Path) -> None:
    needs = lambda model, path: Need(UNIT * (9 if model.name == "beta" else 1) - OVERHEAD)  # noqa: E731
    pool = Pool([sys.executable, SCRIPT, "answer"], needs=needs, memory=Room(2.5))
    with open_lab(library, lambda: pool) as lab:
        run = verdict(lab, "beta", "alpha")
        list(run.events())
    beta, alpha = run.board.records
    assert beta.error is not None
    assert beta.error.message.startswith("beta: needs 96.6 GB of memory (")
    assert alpha.engine is not None  # it was loaded


def test_a_run_cancelled_while_a_model_loads_ends_at_once_and_so_does_the_loading(open_with: OpenLab) -> None:
    lab = open_with(1.5, "alpha=load-for-ever")
    run = verdict(lab, "alpha", "beta")
    begun: list[int] = []
    for event in run.events():
        if isinstance(event, Loading):
            begun = pids(lab)
            run.cancel()
    assert [r.error.type for r in run.board.records if r.error] == ["Cancelled", "Cancelled"]
    assert len(begun) == 1
    assert pids(lab) == []
    assert isinstance(lab.backend, Pool)
    lab.backend.close()
    assert not psutil.pid_exists(begun[0])


def test_a_model_that_crashes_in_every_run_is_set_aside(open_with: OpenLab) -> None:
    lab = open_with(2.5, "alpha=crash-in-answer")
    messages = []
    for _ in range(3):
        run = verdict(lab, "alpha")
        assert [e for e in run.events() if isinstance(e, Failed)]
        messages += [r.error.message for r in run.board.records if r.error]
    assert messages == [
        "alpha: its worker was killed by SIGSEGV",
        "alpha: its worker was killed by SIGSEGV",
        "alpha: set aside after it crashed twice; see `promptlab doctor`",
    ]
