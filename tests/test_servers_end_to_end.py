"""A model on a real llama.cpp server, beside the same model in a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptlab.app.lab import Lab, open_lab
from promptlab.app.run import Request, prepare, records
from promptlab.core.events import Ready, Token
from promptlab.core.record import Record
from promptlab.files.paths import model_file, shipped_library

pytestmark = pytest.mark.model

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
EXPLAIN = """\
---
inputs: {topic: string}
options: {max_tokens: 16}
---
{% user %}Explain {{ topic }} in one sentence.{% enduser %}
"""
BEGUN = """\
---
inputs: {topic: string}
options: {max_tokens: 4, temperature: 0}
---
{% user %}Question: What is the capital of {{ topic }}?{% enduser %}
{% assistant %}Answer:{% endassistant %}
{% generate answer %}
"""
PERSON = """\
---
inputs: {text: string}
output: {schema: {name: string, age: integer}}
options: {max_tokens: 60, temperature: 0}
---
{% user %}{{ text }} As JSON with name and age:{% enduser %}
"""
PICK = """\
---
inputs: {text: string}
output: {choices: ["yes, it is", "no, it's \\"not\\""]}
options: {max_tokens: 30}
---
{% user %}{{ text }} Yes or no?{% enduser %}
"""


@dataclass(frozen=True)
class Place:
    """A library and a server."""

    library: Path
    address: str


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.llama_server", str(model_file(SHA256))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.kill()


@pytest.fixture
def place(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A library with the model in a file, and the server in the user's own models.yaml."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own = tmp_path / "config" / "promptlab" / "models.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(f"models:\n  served:\n    server: {address}/v1\n")
    root = tmp_path / "library"
    (root / "prompts").mkdir(parents=True)
    for name, text in {"explain": EXPLAIN, "person": PERSON, "pick": PICK, "begun": BEGUN}.items():
        (root / "prompts" / f"{name}.jinja").write_text(text)
    shutil.copy(shipped_library() / "models.yaml", root)
    return Place(root, address)


@pytest.fixture
def lab(place: Place) -> Iterator[Lab]:
    with open_lab(place.library) as opened:
        yield opened


def run(lab: Lab, prompt: str, samples: int = 1, **inputs: str) -> list[Record]:
    found = records(prepare(lab, Request((prompt,), ("served",), inputs, samples=samples)))
    assert [each.error for each in found] == [None] * samples
    return found


def test_an_answer_that_has_begun_is_gone_on_with_as_a_file_would(lab: Lab) -> None:
    """The first token after it is as likely to the server as to the model itself: both read the same."""
    served, own = records(prepare(lab, Request(("begun",), ("served", "smollm2-135m"), {"topic": "France"})))
    assert served.error is own.error is None
    first, wanted = served.steps[0].tokens[0], own.steps[0].tokens[0]
    assert (first.id, served.steps[0].text[:4]) == (wanted.id, own.steps[0].text[:4])
    assert first.logprob == pytest.approx(wanted.logprob, abs=0.2)
    assert not served.steps[0].text.startswith("Answer")


def test_samples_of_a_server(lab: Lab) -> None:
    found = run(lab, "explain", samples=6, topic="rain")
    assert len({each.output for each in found}) > 1
    for record in found:
        (step,) = record.steps
        assert record.engine is not None
        assert record.engine.server is not None
        assert (record.engine.mode, record.engine.server.kind) == ("remote", "llama.cpp")
        assert "/" not in record.engine.server.model
        assert step.usage is not None
        assert step.usage.prompt_tokens > 10
        assert len(step.tokens) in (step.usage.completion_tokens, step.usage.completion_tokens - 1)


def test_its_tokens_are_those_of_the_same_model_in_a_file(lab: Lab) -> None:
    (record,) = run(lab, "explain", topic="rain")
    model = lab.models["smollm2-135m"]
    lab.backend.load(model, model_file(SHA256))
    while not isinstance(lab.backend.next_event(60), Ready):
        pass
    pieces = lab.backend.pieces(model.name, [each.id for each in record.steps[0].tokens])
    lab.backend.release(model.name)
    assert b"".join(pieces).decode().removesuffix("<|im_end|>") == record.steps[0].text


def test_an_answer_of_a_schema_and_a_choice(lab: Lab) -> None:
    (person,) = run(lab, "person", text="Ann is 31 years old.")
    assert person.output.keys() == {"name", "age"}
    assert isinstance(person.output["age"], int)
    for picked in run(lab, "pick", samples=4, text="Is ice cold?"):
        assert picked.output in ("yes, it is", 'no, it\'s "not"')


def test_a_run_on_a_server_is_cancelled(lab: Lab) -> None:
    request = Request(("explain",), ("served",), {"topic": "rain"}, samples=6, options={"max_tokens": 400})
    going = prepare(lab, request)
    for event in going.events():
        if isinstance(event, Token):
            going.cancel()
    kinds = {each.error.type if each.error else "done" for each in going.board.records}
    assert "Cancelled" in kinds
    assert kinds <= {"Cancelled", "done"}
    run(lab, "explain", topic="snow")  # its slots are free again


def test_file_and_server_side_by_side(place: Place) -> None:
    command = [
        sys.executable,
        "-m",
        "promptlab",
        "--library",
        str(place.library),
        "compare",
        "explain",
        "--var",
        "topic=rain",
    ]
    command += ["-m", "smollm2-135m,served", "-n", "2", "-o", "x.html", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place.library, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert {each["model"] for each in json.loads(done.stdout)["columns"]} == {"smollm2-135m", "served"}
    text = (place.library / "x.html").read_text()
    assert "served answered on a server" in text
