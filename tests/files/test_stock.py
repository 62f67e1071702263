from __future__ import annotations

import os
from pathlib import Path

import pytest

from promptlab.errors import StoreError
from promptlab.files import stock
from promptlab.files.paths import cache_dir, model_file
from tests.conftest import sha256

DATA = b"GGUF" + b"weights" * 1000


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "file.gguf"
    path.write_bytes(DATA)
    return path


@pytest.fixture(autouse=True)
def no_clones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on most file systems; where there are clones, hard links are never made."""
    monkeypatch.setattr(stock, "_clone", lambda source, target: False)


@pytest.fixture
def other_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store lies on another disk than the file."""

    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)


def test_a_file_is_hashed_through_links_and_says_how_far_it_is(file: Path, home: Path) -> None:
    (home / "link").symlink_to(file)
    told: list[tuple[int, int]] = []
    hashed = stock.hash_file(home / "link", lambda done, total: told.append((done, total)))
    assert (hashed.path, hashed.sha256, hashed.bytes) == (file, sha256(DATA), len(DATA))
    assert told[-1] == (len(DATA), len(DATA))


def test_a_file_that_changes_while_it_is_read_is_refused(file: Path) -> None:
    def grow(done: int, total: int) -> None:
        file.write_bytes(DATA + b"more")

    with pytest.raises(StoreError, match="was changed while it was read"):
        stock.hash_file(file, grow)


def test_files_that_cannot_be_read(home: Path) -> None:
    (home / "round").symlink_to("round")
    for name in ("gone", "round", "."):
        with pytest.raises(StoreError):
            stock.hash_file(home / name, quiet)


def test_on_the_same_disk_it_takes_no_space(file: Path) -> None:
    hashed = stock.hash_file(file, quiet)
    assert stock.put(hashed, link=False, may_copy=True) == "hard link"
    assert model_file(hashed.sha256).samefile(file)
    assert stock.put(hashed, link=False, may_copy=True) == "was there"
    assert os.listdir(cache_dir() / "models") == [f"{hashed.sha256}.gguf"]  # noqa: PTH208
    assert stock.take_out(hashed.sha256) == 0  # the file still has its own name
    assert file.read_bytes() == DATA


def test_a_link_where_one_is_wanted(file: Path) -> None:
    hashed = stock.hash_file(file, quiet)
    assert stock.put(hashed, link=True, may_copy=True) == "link"
    assert model_file(hashed.sha256).readlink() == file
    (found,) = stock.stored()
    assert (found.sha256, found.bytes, found.link) == (hashed.sha256, len(DATA), str(file))
    file.unlink()
    (found,) = stock.stored()
    assert (found.bytes, found.link) == (0, str(file))
    file.write_bytes(DATA)  # a link that led nowhere is replaced
    file.rename(file.with_name("moved"))
    hashed = stock.hash_file(file.with_name("moved"), quiet)
    assert stock.put(hashed, link=True, may_copy=True) == "link"
    assert model_file(hashed.sha256).read_bytes() == DATA


@pytest.mark.parametrize(("may_copy", "kept"), [(True, "copy"), (False, "link")])
@pytest.mark.usefixtures("other_disk")
def test_on_another_disk(file: Path, may_copy: bool, kept: str) -> None:
    hashed = stock.hash_file(file, quiet)
    assert stock.put(hashed, link=False, may_copy=may_copy) == kept
    assert model_file(hashed.sha256).read_bytes() == DATA
    assert stock.take_out(hashed.sha256) == (len(DATA) if kept == "copy" else 0)
    assert stock.take_out(hashed.sha256) is None
    assert file.read_bytes() == DATA


@pytest.mark.parametrize("link", [True, False])
def test_what_has_changed_since_it_was_hashed_does_not_come_in(file: Path, link: bool) -> None:
    hashed = stock.hash_file(file, quiet)
    file.write_bytes(DATA + b"more")
    with pytest.raises(StoreError, match="was changed"):
        stock.put(hashed, link=link, may_copy=True)
    assert list((cache_dir() / "models").iterdir()) == []


@pytest.mark.usefixtures("other_disk")
def test_a_copy_is_hashed_again(file: Path) -> None:
    hashed = stock.hash_file(file, quiet)
    file.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(StoreError, match="was changed while it was copied"):
        stock.put(hashed, link=False, may_copy=True)
    assert list((cache_dir() / "models").iterdir()) == []


@pytest.mark.usefixtures("other_disk")
def test_a_disk_without_room(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
    hashed = stock.hash_file(file, quiet)
    with pytest.raises(StoreError, match="7,004 bytes are needed, but only 10 are free"):
        stock.put(hashed, link=False, may_copy=True)
    assert list((cache_dir() / "models").iterdir()) == []


def test_what_pulls_have_left(home: Path) -> None:
    assert stock.leftovers() == stock.stored() == []
    folder = cache_dir() / "downloads" / ("a" * 64)
    folder.mkdir(parents=True)
    (folder / "x.part").write_bytes(b"12345")
    folder.with_suffix(".lock").touch()
    (cache_dir() / "models").mkdir()
    (cache_dir() / "models" / "notes.txt").write_text("hm")
    (left,) = stock.leftovers()
    assert (left.path, left.bytes) == (folder, 5)
    (other,) = stock.stored()
    assert (other.sha256, other.bytes) == (None, 2)
