"""Versions of prompts, in real repositories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from promptlab.errors import NotFound, SourceError, UsageError
from promptlab.files import versions
from promptlab.files.library import Library
from promptlab.sandbox import Sandbox
from tests.gitkit import run as git

pytestmark = pytest.mark.usefixtures("git_settings")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def commit(root: Path, subject: str = "x", **files: str | None) -> str:
    """Write files below prompts/ (None removes one; `__` stands for a dot) and commit everything."""
    for name, text in files.items():
        path = root / "prompts" / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-qm", subject, "--allow-empty")
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A library with three versions of `a`: at the first commit, after a change, and after a change of its partial."""
    folder = tmp_path / "library"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "one", a__jinja="first {% include '_p.jinja' %}", _p__jinja="part", b__jinja="other")
    commit(folder, "two", a__jinja="second {% include '_p.jinja' %}")
    git(folder, "tag", "v2")
    commit(folder, "only b", b__jinja="changed")
    commit(folder, "the partial", _p__jinja="another part")
    return folder


@pytest.fixture
def library(root: Path, sandbox: Sandbox) -> Library:
    return Library(root, sandbox)


def numbers(library: Library, name: str) -> list[tuple[int, str]]:
    return [(row.number, row.subject) for row in library.log(name)]


def test_a_log_counts_what_changed_the_prompt_or_what_it_uses(library: Library) -> None:
    assert numbers(library, "a") == [(3, "the partial"), (2, "two"), (1, "one")]
    assert numbers(library, "b") == [(2, "only b"), (1, "one")]


def test_a_version_named_three_ways_has_one_hash(library: Library, root: Path) -> None:
    full = git(root, "rev-parse", "v2")
    named = [library.load(f"a@{version}") for version in ("2", "v2", full, full[:9], "HEAD~2", "002")]
    assert len({prompt.hash for prompt in named}) == 1
    assert {prompt.commit for prompt in named} == {full}
    assert [prompt.label for prompt in named] == ["a@2", "a@v2", f"a@{full}", f"a@{full[:9]}", "a@HEAD~2", "a@2"]
    assert {prompt.dirty for prompt in named} == {False}
    assert named[0].body == "second {% include '_p.jinja' %}"
    assert named[0].partials == {"_p.jinja": "part"}
    assert library.log("a")[1].hash == named[0].hash


def test_a_partial_that_changes_makes_a_version(library: Library) -> None:
    two, three = library.load("a@2"), library.load("a@3")
    assert two.source == three.source
    assert (two.partials, three.partials) == ({"_p.jinja": "part"}, {"_p.jinja": "another part"})
    assert two.hash != three.hash


def test_the_working_copy_has_the_number_of_the_version_that_it_is(library: Library, root: Path) -> None:
    clean = library.load("a")
    assert (clean.label, clean.commit, clean.dirty) == ("a@3", git(root, "rev-parse", "HEAD"), False)
    assert clean.hash == library.load("a@3").hash
    (root / "prompts" / "_p.jinja").write_text("not yet committed")
    dirty = library.load("a")
    assert (dirty.label, dirty.commit, dirty.dirty) == ("a", clean.commit, True)
    assert dirty.hash != clean.hash
    assert library.load("a@3").hash == clean.hash


def test_a_change_back_is_a_version_with_the_hash_of_the_old_one(library: Library, root: Path) -> None:
    commit(root, "back", _p__jinja="part")
    assert numbers(library, "a")[0] == (4, "back")
    assert library.load("a@4").hash == library.load("a@2").hash


def test_a_rename_keeps_the_numbering(library: Library, root: Path) -> None:
    git(root, "mv", "prompts/a.jinja", "prompts/renamed.jinja")
    commit(root, "rename")
    assert numbers(library, "renamed") == [(3, "the partial"), (2, "two"), (1, "one")]
    assert [row.file for row in library.log("renamed")] == ["a.jinja"] * 3
    assert library.load("renamed").label == "renamed@3"
    assert library.load("renamed@2").name == "renamed"
    assert library.load("renamed@2").hash == library.load("renamed@v2").hash
    commit(root, "after", renamed__jinja="fourth {% include '_p.jinja' %}")
    assert numbers(library, "renamed")[0] == (4, "after")
    with pytest.raises(NotFound, match=r"^'zork' has no versions: no commit holds a prompt of that name\."):
        library.log("zork")


def test_the_old_name_says_what_it_is_called_now(library: Library, root: Path) -> None:
    git(root, "mv", "prompts/a.jinja", "prompts/renamed.jinja")
    commit(root, "rename")
    for ask in (lambda: library.load("a@2"), lambda: library.log("a")):
        with pytest.raises(NotFound, match=r"^a was renamed, and its versions with it\. Ask for renamed$"):
            ask()
    assert library.load("a@v2").body == "second {% include '_p.jinja' %}"  # at that commit it was called so


def test_a_prompt_that_is_called_changes_the_version(library: Library, root: Path) -> None:
    commit(root, "calls", c__jinja="{% call_prompt x = 'b' %}")
    commit(root, "callee", b__jinja="changed again")
    assert numbers(library, "c") == [(2, "callee"), (1, "calls")]
    assert library.load("c@1").partials == {"b.jinja": "changed"}


def test_what_cannot_be_read_at_some_commit_is_no_version_there(library: Library, root: Path) -> None:
    commit(root, "broken", a__jinja="{% zork %}")
    commit(root, "whole", a__jinja="fifth")
    assert numbers(library, "a") == [(4, "whole"), (3, "the partial"), (2, "two"), (1, "one")]
    with pytest.raises(SourceError, match=r"^a@HEAD~1: a\.jinja:1:1: Encountered unknown tag 'zork'"):
        library.load("a@HEAD~1")


def test_a_merge_that_changes_the_text_is_a_version(library: Library, root: Path) -> None:
    git(root, "checkout", "-q", "-b", "side")
    commit(root, "side one", b__jinja="side")
    commit(root, "side two", b__jinja="side again")
    git(root, "checkout", "-q", "main")
    commit(root, "main goes on", a__jinja="fourth {% include '_p.jinja' %}")
    git(root, "merge", "-q", "--no-ff", "-m", "merged", "side")
    assert numbers(library, "b") == [(3, "merged"), (2, "only b"), (1, "one")]
    assert numbers(library, "a")[0] == (4, "main goes on")


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ("a@4", NotFound, r"^a has no version 4; its versions are 1 to 3$"),
        ("a@0", NotFound, r"^a has no version 0; its versions are 1 to 3$"),
        ("a@99999", NotFound, "its versions are 1 to 3"),
        ("a@123456", NotFound, "git knows no commit '123456'"),
        ("a@nope", NotFound, "git knows no commit 'nope'"),
        ("a@", NotFound, "git knows no commit ''"),
        ("a@--help", NotFound, "git knows no commit '--help'"),
        ("a@HEAD\nHEAD", NotFound, "git knows no commit"),
        ("a@HEAD:prompts/a.jinja", NotFound, "git knows no commit"),
        ("zork@HEAD", NotFound, "there is no prompt 'zork' at 'HEAD', commit"),
        ("zork@1", NotFound, "'zork' has no versions: no commit holds a prompt of that name"),
        ("_p@1", NotFound, "'_p' has no versions"),
        ("../a@1", NotFound, r"'\.\./a' has no versions"),
        ("../a@HEAD", NotFound, r"there is no prompt '\.\./a' at 'HEAD'"),
    ],
)
def test_versions_that_are_not_there(library: Library, reference: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        library.load(reference)
    assert "\n" not in str(caught.value)


def test_without_git(tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "a.jinja").write_text("text")
    library = Library(tmp_path, sandbox)
    prompt = library.load("a")
    assert (prompt.label, prompt.commit, prompt.dirty, len(prompt.hash)) == ("a", None, None, 64)
    for ask in (lambda: library.load("a@1"), lambda: library.load("a@HEAD"), lambda: library.log("a")):
        with pytest.raises(UsageError, match="is in no git repository with a commit"):
            ask()


def test_a_prompt_that_was_never_committed(library: Library, root: Path) -> None:
    (root / "prompts" / "new.jinja").write_text("new")
    assert (library.load("new").label, library.load("new").dirty) == ("new", True)
    with pytest.raises(
        NotFound, match=r"no commit holds a prompt of that name\. A commit that holds one makes a version"
    ):
        library.log("new")


def test_in_a_worktree_and_in_a_folder_of_the_repository(library: Library, root: Path, sandbox: Sandbox) -> None:
    wanted = [(row.number, row.hash) for row in library.log("a")]
    git(root, "worktree", "add", "-q", "../tree", "HEAD")
    assert [(r.number, r.hash) for r in Library(root.parent / "tree", sandbox).log("a")] == wanted
    (root / "inner").mkdir()
    git(root, "mv", "prompts", "inner/prompts")
    commit(root, "moved")
    inner = Library(root / "inner", sandbox)
    assert [(r.number, r.hash) for r in inner.log("a")] == wanted
    assert inner.load("a@v2").hash == library.load("a@v2").hash == wanted[1][1]
    assert inner.load("a").label == "a@3"


def test_a_shallow_clone_says_what_is_missing(root: Path, sandbox: Sandbox) -> None:
    git(root.parent, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    shallow = Library(root.parent / "shallow", sandbox)
    for ask in (lambda: shallow.load("a@1"), lambda: shallow.log("a")):
        with pytest.raises(UsageError, match=r"cannot be counted in a shallow clone.*git fetch --unshallow"):
            ask()
    assert (shallow.load("a").label, shallow.load("a").dirty) == ("a", False)
    assert shallow.load("a@HEAD").hash == shallow.load("a").hash
    with pytest.raises(NotFound, match="git knows no commit"):
        shallow.load("a@HEAD~1")
    git(root.parent / "shallow", "fetch", "-q", "--unshallow")
    assert shallow.load("a").label == "a@3"


def test_what_was_found_out_is_kept_and_checked(
    root: Path, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "LONG", 1)
    wanted = [row.hash for row in Library(root, sandbox, lambda: tmp_path).log("a")]
    kept = tmp_path / ".promptlab" / "versions.json"
    text = kept.read_text()
    assert all(hash in text for hash in wanted)
    assert [row.hash for row in Library(root, sandbox, lambda: tmp_path).log("a")] == wanted
    for junk in (text.replace(wanted[0], "z" * 64), text.replace('"a.jinja":[[1', '"a.jinja":[[7'), "{", "[]", ""):
        kept.write_text(junk)
        assert [row.hash for row in Library(root, sandbox, lambda: tmp_path).log("a")] == wanted


def test_a_prompty_file_has_versions_too(library: Library, root: Path) -> None:
    head = "---\nname: P\ndescription: d\n---\n"
    commit(root, "p one", p__prompty=f"{head}system:\nBe brief.\n\nuser:\nHello.\n")
    commit(root, "p two", p__prompty=f"{head}system:\nBe brief.\n\nuser:\nHello there.\n")
    assert numbers(library, "p") == [(2, "p two"), (1, "p one")]
    assert library.load("p").label == "p@2"
    assert library.load("p@1").description == "d"
    commit(root, "both", p__jinja="x")
    with pytest.raises(SourceError, match=r"p\.prompty: is called p, like p\.jinja; rename one of them"):
        library.load("p")
