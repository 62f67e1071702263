from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import pytest_runtest_setup


class Item:
    """As much of a test as the hook looks at."""

    def __init__(self, marker: str | None) -> None:
        self.marker = marker

    def get_closest_marker(self, name: str) -> str | None:
        return self.marker


def setup(marker: str | None) -> None:
    item: Any = Item(marker)
    pytest_runtest_setup(item)


def test_tests_without_the_marker_always_run(home: Path) -> None:
    setup(None)


def test_without_models_a_test_is_skipped_with_the_command_that_helps(home: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="promptlab models pull"):
        setup("model")


def test_or_fails_where_models_are_required(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTLAB_REQUIRE_MODELS", "1")
    with pytest.raises(pytest.fail.Exception, match="promptlab models pull"):
        setup("model")
