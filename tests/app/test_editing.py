from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from promptlab.app.editing import (
    EDITABLE,
    MAX_LINE,
    check_source,
    edit_outside,
    editor_command,
    locate_source,
    past_source,
    read_source,
    save_source,
)
from promptlab.app.lab import Lab
from promptlab.errors import StoreError, UsageError
from tests.conftest import EXPLAIN


@pytest.fixture
def explain(library: Path) -> Path:
    return library / "prompts" / "explain.jinja"


def test_a_source_is_read_checked_and_saved(lab: Lab, explain: Path) -> None:
    explain.chmod(0o640)
    source = read_source(lab, "explain")
    assert (source.file, source.text, source.fixed) == ("explain.jinja", EXPLAIN, "")
    changed = EXPLAIN.replace("{{ topic }}", "{{ topix }}")
    assert [str(f) for f in check_source(lab, source, EXPLAIN)] == []
    assert any("'topix' is undefined" in f.message and f.line == 9 for f in check_source(lab, source, changed))
    saved = save_source(lab, source, changed)
    assert explain.read_text() == saved.text == changed
    assert explain.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in explain.parent.iterdir() if p.name.startswith(".")) == []
    with pytest.raises(UsageError, match=r"has changed on disk since it was read.*Copy what you typed"):
        save_source(lab, source, EXPLAIN)
    explain.unlink()
    with pytest.raises(UsageError, match="is gone from disk"):
        save_source(lab, saved, EXPLAIN)
    assert not explain.exists()


def test_line_ends_stay_what_they_are(lab: Lab, explain: Path) -> None:
    explain.write_bytes(EXPLAIN.replace("\n", "\r\n").encode())
    source = read_source(lab, "explain")
    assert (source.text, source.fixed) == (EXPLAIN, "")
    save_source(lab, source, EXPLAIN + "more\n")
    assert explain.read_bytes() == (EXPLAIN + "more\n").replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"one\r\ntwo\nthree", "ends some lines in one way and some in another (line 2)"),
        (b"one\ntwo \x1b[2J", "line 2 holds characters that cannot be shown"),
        ("one\u2028two".encode(), "line 1 holds characters that cannot be shown"),
        (b"\xef\xbb\xbfone", "line 1 holds characters that cannot be shown"),
        (b"x\n" + b"y" * (MAX_LINE + 1), "line 2 is longer than 2,000 characters"),
        (b"x\n" * (EDITABLE // 2 + 1), "it is larger than 256 KiB"),
        (b"caf\xe9", "explain.jinja:1:4: is not UTF-8 text"),
        (b"x" * 1_100_000, "explain.jinja: is larger than 1,048,576 bytes"),
    ],
)
def test_what_an_editor_cannot_show_as_it_is_is_not_edited(lab: Lab, explain: Path, data: bytes, reason: str) -> None:
    explain.write_bytes(data)
    source = read_source(lab, "explain")
    assert reason in source.fixed
    with pytest.raises(UsageError):
        save_source(lab, source, "other")
    assert explain.read_bytes() == data


def test_what_can_be_done_instead_is_told_without_keys(lab: Lab, explain: Path) -> None:
    explain.write_bytes(b"one\ntwo \x1b[2J")
    source = read_source(lab, "explain")
    assert (source.fixed, source.instead) == ("line 2 holds characters that cannot be shown as they are", "outside")
    explain.write_bytes(b"caf\xe9")
    assert read_source(lab, "explain").instead == ""
    explain.write_text(EXPLAIN)
    past = past_source(lab.library.load("explain"))
    assert (past.fixed, past.instead) == ("explain is what git keeps", "working copy")


def test_a_link_that_leads_out_is_not_written_through(lab: Lab, explain: Path, home: Path) -> None:
    source = read_source(lab, "explain")
    outside = home / "outside.jinja"
    outside.write_text(EXPLAIN)
    explain.unlink()
    explain.symlink_to(outside)
    with pytest.raises(UsageError, match="is a link that leads out of the library"):
        save_source(lab, source, "other")
    with pytest.raises(UsageError, match="is a link that leads out of the library"):
        locate_source(lab, "explain.jinja")
    assert outside.read_text() == EXPLAIN
    assert read_source(lab, "explain").fixed


def test_a_link_inside_the_library_stays_one(lab: Lab, explain: Path) -> None:
    real = explain.with_name("_real.jinja")
    explain.rename(real)
    explain.symlink_to(real)
    save_source(lab, read_source(lab, "explain"), EXPLAIN + "more")
    assert explain.is_symlink()
    assert real.read_text() == EXPLAIN + "more"


def test_a_library_that_is_not_the_users_is_not_changed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    source = read_source(lab, "explain")
    monkeypatch.setattr("promptlab.app.editing.os.access", lambda path, mode: False)
    with pytest.raises(UsageError, match="is read-only: copy the library"):
        save_source(lab, source, "other")
    assert "is read-only" in read_source(lab, "explain").fixed
    packaged = lab.root.rename(lab.root.with_name("_library"))
    lab.root = packaged
    monkeypatch.setattr("promptlab.app.editing.is_packaged", lambda root: root == packaged)
    with pytest.raises(UsageError, match="`promptlab init` makes one of your own"):
        locate_source(lab, "explain.jinja")


def test_a_version_that_git_keeps_is_only_read(lab: Lab) -> None:
    source = past_source(lab.library.load("explain"))
    with pytest.raises(UsageError, match="is what git keeps"):
        save_source(lab, source, "other")


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({"EDITOR": "vi"}, ["vi"]),
        ({"EDITOR": "vi", "VISUAL": "code --wait"}, ["code", "--wait"]),
        ({"EDITOR": "'/opt/my editor' -n", "VISUAL": " "}, ["/opt/my editor", "-n"]),
    ],
)
def test_the_editor_is_a_command_with_its_options(environment: dict[str, str], command: list[str]) -> None:
    assert editor_command(environment) == command


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({}, "no editor is set"), ({"EDITOR": "'vi"}, "EDITOR is no command"), ({"VISUAL": " "}, "no editor is set")],
)
def test_no_editor(environment: dict[str, str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        editor_command(environment)


def test_the_editor_is_given_the_file_last(tmp_path: Path) -> None:
    file = tmp_path / "a b; c.jinja"
    write = "import sys; open(sys.argv[-1], 'w').write(repr(sys.argv[1:]))"
    edit_outside([sys.executable, "-c", write, "--wait"], file)
    assert file.read_text() == repr(["--wait", str(file)])
    with pytest.raises(StoreError, match="does not start: No such file"):
        edit_outside(["/nowhere/editor"], file)
    with pytest.raises(StoreError, match="ended with exit code 3"):
        edit_outside([sys.executable, "-c", "raise SystemExit(3)"], file)


def test_ctrl_c_in_the_editor_is_for_the_editor(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    file = tmp_path / "a"
    default = "open(sys.argv[-1], 'w').write(str(signal.getsignal(signal.SIGINT) is signal.default_int_handler))"
    both = f"import os, signal, sys; {default}; os.kill(os.getppid(), signal.SIGINT)"
    edit_outside([sys.executable, "-c", both], file)
    assert file.read_text() == "True"  # the editor itself hears it
    assert signal.getsignal(signal.SIGINT) is before
