"""What promptlab asks git: what is checked out, and what the library was at other commits.

Every call is one of git's plumbing, made by `plumbing`, which says what they are kept from.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from promptlab.errors import Problem, SourceError, StoreError, UsageError
from promptlab.files import plumbing

TIMEOUT_S = 10.0
MAX_ENTRIES = 50_000
"""Files below prompts/ at one commit."""
MAX_REVISION = 1000
"""Bytes of a revision's text."""
MAX_SUBJECT = 1000
"""Characters of a commit's subject."""
FILE_MODES = ("100644", "100755")
_COMMIT_START = 64 * 1024
"""Bytes of a commit that are looked at."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_ABBREVIATION = re.compile(r"[0-9a-fA-F]{4,64}", re.ASCII)
_STAMP = re.compile(rb"> ?([0-9]{1,12}) ([+-])([0-9]{2})([0-9]{2})$")


class Blob(NamedTuple):
    """A file as a commit has it."""

    mode: str
    """`120000` is a link and `160000` another repository: neither is to be read."""
    id: str
    """The object that holds the bytes."""

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode in FILE_MODES


class CommitInfo(NamedTuple):
    """A commit as a list shows it. The text is the author's: whatever shows it has to clean it."""

    id: str
    date: str
    """When it was written, ISO 8601 with the author's zone; empty when the commit does not say."""
    subject: str


class Repository:
    """The versions of one library. Safe to use from several threads; to be closed.

    Every method raises StoreError when git fails, takes too long, or the repository is damaged.
    """

    def __init__(self, root: Path, directory: str, head: str, prefix: str, *, shallow: bool) -> None:
        self.root = root
        self.head = head
        """The commit that was checked out when this was opened."""
        self.folder = f"{prefix}prompts"
        """Where prompts/ is in the repository."""
        self.shallow = shallow
        """Whether older commits were left out when it was cloned."""
        # The repository has been found, and its own idea of where its files lie does not count any more.
        self._settings = {"GIT_DIR": directory, "GIT_WORK_TREE": str(root)}
        self._facts = plumbing.Batch(root, contents=False, settings=self._settings)
        self._contents = plumbing.Batch(root, contents=True, settings=self._settings)

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that answer."""
        self._facts.close()
        self._contents.close()

    def resolve(self, revision: str) -> str | None:
        """The commit that is meant by a text as git understands it: `HEAD~2`, a tag, a branch, an abbreviation.

        None when it names no commit. Raises UsageError when it abbreviates several.
        """
        name = encode(revision)
        if not name or name[:1] in b"-:" or len(name) > MAX_REVISION or b"\n" in name or b"\0" in name:
            return None
        try:
            found = self._fact(name + b"^{commit}")
        except plumbing.Died:
            self._fact(self.head.encode())  # if that goes well, it was the text: git dies of `@{u}`, for example
            return None
        if found.kind == "commit":
            return found.id
        if _ABBREVIATION.fullmatch(revision) and self._fact(name).kind == "ambiguous":
            raise UsageError(f"{revision} is the beginning of several commits", hint="Give more of it")
        return None

    def tree(self, commit: str, folder: str | None = None) -> dict[str, Blob]:
        """All that a commit has below prompts/ (or another folder of the repository), by its path there.

        Links and other repositories are among it, with their mode; the folder may not be one itself. Raises
        SourceError when there is too much, and StoreError when there is no such commit.
        """
        folder = self.folder if folder is None else folder
        within = encode(folder) + b"/"
        out = self.run("ls-tree", "-r", "-z", "--full-tree", "--full-name", _checked(commit), "--", folder)
        entries = [entry for entry in out.split(b"\0") if entry.partition(b"\t")[2].startswith(within)]
        if len(entries) > MAX_ENTRIES:
            message = f"holds more than {MAX_ENTRIES:,} files at {commit[:10]}"
            raise SourceError([Problem(folder, 0, 0, message)])
        return dict(_entry(entry, len(within)) for entry in entries)

    def blob(self, id: str, limit: int, file: str = "") -> bytes:
        """The bytes of a file; `file` names it in messages.

        Raises SourceError when there are more than `limit`, which are not read then, or when it is no file; StoreError
        when the repository lacks it.
        """
        name = file or f"object {id[:10]}"
        request = _checked(id).encode()
        found = self._fact(request)
        if found.kind == "missing":
            raise _lacking(name, id)
        if found.kind != "blob":
            raise SourceError([Problem(name, 0, 0, "is not a file")])
        if found.size > limit:
            raise SourceError([Problem(name, 0, 0, f"is larger than {limit:,} bytes")])
        (answer,) = self._contents.ask([request], TIMEOUT_S, limit)
        if answer.kind != "blob":
            raise _lacking(name, id)
        return answer.data

    def commit_info(self, ids: Sequence[str]) -> list[CommitInfo]:
        """Date and subject of commits. Raises StoreError when the repository lacks one."""
        answers = self._contents.ask([_checked(id).encode() for id in ids], TIMEOUT_S, _COMMIT_START)
        for id, answer in zip(ids, answers, strict=True):
            if answer.kind != "commit":
                raise _lacking(f"commit {id[:10]}", id)
        return [_described(id, answer.data) for id, answer in zip(ids, answers, strict=True)]

    def run(self, *arguments: str, input: bytes = b"", timeout: float | None = None) -> bytes:
        """What a plumbing command of git writes. It has no working tree, and none of that tree's `.gitattributes`."""
        with tempfile.TemporaryDirectory(prefix="promptlab-") as empty:
            settings = self._settings | {"GIT_WORK_TREE": empty}
            return plumbing.run(Path(empty), arguments, timeout or TIMEOUT_S, input=input, settings=settings)

    def _fact(self, name: bytes) -> plumbing.Answer:
        with contextlib.suppress(plumbing.Died):
            return self._facts.ask([name], TIMEOUT_S)[0]
        return self._facts.ask([name], TIMEOUT_S)[0]  # once more: the system may have ended it


def open_repository(root: Path) -> Repository | None:
    """The repository that a library is in; None without git, a repository or a first commit."""
    root = root.absolute()
    asked = ("--is-inside-work-tree", "--is-shallow-repository", "HEAD^{commit}", "--absolute-git-dir")
    # The commit stands between the two paths, because a path may hold a newline.
    out = _git(root, "rev-parse", *asked, "HEAD^{commit}", "--show-prefix") or b""
    inside, shallow, head, *paths = decode(out).split("\n", 3) if out.count(b"\n") > 4 else ("",) * 4
    directory, _, prefix = paths[0].partition(f"\n{head}\n")
    if inside != "true" or not is_hash(head):
        return None
    return Repository(root, directory, head, prefix[:-1], shallow=shallow == "true")


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
    if not found or not is_hash(found[0]):
        return None, None
    commit = found[0]
    held = dict(zip(askable, found[1:], strict=False))
    return commit, any(held.get(name) != _blob_hash(data, commit) for name, data in files.items())


def is_tracked(path: Path) -> bool:
    """Whether git tracks this file, or anything in this folder."""
    return bool(_git(path.parent, "ls-files", "-z", "--", path.name))


def is_hash(text: str) -> bool:
    """Whether a text has the form of a full object id."""
    return bool(_HASH.fullmatch(text))


def decode(data: bytes) -> str:
    """A path as text; bytes that are not UTF-8 come back from `encode`."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Text as git is given it; half a surrogate pair that `decode` does not make is no text for anyone."""
    with contextlib.suppress(UnicodeEncodeError):
        return text.encode("utf-8", "surrogateescape")
    return b""


def _git(directory: Path, *arguments: str, input: bytes = b"") -> bytes | None:
    """What git says; None when it fails, is missing or takes too long."""
    with contextlib.suppress(StoreError):
        return plumbing.run(directory, arguments, TIMEOUT_S, input=input)
    return None


def _blob_hash(data: bytes, like: str) -> str:
    """The name that git gives to these bytes, by the hash that the repository uses: SHA-1 or SHA-256."""
    digest = hashlib.sha1(usedforsecurity=False) if len(like) == 40 else hashlib.sha256()
    digest.update(b"blob %d\0" % len(data) + data)
    return digest.hexdigest()


def _checked(id: str) -> str:
    # An id may come from a file, and must not become an option or a second request.
    if not is_hash(id):
        raise StoreError(f"{id[:80]!r} is not the id of an object in git")
    return id


def _lacking(name: str, id: str) -> StoreError:
    hint = "It is damaged, or a partial clone: `git fsck` says what it lacks"
    return StoreError(f"{name} is not in the git repository (object {id[:10]})", hint=hint)


def _entry(line: bytes, skip: int) -> tuple[str, Blob]:
    facts, _, path = line.partition(b"\t")
    mode, _, id = facts.decode().split(" ")
    return decode(path[skip:]), Blob(mode, id)


def _described(id: str, data: bytes) -> CommitInfo:
    header, _, message = data.partition(b"\n\n")
    author = next((line for line in header.split(b"\n") if line.startswith(b"author ")), b"")
    lines = itertools.takewhile(bytes.strip, message.lstrip().split(b"\n"))
    subject = b" ".join(line.rstrip() for line in lines).decode("utf-8", "replace")
    return CommitInfo(id, _date(author), subject[:MAX_SUBJECT])


def _date(author: bytes) -> str:
    stamp = _STAMP.search(author)
    if not stamp:
        return ""
    sign = -1 if stamp[2] == b"-" else 1
    with contextlib.suppress(ValueError, OverflowError, OSError):
        zone = timezone(sign * timedelta(hours=int(stamp[3]), minutes=int(stamp[4])))
        return datetime.fromtimestamp(int(stamp[1]), zone).isoformat()
    return ""
