from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from promptlab.core.session import MAX_DRAFT, MAX_DRAFTS, Session, Unsaved
from promptlab.files import sessions
from promptlab.files.paths import state_dir
from promptlab.files.sessions import read_session, remove_session, session_file, write_session
from tests.core.test_session import WHOLE

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
        '{"sources": {"a": "text"}}',
        '{"sources": {"a": {"text": 3, "stamp": ""}}}',
        '{"versions": {"a": "b"}}',
        '{"cases": {"a": {"file": "x"}}}',
        '{"batch": {"samples": 3}}',
        '{"turns": ["x"]}',
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


def test_everything_that_is_kept_is_there_the_next_time(home: Path) -> None:
    assert write_session(home, WHOLE) == ()
    assert read_session(home) == WHOLE


def test_a_file_of_an_older_program_is_read(home: Path) -> None:
    file = session_file(home)
    file.parent.mkdir(parents=True)
    file.write_text('{"prompt": "a", "drafts": {"a": {"x": "1"}}, "ticked": {"m": true}, "samples": 2, "else": 1}')
    assert read_session(home) == Session("a", {"a": {"x": "1"}}, {"m": True}, 2)


def test_as_much_as_is_kept_can_be_read_again(home: Path) -> None:
    """Whatever its characters: in the file, one of these is written as twelve."""
    text = "\U0001f600" * MAX_DRAFT
    sources = {str(n): Unsaved(text, "") for n in range(MAX_DRAFTS // MAX_DRAFT - 1)}
    write_session(home, Session("a", sources=sources))
    assert read_session(home).sources == sources


def test_what_is_too_long_is_said(home: Path) -> None:
    long = Session("a", {"a": {"x": "x" * (MAX_DRAFT + 1), "y": "1"}})
    assert write_session(home, long) == ("Too long to be kept for the next time: x of a.",)
    assert read_session(home).drafts == {"a": {"y": "1"}}


def test_that_changes_cannot_be_kept_is_said(home: Path) -> None:
    (home / "state").write_text("in the way")
    (said,) = write_session(home, WHOLE)
    assert said.startswith("Changes that are not saved cannot be kept for the next time: ")


def test_what_is_forgotten_leaves_no_half_of_a_file(home: Path) -> None:
    write_session(home, WHOLE)
    write_session(home / "other", WHOLE)
    file = session_file(home)
    file.with_name(f".{file.name}.0123abcd").write_text("what was being written when somebody pulled the plug")
    remove_session(home)
    assert list(file.parent.iterdir()) == [session_file(home / "other")]
