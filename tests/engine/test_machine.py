"""Under which name it is kept what was found out about a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptlab.core.job import Model
from promptlab.engine import machine
from promptlab.engine.machine import loading_name

MODEL = Model("m", None)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "default_threads", lambda: 8)
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "fast"},
        {"threads": 4},
        {"layout": {"wide": True}},
        {"layout": {"chunk": 64}},
        {"layout": {"slots": 8}},
        {"kv_type": "q8_0"},
        {"kv_type": "bf16"},
        {"gpu_layers": -1},
        {"name": "other"},
    ],
)
def test_what_is_found_out_depends_on_it(file: Path, changes: dict[str, Any]) -> None:
    assert loading_name(replace(MODEL, **changes), file, safe_mode=False) != loading_name(MODEL, file, safe_mode=False)


def test_so_it_does_on_file_machine_and_kernels(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [loading_name(MODEL, file, safe_mode=False), loading_name(MODEL, file, safe_mode=True)]
    monkeypatch.setattr(machine, "default_threads", lambda: 16)
    names.append(loading_name(MODEL, file, safe_mode=False))
    monkeypatch.setattr(machine, "cpu_name", lambda: "another")
    names.append(loading_name(MODEL, file, safe_mode=False))
    file.write_bytes(b"other weights")
    names.append(loading_name(MODEL, file, safe_mode=False))
    file.unlink()
    names.append(loading_name(MODEL, file, safe_mode=False))
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "changes", [{"context": 99}, {"layout": {"wide": False}}, {"options": {"top_k": 3}}, {"kv_type": "f16"}]
)
def test_on_the_rest_it_does_not(file: Path, changes: dict[str, Any]) -> None:
    assert loading_name(replace(MODEL, **changes), file, safe_mode=False) == loading_name(MODEL, file, safe_mode=False)


def test_the_number_of_threads_set_by_hand_that_would_be_taken_anyway(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "default_threads", lambda: 2)
    by_hand = replace(MODEL, threads=2)
    assert loading_name(by_hand, file, safe_mode=False) == loading_name(MODEL, file, safe_mode=False)
