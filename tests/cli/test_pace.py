"""How far it has come, in words."""

from __future__ import annotations

import pytest

from promptlab.cli import pace
from promptlab.cli.pace import Pace
from promptlab.core.pace import duration


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def test_the_rest_takes_as_long_as_what_was_paid_for(clock: Clock) -> None:
    with Pace("answers", 100) as told:
        told.note("loading alpha")
        assert told.line() == "0 of 100 answers · loading alpha"
        for _ in range(40):
            told.count(free=True)
        assert told.line() == "40 of 100 answers · 40 from the history · loading alpha"
        clock.now += 5
        for _ in range(10):
            told.count()
        assert told.line() == "50 of 100 answers · 40 from the history · about 25 s left"
        for _ in range(50):
            told.count()
        assert told.line() == "100 of 100 answers · 40 from the history"


def test_in_a_pipe_a_line_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with Pace("answers", 100) as told:
        for _ in range(50):
            clock.now += 1
            told.count()
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_measurements_are_told_how_many_there_are(clock: Clock) -> None:
    told = Pace("measurements", 0)
    told.at(3, 12)
    assert told.line().startswith("3 of 12 measurements")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (89.4, "89 s"), (150, "2 min"), (9000, "2.5 h")])
def test_times_for_a_reader(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_name_cannot_move_the_cursor(clock: Clock) -> None:
    told = Pace("answers", 1)
    told.note("loading \x1b[2J")
    assert "\x1b" not in told.line()
