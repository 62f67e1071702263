from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from promptlab.engine import memory
from promptlab.engine.memory import SystemMemory, Taken, group_room

STAT = "anon 5\nfile 9\ninactive_file 30\nactive_file 20\n"


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({"memory.max": "1000\n", "memory.current": "300\n", "memory.stat": STAT}, [750]),
        ({"memory.max": "1000\n", "memory.current": "300\n", "memory.stat": ""}, [700]),
        ({"memory.max": "1000\n", "memory.current": "2000\n", "memory.stat": STAT}, [0]),
        ({"memory.max": "max\n", "memory.current": "300\n", "memory.stat": STAT}, []),
        ({"memory.max": "much\n", "memory.current": "300\n", "memory.stat": STAT}, []),
        ({"memory.max": "1000\n"}, []),
        ({}, []),
    ],
)
def test_what_a_control_group_leaves(tmp_path: Path, files: dict[str, str], room: list[int]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert group_room(tmp_path) == room


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    assert 0 < SystemMemory().available() <= psutil.virtual_memory().total
    for name, content in {"memory.max": "1000", "memory.current": "300", "memory.stat": STAT}.items():
        (tmp_path / name).write_text(content)
    assert SystemMemory().available() == 750


def test_what_a_process_holds() -> None:
    taken = SystemMemory().taken(os.getpid())
    assert 0 < taken.private <= taken.rss
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert SystemMemory().taken(done.pid) == Taken(0, 0)
