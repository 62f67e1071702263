from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from promptlab.core.session import Session
from promptlab.files import sessions
from promptlab.files.paths import state_dir
from promptlab.files.sessions import read_session, session_file, write_session

SESSION = Session("explain", {"explain": {"topic": "rain \ud800", "deep": True, "n": 2}}, {"alpha": False}, 3)


def test_what_is_kept_is_there_the_next_time(home: Path) -> None:
    library, other = home / "a", home / "b"
    assert read_session(library) == Session()
    write_session(library, SESSION)
    assert read_session(library) == Session("explain", SESSION.drafts, SESSION.ticked, 3)
    assert read_session(other) == Session()
    assert session_file(library).is_relative_to(state_dir())
    assert state_dir().is_relative_to(home / "state")
    assert session_file(library).parent.stat().st_mode & 0o077 == 0
    assert len(list(session_file(library).parent.iterdir())) == 1


def test_a_library_reached_by_a_link_is_the_same(home: Path) -> None:
    (home / "a").mkdir()
    (home / "link").symlink_to(home / "a")
    write_session(home / "link", SESSION)
    assert read_session(home / "a").prompt == "explain"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        '{"prompt": 3}',
        '{"drafts": {"a": {"b": [1]}}}',
        '{"samples": "many"}',
        "[" * 10**5,
    ],
)
def test_a_damaged_file_is_as_if_it_were_not_there(home: Path, text: str) -> None:
    file = session_file(home)
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert read_session(home) == Session()
    write_session(home, SESSION)
    assert read_session(home).samples == 3


def test_a_huge_file_is_not_read(home: Path) -> None:
    file = session_file(home)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"prompt": "x" * sessions.MAX_BYTES}))
    assert read_session(home) == Session()


def test_what_cannot_be_written_is_lost_in_silence(home: Path) -> None:
    (home / "state").write_text("in the way")
    write_session(home, SESSION)
    assert read_session(home) == Session()


def test_nothing_in_a_library_has_a_say(home: Path) -> None:
    library = home / "library"
    for folder in (".promptlab", "sessions", "state"):
        path = library / folder / session_file(library).name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"prompt": "forged"}))
    assert read_session(library) == Session()


def test_old_ones_are_forgotten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_FILES", 2)
    for number, name in enumerate("abc"):
        write_session(home / name, SESSION)
        if session_file(home / name).exists():
            os.utime(session_file(home / name), (number, number))
    write_session(home / "d", SESSION)
    assert [read_session(home / name).prompt for name in "abcd"] == [None, None, "explain", "explain"]
