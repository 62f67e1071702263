from __future__ import annotations

import pytest

from promptlab.app.doctor import GIB, examine
from promptlab.app.lab import Lab
from promptlab.engine.memory import SystemMemory


@pytest.mark.parametrize(("free", "status"), [(GIB // 4, "warning"), (2 * GIB, "ok")])
def test_memory_is_what_the_pool_counts_with(lab: Lab, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(SystemMemory, "available", lambda self: free)
    found = next(each for each in examine(lab) if each.name == "memory")
    assert found.status == status
    assert found.detail.startswith(f"{free / GIB:.1f} GiB free of ")
