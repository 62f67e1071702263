"""The whole program with real models, as a user meets it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from promptlab.core import codec
from promptlab.core.constraint import Constraint
from promptlab.core.events import EngineEvent, Token
from promptlab.core.record import Record
from promptlab.engine.pool import Pool
from promptlab.files.paths import shipped_library

pytestmark = pytest.mark.model

RUN = ("run", "explain", "--var", "topic=rain", "-o", "max_tokens=24")
WAIT_S = 180.0


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The library that ships, copied, so that its history is not that of the checkout."""
    root = tmp_path / "library"
    for name in ("prompts", "seeds"):
        shutil.copytree(shipped_library() / name, root / name)
    shutil.copy(shipped_library() / "models.yaml", root)
    return root


def promptlab(root: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "promptlab", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PROMPTLAB_")}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False, **options
    )


def test_a_program_with_constraints_and_a_call_gives_data_on_both_models(shipped: Path) -> None:
    message = "Hi, Ada from Paris. My parcel is three weeks late and nobody answers the phone!"
    done = promptlab(shipped, "run", "triage", "--var", f"message={message}", "--json")
    assert done.returncode == 0, done.stderr
    for data in json.loads(done.stdout):
        record = codec.load(Record, data)
        kind, urgency, read = record.steps
        assert [step.name for step in record.steps] == ["kind", "urgency", "read.output"]
        assert kind.constraint == Constraint("choices", ["question", "complaint", "praise"])
        assert (kind.options["temperature"], read.options["temperature"], read.options["max_tokens"]) == (0, 0.3, 120)
        assert len(read.messages) == 1  # a conversation of its own
        assert record.output["kind"] == kind.text in kind.constraint.value
        assert record.output["urgency"] == int(urgency.text) in range(1, 6)
        assert record.output["writer"] == json.loads(read.text)["name"]
        assert record.engine is not None
        assert record.engine.llguidance


def test_an_answer_that_has_begun_is_gone_on_with(shipped: Path) -> None:
    (shipped / "prompts" / "begun.jinja").write_text(
        "{% user %}What is the capital of France?{% enduser %}"
        "{% assistant %}The capital of France is the city of{% endassistant %}"
        "{% generate city max_tokens=3, temperature=0 %}"
    )
    done = promptlab(shipped, "run", "begun", "--json")
    assert done.returncode == 0, done.stderr
    records = [codec.load(Record, data) for data in json.loads(done.stdout)]
    assert all("Paris" in record.output for record in records), [r.output for r in records]
    rendered = promptlab(shipped, "prompts", "render", "begun", "--model", "smollm2-135m", "--json")
    seen = json.loads(rendered.stdout)
    assert seen["text"].endswith("<|im_start|>assistant\nThe capital of France is the city of")
    assert seen["tokens"] == list(records[0].steps[0].prompt_ids)


def test_a_diff_counts_real_tokens(shipped: Path) -> None:
    (shipped / "prompts" / "longer.jinja").write_text(
        (shipped / "prompts" / "explain.jinja").read_text().replace("Explanation:", "A short explanation:")
    )
    command = ("prompts", "diff", "explain", "longer", "--var", "topic=rain", "--model", "smollm2-135m", "--json")
    found = json.loads(promptlab(shipped, *command).stdout)
    ids = [
        json.loads(
            promptlab(shipped, "prompts", "render", n, "--var", "topic=rain", "-m", "smollm2-135m", "--json").stdout
        )
        for n in ("explain", "longer")
    ]
    counts = [len(each["tokens"]) for each in ids]
    assert [found["old"]["tokens"], found["new"]["tokens"]] == counts
    assert found["token_change"] == counts[1] - counts[0] > 0


def test_two_families_answer_and_the_same_command_gives_the_same_text(shipped: Path) -> None:
    first, again = (promptlab(shipped, *RUN, "--json") for _ in range(2))
    assert first.returncode == again.returncode == 0, first.stderr
    records = [codec.load(Record, data) for data in json.loads(first.stdout)]
    assert [r.model.name for r in records] == ["smollm2-135m", "gemma3-270m"]
    outputs = [r.output for r in records]
    assert all(len(output.split()) >= 5 for output in outputs)
    assert outputs[0] != outputs[1]
    repeated = [codec.load(Record, data) for data in json.loads(again.stdout)]
    assert [r.output for r in repeated] == outputs
    assert [r.steps[0].tokens for r in repeated] == [r.steps[0].tokens for r in records]
    assert [r.key for r in repeated] == [r.key for r in records]


FIELDS = {
    "": "schema id key started_at prompt case inputs sample seed options model engine steps output checks error",
    "prompt": "name label hash commit dirty source partials",
    "model": "name sha256 template_hash",
    "engine": "mode llama_cpp build cpu threads layout safe_mode",
    "step": "name messages prompt_ids seed tokens distribution text finish_reason usage timings",
    "usage": "prompt_tokens cached_tokens completion_tokens",
    "timings": "load_s ttft_s prefill_s decode_s tokens_per_s",
    "token": "id logprob top",
}
"""As the design has them (section 7)."""


def test_each_record_has_the_fields_of_the_design(shipped: Path) -> None:
    done = promptlab(shipped, "run", "verdict", "--var", "claim=Ice is cold.", "-m", "smollm2-135m", "--json")
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)
    assert [s["name"] for s in record["steps"]] == ["verdict", "reason"]
    step = record["steps"][0]
    parts = {
        "": record, "prompt": record["prompt"], "model": record["model"], "engine": record["engine"], "step": step,
        "usage": step["usage"], "timings": step["timings"], "token": step["tokens"][0],
    }  # fmt: skip
    for name, part in parts.items():
        assert set(FIELDS[name].split()) <= set(part), name
    assert record["prompt"]["partials"].keys() == {"_about.jinja"}
    assert record["engine"]["mode"] == "exact"
    assert record["error"] is None
    assert len(step["prompt_ids"]) == step["usage"]["prompt_tokens"]
    assert len(step["tokens"]) == step["usage"]["completion_tokens"]


class Killing(Pool):
    """A pool in which the first model to speak is killed in mid-answer."""

    killed = ""

    def next_event(self, timeout: float) -> EngineEvent | None:
        event = super().next_event(timeout)
        if isinstance(event, Token) and not self.killed:
            self.killed = next(name for name, worker in self._workers.items() if event.seq in worker.seqs)
            pid = self.pid(self.killed)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        return event


def test_kill_9_of_a_worker_in_mid_answer_leaves_the_other_model_alone(
    shipped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from promptlab.cli.main import main

    pool = Killing()
    monkeypatch.setattr("promptlab.app.lab._pool", lambda: pool)
    monkeypatch.chdir(shipped)
    code = main((*RUN[:-1], "max_tokens=100", "--json"), lambda library: 42)
    records = {r["model"]["name"]: r for r in json.loads(capsys.readouterr().out)}
    assert int(code) == 1
    dead = records.pop(pool.killed)
    (alive,) = records.values()
    assert (dead["error"]["type"], dead["error"]["signal"]) == ("WorkerDied", "SIGKILL")
    assert dead["steps"][0]["tokens"]
    assert alive["error"] is None
    assert alive["output"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 200, "GGUF"),
    ],
)
def test_a_file_that_is_no_model_is_one_clear_line_and_nothing_is_half_written(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, says: str
) -> None:
    import hashlib

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (shipped / "bad.gguf").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (shipped / "models.yaml").write_text(
        f"models:\n  bad:\n    license: none\n    sha256: {digest}\n    sources: [bad.gguf]\n    default: true\n"
    )
    done = promptlab(shipped, *RUN, "--pull")
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "cache").rglob("*.gguf"))


# --- the terminal interface, by keys only ----------------------------------------------------------------------------


class Terminal:
    """A program in tmux, of its own server."""

    def __init__(self, cwd: Path, command: list[str], width: int, height: int) -> None:
        self._socket = f"promptlab-{os.getpid()}-{id(self)}"
        size = ["-x", str(width), "-y", str(height)]
        self._tmux("new-session", "-d", "-c", str(cwd), *size, *command)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        # The environment is spelled out because readline, which pytest imports, has put COLUMNS and LINES into that of
        # the process behind Python's back, and Textual would believe them.
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=dict(os.environ))
        return done.stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self, *, styles: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if styles else []))

    def wait_for(self, seen: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + WAIT_S
        while not seen(shown := self.screen()):
            assert time.monotonic() < deadline, f"not seen in:\n{shown}"
            time.sleep(0.1)
        return shown

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, timeout=30, check=False)


@pytest.fixture
def playground(shipped: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.fail("tmux is not installed: apt-get install tmux")
    terminal = Terminal(shipped, [sys.executable, "-m", "promptlab"], 120, 40)
    yield terminal
    terminal.close()


def test_the_playground_runs_explain_on_both_models_by_keys_only(playground: Terminal, shipped: Path) -> None:
    playground.wait_for(lambda s: "answer(question: string" in s and "[x] Gemma 3" in s)
    playground.press("Down")  # from the first prompt that ships to the second
    playground.wait_for(lambda s: "explain(topic: string" in s and "who is asking" in s)
    before = playground.screen(styles=True)
    playground.press("Enter")  # from the list of prompts to the first input
    playground.wait_for(lambda _: playground.screen(styles=True) != before)
    playground.press("-l", "rain")
    playground.wait_for(lambda s: "│ rain" in s)
    playground.press("Enter")
    shown = playground.wait_for(lambda s: s.count("✓") == 2)
    done = promptlab(shipped, "runs", "list", "--json")
    rows = json.loads(done.stdout)
    assert sorted(row["model"] for row in rows) == ["gemma3-270m", "smollm2-135m"]
    for row in rows:
        record = json.loads(promptlab(shipped, "runs", "show", row["id"], "--json").stdout)
        assert record["inputs"] == {"topic": "rain", "audience": "a curious child"}
        words = record["output"].split()
        assert words[:3]
        assert " ".join(words[:3]) in " ".join(shown.split())
    playground.press("C-q")


def test_what_ships_runs_outside_any_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    done = promptlab(tmp_path, "--library", str(shipped_library()), "run", "lake", "-o", "max_tokens=8", "--no-log")
    assert done.returncode == 0, done.stderr
    assert "== smollm2-135m" in done.stdout
    assert "== gemma3-270m" in done.stdout


def test_a_new_library_runs(tmp_path: Path) -> None:
    assert promptlab(tmp_path, "init", "new").returncode == 0
    done = promptlab(tmp_path / "new", "run", "hello", "-m", "smollm2-135m", "-o", "max_tokens=8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
