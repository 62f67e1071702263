"""Entries with `server:`, beside models with a file: a fake engine for these, and a scripted server for those."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.app import compare
from promptlab.app.branch import next_turns
from promptlab.app.lab import Lab, open_lab
from promptlab.app.measure import Measuring
from promptlab.app.memory import plan_models
from promptlab.app.prompts import render_prompt
from promptlab.app.reach import reach_server
from promptlab.app.reopen import again
from promptlab.app.replay import replay
from promptlab.app.run import Request, prepare, records
from promptlab.app.score import by_themselves, score
from promptlab.app.tokens import read_pieces
from promptlab.core import codec
from promptlab.core.constraint import Constraint
from promptlab.core.events import Finished
from promptlab.core.record import Record
from promptlab.core.verdict import Want
from promptlab.engine.fake import FakeEngine
from promptlab.engine.mixed import Mixed
from promptlab.engine.servers import Servers
from promptlab.errors import EngineError, ModelMissing, UsageError
from tests.conftest import Cli
from tests.engine.serverkit import END, LLAMA, Scripted, drawn, own_models, said, scripted

CHOICE = """\
---
inputs: {claim: string}
output: {choices: [yes sir, no sir]}
---
{% user %}{{ claim }}?{% enduser %}
"""
BEGUN = """\
---
inputs: {}
---
{% user %}What?{% enduser %}
{% assistant %}It is{% endassistant %}
{% generate rest %}
"""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as found:
        found.models = lambda ask: ask.json({"data": [LLAMA]})
        yield found


@pytest.fixture
def library(library: Path, server: Scripted) -> Path:
    """The library, and a server in the user's own models.yaml."""
    own_models(f"models:\n  there:\n    server: {server.url}\n  plainly:\n    server: {server.url}\n"
                   "    chat_template: plain\n")  # fmt: skip
    (library / "prompts" / "choice.jinja").write_text(CHOICE)
    (library / "prompts" / "begun.jinja").write_text(BEGUN)
    return library


@pytest.fixture
def engine(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """What every lab of a test gets for models with a file."""
    monkeypatch.setattr("promptlab.app.lab._pool", lambda: Mixed(engine, Servers()))
    return engine


@pytest.fixture
def lab(library: Path, engine: FakeEngine) -> Iterator[Lab]:
    with open_lab(library) as opened:
        yield opened


def run(lab: Lab, prompt: str = "explain", *models: str, samples: int = 1, **inputs: str) -> list[Record]:
    inputs = inputs or {"topic": "rain"}
    return records(prepare(lab, Request((prompt,), models or ("there",), inputs, samples=samples)))


def test_a_record_says_what_cannot_be_known(lab: Lab) -> None:
    (record,) = run(lab)
    assert record.error is None
    assert record.output == "Hello"
    assert (record.model.sha256, record.model.template_hash) == (None, None)
    assert record.engine is not None
    assert (record.engine.mode, record.engine.llama_cpp, record.engine.threads) == ("remote", "", 0)
    assert record.engine.server is not None
    assert (record.engine.server.model, record.engine.server.kind) == ("tiny.gguf", "llama.cpp")
    assert (record.steps[0].tokens, record.steps[0].prompt_ids) == ((), ())  # this server told no ids
    kept = lab.store.get(record.id)
    assert kept == record == codec.load(Record, json.loads(json.dumps(codec.dump(record))))


def test_tokens_are_kept_where_all_are_known(lab: Lab, server: Scripted) -> None:
    server.script = lambda ask: ask.stream(drawn("a", 5), drawn("b", 6), END)
    (known,) = run(lab)
    assert [each.id for each in known.steps[0].tokens] == [5, 6]
    server.script = lambda ask: ask.stream(drawn("a", 5), said("b"), drawn("c", 7), END)
    (unknown,) = run(lab)
    assert (unknown.steps[0].text, unknown.steps[0].tokens) == ("abc", ())
    assert unknown.steps[0].usage is None  # nobody counted


def test_a_server_beside_files(lab: Lab) -> None:
    found = run(lab, "explain", "alpha", "there", "beta", samples=2)
    assert [each.model.name for each in found] == ["alpha", "alpha", "there", "there", "beta", "beta"]
    assert [each.error for each in found] == [None] * 6
    assert {each.engine.mode for each in found if each.engine} == {"exact", "remote"}


def test_all_means_what_is_on_disk(lab: Lab) -> None:
    assert [each.model.name for each in run(lab, "explain", "all")] == ["alpha", "beta"]


def test_a_program_of_several_steps(lab: Lab, server: Scripted) -> None:
    (record,) = run(lab, "verdict", claim="rain is wet")
    assert record.output == {"verdict": "Hello", "reason": "Hello"}
    roles = [each["role"] for each in server.asked[-1].body["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_without_a_chat_template_the_text_is_sent(lab: Lab, server: Scripted) -> None:
    server.script = lambda ask: ask.stream({"choices": [{"text": "x", "finish_reason": "stop"}]})
    (record,) = run(lab, "explain", "plainly")
    assert record.error is None
    assert server.asked[-1].body["prompt"] == "You explain things to a child.\n\nExplain rain."


@pytest.mark.parametrize(("text", "fits"), [("no sir", True), ("no", False)])
def test_an_answer_that_does_not_fit_is_a_failed_record(lab: Lab, server: Scripted, text: str, fits: bool) -> None:
    server.script = lambda ask: ask.stream(said(text), END)
    (record,) = run(lab, "choice", claim="is it so")
    assert record.steps[0].constraint == Constraint("choices", ["yes sir", "no sir"])
    assert (record.error is None) == fits
    if record.error is not None:
        assert "none of the choices: 'no'" in record.error.message
        assert record.output is None


def test_an_answer_that_has_begun_is_gone_on_with_and_is_no_part_of_the_new_one(lab: Lab, server: Scripted) -> None:
    (record,) = records(prepare(lab, Request(("begun",), ("there",))))
    assert record.error is None
    assert server.asked[-1].body["messages"][-1] == {"role": "assistant", "content": "It is"}
    assert record.steps[0].messages[-1].content == "It is"
    assert record.output == "Hello"


def test_a_server_that_is_not_there_fails_and_its_neighbours_go_on(lab: Lab, server: Scripted) -> None:
    server.models = lambda ask: ask.json({}, 500)
    there, alpha = run(lab, "explain", "there", "alpha")
    assert alpha.error is None
    assert there.error is not None
    assert "failed (HTTP 500)" in there.error.message


def test_a_cancelled_run_ends(lab: Lab, server: Scripted) -> None:
    server.script = server.silent
    going = prepare(lab, Request(("explain",), ("there",), {"topic": "rain"}, samples=5))
    for _ in going.events():
        going.cancel()
    assert {each.error.type for each in going.board.records if each.error} == {"Cancelled"}
    assert len(going.board.records) == 5


# --- comparing -------------------------------------------------------------------------------------------------------


def compared(lab: Lab) -> tuple[int, int]:
    """Answers, and how many are from the history."""
    request = compare.Request(("explain",), (), ("alpha", "there"), {"topic": "rain"}, samples=2)
    comparing = compare.prepare(lab, request)
    found = [each for each in comparing.events() if isinstance(each, Finished)]
    assert [each.record.error for each in found] == [None] * 4
    comparing.judged()
    return len(found), len(comparing.cached)


def test_a_comparison_takes_from_the_history_what_the_same_server_said(lab: Lab, server: Scripted) -> None:
    assert compared(lab) == (4, 0)
    assert compared(lab) == (4, 4)
    server.props = {**server.props, "model_path": "/another.gguf"}  # it has another model now
    assert compared(lab) == (4, 2)


def test_likeness_is_left_to_those_that_can_read(lab: Lab) -> None:
    request = compare.Request(("explain",), (), ("alpha", "there"), {"topic": "rain"}, likeness=True)
    comparing = compare.prepare(lab, request)
    list(comparing.events())
    found = comparing.judged()
    assert found.likeness is not None
    assert found.likeness.models == ("alpha",)
    assert [value is not None for value in found.likeness.bits[0]] == [True, True]


def test_a_server_does_not_judge(lab: Lab) -> None:
    request = compare.Request(("explain",), (), ("alpha",), {"topic": "rain"}, judge="there")
    with pytest.raises(UsageError, match="there: judging, by how likely verdicts are, needs the weights"):
        compare.prepare(lab, request)


# --- what needs the weights ------------------------------------------------------------------------------------------


def test_a_replay_says_that_it_cannot(lab: Lab, server: Scripted) -> None:
    (record,) = run(lab)
    asked = len(server.asked)
    (verdict,) = replay(lab, [record.id])
    assert verdict.verdict == "incomparable"
    assert verdict.why == ("there is behind a server: what answered, and whether it still does, cannot be known",)
    assert len(server.asked) == asked


def test_scoring_and_tokens_are_refused(lab: Lab) -> None:
    (record,) = run(lab)
    with pytest.raises(UsageError, match="there: scoring a text needs the weights"):
        score(lab, by_themselves(["a"]), ["there", "alpha"])
    with pytest.raises(EngineError, match="on a server, which does not tell what its tokens stand for"):
        read_pieces(lab, record.model, record.engine, record.steps)
    with pytest.raises(UsageError, match="there: showing what a model reads needs the weights"):
        render_prompt(lab, "explain", {"topic": "rain"}, "there")
    wants = [Want("there", (), ("a",))]
    (_, failure), = Measuring(lab, wants, lab.models).results()  # fmt: skip
    assert "does not tell how likely a text is" in str(failure)


def test_a_plan_has_no_memory_for_it(lab: Lab) -> None:
    (row,) = plan_models(lab, ["there"]).models
    assert (row.problem, row.total) == ("on a server", None)


# --- going on --------------------------------------------------------------------------------------------------------


def test_what_was_asked_can_be_asked_again_and_gone_on_from(lab: Lab, server: Scripted) -> None:
    (record,) = run(lab)
    (repeated,) = records(again(lab, [record.id]))
    assert (repeated.output, repeated.key) == (record.output, record.key)
    (later,) = records(next_turns(lab, [record], "And snow?"))
    assert later.error is None
    assert [each["content"] for each in server.asked[-1].body["messages"]][-2:] == ["Hello", "And snow?"]
    assert record.engine is not None
    assert record.engine.server is not None
    elsewhere = replace(record.engine, server=replace(record.engine.server, address="host:1/v1"))
    with pytest.raises(ModelMissing, match=r"was on the server at host:1/v1, and models.yaml names that no more"):
        next_turns(lab, [replace(record, engine=elsewhere)], "And snow?")


def test_whether_it_can_be_asked_now(lab: Lab, server: Scripted) -> None:
    reached = reach_server(lab, "there")
    assert reached is not None
    assert reached.server is not None
    assert (reached.server.version, reached.context) == ("b1-abc", 512)
    assert reach_server(lab, "alpha") is None
    server.models = lambda ask: ask.json({}, 404)
    reached = reach_server(lab, "there")
    assert reached is not None
    assert "is its address right?" in reached.problem


# --- trust, and the command line -------------------------------------------------------------------------------------


def test_the_server_of_a_library_that_is_not_trusted_is_never_asked(lab: Lab, library: Path, server: Scripted) -> None:
    with (library / "models.yaml").open("a") as file:
        file.write(f"  strange:\n    server: {server.url}\n    default: true\n")
    with pytest.raises(UsageError, match="this library is not trusted"):
        run(lab, "explain", "strange")
    assert reach_server(lab, "strange").problem  # type: ignore[union-attr]
    assert "strange" not in {
        each.model.name for each in records(prepare(lab, Request(("explain",), (), {"topic": "x"})))
    }
    assert server.asked == []


def test_on_the_command_line(library: Path, cli: Cli, engine: FakeEngine, server: Scripted) -> None:
    server.script = lambda ask: ask.stream(said("\x1b]52;c;AAAA\x07Hi"), END)
    ran = cli("run", "explain", "--var", "topic=rain", "-m", "there")
    assert (ran.code, ran.out.strip()) == (0, "␛]52;c;AAAA␇Hi")
    shown = cli("models", "show", "there").out
    assert "answers  yes" in shown
    assert "cannot be known" in shown
    listed = len(server.asked)
    assert "server" in cli("models", "list").out
    assert len(server.asked) == listed
    assert "verifying a file needs the weights" in cli("models", "verify", "there").err
    assert cli("bench", "there").code == 2
    record = json.loads(cli("runs", "list", "--json").out)[0]["id"]
    assert "remote · tiny.gguf at 127.0.0.1" in cli("runs", "show", record).out


def test_the_report_says_it(library: Path, cli: Cli, engine: FakeEngine, server: Scripted) -> None:
    done = cli("compare", "explain", "--var", "topic=rain", "-m", "alpha,there", "-o", "x.html")
    assert done.code == 0, done.err
    text = Path("x.html").read_text()
    assert "there answered on a server: with which weights and chat template" in text
    assert "on a server: its weights cannot be known" in text
    assert "remote · tiny.gguf at 127.0.0.1" in text
    assert "weights of there are not pinned" not in text
