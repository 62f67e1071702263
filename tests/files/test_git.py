from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from promptlab.errors import SourceError, StoreError, UsageError
from promptlab.files import git, history, plumbing
from promptlab.files.git import Blob, Repository
from tests.files import big_repository
from tests.gitkit import run

pytestmark = pytest.mark.usefixtures("git_settings")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "sub" / "prompts").mkdir(parents=True)
    run(folder, "init", "-q")
    (folder / "sub" / "prompts" / "a.jinja").write_bytes(b"one\r\n")
    (folder / "sub" / "prompts" / "ü b.jinja").write_bytes(b"\xff\x00")
    commit(folder)
    return folder


def commit(folder: Path, message: str = "x") -> str:
    run(folder, "add", "-A")
    run(folder, "commit", "-q", "--allow-empty", "--allow-empty-message", "-m", message)
    return run(folder, "rev-parse", "HEAD")


def write_object(folder: Path, kind: str, data: bytes) -> str:
    command = ["git", "-C", str(folder), "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout.decode().strip()


def opened(root: Path) -> Repository:
    repository = git.open_repository(root)
    assert repository is not None
    return repository


@pytest.fixture
def library(repo: Path) -> Iterator[Repository]:
    with opened(repo / "sub") as repository:
        yield repository


FILES = {"prompts/a.jinja": b"one\r\n", "prompts/ü b.jinja": b"\xff\x00"}


def test_state_compares_bytes_with_the_commit(repo: Path) -> None:
    commit = run(repo, "rev-parse", "HEAD")
    assert git.head(repo) == git.head(repo / "sub") == commit
    assert git.state(repo / "sub", FILES) == (commit, False)
    assert git.state(repo, {f"sub/{name}": data for name, data in FILES.items()}) == (commit, False)
    assert git.state(repo / "sub", {}) == (commit, False)
    assert git.state(repo / "sub", FILES | {"prompts/a.jinja": b"one\n"}) == (commit, True)
    assert git.state(repo / "sub", FILES | {"prompts/new.jinja": b""}) == (commit, True)
    assert git.state(repo / "sub", {"prompts": b""}) == (commit, True)
    assert git.state(repo / "sub", {"prompts/a.jinja\nHEAD": b"one\r\n"}) == (commit, True)


def test_what_is_only_staged_differs(repo: Path) -> None:
    (repo / "sub" / "prompts" / "a.jinja").write_bytes(b"two")
    run(repo, "add", "-A")
    assert git.state(repo / "sub", {"prompts/a.jinja": b"two"}) == (git.head(repo), True)


def test_a_file_hidden_from_status_still_differs(repo: Path) -> None:
    run(repo, "update-index", "--assume-unchanged", "sub/prompts/a.jinja")
    (repo / "sub" / "prompts" / "a.jinja").write_bytes(b"changed")
    assert run(repo, "status", "--porcelain") == ""
    assert git.state(repo / "sub", {"prompts/a.jinja": b"changed"}) == (git.head(repo), True)


def test_a_repository_with_sha256(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q", "--object-format=sha256")
    (tmp_path / "a").write_bytes(b"x")
    commit(tmp_path)
    found, dirty = git.state(tmp_path, {"a": b"x"})
    assert found is not None
    assert (len(found), dirty) == (64, False)
    assert git.state(tmp_path, {"a": b"y"}) == (found, True)


def test_no_commit_yet(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q")
    assert git.head(tmp_path) is None
    assert git.state(tmp_path, {"a": b""}) == (None, None)


def test_no_repository(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        assert git.head(folder) is None
        assert git.state(folder, {"a": b""}) == (None, None)
        assert not git.is_tracked(folder / "a")


def test_no_git(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert git.head(repo) is None
    assert git.state(repo, {"a": b""}) == (None, None)
    assert not git.is_tracked(repo / "sub")


def hang(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str = "exec sleep 60") -> None:
    """From here on, git is a script, and waiting for it is short."""
    (folder / "bin").mkdir()
    (folder / "bin" / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(history, "TIMEOUT_S", 0.2)


def test_a_git_that_hangs(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang(tmp_path, monkeypatch)
    assert git.head(repo) is None
    assert git.open_repository(repo) is None


def test_a_git_that_hangs_later(
    library: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: Path
) -> None:
    blob = run(repo, "rev-parse", "HEAD:sub/prompts/a.jinja")
    hang(tmp_path, monkeypatch)
    with pytest.raises(StoreError, match=r"git cat-file took longer than 0\.2 s and was stopped"):
        library.resolve("HEAD")
    with pytest.raises(StoreError, match="took longer"):
        library.blob(blob, 10)
    with pytest.raises(StoreError, match="git ls-tree took longer"):
        library.tree(library.head)
    with pytest.raises(StoreError, match="took longer"):
        library.commit_info([library.head])
    with pytest.raises(StoreError, match="git rev-list took longer"):
        history.changes(library)


def test_a_git_that_writes_half_an_answer(library: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang(tmp_path, monkeypatch, f"echo {library.head} commit 100; echo tree")
    with pytest.raises(StoreError, match="ended without an answer"):
        library.commit_info([library.head])


def test_a_git_that_fails(library: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang(tmp_path, monkeypatch, "exit 3")
    with pytest.raises(StoreError, match=r"git ls-tree failed \(exit code 3\)"):
        library.tree(library.head)
    with pytest.raises(StoreError, match="ended without an answer"):
        library.resolve("HEAD")


def test_a_child_that_was_killed_is_replaced(library: Repository) -> None:
    assert library.resolve("HEAD") == library.head
    child = library._facts._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert library.resolve("HEAD") == library.head
    library.close()
    assert library._facts._child is None
    assert library.resolve("HEAD") == library.head


def test_resolve(repo: Path, library: Repository) -> None:
    first = library.head
    second = commit(repo)
    run(repo, "tag", "light", first)
    run(repo, "tag", "-a", "-m", "x", "v1.0", first)
    run(repo, "branch", "feature/ü", first)
    for name in (
        "HEAD~1",
        "HEAD^",
        "@~",
        "light",
        "v1.0",
        "refs/tags/v1.0",
        "feature/ü",
        first,
        first[:10],
        "HEAD^{/x}~",
    ):
        assert library.resolve(name) == first, name
    assert library.resolve("HEAD") == library.resolve(second.upper()) == second
    assert library.head == first


HOSTILE = [
    *(
        "",
        "-",
        "--help",
        "--output=x",
        "-x\n",
        "HEAD\n",
        "HEAD\nHEAD",
        "HEAD\0",
        "\0",
        "\n",
        "x" * 100_000,
        "HEAD" + "~" * 2000,
    ),
    *(
        ":sub/prompts/a.jinja",
        ":/x",
        ":0:sub/prompts/a.jinja",
        "HEAD:sub",
        "HEAD:sub/prompts/a.jinja",
        "HEAD:./prompts",
    ),
    *(
        "HEAD^{tree}",
        "HEAD^{blob}",
        "HEAD~9",
        "HEAD..HEAD",
        "^HEAD",
        "HEAD^@",
        "nothing",
        "0" * 40,
        "\ud800",
        "\udcff",
        "@{u}",
    ),
    *("%(objectname)", "HEAD %(rest)", "HEAD x", " HEAD", "refs/../../config", "../HEAD", "blob", "tree"),
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_a_revision_that_names_no_commit(repo: Path, library: Repository, text: str) -> None:
    run(repo, "tag", "blob", "HEAD:sub/prompts/a.jinja")
    run(repo, "tag", "tree", "HEAD^{tree}")
    assert library.resolve(text) is None
    assert library.resolve("HEAD") == library.head  # and the next answer is that to the next question


def test_an_abbreviation_of_several_commits(repo: Path, library: Repository) -> None:
    tree = run(repo, "rev-parse", "HEAD^{tree}")
    seen: dict[str, bytes] = {}
    for number in range(100_000):
        data = f"tree {tree}\nauthor A <a@b.c> 1 +0000\ncommitter A <a@b.c> 1 +0000\n\n{number}\n".encode()
        start = hashlib.sha1(b"commit %d\0" % len(data) + data).hexdigest()[:4]
        if start in seen:
            break
        seen[start] = data
    one, two = write_object(repo, "commit", seen[start]), write_object(repo, "commit", data)
    with pytest.raises(UsageError, match=f"{start} is the beginning of several commits. Give more of it"):
        library.resolve(start)
    assert library.resolve(one) == one
    assert library.resolve(two) == two


def test_tree(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q")
    prompts = tmp_path / "lib" / "prompts"
    (prompts / "deep er").mkdir(parents=True)
    names = [
        "a.jinja",
        "deep er/ü.jinja",
        'quo"te\\.jinja',
        "new\nline.jinja",
        "tab\t.jinja",
        "-x",
        os.fsdecode(b"\xff"),
    ]
    for name in names:
        (prompts / name).write_text(name, errors="surrogateescape")
    (prompts / "run.jinja").write_text("")
    (prompts / "run.jinja").chmod(0o755)
    (prompts / "link").symlink_to("/etc/passwd")
    (tmp_path / "lib" / "prompts.jinja").write_text("")
    head = commit(tmp_path)
    run(tmp_path, "update-index", "--add", "--cacheinfo", f"160000,{head},lib/prompts/module")
    run(tmp_path, "commit", "-qm", "x")
    with opened(tmp_path / "lib") as library:
        found = library.tree(library.head)
        assert sorted(found) == sorted([*names, "run.jinja", "link", "module"])
        assert {name: blob.mode for name, blob in found.items() if name not in names} == {
            "run.jinja": "100755",
            "link": "120000",
            "module": "160000",
        }
        assert [name for name, blob in found.items() if not blob.is_file] == ["link", "module"]
        assert all(library.blob(found[n].id, 99) == n.encode(errors="surrogateescape") for n in names)
        assert library.tree(library.head, "lib/prompts/deep er").keys() == {"ü.jinja"}
        assert library.tree(library.head, "elsewhere") == {}
        with pytest.raises(SourceError, match="is not a file"):
            library.blob(run(tmp_path, "rev-parse", "HEAD:lib"), 99)
        with pytest.raises(StoreError, match="is not in the git repository"):
            library.blob("1" * 40, 99, "a.jinja")


def test_a_folder_that_is_a_link_holds_nothing(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jinja").write_text("x")
    (tmp_path / "prompts").symlink_to("real")
    commit(tmp_path)
    with opened(tmp_path) as library:
        assert library.tree(library.head) == {}
        assert history.changes(library).commits == ()


def test_too_many_files(library: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "MAX_ENTRIES", 1)
    with pytest.raises(SourceError, match=r"sub/prompts: holds more than 1 files at [0-9a-f]{10}"):
        library.tree(library.head)


def test_trees_that_unfold_without_end(repo: Path, library: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    id = write_object(repo, "blob", b"x")
    mode = "100644"
    for _ in range(12):
        entries = b"".join(f"{mode} {n}\0".encode() + bytes.fromhex(id) for n in range(10))
        id, mode = write_object(repo, "tree", entries), "40000"
    prompts = write_object(repo, "tree", b"40000 prompts\0" + bytes.fromhex(id))
    root = write_object(repo, "tree", b"40000 sub\0" + bytes.fromhex(prompts))
    bomb = run(repo, "commit-tree", "-m", "x", "-p", library.head, root)
    monkeypatch.setattr(plumbing, "MAX_OUTPUT", 1_000_000)
    monkeypatch.setattr(plumbing, "MAX_MEMORY", 64 * 1024 * 1024)
    with pytest.raises(StoreError, match="git writes more than 1,000,000 bytes"):
        library.tree(bomb)
    run(repo, "update-ref", "HEAD", bomb)
    monkeypatch.setattr(history, "TIMEOUT_S", 20.0)
    end = r"git diff-tree failed" if sys.platform == "linux" else "git diff-tree took longer"  # memory, or time
    with opened(repo / "sub") as later, pytest.raises(StoreError, match=end):
        history.changes(later)


def test_a_large_file_is_not_read(repo: Path) -> None:
    (repo / "sub" / "prompts" / "a.jinja").write_bytes(b"x" * 1001)
    commit(repo)
    with opened(repo / "sub") as library:
        blob = library.tree(library.head)["a.jinja"]
        with pytest.raises(SourceError, match=r"^prompts/a\.jinja: is larger than 1,000 bytes$"):
            library.blob(blob.id, 1000, "prompts/a.jinja")
        assert library._contents._child is None
        assert library.blob(blob.id, 1001) == b"x" * 1001


def test_an_object_that_unfolds_to_gigabytes(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plumbing._SAFE, "GIT_ALLOC_LIMIT", "4m")
    id = write_object(repo, "commit", b"tree " + b"0" * 5_000_000)
    with opened(repo) as library, pytest.raises(StoreError):
        library.commit_info([id])


@pytest.mark.parametrize("id", ["", "HEAD", "--help", "1" * 39, "1" * 40 + "\n", "1" * 41, "A" * 40, "x" * 100_000])
def test_what_is_no_id_is_not_asked_about(library: Repository, id: str) -> None:
    for ask in (library.tree, lambda id: library.blob(id, 9), lambda id: library.commit_info([id])):
        with pytest.raises(StoreError, match="is not the id of an object") as caught:
            ask(id)
        assert len(str(caught.value)) < 150


def test_a_damaged_object(repo: Path, library: Repository) -> None:
    id = library.tree(library.head)["a.jinja"].id
    file = repo / ".git" / "objects" / id[:2] / id[2:]
    file.chmod(0o644)
    file.write_bytes(b"junk")
    with pytest.raises(StoreError):
        library.blob(id, 99)
    assert library.resolve("HEAD") == library.head


def described(repo: Path, library: Repository, data: bytes) -> tuple[str, str]:
    tree = run(repo, "rev-parse", "HEAD^{tree}")
    id = write_object(repo, "commit", f"tree {tree}\n".encode() + data)
    (info,) = library.commit_info([id])
    assert info.id == id
    return info.date, info.subject


WHO = b"author A <a@b.c> 1700000000 +0230\ncommitter B <b@c.d> 1800000000 +0000\n"
DATE = "2023-11-15T00:43:20+02:30"


@pytest.mark.parametrize(
    ("data", "date", "subject"),
    [
        (WHO + b"\nOne line\n", DATE, "One line"),
        (WHO + b"\n\n\nTwo\nlines \n \nand more\n", DATE, "Two lines"),
        (WHO + b"\n", DATE, ""),
        (WHO, DATE, ""),
        (WHO + b"encoding ISO-8859-1\n\ncaf\xe9\n", DATE, "caf\ufffd"),
        (WHO + b"\ncaf\xc3\xa9 \x1b[2J", DATE, "café \x1b[2J"),
        (WHO + b"\n" + b"x" * 5_000_000, DATE, "x" * git.MAX_SUBJECT),
        (WHO + b"gpgsig -----BEGIN\n \n author X <x> 1 +0000\n\nsigned", DATE, "signed"),
        (b"\nnobody", "", "nobody"),
        (b"", "", ""),
        (b"author A <a@b.c>\n\nx", "", "x"),
        (b"author A <a@b.c> 0 -0800\n\nx", "1969-12-31T16:00:00-08:00", "x"),
        (b"author A <1 +0000> <a> 9 +0000\n\nx", "1970-01-01T00:00:09+00:00", "x"),
        (b"author A <a@b.c> 99999999999999999999 +0000\n\nx", "", "x"),
        (b"author A <a@b.c> 999999999999 +0000\n\nx", "", "x"),
        (b"author A <a@b.c> 1 +9999\n\nx", "", "x"),
    ],
)
def test_commit_info(repo: Path, library: Repository, data: bytes, date: str, subject: str) -> None:
    assert described(repo, library, data) == (date, subject)


def test_commit_info_says_what_git_log_says(tmp_path: Path) -> None:
    big_repository.build(tmp_path, commits=300, prompts=2)
    ids = run(tmp_path, "rev-list", "HEAD").splitlines()
    with opened(tmp_path) as library:
        told = [f"{info.id} {info.date} {info.subject}" for info in library.commit_info(ids)]
    assert told == run(tmp_path, "log", "--format=%H %aI %s").splitlines()


def test_commit_info_of_what_is_not_there(library: Repository) -> None:
    assert library.commit_info([]) == []
    for id in ("1" * 40, library.tree(library.head)["a.jinja"].id):
        with pytest.raises(StoreError, match=f"commit {id[:10]} is not in the git repository"):
            library.commit_info([library.head, id])


def test_a_linked_worktree(repo: Path, tmp_path: Path) -> None:
    run(repo, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    (tmp_path / "linked" / "sub" / "prompts" / "a.jinja").write_text("side")
    head = commit(tmp_path / "linked")
    with opened(tmp_path / "linked" / "sub") as library, opened(repo / "sub") as main:
        assert library.head == library.resolve("HEAD") == main.resolve("side") == head
        assert main.head == main.resolve("HEAD") == library.resolve("HEAD~")
        assert library.folder == "sub/prompts"
        assert library.blob(library.tree(head)["a.jinja"].id, 9) == b"side"
        assert len(history.changes(library).commits) == 2


def test_a_shallow_clone(repo: Path, tmp_path: Path) -> None:
    commit(repo)
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{repo}", "shallow")
    with opened(repo) as whole, opened(tmp_path / "shallow" / "sub") as library:
        assert not whole.shallow
        assert library.shallow
        assert library.resolve("HEAD~") is None
        assert [len(c.changes) for c in history.changes(library).commits] == [2]
        with pytest.raises(StoreError, match="is not in the git repository"):
            library.commit_info([run(repo, "rev-parse", "HEAD~")])


def test_a_repository_with_sha256_has_versions(tmp_path: Path) -> None:
    run(tmp_path, "init", "-q", "--object-format=sha256")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "a").write_bytes(b"x")
    head = commit(tmp_path, "first")
    with opened(tmp_path) as library:
        assert library.resolve("HEAD") == library.resolve(head[:8]) == head
        blob = library.tree(head)["a"]
        assert blob == Blob("100644", hashlib.sha256(b"blob 1\0x").hexdigest())
        assert library.blob(blob.id, 1) == b"x"
        assert library.commit_info([head])[0].subject == "first"
        assert history.changes(library).state(head) == {"a": blob}


def test_nothing_to_open(tmp_path: Path, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    run(tmp_path / "empty", "init", "-q")
    (tmp_path / "empty" / "HEAD^{commit}").write_text("")
    for folder in (tmp_path, tmp_path / "empty", tmp_path / "missing", repo / ".git"):
        assert git.open_repository(folder) is None
    monkeypatch.setenv("PATH", "/nowhere")
    assert git.open_repository(repo) is None


def test_a_path_with_a_newline(tmp_path: Path) -> None:
    root = tmp_path / "a\nb" / "c\nd"
    (root / "prompts").mkdir(parents=True)
    run(tmp_path / "a\nb", "init", "-q")
    (root / "prompts" / "x").write_text("")
    commit(root)
    with opened(root) as library:
        assert library.folder == "c\nd/prompts"
        assert library.tree(library.head).keys() == {"x"}
        assert len(history.changes(library).commits) == 1


def test_replacements_and_grafts_change_nothing(repo: Path) -> None:
    first = run(repo, "rev-parse", "HEAD")
    (repo / "sub" / "prompts" / "a.jinja").write_text("two")
    second = commit(repo, "true")
    tree = run(repo, "rev-parse", "HEAD^{tree}")
    with opened(repo / "sub") as library:
        expected = (library.commit_info([second]), library.tree(second), history.changes(library))
    run(repo, "replace", second, run(repo, "commit-tree", "-m", "false", tree))
    (repo / ".git" / "info" / "grafts").write_text(f"{second}\n")
    with opened(repo / "sub") as library:
        assert (library.commit_info([second]), library.tree(second), history.changes(library)) == expected
        assert library.resolve("HEAD~") == first
    assert run(repo, "log", "--format=%s") == "false"  # they are in force otherwise


def test_is_tracked(repo: Path) -> None:
    assert git.is_tracked(repo / "sub")
    assert git.is_tracked(repo / "sub" / "prompts" / "a.jinja")
    assert not git.is_tracked(repo / "sub" / "prompts" / "b.jinja")
    (repo / ".promptlab").mkdir()
    assert not git.is_tracked(repo / ".promptlab")
    (repo / "[a-z]*").write_text("")
    assert not git.is_tracked(repo / "[a-z]*")


def test_the_environment_of_a_hook_does_not_mislead(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(repo, other)
    (other / "x").write_text("")
    commit(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert not git.is_tracked(repo / "x")
    found = git.head(repo)
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert found == run(repo, "rev-parse", "HEAD")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A script that leaves a mark when anything runs it; the mark lies beside it."""
    script = tmp_path / "trap"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    script.chmod(0o755)
    return script


def ask_everything(repo: Path) -> None:
    git.head(repo)
    git.state(repo / "sub", FILES)
    git.state(repo / "sub", {"prompts/a.jinja": b"other"})
    git.is_tracked(repo / "sub")
    (repo / "cache").mkdir(exist_ok=True)
    (repo / "cache" / "versions.json").unlink(missing_ok=True)
    with opened(repo / "sub") as library:
        for revision in ("HEAD", "HEAD~1", "master", "nothing", "HEAD^{/x}", "@{u}", "HEAD@{1}", library.head[:8]):
            with contextlib.suppress(StoreError):
                library.resolve(revision)
        asks: list[Callable[[], object]] = [
            lambda: [library.blob(blob.id, 1000) for blob in library.tree(library.head).values()],
            lambda: library.commit_info([commit.id for commit in history.changes(library).commits]),
            lambda: history.changes(library, repo / "cache"),
            lambda: history.changes(library, repo / "cache"),
        ]
        for ask in asks:
            with contextlib.suppress(StoreError):
                ask()


HARMFUL = {
    "core": "fsmonitor pager editor sshCommand askPass gitProxy alternateRefsCommand",
    "diff": "external evil.textconv evil.command",
    "filter": "evil.clean evil.smudge evil.process",
    "merge": "evil.driver",
    "alias": "rev-parse cat-file rev-list ls-tree diff-tree ls-files log",
    "gpg": "program ssh.program",
    "pager": "rev-list diff-tree cat-file ls-tree",
    "credential": "helper",
    "uploadpack": "packObjectsHook",
    "interactive": "diffFilter",
    "sequence": "editor",
}


@pytest.mark.parametrize("armed", ["status", "log -1", "diff HEAD~1", "show --no-show-signature"])
def test_a_hostile_configuration_runs_nothing(repo: Path, trap: Path, armed: str) -> None:
    hooks = repo / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction", "post-checkout", "pre-commit"):
        shutil.copy(trap, hooks / name)
    (repo / ".gitattributes").write_text("* diff=evil filter=evil merge=evil\n")
    text = "".join(f"{n}\n" for n in range(100))
    (repo / "sub" / "prompts" / "a.jinja").write_text(text)
    commit(repo)
    run(repo, "mv", "sub/prompts/a.jinja", "sub/prompts/b.jinja")
    (repo / "sub" / "prompts" / "b.jinja").write_text(f"{text}more\n")  # a rename for which git looks into the files
    commit(repo)
    raw = run(repo, "cat-file", "commit", "HEAD").encode()
    signed = raw.replace(b"\n\n", b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\n", 1)
    run(repo, "update-ref", "HEAD", write_object(repo, "commit", signed))
    for section, names in HARMFUL.items():
        for name in names.split():
            run(repo, "config", f"{section}.{name}", f"!{trap}" if section == "alias" else str(trap))
    run(repo, "config", "core.hooksPath", str(hooks))
    run(repo, "config", "log.showSignature", "true")
    (repo / "sub" / "prompts" / "b.jinja").write_bytes(b"other")
    ask_everything(repo)
    assert not (trap.parent / "sprung").exists()
    run(repo, *armed.split(), check=False)  # the trap is armed: what people usually call does run it
    assert (trap.parent / "sprung").exists()


def test_a_configuration_that_points_elsewhere(repo: Path, tmp_path: Path) -> None:
    text = "".join(f"{n}\n" for n in range(100))
    (repo / "sub" / "prompts" / "a.jinja").write_text(text)
    commit(repo)
    run(repo, "mv", "sub/prompts/a.jinja", "sub/prompts/b.jinja")
    (repo / "sub" / "prompts" / "b.jinja").write_text(f"{text}more\n")
    commit(repo)
    with opened(repo / "sub") as library:
        expected = history.changes(library)
        assert expected.commits[-1].changes[0].before == "a.jinja"
    os.mkfifo(tmp_path / "pipe")  # whoever opens this waits for ever
    os.mkfifo(repo / ".gitattributes")
    os.mkfifo(repo / ".mailmap")
    for name in ("core.attributesFile", "diff.orderFile", "mailmap.file", "core.excludesFile"):
        run(repo, "config", name, str(tmp_path / "pipe"))
    with opened(repo / "sub") as library:
        assert history.changes(library) == expected
        assert library.commit_info([library.head])
    with pytest.raises(subprocess.TimeoutExpired):  # that is what git does otherwise
        subprocess.run(["git", "-C", str(repo), "diff-tree", "-r", "-M", "HEAD"], capture_output=True, timeout=1)


def test_a_configuration_that_includes_a_pipe(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (repo / ".git" / "config").open("a") as file:
        file.write(f"[include]\n\tpath = {tmp_path / 'pipe'}\n")
    monkeypatch.setattr(git, "TIMEOUT_S", 0.2)
    assert git.head(repo) is None
    assert git.open_repository(repo) is None


def test_a_working_tree_elsewhere(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / "sub" / "prompts").mkdir(parents=True)
    run(repo, "config", "core.worktree", str(tmp_path / "other"))
    assert git.open_repository(repo / "sub") is None
    run(repo, "config", "core.worktree", "..")
    with opened(repo / "sub") as library:
        assert library.folder == "sub/prompts"
    run(repo, "config", "core.worktree", "../..")
    with opened(repo / "sub") as library:
        assert library.tree(library.head) == {}
        assert history.changes(library).commits == ()


@pytest.mark.parametrize(
    "name", ["GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_GLOB_PATHSPECS", "GIT_CONFIG", "GIT_TRACE"]
)
def test_other_settings_of_git_do_not_count(repo: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    second = commit(repo)
    (repo / "settings").write_text(f"{second}\n")
    monkeypatch.setenv(name, "1" if name == "GIT_GLOB_PATHSPECS" else str(repo / "settings"))
    with opened(repo / "sub") as library:
        assert library.resolve("HEAD~") is not None
        assert len(history.changes(library).commits) == 1
    assert (repo / "settings").read_text() == f"{second}\n"


def test_a_hostile_partial_clone_fetches_nothing(repo: Path, trap: Path) -> None:
    commit_id, tree = run(repo, "rev-parse", "HEAD", "HEAD^{tree}").split()
    (repo / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    run(repo, "config", "core.repositoryFormatVersion", "1")
    run(repo, "config", "extensions.partialClone", "origin")
    run(repo, "config", "remote.origin.promisor", "true")
    run(repo, "config", "remote.origin.url", f"ext::{trap}")
    run(repo, "config", "protocol.ext.allow", "always")
    ask_everything(repo)
    assert not (trap.parent / "sprung").exists()
    assert git.state(repo / "sub", FILES) == (commit_id, True)
    run(repo, "cat-file", "-p", "HEAD:sub", check=False)
    assert (trap.parent / "sprung").exists()


def test_a_folder_that_only_looks_like_a_repository(tmp_path: Path, repo: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(repo / ".git", bare)
    run(bare, "config", "core.bare", "true")
    assert git.head(bare) is None
