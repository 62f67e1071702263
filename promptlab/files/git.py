"""The few git plumbing calls, safe on a repository that a stranger prepared.

A repository's own configuration can name programs that git runs: monitors, hooks, filters, transports. Only calls that
need none of them are made, those that could still be reached are switched off, and nothing is ever fetched.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_S = 10
_GIT = (
    *("git", "--no-pager", "--literal-pathspecs"),
    *("-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null"),
    *("-c", "safe.bareRepository=explicit"),  # a folder that only looks like a repository is not one
)
# Set while git runs a hook, for example: they would lead away from the folder that is asked about.
_MISLEADING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
_SAFE = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # A partial clone fetches what it lacks, and its configuration says by which program. git before 2.45 knows only
    # the second switch: no transport is allowed.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "LC_ALL": "C",
}


def head(directory: Path) -> str | None:
    """The commit that is checked out; None without git, a repository or a first commit."""
    out = _git(directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return out.decode().strip() if out else None


def state(root: Path, files: Mapping[str, bytes]) -> tuple[str | None, bool | None]:
    """The commit that is checked out in `root`, and whether any of the files differs from it.

    `files` has the current bytes of each, by its path below `root`; one that the commit lacks differs. Bytes are
    compared by hash: `git status` would run what the repository's configuration says, and would hide files that it
    ignores. (None, None) without git, a repository or a first commit.
    """
    askable = [name for name in files if "\n" not in name]
    request = "".join(f"{name}\n" for name in ("HEAD^{commit}", *(f"HEAD:./{name}" for name in askable)))
    out = _git(root, "cat-file", "--batch-check=%(objectname)", input=os.fsencode(request))
    found = out.decode("utf-8", "replace").split("\n")[: len(askable) + 1] if out else []
    if not found or not _is_hash(found[0]):
        return None, None
    commit = found[0]
    held = dict(zip(askable, found[1:], strict=False))
    return commit, any(held.get(name) != _blob_hash(data, commit) for name, data in files.items())


def is_tracked(path: Path) -> bool:
    """Whether git tracks this file, or anything in this folder."""
    return bool(_git(path.parent, "ls-files", "-z", "--", path.name))


def _git(directory: Path, *arguments: str, input: bytes = b"") -> bytes | None:
    """What git says; None when it fails, is missing or takes too long."""
    environment = {k: v for k, v in os.environ.items() if k not in _MISLEADING} | _SAFE
    command = [*_GIT, "-C", str(directory), *arguments]
    try:
        done = subprocess.run(
            command, input=input, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _is_hash(text: str) -> bool:
    return len(text) in (40, 64) and set(text) <= set("0123456789abcdef")


def _blob_hash(data: bytes, like: str) -> str:
    """The name that git gives to these bytes, by the hash that the repository uses: SHA-1 or SHA-256."""
    digest = hashlib.sha1(usedforsecurity=False) if len(like) == 40 else hashlib.sha256()
    digest.update(b"blob %d\0" % len(data) + data)
    return digest.hexdigest()
