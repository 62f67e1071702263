"""Replay with real models: what was recorded is said again, bit for bit, whatever ran beside it then or runs now."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from promptlab.files.paths import shipped_library
from tests.test_end_to_end import promptlab

pytestmark = pytest.mark.model

VARIABLES = ("--var", "topic=rain", "--var", "message=Where is my parcel? Ada", "--var", "claim=Ice is cold.")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The library that ships, copied, so that its history is not that of the checkout."""
    root = tmp_path / "library"
    shutil.copytree(shipped_library() / "prompts", root / "prompts")
    shutil.copy(shipped_library() / "models.yaml", root)
    return root


def replayed(root: Path, *arguments: str, code: int = 0) -> Any:
    done = promptlab(root, "runs", "replay", *arguments, "--json")
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_records_of_both_models_are_identical_and_a_changed_one_is_told(library: Path) -> None:
    run = promptlab(library, "run", "explain", "triage", "verdict", *VARIABLES, "-n", "2", "-o", "max_tokens=40")
    # JSON that is cut off fails its program; what was answered up to there is compared all the same.
    assert run.returncode in (0, 1), run.stderr
    for path in (library / "prompts").rglob("*.jinja"):
        path.write_text("The working copy does not matter.")
    found = replayed(library, "--all")
    assert [(each["verdict"], each["why"]) for each in found] == [("identical", [])] * 12

    # Alone it is what it was among others; with another seed in its record it is not.
    id = next(each["id"] for each in found if each["prompt"] == "explain")
    assert replayed(library, id)["verdict"] == "identical"
    change_step(library, id, lambda step: {**step, "seed": step["seed"] + 1})
    other = replayed(library, id, code=100)
    assert (other["verdict"], other["step"]) == ("differs", 0)
    assert other["recorded"]["id"] != other["replayed"]["id"]
    assert other["recorded"]["text"]
    assert other["replayed"]["text"]

    # A prompt that is read as other tokens cannot be compared.
    change_step(library, id, lambda step: {**step, "prompt_ids": step["prompt_ids"][:-1]})
    assert "is read as other tokens" in replayed(library, id, code=1)["why"][0]


def change_step(root: Path, id: str, change: Any) -> None:
    """Change the first step of a record in the history."""
    connection = sqlite3.connect(root / ".promptlab" / "lab.db")
    with connection:
        ((text,),) = connection.execute("SELECT json FROM records WHERE id = ?", (id,)).fetchall()
        data = json.loads(text)
        data["steps"][0] = change(data["steps"][0])
        connection.execute("UPDATE records SET json = ? WHERE id = ?", (json.dumps(data), id))
    connection.close()
