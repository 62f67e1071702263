"""A comparison that is killed, again and again, and gone on with by the same command."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from promptlab.files.paths import shipped_library

KILLS = 10
CELLS = 64


def records(root: Path) -> list[tuple[str, str, str | None]]:
    """Id, key and error of each, from a store that must be whole."""
    path = root / ".promptlab" / "lab.db"
    if not path.exists():
        return []
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone()
        return db.execute("SELECT id, key, error FROM records").fetchall() if made else []
    finally:
        db.close()


def kept(root: Path) -> int:
    """How many records a store has while another process writes to it."""
    path = root / ".promptlab" / "lab.db"
    if not path.exists():
        return 0
    db = sqlite3.connect(path)
    try:
        made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone()
        return int(db.execute("SELECT count(*) FROM records").fetchone()[0]) if made else 0
    finally:
        db.close()


def killed_again_and_again(command: list[str], root: Path, whole: float) -> None:
    """Run a command of 64 cells, kill it at a moment, run it again, and so on; then let it end.

    Every other time it ends at a random moment, else as soon as one more answer is kept: a whole run takes too little
    and too varied a time for random moments to meet its work for certain. `whole` is how long it takes when nothing
    ends it, in seconds.
    """
    luck = random.Random(5)
    seen: set[str] = set()
    sizes = []
    for turn in range(KILLS):
        with subprocess.Popen(
            command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as running:
            if turn % 2:
                time.sleep(luck.uniform(0.5, 1.0) * whole)
            else:
                while kept(root) <= len(seen) and running.poll() is None:
                    time.sleep(0.001)
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
        now = {id for id, *_ in records(root)}
        assert seen <= now, "what was kept is lost"
        seen = now
        sizes.append(len(seen))
    assert any(0 < size < CELLS for size in sizes), f"nothing was killed in the middle of its work: {sizes}"
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240)
    assert ended.returncode in (0, 100), ended.stderr
    found = records(root)
    assert len(found) == CELLS
    assert set(Counter(key for _, key, _ in found).values()) == {1}
    assert not any(error for *_, error in found)
    cells = json.loads(ended.stdout)["cells"]
    assert {cell["id"] for cell in cells} == {id for id, *_ in found}
    assert {cell["id"] for cell in cells if cell["cached"]} == seen


def write_cases(root: Path, name: str, count: int) -> None:
    (root / "seeds").mkdir(exist_ok=True)
    lines = [f"- {{vars: {{topic: thing {n}}}, assert: [{{type: contains, value: e}}]}}" for n in range(count)]
    (root / "seeds" / f"{name}.yaml").write_text("\n".join(lines))


def whole(command: list[str], root: Path) -> float:
    """How long a command takes, in seconds."""
    begun = time.monotonic()
    subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=240)
    return time.monotonic() - begun


@pytest.mark.timeout(600)
def test_killed_at_ten_moments_it_ends_with_each_answer_once(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cases(library, "things", 8)
    monkeypatch.setenv("FAKE_DELAY", "0.002")
    monkeypatch.setenv("FAKE_SPREAD", "40")  # so that they end one after the other
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    asked = ["compare", "explain", "--cases", "things", "-n", "4", "--json"]
    command = [sys.executable, "-m", "tests.cli.fake_main", *asked]
    killed_again_and_again(command, library, whole([*command, "--no-log"], library))


@pytest.mark.model
@pytest.mark.timeout(600)
def test_so_it_does_with_a_real_model(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "ask.jinja").write_text(
        "---\ninputs: {topic: string}\noptions: {max_tokens: 2}\n---\nSay something about {{ topic }}."
    )
    (tmp_path / "models.yaml").write_text((shipped_library() / "models.yaml").read_text())
    write_cases(tmp_path, "things", 8)
    asked = ["compare", "ask", "-m", "smollm2-135m", "--cases", "things", "-n", "8", "--json"]
    command = [sys.executable, "-m", "promptlab", *asked]
    whole([*command, "--no-log"], tmp_path)  # the first time, a model is tried out
    killed_again_and_again(command, tmp_path, whole([*command, "--no-log"], tmp_path))


def test_two_at_once_use_one_history(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cases(library, "things", 8)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    asked = ["compare", "explain", "--cases", "things", "-n", "4", "--json"]
    command = [sys.executable, "-m", "tests.cli.fake_main", *asked]
    both = [subprocess.Popen(command, cwd=library, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    ended = [(*each.communicate(timeout=240), each.returncode) for each in both]
    assert [code for *_, code in ended] == [0, 0], ended
    keys = Counter(key for _, key, _ in records(library))
    assert len(keys) == CELLS
    assert set(keys.values()) <= {1, 2}  # what both had begun before the other was done
    again = json.loads(subprocess.run(command, cwd=library, capture_output=True, check=True).stdout)
    assert all(cell["cached"] for cell in again["cells"])
    assert len(records(library)) == sum(keys.values())
