from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from promptlab.errors import SourceError, UsageError
from promptlab.files.entrytext import add_entry, remove_entry
from promptlab.files.paths import PACKAGED
from promptlab.files.registry import Registry, edit, read_registry, user_file


@pytest.fixture
def project(home: Path) -> Path:
    root = home / "project"
    (root / "prompts").mkdir(parents=True)
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def both(project: Path, theirs: str, yours: str) -> Registry:
    write(project / "models.yaml", theirs)
    write(user_file(), yours)
    return read_registry(project)


def test_the_users_entries_come_to_those_of_the_project_and_win(project: Path) -> None:
    found = both(
        project,
        """\
        models:
          a: {license: theirs}
          b: {license: theirs}
        """,
        """\
        models:
          c: {license: yours}
          a: {license: yours}
        """,
    )
    assert {name: model.license for name, model in found.models.items()} == {"a": "yours", "b": "theirs", "c": "yours"}
    assert list(found.models) == ["a", "b", "c"]
    assert [found.origin(name) for name in found.models] == ["yours", "project", "yours"]
    assert {name: model.license for name, model in found.hidden.items()} == {"a": "theirs"}


def test_neither_file_need_be_there(project: Path) -> None:
    assert read_registry(project) == Registry({}, frozenset(), {})


def test_a_library_in_the_users_own_folder_has_one_file(home: Path) -> None:
    write(user_file(), "models:\n  a: {license: x, server: 'http://127.0.0.1:1/v1'}\n")
    found = read_registry(user_file().parent)
    assert (found.origin("a"), found.models["a"].trusted, found.hidden) == ("yours", True, {})


def test_paths_in_the_users_file_begin_at_its_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    sources = "[a.gguf, ../b.gguf, /c.gguf, ~/d.gguf, hf://o/r/e.gguf, {parts: [f.0, ~/f.1]}]"
    found = both(
        project,
        f"models:\n  a: {{license: x, sources: {sources}}}\n",
        f"models:\n  b: {{license: x, sources: {sources}}}\n",
    )
    folder = user_file().parent
    assert found.models["b"].sources == (
        f"{folder}/a.gguf",
        f"{folder}/../b.gguf",
        "/c.gguf",
        "/home/somebody/d.gguf",
        "hf://o/r/e.gguf",
        (f"{folder}/f.0", "/home/somebody/f.1"),
    )
    assert found.models["a"].sources[3] == "~/d.gguf"  # of a project, `~` is an ordinary character
    assert (found.models["a"].trusted, found.models["b"].trusted) == (False, True)


def test_the_problems_of_both_files_are_told_at_once(project: Path) -> None:
    with pytest.raises(SourceError) as caught:
        both(project, "models:\n  a: {}\n", "models:\n  b:\n    license: x\n    contxt: 1\n")
    first, second = map(str, caught.value.problems)
    assert first == "models.yaml:2:3: license is missing"
    assert second.startswith(f"{user_file()}:4:5: 'contxt' is not a key here")


def test_the_users_file_may_be_a_link_and_the_projects_may_not(project: Path, tmp_path: Path) -> None:
    write(tmp_path / "dotfiles" / "models.yaml", "models:\n  a: {license: x}\n")
    user_file().parent.mkdir(parents=True)
    user_file().symlink_to(tmp_path / "dotfiles" / "models.yaml")
    assert list(read_registry(project).models) == ["a"]
    edit(project, "yours", lambda text: add_entry(text, "b", {"license": "x"}))
    assert user_file().is_symlink()
    assert "b:" in (tmp_path / "dotfiles" / "models.yaml").read_text()
    (project / "models.yaml").symlink_to(tmp_path / "dotfiles" / "models.yaml")
    with pytest.raises(SourceError, match="is not a regular file in its folder"):
        read_registry(project)


@pytest.mark.parametrize(
    ("theirs", "yours", "problems"),
    [
        (
            "models:\n  a:\n    license: x\n    base: gone\n",
            "",
            ["models.yaml:4:5: there is no entry 'gone', its base"],
        ),
        (
            "models:\n  a: {license: x, base: a}\n",
            "",
            ["models.yaml:2:19: the bases of a lead in a circle: a"],
        ),
        (
            "models:\n  a: {license: x, base: b}\n",
            "models:\n  b: {license: x, base: a}\n",
            [
                "{own}:2:19: the bases of b lead in a circle: a, b",
                "models.yaml:2:19: the bases of a lead in a circle: a, b",
            ],
        ),
    ],
)
def test_bases_that_are_not_there_or_lead_in_a_circle(
    project: Path, theirs: str, yours: str, problems: list[str]
) -> None:
    with pytest.raises(SourceError) as caught:
        both(project, theirs, yours)
    assert sorted(map(str, caught.value.problems)) == sorted(each.format(own=user_file()) for each in problems)


def test_a_base_may_be_in_the_other_file_and_the_users_may_be_of_another_project(project: Path) -> None:
    found = both(
        project,
        "models:\n  a: {license: x, base: b}\n",
        "models:\n  b: {license: x}\n  c: {license: x, base: elsewhere}\n",
    )
    assert [model.base for model in found.models.values()] == ["b", None, "elsewhere"]


def test_what_was_read_is_read_again_when_it_has_changed(project: Path) -> None:
    write(project / "models.yaml", "models:\n  a: {license: x}\n")
    assert list(read_registry(project).models) == ["a"]
    write(project / "models.yaml", "models:\n  b: {license: x}\n")
    assert list(read_registry(project).models) == ["b"]


# --- changing one of the files


def test_a_file_that_is_not_there_is_made(project: Path) -> None:
    path = edit(project, "yours", lambda text: add_entry(text, "a", {"license": "x"}))
    assert path == user_file()
    assert path.read_text() == "models:\n  a:\n    license: x\n"


def test_a_byte_order_mark_and_line_ends_stay(project: Path) -> None:
    path = project / "models.yaml"
    path.write_bytes(b"\xef\xbb\xbfmodels:\r\n  a:\r\n    license: x\r\n")
    edit(project, "project", lambda text: add_entry(text, "b", {"license": "mit"}))
    assert path.read_bytes() == (b"\xef\xbb\xbfmodels:\r\n  a:\r\n    license: x\r\n\r\n  b:\r\n    license: mit\r\n")


def test_what_would_be_wrong_is_not_written(project: Path) -> None:
    text = "models:\n  a: {license: x}\n  b: {license: x, base: a}\n"
    write(project / "models.yaml", text)
    for change in (
        lambda old: add_entry(old, "c", {"license": "x", "context": 1}),
        lambda old: add_entry(old, "c", {"license": "x", "base": "gone"}),
        lambda old: remove_entry(old, "a"),
        lambda old: old + "  b: {}\n",
    ):
        with pytest.raises(SourceError):
            edit(project, "project", change)
    assert (project / "models.yaml").read_text() == text


def test_what_the_other_file_needs_is_not_taken_out(project: Path) -> None:
    both(project, "models:\n  a: {license: x, base: b}\n", "models:\n  b: {license: x}\n")
    with pytest.raises(SourceError, match="there is no entry 'b', its base"):
        edit(project, "yours", lambda old: remove_entry(old, "b"))
    assert "b:" in user_file().read_text()


def test_a_problem_in_the_other_file_hinders_nobody(project: Path) -> None:
    write(project / "models.yaml", "models:\n  a: {}\n")
    edit(project, "yours", lambda text: add_entry(text, "b", {"license": "x"}))
    assert "b:" in user_file().read_text()


def test_what_somebody_else_writes_meanwhile_is_not_lost(project: Path) -> None:
    path = project / "models.yaml"
    write(path, "models:\n  a: {license: x}\n")

    def slowly(text: str) -> str:
        write(path, "models:\n  other: {license: x}\n")
        return add_entry(text, "b", {"license": "x"})

    edit(project, "project", slowly)
    assert list(read_registry(project).models) == ["other", "b"]


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_changes_all_the_time_is_left_alone(project: Path, there: bool) -> None:
    path = project / "models.yaml"
    if there:
        write(path, "models:\n  a: {license: x}\n")
    written: list[str] = []

    def slowly(text: str) -> str:
        written.append(f"models:\n  n{len(written)}: {{license: x}}\n")
        write(path, written[-1])
        return add_entry(text, "b", {"license": "x"})

    with pytest.raises(UsageError, match="is being changed by somebody else"):
        edit(project, "project", slowly)
    assert path.read_text() == written[-1]


def test_a_file_that_is_read_only_is_told_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project / "models.yaml", "models:\n  a: {license: x}\n")
    monkeypatch.setattr("os.access", lambda *_: False)
    tried: list[str] = []

    def adding(text: str) -> str:
        tried.append(text)
        return add_entry(text, "b", {"license": "x"})

    with pytest.raises(UsageError, match=r"models\.yaml is read-only"):
        edit(project, "project", adding)
    assert len(tried) == 1


def test_the_library_that_ships_is_not_changed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptlab.__file__", str(home / "promptlab" / "__init__.py"))
    packaged = home / "promptlab" / PACKAGED
    write(packaged / "models.yaml", "models:\n  a: {license: x, server: 'http://127.0.0.1:1/v1'}\n")
    with pytest.raises(UsageError, match="ships with promptlab"):
        edit(packaged, "project", lambda text: text)
    assert read_registry(packaged).models["a"].trusted
