"""One engine for several processes: what crosses the socket, and what is left when an end of it goes."""

from __future__ import annotations

import datetime
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptlab.app.lab import Labs
from promptlab.app.run import Request
from promptlab.core.chat import Segment
from promptlab.core.constraint import Constraint
from promptlab.core.events import Alternative, EngineEvent, Failed, Failure, Measured, Score, Started, Token, Usage
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.engine.backend import Expected, Measurement, Question
from promptlab.engine.fake import FakeEngine
from promptlab.engine.host import Host
from promptlab.engine.remote import Remote
from promptlab.engine.shared import Switchboard
from promptlab.errors import EngineError
from tests.engine.test_shared import ALPHA, PATH, PATIENCE_S, Scripted, answered, both, question, ready, until

ENGINE = ready("alpha").engine


class Full(Scripted):
    """Keeps whole questions, and has an answer to every call."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Question | Measurement] = []
        self.segments: tuple[Segment, ...] = ()

    def ask(self, question: Question) -> None:
        super().ask(question)
        self.asked.append(question)

    def measure(self, measurement: Measurement) -> None:
        super().measure(measurement)
        self.asked.append(measurement)

    def expected(self, model: Model, path: Path) -> Expected | None:
        return Expected(ENGINE, "hash") if (model, path) == (ALPHA, PATH) else None

    def tokenize(self, model: str, segments: Any) -> tuple[int, ...]:
        self.segments = tuple(segments)
        if model == "gone":
            raise EngineError("gone is not loaded")
        return (1, 2, 3)

    def residents(self) -> dict[str, int | None]:
        return {"alpha": 5, "beta": None}

    def room(self) -> int:
        return 7

    def unload(self, model: str) -> bool:
        return model == "alpha"


@pytest.fixture
def engine() -> Full:
    return Full()


@pytest.fixture
def address(engine: Full, tmp_path: Path) -> Iterator[Path]:
    shared = Switchboard(lambda: engine)
    host = Host(tmp_path / "engine", shared)
    yield tmp_path / "engine"
    host.close()
    shared.close()


def heard(remote: Remote, count: int) -> list[EngineEvent]:
    found = [event for _ in range(count) if (event := remote.next_event(PATIENCE_S)) is not None]
    assert remote.next_event(0) is None
    return found


def test_questions_and_events_cross_unchanged(address: Path, engine: Full) -> None:
    remote = Remote(address)
    model = Model("alpha", None, ("a", ("b", "c")), context=99, options={"top_k": 3}, layout={"slots": 2}, tags=("x",))
    remote.load(model, PATH)
    asked = Question(
        "alpha",
        41,
        (Segment("<s>", True), Segment("h\ud800\n\x1bä", False)),
        Options(temperature=0.25, max_tokens=3, stop=("a", "b")),
        7,
        5,
        Constraint("schema", {"enum": ["a", 1, None]}),
        False,
    )
    measurement = Measurement("alpha", 42, (Segment("x", False),), ("one", "two"), interactive=False, embed=True)
    remote.ask(asked)
    remote.measure(measurement)
    until(lambda: len(engine.asked) == 2)
    assert engine.told[0] == ("load", model, PATH)
    first, second = engine.asked
    assert (first.seq, second.seq) == (1, 2)  # the host's own numbers
    token = Token(1, 9, "ä", -0.5, (Alternative(9, -0.5), Alternative(8, -1.5)))
    engine.say(ready("alpha"), Started(1, (3, 4)), token, answered(1))
    engine.say(Measured(2, (Score((1,), (-0.5,), ("x",)),), Usage(1, 0, 1)))
    named = [ready("alpha"), Started(41, (3, 4)), Token(41, *_rest(token)), answered(41)]
    assert heard(remote, 5) == [*named, Measured(42, (Score((1,), (-0.5,), ("x",)),), Usage(1, 0, 1))]
    object.__setattr__(first, "seq", 41)
    object.__setattr__(second, "seq", 42)
    assert engine.asked == [asked, measurement]
    remote.close()


def _rest(token: Token) -> tuple[int, str, float, tuple[Alternative, ...]]:
    return token.id, token.text, token.logprob, token.top


def test_calls_have_answers(address: Path, engine: Full) -> None:
    remote = Remote(address)
    segments = (Segment("a", True), Segment("b", False))
    assert remote.tokenize("alpha", segments) == (1, 2, 3)
    assert engine.segments == segments
    assert remote.pieces("alpha", [0, 255]) == (b"\x00", b"\xff")
    assert remote.expected(ALPHA, PATH) == Expected(ENGINE, "hash")
    assert remote.expected(ALPHA, Path("b")) is None
    assert remote.residents() == {"alpha": 5, "beta": None}
    assert remote.room() == 7
    assert (remote.unload("alpha"), remote.unload("beta")) == (True, False)
    with pytest.raises(EngineError, match="gone is not loaded"):
        remote.tokenize("gone", ())
    remote.close()


def test_the_same_numbers_of_two_users_do_not_meet(address: Path, engine: Full) -> None:
    one, two = Remote(address), Remote(address)
    one.ask(question(1))
    until(lambda: len(engine.asked) == 1)
    two.ask(question(1))
    until(lambda: len(engine.asked) == 2)
    two.cancel("alpha", 2)  # of the host's numbers; its user has none such
    engine.say(Started(2, ()), Started(1, (5,)), Failed("alpha", 1, Failure("E", "m")))
    assert heard(one, 2) == [Started(1, (5,)), Failed("alpha", 1, Failure("E", "m"))]
    assert heard(two, 1) == [Started(1, ())]
    two.cancel("alpha", 1)
    until(lambda: ("cancel", "alpha", 2) in engine.told)
    assert [each for each in engine.told if each[0] == "cancel"] == [("cancel", "alpha", 2)]
    one.close()
    two.close()


def test_who_disappears_leaves_nothing_behind(address: Path, engine: Full) -> None:
    one, two = Remote(address), Remote(address)
    one.load(ALPHA, PATH)
    one.ask(question(1))
    until(lambda: engine.asked)
    one._socket.shutdown(socket.SHUT_RDWR)  # as when its process is killed
    until(lambda: ("release", "alpha") in engine.told)
    assert engine.told[-2:] == [("cancel", "alpha", 1), ("release", "alpha")]
    assert two.room() == 7
    two.close()


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"op": "close"}\n',
        b'{"op": "load", "model": {"name": 1}, "path": "x"}\n',
        b'{"op": "ask", "question": {"model": "alpha", "seq": "one"}}\n',
        b'{"op": "call", "id": 1, "name": "close"}\n',
        b'{"op": "cancel", "model": "alpha", "seq": []}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
    ],
)
def test_who_does_not_keep_to_the_protocol_is_hung_up_on(address: Path, engine: Full, line: bytes) -> None:
    good = Remote(address)
    with socket.socket(socket.AF_UNIX) as bad:
        bad.settimeout(PATIENCE_S)
        bad.connect(str(address))
        bad.sendall(line)
        assert bad.recv(100) == b""
    assert good.room() == 7
    assert engine.told == []
    good.close()


def test_what_json_cannot_say_fails_its_question_only(address: Path, engine: Full) -> None:
    remote = Remote(address)
    remote.ask(Question("alpha", 3, (), Options(), 0, 1, Constraint("schema", {"const": datetime.date(2026, 1, 1)})))
    (failed,) = heard(remote, 1)
    assert isinstance(failed, Failed)
    assert (failed.model, failed.seq) == ("alpha", 3)
    assert remote.room() == 7
    assert engine.asked == []
    remote.close()


def test_what_the_engine_raises_its_users_hear(address: Path, engine: Full) -> None:
    remote = Remote(address)
    remote.load(ALPHA, PATH)
    until(lambda: engine.told)
    engine.say(RuntimeError("it broke"))
    with pytest.raises(EngineError, match="it broke"):
        remote.next_event(PATIENCE_S)
    remote.close()


def test_when_the_host_goes_everybody_is_told(engine: Full, tmp_path: Path) -> None:
    shared = Switchboard(lambda: engine)
    host = Host(tmp_path / "engine", shared)
    lost: list[bool] = []
    remote = Remote(tmp_path / "engine", lambda: lost.append(True))
    quiet = Remote(tmp_path / "engine", lambda: lost.append(False))
    quiet.close()
    until(lambda: host.users == 1)
    host.close()
    until(lambda: lost)
    assert lost == [True]
    with pytest.raises(EngineError, match="has ended"):
        remote.next_event(PATIENCE_S)
    with pytest.raises(EngineError, match="has ended"):
        remote.room()
    remote.ask(question(1))  # nobody is there; what comes of it has been said
    with pytest.raises(EngineError, match="cannot be reached"):
        Remote(tmp_path / "engine")
    assert not engine.closed  # it is not the host's to end
    shared.close()


def test_a_socket_that_cannot_be_opened_is_one_line(engine: Full, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no socket can be opened"):
        Host(tmp_path / "missing" / "engine", Switchboard(lambda: engine))


def test_nonsense_from_the_host_ends_the_remote_with_a_reason(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "engine"))
        listener.listen()
        remote = Remote(tmp_path / "engine")
        peer, _ = listener.accept()
        with peer:
            peer.sendall(json.dumps({"event": "token", "seq": 1}).encode() + b"\n")
            with pytest.raises(EngineError, match="broke the protocol"):
                remote.next_event(PATIENCE_S)
        remote.close()


def test_two_visitors_share_one_engine(library: Path, tmp_path: Path) -> None:
    engine = FakeEngine(lambda question, prompt: f"{question.model} {question.seed} {prompt!r}")
    shared = Switchboard(lambda: engine)
    host = Host(tmp_path / "engine", shared)
    visitors = [Labs(library, lambda: Remote(tmp_path / "engine")) for _ in range(2)]
    one = Request(("explain",), inputs={"topic": "rain"}, samples=3, options={"max_tokens": 500}, log=False)
    two = Request(("verdict",), inputs={"claim": "x"}, samples=3, options={"max_tokens": 500}, log=False)
    alone = [both((labs, request, True))[0] for labs, request in zip(visitors, (one, two), strict=True)]
    assert both((visitors[0], one, True), (visitors[1], two, False)) == alone
    assert [len(each) for each in alone] == [6, 6]
    until(lambda: sorted(engine.released) == sorted(engine.loaded))
    for labs in visitors:
        labs.close()
    until(lambda: host.users == 0)
    host.close()
    shared.close()
