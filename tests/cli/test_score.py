from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptlab.core.events import EngineEvent, Failed, Failure
from promptlab.engine.backend import Measurement
from promptlab.engine.fake import FakeEngine
from tests.conftest import Cli

pytestmark = pytest.mark.usefixtures("library")

ASKED = ("score", "verdict", "--var", "claim=x")


def test_a_row_for_each_model_and_text(cli: Cli) -> None:
    result = cli(*ASKED, "--text", "yes", "--text", "no  way")
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[0].split() == [
        *("MODEL", "LOGPROB", "TOKENS", "MEAN", "PERPLEXITY", "BITS/BYTE", "PROBABILITY", "TEXT")
    ]
    assert lines[1].split() == ["alpha", "-0.375", "1", "-0.375", "1.45", "0.180", "0.6225", "yes"]
    assert lines[2].split() == ["alpha", "-0.875", "2", "-0.438", "1.55", "0.180", "0.3775", "no", "way"]
    assert [line.split()[0] for line in lines[3:]] == ["beta", "beta"]


def test_one_text_has_no_probability_among_others(cli: Cli) -> None:
    lines = cli(*ASKED, "--text", "yes", "-m", "alpha").out.splitlines()
    assert "PROBABILITY" not in lines[0]
    assert len(lines) == 2


def test_json_is_a_list_of_numbers(cli: Cli) -> None:
    result = cli(*ASKED, "--text", "no way", "-m", "alpha", "--json")
    (one,) = json.loads(result.out)
    assert list(one) == ["model", "text", "tokens", "logprob", "perplexity", "bits_per_byte", "probability", "error"]
    assert [token["logprob"] for token in one["tokens"]] == [-0.25, -0.5]
    assert [token["text"] for token in one["tokens"]] == ["no", " way"]
    assert all(isinstance(token["id"], int) for token in one["tokens"])
    assert (one["model"], one["text"], one["logprob"]) == ("alpha", "no way", -0.75)
    assert one["perplexity"] == pytest.approx(math.exp(0.375))
    assert one["bits_per_byte"] == pytest.approx(0.75 / math.log(2) / 6)
    assert (one["probability"], one["error"]) == (None, None)


def test_tokens_are_shown_one_by_one(cli: Cli) -> None:
    result = cli(*ASKED, "--text", "no\n\x1b[2J", "-m", "alpha", "--tokens")
    _, tokens = result.out.split("\n\n")
    lines = tokens.splitlines()
    assert lines[0].startswith("alpha: no ␛[2J")
    assert lines[1].split() == ["ID", "LOGPROB", "PROBABILITY", "TOKEN"]
    rows = [line.split()[1:] for line in lines[2:]]
    assert rows == [["-0.250", "0.7788", "'no'"], ["-0.625", "0.5353", r"'\n\x1b[2J'"]]
    assert "\x1b" not in result.out


def test_texts_come_from_files_and_standard_input(cli: Cli, library: Path) -> None:
    (library / "a.txt").write_text("from a file\n")
    result = cli(*ASKED, "--text", "@a.txt", "--text", "-", "--text", "@@a", "-m", "alpha", "--json", stdin=b"piped")
    assert [each["text"] for each in json.loads(result.out)] == ["from a file\n", "piped", "@a"]


def test_a_text_by_itself(cli: Cli, library: Path) -> None:
    (library / "a.txt").write_text("It rains.\n")
    result = cli("score", "--plain", "--text", "@a.txt", "-m", "all")
    assert [line.split()[0] for line in result.out.splitlines()] == ["MODEL", "alpha", "beta"]


def test_a_recorded_answer_under_other_models(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "Water falls."
    (record,) = json.loads(cli("run", "explain", "--var", "topic=rain", "-m", "alpha", "--json").out)
    result = cli("score", "--run", record["id"][:20], "-m", "all")
    assert result.err == f"promptlab: scoring the answer of alpha to {record['prompt']['label']}\n"
    assert [line.split()[0] for line in result.out.splitlines()] == ["MODEL", "alpha", "beta"]
    as_json = cli("score", "--run", record["id"], "-m", "all", "--json")
    assert as_json.err == ""
    assert [each["text"] for each in json.loads(as_json.out)] == ["Water falls."] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "x"], "name one of"),
        (["verdict", "--plain", "--text", "x"], "name one of"),
        (["verdict", "--run", "01", "--var", "claim=x"], "name one of"),
        (["--plain", "--var", "claim=x", "--text", "x"], "--var is for a prompt"),
        (["--run", "01", "--text", "x"], "--run scores the answer of the record"),
        (["--run", "01"], "there is no record"),
        (["--plain"], "no text to score"),
        (["--plain", "--text", ""], "is empty"),
        (["--plain", "--text", "a", "--text", "a"], "given twice"),
        (["--plain", "--text", "-", "--text", "-"], "only once"),
        (["verdict", "--var", "claim=-", "--text", "-"], "only once"),
        (["--plain", "--text", "@"], "--text: a file name is missing"),
        (["--plain", "--text", "@nothing.txt"], "--text: nothing.txt cannot be read"),
        (["--plain", "--text", "x", "-m", "delta"], "there is no model"),
        (["--plain", "--text", "x", "-m", "gamma"], "promptlab models pull gamma"),
        (["verdict", "--text", "x"], "claim"),
        (["verditc", "--var", "claim=x", "--text", "x"], "verdict"),
    ],
)
def test_what_is_wrong_is_one_line(cli: Cli, arguments: list[str], said: str) -> None:
    result = cli("score", *arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert said in result.err


def test_a_model_that_fails_is_said_and_the_others_are_shown(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = engine._score

    def refuse(asked: Measurement) -> Iterator[EngineEvent]:
        if asked.model != "alpha":
            return score(asked)
        return iter([Failed("alpha", asked.seq, Failure("EngineError", "alpha: the text does not fit"))])

    monkeypatch.setattr(engine, "_score", refuse)
    result = cli(*ASKED, "--text", "yes", "--text", "no")
    assert (result.code, result.err) == (1, "promptlab: alpha: the text does not fit\n")
    assert [line.split()[0] for line in result.out.splitlines()] == ["MODEL", "beta", "beta"]
    as_json = json.loads(cli(*ASKED, "--text", "yes", "--json").out)
    assert [each["error"] and each["error"]["message"] for each in as_json] == ["alpha: the text does not fit", None]


def test_nothing_is_printed_where_every_model_fails(cli: Cli, engine: FakeEngine) -> None:
    engine.chat_template = None
    result = cli(*ASKED, "--text", "yes", "-m", "alpha")
    assert (result.code, result.out, result.err.count("\n")) == (1, "", 1)
