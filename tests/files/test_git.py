from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from promptlab.files import git


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@b.c")


def run(folder: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=check)
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "sub" / "prompts").mkdir(parents=True)
    run(folder, "init", "-q")
    (folder / "sub" / "prompts" / "a.jinja").write_bytes(b"one\r\n")
    (folder / "sub" / "prompts" / "ü b.jinja").write_bytes(b"\xff\x00")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    run(folder, "add", "-A")
    run(folder, "commit", "-qm", "x")


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


def test_a_git_that_hangs(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = repo / "git"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{repo}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "TIMEOUT_S", 0.2)
    assert git.head(repo) is None


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


def test_a_hostile_configuration_runs_nothing(repo: Path, trap: Path) -> None:
    hooks = repo / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction", "post-checkout", "pre-commit"):
        shutil.copy(trap, hooks / name)
    (repo / ".gitattributes").write_text("* diff=evil filter=evil merge=evil\n")
    names = ["core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "diff.external"]
    names += [
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
    ]
    names += ["alias.rev-parse", "alias.cat-file", "credential.helper", "gpg.program", "core.gitProxy"]
    commit(repo)
    for name in names:
        run(repo, "config", name, f"!{trap}" if name.startswith("alias") else str(trap))
    run(repo, "config", "core.hooksPath", str(hooks))
    (repo / "sub" / "prompts" / "a.jinja").write_bytes(b"other")
    ask_everything(repo)
    assert not (trap.parent / "sprung").exists()
    run(repo, "status", check=False)  # the trap is armed: what people usually call does run it
    assert (trap.parent / "sprung").exists()


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
