from __future__ import annotations

import threading
from pathlib import Path

import pytest

from promptlab.app.watching import Watch
from promptlab.files.paths import config_dir
from promptlab.files.watching import changes, concerns, folders

PATIENCE_S = 30.0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("prompts/a.jinja", True),
        ("prompts/deep/er/a.jinja", True),
        ("prompts", True),
        ("seeds/cases.yaml", True),
        ("models.yaml", True),
        ("other.yaml", False),
        ("prompts/.a.jinja.swp", False),
        ("prompts/a.jinja~", False),
        (".promptlab/history.db", False),
        ("../prompts/a.jinja", False),
    ],
)
def test_what_concerns_a_library(tmp_path: Path, path: str, expected: bool) -> None:
    assert concerns(tmp_path, str((tmp_path / path).resolve())) is expected


def test_links_are_not_followed(library: Path, home: Path) -> None:
    (home / "outside" / "deep").mkdir(parents=True)
    (library / "prompts" / "out").symlink_to(home / "outside")
    (library / "prompts" / ".git").mkdir()
    (library / "seeds").symlink_to(home / "outside")
    below = {str(Path(f).relative_to(library)) for f in folders(library)}
    assert below == {".", "prompts", "prompts/numbers"}


def test_changes_are_told_in_new_folders_too(library: Path) -> None:
    told = threading.Semaphore(0)
    watch = Watch(library, told.release)
    try:
        # Until the thread watches, nothing is told: so it is written until something is.
        assert _until_told(told, lambda n: (library / "prompts" / "new.jinja").write_text(f"{n}"))
        (library / "seeds").mkdir()
        assert _until_told(told, lambda n: (library / "seeds" / "cases.yaml").write_text(f"{n}"))
    finally:
        watch.stop()
    assert watch.join(PATIENCE_S)


def test_the_users_own_models_are_watched_too(library: Path) -> None:
    own = config_dir() / "models.yaml"
    own.parent.mkdir(parents=True)
    assert concerns(library, str(own))
    assert not concerns(library, str(own.with_name("settings.yaml")))
    told = threading.Semaphore(0)
    watch = Watch(library, told.release)
    try:
        assert _until_told(told, lambda n: own.write_text(f"# {n}"))
    finally:
        watch.stop()
    assert watch.join(PATIENCE_S)


def test_a_system_that_cannot_watch_says_nothing(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> object:
        raise OSError("no space left for watches")

    monkeypatch.setattr("watchfiles.watch", full)
    assert list(changes(library, threading.Event())) == []


def _until_told(told: threading.Semaphore, write: object) -> bool:
    while told.acquire(blocking=False):
        pass
    for n in range(int(PATIENCE_S)):
        write(n)  # type: ignore[operator]
        if told.acquire(timeout=1.0):
            return True
    return False
