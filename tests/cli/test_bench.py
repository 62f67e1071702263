"""`promptlab bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine, echo
from promptlab.files.models import present, read_models
from tests.conftest import Cli

pytestmark = pytest.mark.usefixtures("library")

SHORT = ("bench", "--sizes", "1,2", "--rounds", "1", "--tokens", "16")


def test_what_computed_and_a_row_for_each_rate(cli: Cli) -> None:
    result = cli(*SHORT, "alpha")
    machine, model, table = result.out.split("\n\n")
    assert result.code == 0
    assert [line.split() for line in machine.splitlines()] == [
        ["llama.cpp", "fake"],
        ["cpu", "fake"],
        ["build", "fake"],
    ]
    assert model.splitlines() == [
        "alpha",
        "engine  mode exact · 1 threads · context 4,096",
        "layout  kv_unified=false flash_attention=false",
        "load    0.00 s",
    ]
    lines = [line.split() for line in table.splitlines()]
    assert lines[0] == ["MODEL", "WORK", "AT", "ONCE", "TOKENS/S", "LOW", "HIGH"]
    assert lines[1] == ["alpha", "prefill", "1", "51,000.0", "51,000.0", "51,000.0"]
    assert [line[:3] for line in lines[2:]] == [["alpha", "decode", "1"], ["alpha", "decode", "2"]]
    assert all(float(number.replace(",", "")) > 0 for line in lines[2:] for number in line[3:])


def test_how_it_is_laid_out_and_what_that_was_chosen_by(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"chunk": {"32": 1152.4, "64": 17.3}, "flash_attention": {"false": 2.0, "true": 1.0}}
    chosen = {"threads": 2, "flash_attention": False, "chunk": 32, "slots": 16, "seen": seen}
    monkeypatch.setattr(engine, "tuning", chosen)
    assert cli(*SHORT, "alpha").out.split("\n\n")[1].splitlines()[3:-1] == [
        "flash   false (tokens/s with false: 2, true: 1)",
        "chunk   32 (tokens/s with 32: 1,152, 64: 17)",
        "slots   16",
    ]
    (one,) = json.loads(cli(*SHORT, "alpha", "--json").out)
    assert one["tuning"] == chosen


def test_calibrate_finds_it_out_again(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        FakeEngine, "forget", lambda self, model, path: forgotten.append((model.mode, path.is_file())), raising=False
    )
    assert cli(*SHORT, "alpha").code == 0
    assert forgotten == []
    assert cli(*SHORT, "alpha", "--calibrate", "--mode", "fast").code == 0
    assert forgotten == [("fast", True)]


def test_how_far_it_has_come_is_narrated(cli: Cli) -> None:
    result = cli(*SHORT[:-3], "2", "--tokens", "16", "beta", "--json")
    assert result.err.splitlines() == [
        "promptlab: beta: loading",
        "promptlab: beta: round 1 of 2",
        "promptlab: beta: round 2 of 2",
    ]


def test_json_is_a_list_of_models(cli: Cli) -> None:
    result = cli(*SHORT, "--json")
    alpha, beta = json.loads(result.out)
    assert list(alpha) == ["model", "engine", "load_s", "tuning", "prefill", "decode", "memory", "error"]
    assert (alpha["model"], beta["model"]) == ("alpha", "beta")
    assert alpha["engine"]["layout"] == {"kv_unified": False, "flash_attention": False}
    assert {"mode", "threads", "cpu", "build", "llama_cpp"} <= alpha["engine"].keys()
    assert alpha["prefill"] == {"tokens_per_s": 51000.0, "low": 51000.0, "high": 51000.0}
    assert [list(each) for each in alpha["decode"]] == [["size", "tokens_per_s", "low", "high"]] * 2
    assert [each["size"] for each in alpha["decode"]] == [1, 2]
    assert (alpha["load_s"], alpha["memory"], alpha["error"]) == (0.0, {"loaded": None, "after": None}, None)


def test_memory_is_shown(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeEngine, "resident", lambda self, model: 250_000_000 + len(self.questions), raising=False)
    assert "memory  250.0 MB when loaded, 250.0 MB at the end\n" in cli(*SHORT, "alpha").out
    (one,) = json.loads(cli(*SHORT, "alpha", "--json").out)
    assert one["memory"]["after"] == one["memory"]["loaded"] + 4


def test_what_could_not_be_measured_is_a_dash(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "too short"
    result = cli(*SHORT, "alpha")
    assert result.code == 0
    assert [line.split() for line in result.out.splitlines()[-2:]] == [
        ["alpha", "decode", "1", "-", "-", "-"],
        ["alpha", "decode", "2", "-", "-", "-"],
    ]
    (one,) = json.loads(cli(*SHORT, "alpha", "--json").out)
    assert one["decode"][0] == {"size": 1, "tokens_per_s": None, "low": None, "high": None}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["delta"], "there is no model"),
        (["gamma"], "promptlab models pull gamma"),
        (["alpha,"], "a name is empty"),
        (["--sizes", ""], "--sizes wants whole numbers from 1 to 32"),
        (["--sizes", "1,,2"], "--sizes wants"),
        (["--sizes", "0"], "--sizes wants"),
        (["--sizes", "33"], "--sizes wants"),
        (["--sizes", "9" * 5000], "--sizes wants"),
        (["--sizes", "two"], "got 'two'"),
        (["--tokens", "15"], "--tokens"),
        (["--rounds", "0"], "--rounds"),
        (["--mode", "quick"], "--mode"),
    ],
)
def test_what_is_wrong_is_one_line(cli: Cli, engine: FakeEngine, arguments: list[str], said: str) -> None:
    result = cli("bench", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert said in result.err
    assert engine.loaded == []


def test_sizes_may_stand_twice_and_anyhow(cli: Cli) -> None:
    (one,) = json.loads(cli("bench", "alpha", "--sizes", " 2, 1,2", "--rounds", "1", "--json").out)
    assert [each["size"] for each in one["decode"]] == [2, 1]


def test_a_model_that_fails_is_said_and_the_others_are_shown(cli: Cli, library: Path) -> None:
    path = present(read_models(library / "models.yaml")["alpha"])
    assert path is not None
    path.write_bytes(b"nothing")
    result = cli(*SHORT)
    assert result.code == 1
    assert {line.split()[0] for line in result.out.splitlines()[-3:]} == {"beta"}
    assert "\nalpha" not in result.out
    (said,) = [line for line in result.err.splitlines() if not line.startswith("promptlab: beta: ")]
    assert said.startswith("promptlab: alpha: ")
    assert said.count("alpha") == 1
    alpha, beta = json.loads(cli(*SHORT, "--json").out)
    assert (alpha["engine"], alpha["error"]["type"], beta["error"]) == (None, "EngineError", None)
    alone = cli(*SHORT, "alpha")
    assert (alone.code, alone.out) == (1, "")


def test_ctrl_c_shows_the_models_that_are_whole(cli: Cli, engine: FakeEngine) -> None:
    def answer(question: Question, prompt: str) -> str:
        if question.model == "beta" and question.options.max_tokens > 1:
            raise KeyboardInterrupt
        return echo(question, prompt)

    engine.answer = answer
    result = cli(*SHORT)
    assert result.code == 130
    assert {line.split()[0] for line in result.out.splitlines()[-3:]} == {"alpha"}
    assert "beta" not in result.out
    assert result.err.splitlines()[-1] == "promptlab: interrupted: 1 of 2 models were measured"
    assert [each["model"] for each in json.loads(cli(*SHORT, "--json").out)] == ["alpha"]
    alone = cli(*SHORT, "beta", "--json")
    assert (alone.code, alone.out) == (130, "")
