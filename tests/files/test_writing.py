from __future__ import annotations

from pathlib import Path

import pytest

from promptlab.errors import StoreError, UsageError
from promptlab.files.writing import replace_file, replacing


def test_a_file_is_replaced_with_the_rights_that_it_had(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.txt"
    replace_file(path, "old\r\n")
    path.chmod(0o600)
    replace_file(path, "new \udc80\n")
    assert path.read_bytes() == b"new ?\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def break_off() -> None:
        with replacing(path) as stream:
            stream.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(other)
    replace_file(link, "new")
    assert not link.is_symlink()
    assert (link.read_text(), other.read_text()) == ("new", "kept")


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is in the way: it is not a folder"):
        replace_file(tmp_path / "file" / "x", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="folder cannot be written"):
        replace_file(tmp_path / "folder", "")
