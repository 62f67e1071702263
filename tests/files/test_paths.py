from __future__ import annotations

from pathlib import Path

import pytest

from promptlab.errors import NotFound
from promptlab.files import paths


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "lib" / "prompts" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def test_folders_follow_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    assert paths.cache_dir() == tmp_path / "c" / "promptlab"
    assert paths.data_dir() == tmp_path / "d" / "promptlab"
    assert paths.model_file("ab") == tmp_path / "c" / "promptlab" / "models" / "ab.gguf"
    assert list(tmp_path.iterdir()) == []


def test_the_nearest_library_upwards(tree: Path) -> None:
    library = (tree / "lib").resolve()
    assert paths.find_library(tree / "lib", None) == library
    assert paths.find_library(tree / "lib" / "prompts" / "deep", None) == library
    (tree / "lib" / "prompts" / "deep" / "prompts").mkdir()
    assert paths.find_library(tree / "lib" / "prompts" / "deep", None) == library / "prompts" / "deep"


def test_an_explicit_library_wins_and_must_be_one(tree: Path) -> None:
    assert paths.find_library(tree / "elsewhere", tree / "lib") == (tree / "lib").resolve()
    with pytest.raises(NotFound, match=r"elsewhere is not a library: there is no folder prompts/ in it"):
        paths.find_library(tree / "lib", tree / "elsewhere")


def test_a_file_called_prompts_is_no_library(tree: Path) -> None:
    (tree / "elsewhere" / "prompts").write_text("")
    assert paths.find_library(tree / "elsewhere", None) == paths.shipped_library()


def test_outside_any_library_the_shipped_one(tree: Path) -> None:
    shipped = paths.find_library(tree / "elsewhere", None)
    assert shipped == paths.shipped_library()
    assert (shipped / "prompts").is_dir()


def test_the_library_inside_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "promptlab"
    package.mkdir(parents=True)
    monkeypatch.setattr("promptlab.__file__", str(package / "__init__.py"))
    with pytest.raises(NotFound, match="Install promptlab again"):
        paths.shipped_library()
    (package / "_library" / "prompts").mkdir(parents=True)
    assert paths.shipped_library() == package / "_library"


def test_a_library_below_a_folder_that_cannot_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.is_dir

    def is_dir(self: Path) -> bool:
        if self == tree / "prompts":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert paths.find_library(tree / "elsewhere", None) == paths.shipped_library()
