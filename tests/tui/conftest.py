"""One warm sandbox for all tests here: a child process takes seconds to start where no bytecode is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from promptlab.sandbox import Sandbox


class Warm(Sandbox):
    """Outlives the labs that use it."""

    def close(self) -> None:
        """Stay."""


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    sandbox = Warm()
    yield sandbox
    Sandbox.close(sandbox)


@pytest.fixture(autouse=True)
def _warm_lab(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptlab.app.lab.Sandbox", lambda: warm)
