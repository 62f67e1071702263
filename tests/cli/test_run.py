from __future__ import annotations

import json
import os
import signal
from dataclasses import fields
from pathlib import Path

import pytest

from promptlab.core import codec
from promptlab.core.record import Record
from promptlab.engine.backend import Question
from promptlab.engine.fake import FakeEngine
from promptlab.files.models import present, read_models
from tests.conftest import Cli

pytestmark = pytest.mark.usefixtures("library")


def test_one_job_prints_only_its_answer(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: "Water falls."
    result = cli("run", "explain", "--var", "topic=rain", "-m", "alpha")
    assert (result.code, result.out, result.err) == (0, "Water falls.\n", "")


def test_several_jobs_have_headings_in_their_order(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: question.model.upper()
    result = cli("run", "explain", "--var", "topic=rain")
    assert result.out == "== alpha\nALPHA\n\n== beta\nBETA\n"


def test_prompts_and_samples_are_named_where_there_are_several(cli: Cli) -> None:
    result = cli("run", "verdict", "-m", "beta,alpha", "-n", "2", "--var", "claim=x")
    headings = [line for line in result.out.splitlines() if line.startswith("== ")]
    assert headings == [f"== {m} · sample {n}/2" for m in ("beta", "alpha") for n in (1, 2)]


def test_json_is_a_list_of_records_as_the_dataclass_has_them(cli: Cli) -> None:
    result = cli("run", "verdict", "--var", "claim=x", "-s", "7", "-o", "temperature=0", "-o", 'stop=["a"]', "--json")
    records = json.loads(result.out)
    assert result.err == ""
    assert [r["model"]["name"] for r in records] == ["alpha", "beta"]
    for record in records:
        assert list(record) == [f.name for f in fields(Record)]
        assert record["seed"] == 7
        assert record["options"]["temperature"] == 0.0
        assert record["options"]["stop"] == ["a"]
        assert [s["name"] for s in record["steps"]] == ["verdict", "reason"]
        assert codec.load(Record, record).output == record["output"]


def test_jsonl_is_a_record_a_line(cli: Cli) -> None:
    result = cli("run", "explain", "--var", "topic=rain", "-n", "2", "--jsonl")
    assert len([json.loads(line) for line in result.out.splitlines()]) == 4


def test_the_same_seed_gives_the_same_text(cli: Cli) -> None:
    outputs = [
        [r["output"] for r in json.loads(cli("run", "explain", "--var", "topic=x", "--json").out)] for _ in range(2)
    ]
    assert outputs[0] == outputs[1]


def test_json_says_exactly_what_was_said(cli: Cli, engine: FakeEngine) -> None:
    said = "\x1b]52;c;x\x07 \x9b2J \x7f \u202e é \u2028 \ud800"
    engine.answer = lambda question, prompt: said
    result = cli("run", "explain", "--var", "topic=x", "-m", "alpha", "--json")
    assert json.loads(result.out)[0]["output"] == said
    assert "é" in result.out
    assert not set(result.out) & set("\x1b\x07\x9b\x7f\u202e\u2028\ud800")


def test_a_failed_job_is_a_record_and_exit_code_1(cli: Cli, engine: FakeEngine) -> None:
    def answer(question: Question, prompt: str) -> str:
        if question.model == "alpha":
            raise RuntimeError("it broke")
        return "Fine."

    engine.answer = answer
    result = cli("run", "explain", "--var", "topic=x")
    assert result.code == 1
    assert result.out == "== alpha (failed)\n\n== beta\nFine.\n"
    assert result.err == "promptlab: alpha: it broke\n"
    listed = json.loads(cli("runs", "list", "--json").out)
    assert {r["model"]: r["error"] for r in listed} == {"alpha": "it broke", "beta": None}


def test_records_are_kept_unless_no_log(cli: Cli) -> None:
    cli("run", "explain", "--var", "topic=x", "-m", "alpha", "--no-log")
    assert json.loads(cli("runs", "list", "--json").out) == []
    cli("run", "explain", "--var", "topic=x", "-m", "alpha")
    assert len(json.loads(cli("runs", "list", "--json").out)) == 1


def test_a_missing_model_is_refused_with_the_command_that_helps(cli: Cli, engine: FakeEngine) -> None:
    result = cli("run", "explain", "--var", "topic=x", "-m", "gamma")
    assert result.code == 2
    assert "promptlab models pull gamma" in result.err
    assert engine.loaded == []


def test_pull_fetches_what_is_missing_and_selected(cli: Cli, library: Path) -> None:
    result = cli("run", "explain", "--var", "topic=x", "-m", "alpha,gamma", "--pull")
    assert result.code == 0
    assert "promptlab: gamma: pulled\n" in result.err
    assert "alpha" not in result.err
    assert present(read_models(library / "models.yaml")["gamma"])


def test_pull_fetches_nothing_when_the_rest_is_wrong(cli: Cli, library: Path) -> None:
    assert cli("run", "explain", "-m", "gamma", "--pull").code == 2
    assert present(read_models(library / "models.yaml")["gamma"]) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_the_records_and_exits_130(cli: Cli, engine: FakeEngine, number: signal.Signals) -> None:
    def answer(question: Question, prompt: str) -> str:
        os.kill(os.getpid(), number)
        return "one two three"

    engine.answer = answer
    before = signal.getsignal(number)
    result = cli("run", "explain", "--var", "topic=x", "-m", "alpha", "--json")
    assert result.code == 130
    assert json.loads(result.out)[0]["error"]["type"] == "Cancelled"
    assert result.err.startswith("promptlab: interrupted: 0 of 1 answers were finished")
    assert signal.getsignal(number) is before
    assert len(json.loads(cli("runs", "list", "--json").out)) == 1


def test_ctrl_c_twice_ends_at_once(cli: Cli, engine: FakeEngine) -> None:
    def answer(question: Question, prompt: str) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("unreachable")

    engine.answer = answer
    result = cli("run", "explain", "--var", "topic=x", "-m", "alpha")
    assert (result.code, result.out, result.err) == (130, "", "promptlab: interrupted\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explan"], "there is no prompt 'explan'"),
        (["explain", "--var", "topic=x", "-m", "alfa"], "there is no model 'alfa'. Did you mean alpha?"),
        (["explain", "--var", "topic=x", "-m", "alpha,"], "-m: a name is empty"),
        (["explain"], "the input 'topic' is missing"),
        (["explain", "--var", "topic=x", "--var", "colour=red"], "there is no input 'colour'"),
        (["explain", "--var", "topic"], "--var wants NAME=VALUE; got 'topic'"),
        (["explain", "--var", "=x"], "--var wants NAME=VALUE; got '=x'"),
        (["explain", "--var", "topic=x", "--var", "topic=y"], "--var: 'topic' is given twice"),
        (["explain", "--var", "topic=@nowhere.txt"], "nowhere.txt cannot be read: No such file"),
        (["explain", "--var", "topic=@."], "cannot be read: Is a directory"),
        (["explain", "--var", "topic=@"], "a file name is missing after @"),
        (
            ["explain", "--var", "topic=-", "--var", "audience=-"],
            "standard input can be read only once, and topic has it",
        ),
        (["numbers/count", "--var", "n=many"], "the input 'n' wants integer, as JSON; got 'many'"),
        (["numbers/count", "--var", "n=1.5"], "the input 'n'"),
        (["explain", "--var", "topic=x", "-o", "heat=1"], "'heat' is not an option"),
        (["explain", "--var", "topic=x", "-o", "temperature"], "-o wants NAME=VALUE"),
        (["explain", "--var", "topic=x", "-o", "top_k=1", "-o", "top_k=2"], "-o: 'top_k' is given twice"),
        (["explain", "--var", "topic=x", "-o", "temperature=hot"], "temperature wants a number"),
        (["explain", "--var", "topic=x", "-o", "temperature=NaN"], "temperature wants a number"),
        (["explain", "--var", "topic=x", "-o", "top_k=" + "9" * 5000], "top_k wants a whole number"),
        (["explain", "--var", "topic=x", "-n", "0"], "Invalid value for '--samples' / '-n'"),
        (["explain", "--var", "topic=x", "-n", "100000"], "Invalid value for '--samples' / '-n'"),
        (["explain", "--var", "topic=x", "-s", "-1"], "seed wants a whole number from 0 to 4294967294; got -1"),
        (["explain", "--var", "topic=x", "-s", "4294967295"], "seed wants a whole number"),
        (["explain", "--var", "topic=x", "-s", "1", "-o", "seed=2"], "the seed is given twice"),
        (["explain", "--var", "topic=x", "-s", "one"], "Invalid value for '--seed' / '-s'"),
        (["explain", "--var", "topic=x", "--json", "--jsonl"], "--json and --jsonl exclude each other"),
        (["broken"], "broken.jinja:2:10: input n: 'whole' is not a type"),
        ([], "Missing argument 'PROMPT...'"),
        (["explain", "--temperature", "1"], "No such option: --temperature"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(cli: Cli, engine: FakeEngine, arguments: list[str], said: str) -> None:
    result = cli("run", *arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("promptlab: ")
    assert result.err.count("\n") == 1
    assert said in result.err
    assert engine.loaded == []


def test_variables_from_files_and_standard_input(cli: Cli, library: Path, engine: FakeEngine) -> None:
    (library / "topic.txt").write_bytes("\ufeffsnow & é".encode())
    engine.answer = lambda question, prompt: prompt
    result = cli(
        "run", "explain", "-m", "beta", "--var", "topic=@topic.txt", "--var", "audience=-", stdin="Zoë".encode()
    )
    assert result.out == "You explain things to Zoë.\n\nExplain snow & é.\n"


def test_a_doubled_at_sign_is_one(cli: Cli, engine: FakeEngine) -> None:
    engine.answer = lambda question, prompt: prompt
    assert "Explain @home." in cli("run", "explain", "-m", "beta", "--var", "topic=@@home").out


def test_a_file_that_is_not_utf_8(cli: Cli, library: Path) -> None:
    (library / "latin.txt").write_bytes("é".encode("latin-1"))
    result = cli("run", "explain", "--var", "topic=@latin.txt")
    assert (result.code, "latin.txt is not UTF-8 text (byte 0)" in result.err) == (2, True)


def test_a_value_that_is_not_utf_8(cli: Cli) -> None:
    for value in ("\udcff", "@@\udcff"):
        result = cli("run", "explain", "--var", f"topic={value}")
        assert (result.code, "what was typed is not UTF-8 text" in result.err) == (2, True)


def test_a_history_that_cannot_be_used_is_said_first_and_only_where_it_is_needed(cli: Cli, library: Path) -> None:
    (library / ".promptlab").write_text("")
    ask = ("run", "explain", "--var", "topic=x", "-m", "alpha")
    refused = cli(*ask)
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "is in the way: it is not a folder" in refused.err
    assert cli(*ask, "--no-log").code == cli("prompts", "list").code == cli("models", "list").code == 0


def test_looking_at_prompts_and_models_leaves_nothing_behind(cli: Cli, library: Path) -> None:
    for command in (("prompts", "list"), ("prompts", "show", "explain"), ("models", "list")):
        assert cli(*command).code == 0
    assert not (library / ".promptlab").exists()


def test_endless_input_is_refused(cli: Cli) -> None:
    result = cli("run", "explain", "--var", "topic=@/dev/zero")
    assert (result.code, "is larger than" in result.err) == (2, True)


def test_problems_are_a_line_each(cli: Cli, library: Path) -> None:
    (library / "prompts" / "twice.jinja").write_text("---\ninputs: {n: whole}\ncolour: red\n---\n")
    result = cli("run", "twice")
    lines = result.err.splitlines()
    assert result.code == 2
    assert len(lines) == 2
    assert all(line.startswith("promptlab: twice.jinja:") for line in lines)
