"""Models on servers, against a scripted one on loopback that is kind, broken or hostile."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import (
    UNCOUNTED,
    UNKNOWN,
    Alternative,
    Answered,
    Failed,
    Loading,
    Ready,
    Server,
    Started,
    Token,
    Usage,
    decode,
    encode,
)
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.core.tape import Message
from promptlab.engine import connection
from promptlab.engine.backend import Measurement, Question
from promptlab.engine.fake import FakeEngine
from promptlab.engine.mixed import Mixed
from promptlab.engine.servers import Servers
from promptlab.errors import EngineError
from tests.engine.serverkit import (
    COUNTED,
    END,
    LLAMA,
    OTHER,
    Ask,
    Scripted,
    answers,
    drawn,
    entry,
    events_of,
    load,
    question,
    said,
    scripted,
    servers,
    wait_for_start,
    wait_for_text,
)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as found:
        yield found


@pytest.fixture
def engine() -> Iterator[Servers]:
    with servers() as found:
        yield found


def llama(server: Scripted) -> None:
    server.models = lambda ask: ask.json({"data": [LLAMA]})


def served(ready: Ready | Failed) -> Server:
    assert isinstance(ready, Ready), ready
    assert ready.engine.server is not None
    return ready.engine.server


def failure(found: Any) -> str:
    assert isinstance(found, Failed), found
    assert "\n" not in found.failure.message
    return found.failure.message


# --- loading ---------------------------------------------------------------------------------------------------------


def test_a_server_says_what_it_has(server: Scripted, engine: Servers) -> None:
    llama(server)
    ready = load(engine, entry(server))
    assert isinstance(ready, Ready)
    told = served(ready)
    assert (told.model, told.kind, told.version, told.unsent) == ("tiny.gguf", "llama.cpp", "b1-abc", ())
    assert told.address == server.url.removeprefix("http://")
    assert (ready.engine.mode, ready.engine.context, ready.engine.llama_cpp) == ("remote", 512, "")
    assert "ann" not in json.dumps(encode(ready))  # paths of the server's machine are nobody's business
    assert decode(json.loads(json.dumps(encode(ready)))) == ready


def test_what_is_not_sent_is_said(server: Scripted, engine: Servers) -> None:
    assert served(load(engine, entry(server))).unsent == ("top_k", "min_p", "repeat_penalty")


def test_another_model_behind_the_same_address_is_another_one(server: Scripted, engine: Servers) -> None:
    llama(server)
    found = []
    for props in (server.props, server.props, {**server.props, "model_path": "/elsewhere"}):
        server.props = props
        found.append(served(load(engine, entry(server))).identity)
        engine.release("tiny")
    assert found[0] == found[1] != found[2]


def test_the_time_of_asking_is_no_part_of_a_model(server: Scripted, engine: Servers) -> None:
    times = iter(range(100))
    server.models = lambda ask: ask.json({"data": [{**LLAMA, "created": next(times)}]})
    first = served(load(engine, entry(server)))
    engine.release("tiny")
    assert served(load(engine, entry(server))) == first


def test_the_only_model_needs_no_name_and_others_do(server: Scripted, engine: Servers) -> None:
    server.models = lambda ask: ask.json({"data": [{"id": "one"}]})
    assert served(load(engine, entry(server))).model == "one"
    assert "has no model 'two': it has one" in failure(load(engine, entry(server, "second", model="two")))
    server.models = lambda ask: ask.json({"data": [{"id": "a"}, {"id": "b:latest"}]})
    assert "it has a, b:latest; name one with `model:`" in failure(load(engine, entry(server, "third")))
    assert served(load(engine, entry(server, "fourth", model="b"))).model == "b:latest"


def test_it_is_ready_again_at_once_while_it_is_held(server: Scripted, engine: Servers) -> None:
    first = load(engine, entry(server))
    assert load(engine, entry(server)) == first
    assert len(server.asked) == 1
    assert list(engine.residents()) == ["tiny"]
    engine.release("tiny")
    engine.release("tiny")
    engine.release("tiny")
    assert engine.residents() == {}
    load(engine, entry(server))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("behave", "line"),
    [
        (lambda ask: ask.json({}, 404), "does not have that: is its address right? It mostly ends in /v1 (HTTP 404)"),
        (lambda ask: ask.json({"error": {"message": "no"}}, 401), "set PROMPTLAB_SERVER_KEY (HTTP 401): no"),
        (lambda ask: ask.json({"error": {"message": "Loading"}}, 503), "is not ready (HTTP 503): Loading"),
        (lambda ask: ask.raw(b"<html>"), "sent something that is no answer"),
        (lambda ask: ask.raw(b"[" * 100_000), "sent something that is no answer"),
        (lambda ask: ask.json({"models": []}), "does not list its models"),
        (lambda ask: ask.json({"data": [1, {"id": 2}]}), "has no model 'tiny': it has none"),
        (lambda ask: ask.raw(b" " * (5 << 20)), "sent far more than it was asked for"),
        (lambda ask: ask.raw(gzip.compress(b"{}"), Content_Encoding="gzip"), "sent something compressed"),
        (lambda ask: ask.raw(b"", 302, Location="http://127.0.0.1:9/"), "sends elsewhere (HTTP 302)"),
        (lambda ask: ask.raw(b"", 500, Content_Length="9"), "broke off the connection"),
    ],
)
def test_a_server_that_cannot_be_asked(
    server: Scripted, engine: Servers, behave: Callable[[Ask], None], line: str
) -> None:
    server.models = behave
    message = failure(load(engine, entry(server)))
    assert message.startswith(f"tiny: the server at {server.url.removeprefix('http://')} ")
    assert line in message
    assert engine.residents() == {}


def test_nobody_there(engine: Servers) -> None:
    with scripted() as gone:
        model = entry(gone)
    assert "cannot be reached: nothing answers there" in failure(load(engine, model))


def test_a_server_that_says_nothing() -> None:
    with scripted() as server, servers(look_s=0.05) as engine:
        server.models = server.silent
        assert "said nothing for 0.05 s" in failure(load(engine, entry(server)))


def test_without_the_client_it_says_what_to_install(
    server: Scripted, engine: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    assert "pip install 'promptlab[servers]'" in failure(load(engine, entry(server)))


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_nothing_of_the_environment_is_sent(server: Scripted, engine: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID", "WEBHOOK_SECRET"):
        monkeypatch.setenv(f"OPENAI_{name}", "s3cret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: s3cret\nAuthorization: s3cret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    load(engine, entry(server))
    assert isinstance(answers(engine, question())[1], Answered)
    for ask in server.asked:
        assert "s3cret" not in str(ask.headers)
        assert ask.headers["authorization"] == "Bearer none"
        sent = {name.lower() for name in ask.headers}
        assert sent <= {*connection.SENT, "authorization", "accept-encoding"}


def test_the_key_that_is_meant_is_sent_and_never_shown(
    server: Scripted, engine: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTLAB_SERVER_KEY", "k3y")
    load(engine, entry(server))
    assert server.asked[0].headers["authorization"] == "Bearer k3y"
    server.script = lambda ask: ask.json({"error": {"message": "the key k3y is bad"}}, 401)
    assert "the key … is bad" in failure(answers(engine, question())[1])


def test_the_question_as_a_server_gets_it(server: Scripted, engine: Servers) -> None:
    load(engine, entry(server))
    answers(engine, question(temperature=0.25, max_tokens=7, stop=("\n",)))
    body = server.asked[-1].body
    assert server.asked[-1].path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}]
    wanted = {"model": "tiny", "seed": 3, "temperature": 0.25, "max_tokens": 7, "stop": ["\n"], "stream": True}
    assert wanted.items() <= body.items()
    assert body.keys().isdisjoint({"top_k", "min_p", "repeat_penalty", "logprobs"})


def test_llama_cpp_is_told_of_all_options(server: Scripted, engine: Servers) -> None:
    llama(server)
    load(engine, entry(server))
    answers(engine, question(top_k=5, min_p=0.5, repeat_penalty=1.5))
    wanted = {"top_k": 5, "min_p": 0.5, "repeat_penalty": 1.5, "logprobs": True, "top_logprobs": 2}
    assert (wanted | {"model": LLAMA["id"]}).items() <= server.asked[-1].body.items()


def test_a_plain_text_is_sent_as_it_is(server: Scripted, engine: Servers) -> None:
    server.script = lambda ask: ask.stream({"choices": [{"text": "x", "finish_reason": "length"}]})
    load(engine, entry(server))
    asked = Question("tiny", 1, (Segment("One, \ud800", False), Segment("two", False)), Options(), 0)
    end = answers(engine, asked)[1]
    assert isinstance(end, Answered)
    assert (end.text, end.finish_reason) == ("x", "length")
    assert server.asked[-1].path == "/v1/completions"
    assert server.asked[-1].body["prompt"] == "One, ?two"


def test_an_answer_that_has_begun_is_refused(server: Scripted, engine: Servers) -> None:
    load(engine, entry(server))
    asked = Question("tiny", 1, (), Options(), 0, messages=(Message("user", "a"), Message("assistant", "b")))
    assert "cannot be made to go on with an answer that has begun" in failure(answers(engine, asked)[1])


def test_no_connection_is_used_twice_because_the_server_may_be_closing_it(server: Scripted, engine: Servers) -> None:
    server.script = lambda ask: ask.raw(b"{}", Connection="keep-alive")
    load(engine, entry(server))
    answers(engine, question(1), question(2))
    assert len(server.asked) >= 3
    assert len({each.client_address for each in server.asked}) == len(server.asked)


@pytest.mark.parametrize("again", [True, False])
def test_llama_cpp_goes_on_with_an_answer_that_has_begun(server: Scripted, engine: Servers, again: bool) -> None:
    """Whether it says the beginning once more or not; said by the model itself, it is a part of the answer."""
    llama(server)
    repeated = [{"choices": [{"delta": {"content": "It is"}}]}] if again else []
    server.script = lambda ask: ask.stream(*repeated, drawn("It is", 7), drawn(" so.", 8), END)
    load(engine, entry(server))
    messages = (Message("user", "Is it?"), Message("assistant", "It is"))
    *told, end = events_of(engine, Question("tiny", 1, (), Options(), 0, messages=messages))
    assert isinstance(end, Answered)
    assert end.text == "It is so."
    assert [each.id for each in told if isinstance(each, Token)] == [7, 8]
    assert server.asked[-1].body["messages"][-1] == {"role": "assistant", "content": "It is"}


@pytest.mark.parametrize(
    ("kind", "constraint", "sent"),
    [
        (LLAMA, Constraint("choices", ['a"\\', "b\n"]), {"grammar": 'root ::= "a\\"\\\\" | "b\\n"'}),
        (LLAMA, Constraint("grammar", "root ::= [0-9]"), {"grammar": "root ::= [0-9]"}),
        (OTHER, Constraint("schema", {"type": "null"}), {"type": "null"}),
        (OTHER, Constraint("choices", ["a", "b"]), {"type": "string", "enum": ["a", "b"]}),
    ],
)
def test_how_an_answer_is_held_to_a_constraint(
    server: Scripted, engine: Servers, kind: dict[str, Any], constraint: Constraint, sent: dict[str, Any]
) -> None:
    server.models = lambda ask: ask.json({"data": [kind]})
    load(engine, entry(server))
    answers(engine, question(constraint=constraint))
    body = server.asked[-1].body
    held = body.get("response_format", {}).get("json_schema", {}).get("schema", {"grammar": body.get("grammar")})
    assert held == sent


@pytest.mark.parametrize("constraint", [Constraint("regex", "a+"), Constraint("grammar", "root ::= [0-9]")])
def test_what_a_server_cannot_hold_an_answer_to(server: Scripted, engine: Servers, constraint: Constraint) -> None:
    load(engine, entry(server))
    message = failure(answers(engine, question(constraint=constraint))[1])
    assert message == f"tiny: a server of this kind cannot hold an answer to a {constraint.kind}"
    assert len(server.asked) == 1


def test_a_constraint_that_is_no_json(server: Scripted, engine: Servers) -> None:
    load(engine, entry(server))
    message = failure(answers(engine, question(constraint=Constraint("schema", {"enum": [{1}]})))[1])
    assert message == "the constraint cannot be written as JSON"


# --- what comes back -------------------------------------------------------------------------------------------------


def test_an_answer_as_it_comes(server: Scripted, engine: Servers) -> None:
    load(engine, entry(server))
    started, *tokens, end = events_of(engine, question())
    assert started == Started(1, ())
    assert tokens == [Token(1, UNKNOWN, "Hel", 0.0), Token(1, UNKNOWN, "lo", 0.0)]
    assert isinstance(end, Answered)
    assert (end.text, end.finish_reason, end.usage) == ("Hello", "stop", Usage(9, 0, 3))


def test_tokens_with_ids_and_probabilities(server: Scripted, engine: Servers) -> None:
    llama(server)
    server.script = lambda ask: ask.stream(drawn("ab", 5, 6), drawn("c", 7), END)
    load(engine, entry(server))
    tokens = [each for each in events_of(engine, question()) if isinstance(each, Token)]
    assert [(each.id, each.text, each.logprob) for each in tokens] == [(5, "ab", -0.5), (6, "", -0.5), (7, "c", -0.5)]
    assert tokens[0].top == (Alternative(5, -0.5),)


@pytest.mark.parametrize("logprob", [None, "x", True, float("nan"), float("-inf")])
def test_once_a_token_is_not_known_none_is(server: Scripted, engine: Servers, logprob: Any) -> None:
    llama(server)
    server.script = lambda ask: ask.stream(drawn("a", 5), drawn("b", 6, logprob=logprob), drawn("c", 7), END)
    load(engine, entry(server))
    ids = [each.id for each in events_of(engine, question()) if isinstance(each, Token)]
    assert ids == [5, UNKNOWN, UNKNOWN]


def test_a_server_that_does_not_count(server: Scripted, engine: Servers) -> None:
    server.script = lambda ask: ask.stream(said("x"), END, {"usage": {"prompt_tokens": -1, "completion_tokens": "9"}})
    load(engine, entry(server))
    end = answers(engine, question())[1]
    assert isinstance(end, Answered)
    assert end.usage == UNCOUNTED


def test_a_choice_comes_out_of_its_quotes(server: Scripted, engine: Servers) -> None:
    server.script = lambda ask: ask.stream(said('"no w'), said('ay"'), END)
    load(engine, entry(server))
    found = events_of(engine, question(constraint=Constraint("choices", ["no way", "yes"])))
    assert isinstance(found[-1], Answered)
    assert found[-1].text == "no way"
    assert not any(isinstance(each, Token) for each in found)


def test_hostile_characters_are_kept_as_they_are(server: Scripted, engine: Servers) -> None:
    hostile = "\x1b]52;c;AAAA\x07\u202e\x00"
    server.script = lambda ask: ask.stream(said(hostile), END)
    load(engine, entry(server))
    end = answers(engine, question())[1]
    assert isinstance(end, Answered)
    assert end.text == hostile  # whoever shows it makes it harmless; a record says what was


def test_a_stream_that_stays_open_after_its_end(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptlab.engine.servers.LAST_S", 0.01)

    def script(ask: Ask) -> None:
        ask.stream(said("x"), END, done=False)
        server.silent(ask)

    server.script = script
    with servers() as engine:
        load(engine, entry(server))
        end = answers(engine, question())[1]
    assert isinstance(end, Answered)
    assert end.text == "x"


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (lambda ask: ask.json({"error": {"message": "bad\n\nthing " * 99}}, 400), "refused (HTTP 400): bad thing"),
        (lambda ask: ask.json({"error": "flat"}, 429), "has too much to do (HTTP 429): flat"),
        (lambda ask: ask.raw(b"\xff<html>", 500), "failed (HTTP 500)"),
        (lambda ask: ask.json([], 403), "wants a key"),
        (lambda ask: ask.stream(said("x"), done=False), "broke off the answer before its end"),
        (lambda ask: ask.stream(done=False), "broke off the answer before its end"),
        (lambda ask: ask.stream(said("x"), END | {"error": {"message": "gone"}}), "failed: gone"),
        (lambda ask: ask.stream(b"data: {\n\n"), "sent something that is no answer"),
        (lambda ask: ask.stream(b"data: \xff\n\n"), "sent something that is no answer"),
        (lambda ask: ask.stream(b"data: null\n\n"), "sent something that is no answer"),
        (lambda ask: ask.stream(b"data: " + b"9" * 5000 + b"\n\n"), "sent something that is no answer"),
        (lambda ask: ask.stream(b"data: " + b"[" * 100_000 + b"\n\n"), "sent something that is no answer"),
        (lambda ask: ask.stream({"choices": "x"}), "sent something that is no answer"),
        (lambda ask: ask.stream({"choices": [3]}), "sent something that is no answer"),
        (lambda ask: ask.stream(said(3)), "sent something that is no answer"),  # type: ignore[arg-type]
        (lambda ask: ask.stream(said(None, "tool_calls")), "ended the answer with 'tool_calls'"),
        (lambda ask: ask.stream({"choices": [{"finish_reason": [1]}]}), "ended the answer with [1]"),
        (lambda ask: ask.stream(*[said("x")] * 200), "went on and on"),
        (lambda ask: ask.stream(b"data: " + b"x" * (3 << 20)), "sent far more than it was asked for"),
    ],
)
def test_no_answer_is_one_clear_line_and_the_next_one_comes(
    server: Scripted, engine: Servers, script: Callable[[Ask], None], line: str
) -> None:
    server.script = script
    load(engine, entry(server))
    message = failure(answers(engine, question(max_tokens=4))[1])
    assert message.startswith(f"tiny: the server at {server.url.removeprefix('http://')} ")
    assert line in message
    assert len(message) < 500
    server.script = lambda ask: ask.stream(said("well"), END)
    assert isinstance(answers(engine, question(2))[2], Answered)


@pytest.mark.parametrize("noise", [b"", b": still here\n\n"])
def test_a_server_that_falls_silent(noise: bytes) -> None:
    with scripted() as server, servers(silent_s=0.1) as engine:

        def script(ask: Ask) -> None:
            ask.stream(said("x"), done=False)
            while noise and not server.go_on.wait(0.01):
                ask.wfile.write(noise)
            server.silent(ask)

        server.script = script
        load(engine, entry(server))
        assert "said nothing for 0.1 s" in failure(answers(engine, question())[1])


# --- cancelling, and many at once ------------------------------------------------------------------------------------


def test_an_answer_can_be_cancelled_and_its_connection_ends(server: Scripted, engine: Servers) -> None:
    hung_up = []

    def script(ask: Ask) -> None:
        ask.stream(said("Hel"), done=False)
        hung_up.append(ask.connection.recv(1))

    server.script = script
    load(engine, entry(server))
    engine.ask(question())
    wait_for_text(engine)
    engine.cancel("tiny", 1)
    end = engine.next_event(20)
    assert isinstance(end, Answered)
    assert (end.text, end.finish_reason) == ("Hel", "cancelled")
    engine.cancel("tiny", 1)  # it has ended
    engine.cancel("other", 9)
    while not hung_up:  # at most as long as a test may take
        server.go_on.wait(0.01)
    assert hung_up == [b""]


def test_only_so_many_at_once_and_the_waiting_can_be_cancelled(server: Scripted, engine: Servers) -> None:
    llama(server)  # of two slots
    server.script = server.later
    load(engine, entry(server))
    for seq in (1, 2, 3):
        engine.ask(question(seq))
    wait_for_start(engine)
    wait_for_start(engine)
    engine.cancel("tiny", 3)
    end = engine.next_event(20)
    assert isinstance(end, Answered)
    assert (end.seq, end.finish_reason, end.text) == (3, "cancelled", "")
    server.go_on.set()
    found = answers(engine, question(4))
    assert found.keys() == {1, 2, 4}


def test_who_waits_comes_before_what_can_wait(server: Scripted, engine: Servers) -> None:
    server.props = {"total_slots": 1}
    llama(server)
    server.script = server.later
    load(engine, entry(server))
    engine.ask(question(1))
    wait_for_start(engine)
    for seq, interactive in ((2, False), (3, True)):
        engine.ask(Question("tiny", seq, (), Options(), 0, interactive=interactive, messages=(Message("user", "a"),)))
    server.go_on.set()
    order: list[int] = []
    while len(order) < 3:
        if isinstance(event := engine.next_event(20), Answered):
            order.append(event.seq)
    assert order == [1, 3, 2]


def test_closing_ends_everything(server: Scripted) -> None:
    server.script = server.silent
    with servers() as engine:
        load(engine, entry(server))
        engine.ask(question())
        wait_for_start(engine)
    engine.release("tiny")
    engine.load(entry(server), Path())
    engine.close()


def test_what_needs_the_weights_is_refused(server: Scripted, engine: Servers) -> None:
    load(engine, entry(server))
    engine.measure(Measurement("tiny", 1, (), ("a",)))
    assert "does not tell how likely a text is" in failure(engine.next_event(20))
    with pytest.raises(EngineError, match="cuts a text into tokens"):
        engine.tokenize("tiny", ())
    with pytest.raises(EngineError, match="tokens stand for"):
        engine.pieces("tiny", (1,))
    assert not engine.unload("tiny")


def test_a_question_to_nobody(engine: Servers) -> None:
    assert "has not been asked yet" in failure(answers(engine, question())[1])


# --- beside models with a file ---------------------------------------------------------------------------------------


def test_files_and_servers_side_by_side(server: Scripted) -> None:
    both = Mixed(FakeEngine(), Servers())
    try:
        load(both, entry(server))
        both.load(Model("here", "0" * 64), Path())
        ready = [both.next_event(20) for _ in range(2)]
        assert [type(each) for each in ready] == [Loading, Ready]
        here = Question("here", 2, (Segment("hello", False),), Options(), 0)
        found = answers(both, question(1), here)
        assert isinstance(found[1], Answered)
        assert isinstance(found[2], Answered)
        assert found[1].text == "Hello"
        assert found[2].text.endswith("heard: hello")
        assert set(both.residents()) == {"tiny", "here"}
        assert both.tokenize("here", (Segment("a", False),))
        assert both.next_event(0.0) is None
        both.release("tiny")
        both.release("here")
        assert both.next_event(0.0) is None
    finally:
        both.close()


def test_the_counts_are_those_of_the_last_chunk(server: Scripted, engine: Servers) -> None:
    later = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}
    server.script = lambda ask: ask.stream(said("x"), COUNTED, END, later)
    load(engine, entry(server))
    end = answers(engine, question())[1]
    assert isinstance(end, Answered)
    assert end.usage.completion_tokens == 4
