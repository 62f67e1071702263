from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from promptlab.core.session import MAX_DRAFT, MAX_DRAFTS, Session, Unsaved
from promptlab.files import sessions
from promptlab.files.paths import state_dir
from promptlab.files.sessions import (
    _taken,
    read_session,
    remove_sessions,
    session_file,
    take_place,
    write_session,
)
from tests.core.test_session import WHOLE

SESSION = Session("explain", {"explain": {"topic": "rain \ud800", "deep": True, "n": 2}}, {"alpha": False}, 3)


def test_what_is_kept_is_there_the_next_time(home: Path) -> None:
    library, other = home / "a", home / "b"
    assert read_session(session_file(library)) == Session()
    write_session(session_file(library), SESSION)
    assert read_session(session_file(library)) == Session("explain", SESSION.drafts, SESSION.ticked, 3)
    assert read_session(session_file(other)) == Session()
    assert session_file(library).is_relative_to(state_dir())
    assert state_dir().is_relative_to(home / "state")
    assert session_file(library).parent.stat().st_mode & 0o077 == 0
    assert len(list(session_file(library).parent.iterdir())) == 1


def test_a_library_reached_by_a_link_is_the_same(home: Path) -> None:
    (home / "a").mkdir()
    (home / "link").symlink_to(home / "a")
    write_session(session_file(home / "link"), SESSION)
    assert read_session(session_file(home / "a")).prompt == "explain"


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
    assert read_session(session_file(home)) == Session()
    write_session(session_file(home), SESSION)
    assert read_session(session_file(home)).samples == 3


def test_a_huge_file_is_not_read(home: Path) -> None:
    file = session_file(home)
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"prompt": "x" * sessions.MAX_BYTES}))
    assert read_session(session_file(home)) == Session()


def test_what_cannot_be_written_is_lost_in_silence(home: Path) -> None:
    (home / "state").write_text("in the way")
    write_session(session_file(home), SESSION)
    assert read_session(session_file(home)) == Session()


def test_nothing_in_a_library_has_a_say(home: Path) -> None:
    library = home / "library"
    for folder in (".promptlab", "sessions", "state"):
        path = library / folder / session_file(library).name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"prompt": "forged"}))
    assert read_session(session_file(library)) == Session()


def test_old_ones_are_forgotten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_FILES", 2)
    for number, name in enumerate("abc"):
        write_session(session_file(home / name), SESSION)
        if session_file(home / name).exists():
            os.utime(session_file(home / name), (number, number))
    write_session(session_file(home / "d"), SESSION)
    assert [read_session(session_file(home / name)).prompt for name in "abcd"] == [None, None, "explain", "explain"]


def test_everything_that_is_kept_is_there_the_next_time(home: Path) -> None:
    assert write_session(session_file(home), WHOLE) == ()
    assert read_session(session_file(home)) == WHOLE


def test_a_file_of_an_older_program_is_read(home: Path) -> None:
    file = session_file(home)
    file.parent.mkdir(parents=True)
    file.write_text('{"prompt": "a", "drafts": {"a": {"x": "1"}}, "ticked": {"m": true}, "samples": 2, "else": 1}')
    assert read_session(session_file(home)) == Session("a", {"a": {"x": "1"}}, {"m": True}, 2)


def test_as_much_as_is_kept_can_be_read_again(home: Path) -> None:
    """Whatever its characters: in the file, one of these is written as twelve."""
    text = "\U0001f600" * MAX_DRAFT
    sources = {str(n): Unsaved(text, "") for n in range(MAX_DRAFTS // MAX_DRAFT - 1)}
    write_session(session_file(home), Session("a", sources=sources))
    assert read_session(session_file(home)).sources == sources


def test_what_is_too_long_is_said(home: Path) -> None:
    long = Session("a", {"a": {"x": "x" * (MAX_DRAFT + 1), "y": "1"}})
    assert write_session(session_file(home), long) == ("Too long to be kept for the next time: x of a.",)
    assert read_session(session_file(home)).drafts == {"a": {"y": "1"}}


def test_that_changes_cannot_be_kept_is_said(home: Path) -> None:
    (home / "state").write_text("in the way")
    (said,) = write_session(session_file(home), WHOLE)
    assert said.startswith("Changes that are not saved cannot be kept for the next time: ")


def test_what_is_forgotten_leaves_no_half_of_a_file(home: Path) -> None:
    write_session(session_file(home), WHOLE)
    write_session(session_file(home / "other"), WHOLE)
    file = session_file(home)
    file.with_name(f".{file.name}.0123abcd").write_text("what was being written when somebody pulled the plug")
    remove_sessions(home)
    assert list(file.parent.iterdir()) == [session_file(home / "other")]


def test_playgrounds_that_are_open_at_once_do_not_write_over_each_other(home: Path) -> None:
    first, found = take_place(home)
    assert (first.file, found) == (session_file(home), Session())
    write_session(first.file, WHOLE)
    second, found = take_place(home)
    assert found == replace(WHOLE, sources={}, turns={})  # what is saved nowhere belongs to the one where it was typed
    write_session(second.file, Session("b", sources={"b": Unsaved("of the second", "s")}))
    third, _ = take_place(home)
    assert len({first.file, second.file, third.file}) == 3
    assert read_session(first.file) == WHOLE
    for place in (first, second, third):
        place.close()


def test_what_several_have_left_is_found_in_one_and_sources_that_clash_after_another(home: Path) -> None:
    a, b, c = (Unsaved(text, "stamp") for text in "abc")
    left = [Session("x", sources={"x": a}), Session("y", {"y": {"n": "1"}}, sources={"x": b, "y": b})]
    for number, session in enumerate(left, 1):
        file = session_file(home, number)
        write_session(file, session)
        os.utime(file, (number, number))
    alive = _taken(session_file(home, 3))
    assert alive is not None
    write_session(alive.file, Session("z", sources={"z": c}))

    place, found = take_place(home)
    assert found == Session("y", {"y": {"n": "1"}}, sources={"x": b, "y": b})
    assert read_session(place.file) == found
    write_session(place.file, replace(found, sources={}))  # saved, say
    place.close()
    place, found = take_place(home)
    assert (found.prompt, found.sources) == ("y", {"x": a})
    assert read_session(alive.file).sources == {"z": c}
    place.close()
    alive.close()
    place, found = take_place(home)
    assert (found.prompt, found.sources) == ("y", {"x": a, "z": c})
    assert sorted(place.file.parent.glob("*.json")) == [place.file]
    place.close()


def test_what_is_too_much_together_stays_where_it_is(home: Path) -> None:
    long = Unsaved("x" * MAX_DRAFT, "")
    for number, names in enumerate(("abc", "de"), 1):
        write_session(session_file(home, number), Session(sources=dict.fromkeys(names, long)))
        os.utime(session_file(home, number), (number, number))
    place, found = take_place(home)
    place.close()
    assert set(found.sources) == set("de")
    assert set(read_session(session_file(home, 1)).sources) == set("abc")


def test_nothing_goes_from_where_it_was_before_it_is_where_it_goes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        write_session(session_file(home, number), Session(sources={str(number): Unsaved("x", "")}))
    with monkeypatch.context() as patch:
        patch.setattr("promptlab.files.sessions.replace_file", lambda path, text: None)  # the disk forgets it
        place, found = take_place(home)
    place.close()
    assert set(found.sources) == {"1", "2"}
    assert [set(read_session(session_file(home, number)).sources) for number in (1, 2)] == [{"1"}, {"2"}]


def test_a_place_is_free_once_its_program_has_died(home: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from promptlab.files.sessions import take_place;"
        " place = take_place(Path(sys.argv[1])); print(flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        place, _ = take_place(home)
        assert place.file == session_file(home, 2)
        place.close()
        other.kill()
    place, _ = take_place(home)
    assert place.file == session_file(home)
    place.close()


def test_a_forgotten_one_is_none_that_is_open(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_FILES", 1)
    place, _ = take_place(home / "a")
    write_session(place.file, SESSION)
    write_session(session_file(home / "b"), SESSION)
    write_session(session_file(home / "c"), SESSION)
    kept = [read_session(session_file(home / name)).prompt for name in "abc"]
    assert kept == ["explain", None, "explain"]
    place.close()
