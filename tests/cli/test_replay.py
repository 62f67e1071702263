"""`promptlab runs replay`."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine, echo
from promptlab.files.models import present, read_models
from tests.conftest import Cli

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture
def ids(cli: Cli) -> list[str]:
    """Ids of records of alpha and beta, the oldest first."""
    return [r["id"] for r in json.loads(cli("run", "explain", "--var", "topic=rain", "--json").out)]


def other(question: Question, prompt: str) -> str:
    return "Other \x1b[2J." if question.model == "beta" else echo(question, prompt)


def test_an_identical_record_is_one_line(cli: Cli, ids: list[str]) -> None:
    result = cli("runs", "replay", ids[0])
    assert (result.code, result.out, result.err) == (0, f"identical     {ids[0]}  explain on alpha\n", "")


def test_what_differs_is_shown_below_its_line(cli: Cli, ids: list[str], engine: FakeEngine) -> None:
    engine.answer = other
    result = cli("runs", "replay", *ids)
    assert result.code == 100
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["identical", "differs"]
    assert lines[2].strip() == "step 1 (output): differs at token 0"
    assert lines[3].split()[:2] == ["recorded", "token"]
    assert "-0.5 then, unknown now" in lines[3]
    assert "'beta (seed" in lines[3]
    assert lines[4].split()[:2] == ["replayed", "token"]
    assert len(lines) == 5
    assert "\x1b" not in result.out
    assert result.err == "promptlab: 2 replayed: 1 identical, 1 differs\n"


def test_one_id_as_json_is_one_object_and_several_are_a_list(cli: Cli, ids: list[str], engine: FakeEngine) -> None:
    engine.answer = other
    result = cli("runs", "replay", ids[1][:-1] if ids[0][:-1] != ids[1][:-1] else ids[1], "--json")
    assert (result.code, result.err) == (100, "")
    one = json.loads(result.out)
    fields = ("id", "prompt", "label", "model", "verdict", "why", "step", "token", "recorded", "replayed")
    assert tuple(one) == fields
    assert (one["id"], one["prompt"], one["model"], one["verdict"]) == (ids[1], "explain", "beta", "differs")
    assert (one["step"], one["token"]) == (0, 0)
    assert one["recorded"]["recorded"] == one["replayed"]["replayed"] == -0.5
    both = json.loads(cli("runs", "replay", *ids, "--json").out)
    assert [(each["id"], each["verdict"]) for each in both] == [(ids[0], "identical"), (ids[1], "differs")]
    assert both[1] == one


def test_what_cannot_be_compared_is_exit_code_1(cli: Cli, ids: list[str], engine: FakeEngine, library: Path) -> None:
    engine.answer = other
    path = present(read_models(library / "models.yaml")["alpha"])
    assert path is not None
    path.unlink()
    result = cli("runs", "replay", *ids)
    assert result.code == 1
    assert result.out.splitlines()[0].split()[0] == "incomparable"
    assert "`promptlab models pull alpha`" in result.out.splitlines()[1]
    assert result.err == "promptlab: 2 replayed: 1 differs, 1 incomparable\n"


def test_the_newest_records_or_all(cli: Cli, ids: list[str]) -> None:
    def replayed(*arguments: str) -> Any:
        return [each["id"] for each in json.loads(cli("runs", "replay", *arguments, "--json").out)]

    assert replayed("--all") == ids[::-1]
    assert replayed("--limit", "1") == ids[1:]
    assert [r["id"] for r in json.loads(cli("runs", "list", "--json").out)] == ids[::-1]  # nothing was added


def test_an_empty_history(cli: Cli) -> None:
    result = cli("runs", "replay", "--all")
    assert (result.code, result.out, result.err) == (0, "", "promptlab: nothing to replay\n")
    assert json.loads(cli("runs", "replay", "--all", "--json").out) == []


@pytest.mark.parametrize("arguments", [(), ("01X", "--all"), ("--all", "--limit", "3"), ("--limit", "0"), ("01NOPE",)])
def test_what_is_typed_wrong_is_exit_code_2(cli: Cli, engine: FakeEngine, arguments: tuple[str, ...]) -> None:
    result = cli("runs", "replay", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert engine.loaded == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_shows_what_was_replayed(cli: Cli, ids: list[str], engine: FakeEngine, number: signal.Signals) -> None:
    def answer(question: Question, prompt: str) -> str:
        if question.model == "beta":
            os.kill(os.getpid(), number)
        return echo(question, prompt)

    engine.answer = answer
    before = signal.getsignal(number)
    result = cli("runs", "replay", *ids)
    assert (result.code, result.out) == (130, f"identical     {ids[0]}  explain on alpha\n")
    assert result.err == "promptlab: interrupted: 1 of 2 records were replayed\n"
    assert signal.getsignal(number) is before
    alone = cli("runs", "replay", ids[1], "--json")
    assert (alone.code, alone.out) == (130, "")
