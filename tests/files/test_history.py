from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from promptlab.errors import StoreError
from promptlab.files import git, history
from promptlab.files.git import Blob, Repository
from promptlab.files.history import Change, Commit, History, Span
from tests.files import big_repository
from tests.files.test_git import commit, opened, write_object
from tests.gitkit import run

pytestmark = pytest.mark.usefixtures("git_settings")

LONG = "".join(f"line {n}\n" for n in range(40))


class Lab:
    """A repository with a library in it, and short words for what is done to it."""

    def __init__(self, folder: Path, root: str = "") -> None:
        self.folder = folder
        self.root = folder / root
        (self.root / "prompts").mkdir(parents=True)
        run(folder, "init", "-q", "-b", "main")

    def write(self, **texts: str | None) -> str:
        """Write files (`a` is a.jinja), remove those that are None, and commit."""
        for name, text in texts.items():
            path = self.root / "prompts" / f"{name}.jinja"
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        return commit(self.folder, " ".join(texts))

    def move(self, old: str, new: str, **texts: str | None) -> str:
        run(self.root, "mv", f"prompts/{old}.jinja", f"prompts/{new}.jinja")
        return self.write(**texts)

    def git(self, *arguments: str) -> str:
        return run(self.folder, *arguments)

    def history(self, cache: Path | None = None) -> History:
        with opened(self.root) as repo:
            return history.changes(repo, cache)

    def versions(self, name: str) -> list[tuple[str, str]]:
        """The versions of a prompt: where it lay, and its text with all that it includes."""
        with opened(self.root) as repo:
            past = history.changes(repo)
            found = history.versions(past, f"{name}.jinja", reader(repo))
        assert [version.number for version in found] == list(range(1, len(found) + 1))
        return [(version.path.removesuffix(".jinja"), version.hash) for version in found]


def reader(repo: Repository, calls: list[str] | None = None) -> history.Closure:
    """A closure for texts in which `<x>` includes x; its hash is the whole text. A text with ! cannot be read."""

    def closure(files: Mapping[str, Blob], path: str) -> tuple[str | None, frozenset[str]]:
        if calls is not None:
            calls.append(path)
        looked = {path}

        def read(path: str) -> str:
            looked.add(path)
            if path not in files or not files[path].is_file:
                raise ValueError
            text = repo.blob(files[path].id, 10_000).decode()
            return re.sub("<(.+?)>", lambda match: read(f"{match[1]}.jinja"), text)

        try:
            whole = read(path)
        except ValueError:
            return None, frozenset(looked)
        return None if "!" in whole else whole, frozenset(looked)

    return closure


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab")


def check_states(lab: Lab) -> None:
    """What the changes add up to is what each commit holds."""
    with opened(lab.root) as repo:
        past = history.changes(repo)
        for entry in past.commits:
            assert past.state(entry.id) == repo.tree(entry.id)
        assert past.state(past.commits[-1].id) == repo.tree(repo.head)


# --- what a version is ---


def test_linear_history(lab: Lab) -> None:
    lab.write(other="0")
    lab.write(a="1")
    lab.write(other="x")
    lab.write(a="2")
    lab.write(a="1")
    assert lab.versions("a") == [("a", "1"), ("a", "2"), ("a", "1")]
    assert lab.versions("other") == [("other", "0"), ("other", "x")]
    assert lab.versions("missing") == []
    check_states(lab)


def test_the_first_commit_counts(lab: Lab) -> None:
    id = lab.write(a="1", b="2")
    past = lab.history()
    assert past.head == id
    assert [change.path for change in past.commits[0].changes] == ["a.jinja", "b.jinja"]
    assert past.folders == (Span(0, "prompts"),)


def test_commits_outside_the_folder_are_not_in_the_history(lab: Lab) -> None:
    lab.write(a="1")
    (lab.folder / "other").write_text("x")
    (lab.folder / "prompts.jinja").write_text("x")
    head = commit(lab.folder)
    past = lab.history()
    assert past.head == head
    assert len(past.commits) == 1
    with pytest.raises(StoreError, match="is not in the history of the prompts"):
        past.state(head)


def test_a_renamed_file_goes_on(lab: Lab) -> None:
    lab.write(a=LONG)
    lab.move("a", "b")
    lab.write(b=LONG + "2")
    lab.move("b", "c", c=LONG + "3")
    assert lab.versions("c") == [("a", LONG), ("b", LONG + "2"), ("c", LONG + "3")]
    past = lab.history()
    assert history.lineage(past, "c.jinja") == (Span(0, "a.jinja"), Span(1, "b.jinja"), Span(3, "c.jinja"))
    assert [history.successor(past, f"{n}.jinja") for n in "abcd"] == ["c.jinja", "c.jinja", None, None]
    assert lab.versions("a") == lab.versions("b") == []
    check_states(lab)


def test_a_file_that_is_rewritten_as_it_moves_is_new(lab: Lab) -> None:
    lab.write(a=LONG)
    lab.move("a", "b", b="something else")
    assert lab.versions("b") == [("b", "something else")]
    assert lab.versions("a") == [("a", LONG)]  # it was removed, and asking for it still finds what it was


def test_a_name_that_is_used_again_begins_anew(lab: Lab) -> None:
    lab.write(a=LONG)
    lab.move("a", "b")
    lab.write(a="another")
    assert lab.versions("a") == [("a", "another")]
    assert lab.versions("b") == [("a", LONG)]
    lab.write(b=None)
    assert lab.versions("a") == [("a", "another")]
    assert history.successor(lab.history(), "a.jinja") is None
    check_states(lab)


def test_a_name_that_another_file_takes(lab: Lab) -> None:
    lab.write(a="first a", b=LONG)
    lab.write(a=None)
    lab.move("b", "a")
    lab.write(a=LONG + "2")
    assert lab.versions("a") == [("b", LONG), ("a", LONG + "2")]


def test_a_file_that_comes_back_goes_on(lab: Lab) -> None:
    lab.write(a="1")
    lab.write(a="2")
    lab.write(a=None)
    lab.write(other="x")
    lab.write(a="2")
    lab.write(a="3")
    assert lab.versions("a") == [("a", "1"), ("a", "2"), ("a", "3")]
    check_states(lab)


def test_two_files_that_change_names(lab: Lab) -> None:
    lab.write(a=LONG, b=LONG[::-1])
    lab.write(a=LONG[::-1], b=LONG)
    assert lab.versions("a") == [("a", LONG), ("a", LONG[::-1])]
    lab.move("a", "c")
    lab.move("b", "a")
    lab.move("c", "b")
    assert lab.versions("b") == [("a", LONG), ("a", LONG[::-1])]
    check_states(lab)


def test_a_partial_makes_a_version(lab: Lab) -> None:
    lab.write(a="<_p> a", b="b", _p="1")
    lab.write(_p="2")
    lab.write(b="b2")
    lab.write(a="<_p> a2", _p="3")
    assert [hash for _, hash in lab.versions("a")] == ["1 a", "2 a", "3 a2"]
    assert [hash for _, hash in lab.versions("b")] == ["b", "b2"]


def test_a_partial_that_is_renamed(lab: Lab) -> None:
    lab.write(a="<_p> a", _p=LONG)
    lab.move("_p", "_q", a="<_q> a")
    lab.move("_q", "_r")
    lab.write(a="<_r> b")
    assert [hash for _, hash in lab.versions("a")] == [f"{LONG} a", f"{LONG} b"]


def test_a_partial_that_was_missing(lab: Lab) -> None:
    lab.write(a="<_p>")
    lab.write(_p="<_q>")
    lab.write(b="x")
    lab.write(_q="1")
    lab.write(_q=None)
    lab.write(_q="1")
    assert [hash for _, hash in lab.versions("a")] == ["1"]


def test_what_cannot_be_read_has_no_number(lab: Lab) -> None:
    lab.write(a="1!")
    lab.write(a="1")
    lab.write(a="2!")
    lab.write(a="1")
    lab.write(a="2")
    (lab.root / "prompts" / "a.jinja").unlink()
    (lab.root / "prompts" / "a.jinja").symlink_to("/etc/passwd")
    commit(lab.folder)
    assert [hash for _, hash in lab.versions("a")] == ["1", "2"]
    check_states(lab)


def test_a_closure_is_asked_only_when_something_changed(lab: Lab) -> None:
    lab.write(a="<_p> a", _p="1", other="x")
    for number in range(5):
        lab.write(other=f"{number}")
    lab.write(_p="2")
    lab.write(a=None)
    lab.write(other="y")
    calls: list[str] = []
    with opened(lab.root) as repo:
        past = history.changes(repo)
        history.versions(past, "a.jinja", reader(repo, calls))
        assert len(calls) == 2
        calls.clear()

        def blind(files: Mapping[str, Blob], path: str) -> None:
            calls.append(path)

        assert history.versions(past, "a.jinja", blind) == []
        assert len(calls) == 7  # it may depend on anything, so it is asked wherever there is one


def test_a_version_says_where_it_comes_from(lab: Lab) -> None:
    first = lab.write(a="1")
    lab.write(b="x")
    second = lab.write(a="2")
    with opened(lab.root) as repo:
        found = history.versions(history.changes(repo), "a.jinja", reader(repo))
    assert found == [(1, first, "1", "a.jinja"), (2, second, "2", "a.jinja")]


# --- merges ---


def test_a_merge_counts_as_what_it_changes(lab: Lab) -> None:
    lab.write(a="1\n" * 9)
    lab.git("checkout", "-q", "-b", "side")
    lab.write(a="0\n" + "1\n" * 9)
    lab.write(a="0\n0\n" + "1\n" * 9)
    lab.git("checkout", "-q", "main")
    lab.write(b="x")
    lab.git("merge", "-q", "--no-edit", "side")
    lab.git("checkout", "-q", "-b", "idle", "HEAD~1")
    lab.write(c="x")
    lab.git("checkout", "-q", "main")
    lab.git("merge", "-q", "--no-edit", "-s", "ours", "idle")
    assert [hash for _, hash in lab.versions("a")] == ["1\n" * 9, "0\n0\n" + "1\n" * 9]
    assert len(lab.history().commits) == 3
    check_states(lab)


def test_an_octopus(lab: Lab) -> None:
    lab.write(a="1")
    for name in "bcd":
        lab.git("checkout", "-q", "-b", name, "main")
        lab.write(**{name: "x", f"{name}2": "y"})
    lab.git("checkout", "-q", "main")
    lab.write(a="2")
    lab.git("merge", "-q", "--no-edit", "b", "c", "d")
    past = lab.history()
    assert [len(entry.changes) for entry in past.commits] == [1, 1, 6]
    assert past.commits[2].id == past.head
    check_states(lab)


def test_a_rename_in_a_merge(lab: Lab) -> None:
    lab.write(a=LONG)
    lab.git("checkout", "-q", "-b", "side")
    lab.move("a", "b")
    lab.git("checkout", "-q", "main")
    lab.write(a=LONG + "2")
    lab.git("merge", "-q", "--no-edit", "side")
    assert lab.versions("b") == [("a", LONG), ("a", LONG + "2")]
    assert history.lineage(lab.history(), "b.jinja")[-1] == Span(2, "b.jinja")


# --- odd places and names ---


@pytest.mark.parametrize(
    "name", ["a b", "ü", "日本", "new\nline", 'quo"te\\', "tab\t", "-M", ":(top)x", "*", "deep/er"]
)
def test_odd_names(lab: Lab, name: str) -> None:
    (lab.root / "prompts" / "deep").mkdir()
    lab.write(**{name: LONG})
    lab.write(**{name: LONG + "2"})
    lab.move(name, "plain")
    (lab.root / "prompts" / "deep").mkdir(exist_ok=True)
    lab.move("plain", f"{name}2")
    assert lab.versions(f"{name}2") == [(name, LONG), (name, LONG + "2")]
    check_states(lab)


def test_a_name_that_is_not_text(lab: Lab, tmp_path: Path) -> None:
    (lab.root / "prompts" / os.fsdecode(b"\xff")).write_text("x")
    (lab.root / "prompts" / "\u2028").write_text("x")
    commit(lab.folder)
    past = lab.history(tmp_path)
    assert [change.path for change in past.commits[0].changes] == ["\u2028", "\udcff"]
    assert lab.history(tmp_path) == past
    check_states(lab)


@pytest.mark.parametrize("root", ["sub", "a b/c", "*", "-x", "new\nline", ":x", os.fsdecode(b"\xff")])
def test_a_library_in_a_folder(tmp_path: Path, root: str) -> None:
    lab = Lab(tmp_path / "lab", root)
    (lab.folder / "prompts").mkdir()
    (lab.folder / "prompts" / "a.jinja").write_text("not this one")
    lab.write(a="1")
    lab.write(a="2")
    assert lab.versions("a") == [("a", "1"), ("a", "2")]
    assert lab.history().folders == (Span(0, f"{root}/prompts"),)
    check_states(lab)


def test_nothing_in_the_folder(lab: Lab, tmp_path: Path) -> None:
    (lab.folder / "x").write_text("x")
    commit(lab.folder)
    assert lab.history(tmp_path).commits == lab.history(tmp_path).commits == ()
    assert lab.versions("a") == []
    lab.write(a="1")
    assert len(lab.history(tmp_path).commits) == 1


def test_other_repositories_and_kinds_of_files(lab: Lab) -> None:
    first = lab.write(a="1")
    lab.git("update-index", "--add", "--cacheinfo", f"160000,{first},prompts/module")
    lab.git("commit", "-qm", "x")
    lab.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},prompts/module")
    lab.git("commit", "-qm", "x")
    lab.git("update-index", "--chmod=+x", "prompts/a.jinja")
    lab.git("commit", "-qm", "x")
    (lab.folder / ".gitmodules").write_text('[submodule "x"]\n\tpath = prompts/module\n\tignore = all\n')
    lab.git("config", "diff.ignoreSubmodules", "all")
    past = lab.history()
    blob = past.state(first)["a.jinja"]
    assert [entry.changes for entry in past.commits[1:]] == [
        (Change("module", Blob("160000", first)),),
        (Change("module", Blob("160000", "1" * 40)),),
        (Change("a.jinja", Blob("100755", blob.id)),),
    ]
    check_states(lab)


def test_a_folder_that_was_a_link_for_a_while(lab: Lab) -> None:
    lab.write(a=LONG)
    (lab.folder / "prompts").rename(lab.folder / "real")
    (lab.folder / "prompts").symlink_to("real")
    commit(lab.folder)
    (lab.folder / "prompts").unlink()
    (lab.folder / "real").rename(lab.folder / "prompts")
    lab.write(a=LONG + "2")
    past = lab.history()
    assert [len(past.state(entry.id)) for entry in past.commits] == [1, 0, 1]
    assert lab.versions("a") == [("a", LONG), ("a", LONG + "2")]
    check_states(lab)


def test_settings_of_the_user_do_not_change_renames(lab: Lab) -> None:
    for name, value in {"diff.renames": "false", "diff.renameLimit": "1", "diff.relative": "true"}.items():
        lab.git("config", name, value)
    test_a_renamed_file_goes_on(lab)


# --- a folder that moves ---


def moved(tmp_path: Path) -> Lab:
    """A library whose folder came from `old/prompts` to `prompts` to `lib/prompts`, with an edit on the way."""
    lab = Lab(tmp_path / "lab", "old")
    lab.write(a=LONG, b="b", c="c", d=LONG[::-1])
    lab.write(a=LONG + "2")
    lab.git("mv", "old/prompts", "prompts")
    lab.root = lab.folder
    lab.move("d", "e")
    lab.write(b="b2")
    (lab.folder / "lib").mkdir()
    lab.git("mv", "prompts", "lib/prompts")
    lab.root = lab.folder / "lib"
    lab.write(a=LONG + "3")
    lab.write(a=LONG + "4")
    return lab


def test_a_folder_that_moves_is_followed(tmp_path: Path) -> None:
    lab = moved(tmp_path)
    assert [hash for _, hash in lab.versions("a")] == [LONG, LONG + "2", LONG + "3", LONG + "4"]
    assert lab.versions("b") == [("b", "b"), ("b", "b2")]
    assert lab.versions("e") == [("d", LONG[::-1])]
    with opened(lab.root) as repo:
        past = history.changes(repo)
        assert past.folders == (Span(0, "old/prompts"), Span(2, "prompts"), Span(4, "lib/prompts"))
        for index, entry in enumerate(past.commits):
            folder = [span.path for span in past.folders if span.start <= index][-1]
            assert past.state(entry.id) == repo.tree(entry.id, folder)


def test_a_folder_that_moved_too_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_MOVES", 1)
    assert [span.path for span in moved(tmp_path).history().folders] == ["prompts", "lib/prompts"]


def test_a_single_file_from_elsewhere_moves_nothing(lab: Lab) -> None:
    (lab.folder / "docs").mkdir()
    (lab.folder / "docs" / "a.jinja").write_text(LONG)
    commit(lab.folder)
    lab.git("mv", "docs/a.jinja", "prompts/a.jinja")
    lab.write(b="1", c="2")
    assert lab.history().folders == (Span(0, "prompts"),)
    assert lab.versions("a") == [("a", LONG)]


# --- what is kept ---


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commits were looked into, each time."""
    counts: list[int] = []
    real = history._diffs

    def spy(repo: Repository, chain: list[tuple[str, str]], folder: str) -> list[Commit]:
        counts.append(len(chain))
        return real(repo, chain, folder)

    monkeypatch.setattr(history, "_diffs", spy)
    return counts


def test_a_kept_history_is_used(lab: Lab, cache: Path, asked: list[int]) -> None:
    for number in range(3):
        lab.write(a=LONG + str(number))
    lab.move("a", "b")
    first = lab.history(cache)
    assert lab.history(cache) == first == lab.history()
    assert asked == [4, 4]
    assert [path.name for path in cache.iterdir()] == ["versions.json"]
    assert (cache / "versions.json").stat().st_mode & 0o777 == 0o600


def test_only_new_commits_are_looked_into(lab: Lab, cache: Path, asked: list[int]) -> None:
    def expect(*counts: int) -> None:
        asked.clear()
        past = lab.history(cache)
        assert asked == list(counts)
        assert past == lab.history()

    for number in range(3):
        lab.write(a=f"{number}")
    expect(3)
    lab.write(a="new")
    expect(1)
    (lab.folder / "x").write_text("x")
    commit(lab.folder)
    expect(1)
    expect()
    lab.git("commit", "-q", "--amend", "-m", "other")
    expect(1)
    lab.git("reset", "-q", "--hard", "HEAD~2")
    expect(0)
    lab.git("checkout", "-q", "-b", "side", "HEAD~1")
    lab.write(b="side")
    lab.write(b="side 2")
    expect(2)
    lab.git("checkout", "-q", "main")
    expect(1)
    lab.git("merge", "-q", "--no-edit", "side")
    expect(1)
    lab.git("checkout", "-q", "side")  # known only as a second parent of what is kept
    expect(2)
    lab.git("checkout", "-q", "--orphan", "fresh")
    lab.write(a="fresh")
    expect(1)


def test_another_folder_of_the_same_repository(lab: Lab, cache: Path) -> None:
    other = Lab(lab.folder / "other")
    shutil.rmtree(other.folder / ".git")
    other.write(a="other")
    lab.write(a="1")
    assert lab.history(cache) == lab.history()
    assert other.history(cache) == other.history() != lab.history()


def test_a_folder_that_moved_is_kept_and_gone_back_from(tmp_path: Path, cache: Path, asked: list[int]) -> None:
    lab = moved(tmp_path)
    past = lab.history(cache)
    assert lab.history(cache) == past
    lab.write(a="5")
    asked.clear()
    assert lab.history(cache).folders == past.folders
    assert asked == [1]
    lab.git("checkout", "-q", "HEAD~3")
    lab.root = lab.folder
    assert lab.history(cache) == lab.history()
    assert lab.history().folders == past.folders[:2]


def test_what_is_derived_is_kept_with_its_commit(lab: Lab, cache: Path) -> None:
    lab.write(a="1")
    past = lab.history(cache)
    past.derived["a"] = {"hash": ["x", 1, None]}
    history.keep(past, cache)
    assert lab.history(cache).derived == {"a": {"hash": ["x", 1, None]}}
    lab.write(a="2")
    assert lab.history(cache).derived == {}


def poison(change: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    return lambda text: json.dumps(change(json.loads(text))).encode()


def put(**values: Any) -> Callable[[bytes], bytes]:
    return poison(lambda data: data | values)


BLOB = ["100644", "1" * 40]
JUNK: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda text: b"",
    "cut": lambda text: text[:-5],
    "binary": lambda text: b"\xff\x00" + text,
    "deep": lambda text: b"[" * 100_000,
    "number": lambda text: b"1" * 10_000,
    "large": lambda text: text + b" " * history.MAX_CACHE,
    "list": poison(lambda data: list(data)),
    "null": poison(lambda data: None),
    "newer": put(format=2),
    "text as format": put(format="1"),
    "no folders": put(folders=[]),
    "other folder": put(folders=[[0, "elsewhere"]]),
    "late folder": put(folders=[[1, "prompts"]]),
    "true": put(folders=[[False, "prompts"]]),
    "fraction": put(folders=[[0, "old"], [1.5, "prompts"]]),
    "disorder": put(folders=[[0, "x"], [2, "y"], [1, "prompts"]]),
    "odd folder": put(folders=[[0, {}]]),
    "head": put(head="HEAD"),
    "head as a number": put(head=1),
    "derived": put(derived=[]),
    "no derived": poison(lambda data: {k: v for k, v in data.items() if k != "derived"}),
    "commits": put(commits={"a": "b"}),
    "option": put(commits=[["--help", [["a", BLOB, ""]]]]),
    "no changes": put(commits=[["1" * 40, []]]),
    "short change": put(commits=[["1" * 40, [["a"]]]]),
    "odd path": put(commits=[["1" * 40, [[1, BLOB, ""]]]]),
    "half a path": put(commits=[["1" * 40, [["\ud800", BLOB, ""]]]]),
    "path with NUL": put(commits=[["1" * 40, [["\0", BLOB, ""]]]]),
    "no path": put(commits=[["1" * 40, [["", BLOB, ""]]]]),
    "odd before": put(commits=[["1" * 40, [["a", BLOB, ["a"]]]]]),
    "odd mode": put(commits=[["1" * 40, [["a", ["100600", "1" * 40], ""]]]]),
    "list as mode": put(commits=[["1" * 40, [["a", [[], "1" * 40], ""]]]]),
    "odd id": put(commits=[["1" * 40, [["a", ["100644", "1" * 39 + "\n"], ""]]]]),
    "id as a number": put(commits=[["1" * 40, [["a", ["100644", 1], ""]]]]),
    "blob": put(commits=[["1" * 40, [["a", 0, ""]]]]),
    "other commits": put(commits=[["1" * 40, [["a", BLOB, ""]]]], head="1" * 40),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_a_poisoned_cache_is_made_anew(lab: Lab, cache: Path, junk: Callable[[bytes], bytes]) -> None:
    lab.write(a="1")
    lab.write(a="2")
    expected = lab.history(cache)
    good = (cache / "versions.json").read_bytes()
    (cache / "versions.json").write_bytes(junk(good))
    assert lab.history(cache) == expected
    assert (cache / "versions.json").read_bytes() == good


def test_the_junk_is_refused_for_its_form(lab: Lab, cache: Path) -> None:
    lab.write(a="1")
    lab.history(cache)
    good = (cache / "versions.json").read_bytes()
    with opened(lab.root) as repo:
        assert history._load(cache, repo) is not None
        for name, junk in JUNK.items():
            (cache / "versions.json").write_bytes(junk(good))
            assert (history._load(cache, repo) is None) == (name != "other commits"), name


def test_a_cache_is_never_a_link(lab: Lab, cache: Path, tmp_path: Path) -> None:
    lab.write(a="1")
    expected = lab.history(cache)
    text = (cache / "versions.json").read_text()
    false = tmp_path / "false"
    false.write_text(text.replace("a.jinja", "b.jinja"))
    (cache / "versions.json").unlink()
    (cache / "versions.json").symlink_to(false)
    assert lab.history(cache) == expected
    assert "b.jinja" in false.read_text()
    assert not (cache / "versions.json").is_symlink()  # replaced, not written through
    (cache / "versions.json").unlink()
    (tmp_path / "link").symlink_to(cache)
    assert lab.history(tmp_path / "link") == expected
    assert list(cache.iterdir()) == []
    os.mkfifo(cache / "versions.json")
    assert lab.history(cache) == expected
    assert (cache / "versions.json").read_text() == text


def test_a_cache_that_git_tracks_is_not_ours(lab: Lab) -> None:
    lab.write(a="1")
    folder = lab.folder / ".promptlab"
    folder.mkdir()
    lab.history(folder)
    commit(lab.folder)
    (folder / "versions.json").write_text((folder / "versions.json").read_text().replace("a.jinja", "b.jinja"))
    before = (folder / "versions.json").read_text()
    assert [change.path for change in lab.history(folder).commits[0].changes] == ["a.jinja"]
    history.keep(lab.history(), folder)
    assert (folder / "versions.json").read_text() == before


def test_where_nothing_can_be_kept(lab: Lab, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a="1")
    expected = lab.history()
    assert lab.history(tmp_path / "missing") == expected
    assert not (tmp_path / "missing").exists()
    (tmp_path / "file").write_text("")
    assert lab.history(tmp_path / "file") == expected
    (cache / "versions.json").mkdir()
    assert lab.history(cache) == expected
    assert [path.name for path in cache.iterdir()] == ["versions.json"]  # and nothing half-written
    (cache / "versions.json").rmdir()
    monkeypatch.setattr(history, "MAX_CACHE", 10)
    assert lab.history(cache) == expected
    assert list(cache.iterdir()) == []


def test_a_shallow_clone_is_not_kept(lab: Lab, cache: Path, tmp_path: Path) -> None:
    lab.write(a="1")
    lab.write(a="2")
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{lab.folder}", "shallow")
    with opened(tmp_path / "shallow") as repo:
        assert len(history.changes(repo, cache).commits) == 1
    run(tmp_path / "shallow", "fetch", "-q", "--unshallow")
    with opened(tmp_path / "shallow") as repo:
        assert len(history.changes(repo, cache).commits) == 2


# --- and all of it together ---


@pytest.mark.parametrize("seed", range(4))
def test_histories_by_chance(lab: Lab, cache: Path, seed: int) -> None:
    chance = random.Random(seed)
    texts = [LONG + str(n) for n in range(3)] + ["short", "x!", "<_p>"]
    lab.write(_p="p", a="a")
    for _ in range(25):
        present = sorted(path.stem for path in (lab.root / "prompts").iterdir())
        name = chance.choice("abcd")
        deed = chance.random()
        if deed < 0.3 and present:
            new = chance.choice([n for n in "abcdef" if n not in present] or ["g"])
            lab.move(chance.choice(present), new, **({} if chance.random() < 0.5 else {new: chance.choice(texts)}))
        elif deed < 0.45 and name in present:
            lab.write(**{name: None})
        else:
            lab.write(**{name: chance.choice(texts), "_p": chance.choice("pq")})
        lab.history(cache)
    assert lab.history(cache) == lab.history()
    check_states(lab)
    with opened(lab.root) as repo:
        past = history.changes(repo)
        for path in repo.tree(repo.head):
            assert history.versions(past, path, reader(repo)) == slowly(past, path, reader(repo))


def slowly(past: History, path: str, closure: history.Closure) -> list[history.Version]:
    """The versions, by looking at every commit."""
    found: list[history.Version] = []
    spans = history.lineage(past, path)
    for index, entry in enumerate(past.commits):
        name = next((span.path for span in reversed(spans) if span.start <= index), "")
        state = past.state(entry.id)
        hash = (closure(state, name) or (None,))[0] if name in state else None
        if hash and (not found or found[-1].hash != hash):
            found.append(history.Version(len(found) + 1, entry.id, hash, name))
    return found


def test_a_long_history(tmp_path: Path, cache: Path) -> None:
    big_repository.build(tmp_path / "big", commits=500, prompts=50)
    with opened(tmp_path / "big") as repo:
        past = history.changes(repo, cache)
        assert len(past.commits) == 500
        assert past.state(repo.head) == repo.tree(repo.head)
        assert history.changes(repo, cache) == past
        included = re.compile(r'include "(.+?)"')

        def closure(files: Mapping[str, Blob], path: str) -> tuple[str, frozenset[str]]:
            paths = {path, *included.findall(repo.blob(files[path].id, 1000).decode())}
            return " ".join(files[path].id for path in sorted(paths)), frozenset(paths)

        found = [len(history.versions(past, f"{big_repository.name_of(n)}.jinja", closure)) for n in (10, 11)]
    assert found == [15, 11]  # the first, ten of its own, and four of the partial


def test_git_that_fails_in_the_middle(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write(a="1")
    id = lab.write(a="2")
    tree = lab.git("rev-parse", f"{id}^:prompts")
    (lab.folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with opened(lab.root) as repo, pytest.raises(StoreError, match=r"git diff-tree failed \(exit code 128\)"):
        history.changes(repo)


def test_a_commit_that_says_almost_nothing(lab: Lab) -> None:
    lab.write(a="1")
    tree, head = lab.git("rev-parse", "HEAD^{tree}", "HEAD").split()
    data = f"tree {lab.git('mktree')}\nparent {head}\n\n".encode()
    middle = write_object(lab.folder, "commit", data)
    lab.git("update-ref", "HEAD", write_object(lab.folder, "commit", f"tree {tree}\nparent {middle}\n\n".encode()))
    assert lab.versions("a") == [("a", "1")]
    assert len(lab.history().commits) == 3
    with opened(lab.root) as repo:
        assert {info.subject for info in repo.commit_info([repo.head, middle])} == {""}
        assert git.head(lab.root) == repo.head
