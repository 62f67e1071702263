"""The whole program in a real terminal with real models: from the first start to a saved comparison."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from promptlab.files.paths import shipped_library

PATIENCE_S = 240.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal of tmux with a server of its own."""

    socket: Path

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(["tmux", "-S", str(self.socket), *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tmux("send-keys", "-t", "x", key)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", "x", "-l", text)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "x")

    def border(self, title: str) -> str:
        """The line with a pane's title, with its colours: another one when the focus comes."""
        lines = self.tmux("capture-pane", "-e", "-p", "-t", "x").splitlines()
        return next((line for line in lines if title in line), "")

    def focus(self, title: str, *keys: str) -> None:
        """Press keys that bring the focus to a pane, and wait until it is there: what is typed then goes to it."""
        before = self.border(title)
        self.press(*keys)
        deadline = time.monotonic() + PATIENCE_S
        while self.border(title) == before:
            assert time.monotonic() < deadline, f"{title} never had the focus:\n{self.screen()}"
            time.sleep(0.1)

    def wait(self, *texts: str, times: int = 1) -> str:
        """Until all of these stand on the screen, each so often."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            shown = self.screen()
            if all(shown.count(text) >= times for text in texts):
                return shown
            assert time.monotonic() < deadline, f"{texts} never came:\n{shown}"
            time.sleep(0.1)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """What ships, in a git repository of its own."""
    root = tmp_path / "library"
    root.mkdir()
    shipped = shipped_library()
    for name in ("prompts", "seeds", "models.yaml"):
        source = shipped / name
        shutil.copytree(source, root / name) if source.is_dir() else shutil.copy(source, root / name)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "what ships")):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)
    return root


@pytest.fixture
def terminal(library: Path, tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(Path("/tmp") / f"promptlab-test-{os.getpid()}")  # a socket's path must be short
    start = f"cd {library} && unset COLUMNS LINES && {sys.executable} -m promptlab"
    program = f"{start}; echo ended with $?; exec sleep 1000"
    environment = [f"-eXDG_{what}_HOME={tmp_path / what}" for what in ("DATA", "CONFIG", "STATE")]
    made.tmux("new-session", "-d", "-s", "x", "-x", "120", "-y", "40", *environment, program)
    yield made
    made.tmux("kill-server")
    made.socket.unlink(missing_ok=True)


def answers(library: Path) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "promptlab", "runs", "list", "--limit", "1000", "--json"]
    done = subprocess.run(command, cwd=library, capture_output=True, text=True, check=True)
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


@pytest.mark.model
@pytest.mark.timeout(600)
def test_from_the_first_start_to_a_saved_comparison(terminal: Terminal, library: Path) -> None:
    terminal.wait("go to the inputs", "2 of 5 models on disk", "required")
    terminal.focus("Inputs of", "Enter")  # the first prompt is `answer`
    terminal.type("What is the capital of France?")
    terminal.press("Enter")
    terminal.wait("done: ", times=2)
    assert len(answers(library)) == 2

    terminal.focus("SmolLM2 135M Instruct", "Escape")
    terminal.press("t")
    terminal.wait("Tokens", "Difference")
    terminal.press("Escape")

    terminal.press("F3")
    terminal.wait("Tick what to compare", "[x] answer", "facts")
    terminal.focus("Cases", "F6")
    terminal.press("Down", "Space")
    terminal.wait("[x] facts")
    terminal.press("C-r")
    shown = terminal.wait("48 of 48 answers", "pass rate", "done")
    assert shown.count("✓") > 10  # both models know some capitals
    terminal.press("w")
    terminal.wait("answer-facts.html")
    terminal.press("Enter")
    terminal.wait("Written")
    report = (library / "answer-facts.html").read_text(encoding="utf-8")
    assert "smollm2-135m" in report
    assert "What is the capital of France?" in report

    terminal.press("F4")
    terminal.wait("50 runs")
    terminal.press("C-q")
    terminal.wait("ended with 0")
    records = answers(library)
    assert len(records) == 50
    assert {record["error"] for record in records} == {None}
