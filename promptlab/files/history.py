"""What happened to the prompts folder, commit by commit along the first parents, and the versions that follow."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from promptlab.errors import StoreError
from promptlab.files import git
from promptlab.files.git import Blob, Repository

TIMEOUT_S = 60.0
"""For one look at the whole history; it is kept afterwards."""
MAX_CACHE = 32 * 1024 * 1024
MAX_MOVES = 10
"""How often the whole folder may have moved; what lies before that is not looked at."""
_FILE = "versions.json"
_FORMAT = 1
_MODES = {*git.FILE_MODES, "120000", "160000"}
# 1,000 is the number of removed and added files above which git compares names and hashes only.
_DIFF = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--ignore-submodules=none", "--no-ext-diff", "--no-textconv")
_RENAMES = ("-M50%", "-l1000")


class Change(NamedTuple):
    """What a commit did to one file. Paths count from the prompts folder."""

    path: str
    blob: Blob | None
    """What it is now; None when it was removed."""
    before: str = ""
    """Its path until then, when that was another."""


class Commit(NamedTuple):
    """A commit that changed something below prompts/."""

    id: str
    changes: tuple[Change, ...]


class Span(NamedTuple):
    """Where something lay, from `commits[start]` of a history onwards."""

    start: int
    path: str


@dataclass(frozen=True, slots=True)
class History:
    """The commits that changed something below prompts/, oldest first, each against its first parent."""

    head: str
    """The commit whose history this is."""
    commits: tuple[Commit, ...]
    folders: tuple[Span, ...]
    """Where the prompts folder lay in the repository, oldest first: the last is where it lies now."""
    derived: dict[str, Any] = field(default_factory=dict, compare=False)
    """Room for what is found out about this history; `keep` stores it too. It comes from a file: not to be trusted."""

    def state(self, commit: str) -> dict[str, Blob]:
        """The folder after one of `commits`. Raises StoreError when it is not among them."""
        files: dict[str, Blob] = {}
        for entry in self.commits:
            _apply(files, entry)
            if entry.id == commit:
                return files
        raise StoreError(f"commit {commit[:10]} is not in the history of the prompts")


class Version(NamedTuple):
    """A text that a prompt has had, with all that it included."""

    number: int
    """From 1, oldest first."""
    commit: str
    hash: str
    path: str
    """Where it lay at that commit."""


Closure = Callable[[Mapping[str, Blob], str], tuple[str | None, frozenset[str]] | None]
"""(the folder at some commit, a path in it) -> the hash of that file with all that it includes, None when it cannot be
read; and the paths that this depends on, those that were missing among them. None instead of both: unreadable, and it
may depend on anything. The mapping changes afterwards and is not to be kept."""


def changes(repo: Repository, cache: Path | None = None) -> History:
    """The history of the commit that `repo` was opened at.

    `cache` is a folder of ours, where it is kept and continued from; it is not made, and not used when it is a link or
    tracked by git. Raises StoreError when git fails.
    """
    usable = cache if cache and not repo.shallow and not git.is_tracked(cache) else None
    known = _load(usable, repo) if usable else None
    if known and known.head == repo.head:
        return known
    history = (known and _continued(repo, known)) or _whole(repo, _chain(repo))
    if usable:
        keep(history, usable)
    return history


def lineage(history: History, path: str) -> tuple[Span, ...]:
    """Where the file that `path` is now, or was last, lay before: oldest first.

    Renames are followed back. A file that was removed and came back is the same; one that got another name is not the
    one that has its old name now.
    """
    spans: list[Span] = []
    for index in reversed(range(len(history.commits))):
        entries = history.commits[index].changes
        here = next((change for change in entries if change.path == path), None)
        if here and here.before:
            spans.append(Span(index, path))
            path = here.before
        elif not here and any(change.before == path for change in entries):
            spans.append(Span(index + 1, path))
            break
    else:
        spans.append(Span(0, path))
    return tuple(reversed(spans))


def successor(history: History, path: str) -> str | None:
    """The path that a renamed file has now; None when it was not renamed or is not there any more."""
    now: str | None = None
    present: set[str] = set()
    for commit in history.commits:
        for change in commit.changes:
            if change.before and change.before == (now or path):
                now = change.path
            present.discard(change.before)
            (present.add if change.blob else present.discard)(change.path)
    return now if now in present and path not in present else None


def versions(history: History, path: str, closure: Closure) -> list[Version]:
    """The versions of a prompt, oldest first: one for each commit after which the hash is another than before.

    Where the file is missing or cannot be read there is none, and the hash before that counts as the one before.
    """
    found: list[Version] = []
    names = {span.start: span.path for span in lineage(history, path)}
    files: dict[str, Blob] = {}
    name, watched = "", None
    for index, commit in enumerate(history.commits):
        touched = _apply(files, commit)
        if index in names:
            name, watched = names[index], None
        if name not in files or (watched is not None and watched.isdisjoint(touched)):
            continue
        hash, paths = closure(files, name) or (None, None)
        watched = None if paths is None else paths | {name}
        if hash and (not found or found[-1].hash != hash):
            found.append(Version(len(found) + 1, commit.id, hash, name))
    return found


def keep(history: History, cache: Path) -> None:
    """Store a history, with what was derived from it, in a folder of ours. Where that fails, it is not kept."""
    data = {"format": _FORMAT, "head": history.head, "commits": history.commits, "folders": history.folders}
    text = json.dumps(data | {"derived": history.derived}, separators=(",", ":"))
    if len(text) > MAX_CACHE or git.is_tracked(cache):
        return
    with contextlib.suppress(OSError), _opened(cache) as folder:
        temporary = f"{_FILE}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(text.encode())
            os.rename(temporary, _FILE, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise


def _apply(files: dict[str, Blob], commit: Commit) -> list[str]:
    """Bring the folder to the state after a commit; the paths that it touched."""
    touched = []
    for path, blob, before in commit.changes:
        touched.append(path)
        if before:
            files.pop(before, None)
            touched.append(before)
        if blob:
            files[path] = blob
        else:
            files.pop(path, None)
    return touched


def _chain(repo: Repository, since: str = "") -> list[tuple[str, str]]:
    """Commits along the first parents with that parent (empty for the first of all), oldest first.

    With `since`, only those that cannot be reached from there.
    """
    excluded = [f"^{since}"] if since else []
    out = repo.run("rev-list", "--first-parent", "--parents", repo.head, *excluded, "--", timeout=TIMEOUT_S)
    lines = [line.split(" ", 2) for line in out.decode().splitlines()]
    return [(line[0], line[1] if len(line) > 1 else "") for line in reversed(lines)]


def _continued(repo: Repository, known: History) -> History | None:
    """A history that shares its beginning with a known one; None when that does not help."""
    with contextlib.suppress(StoreError):  # it may name a commit that is gone
        fresh = _chain(repo, known.head)
        if fresh and fresh[0][1] == known.head:
            return History(repo.head, known.commits + tuple(_diffs(repo, fresh, repo.folder)), known.folders)
    chain = _chain(repo)
    place = {id: index for index, (id, _) in enumerate(chain)}
    # First parents of a shared commit are shared too, so this holds for all that lie before it.
    shared = next((n for n in range(len(known.commits), 0, -1) if known.commits[n - 1].id in place), 0)
    folders = tuple(span for span in known.folders if span.start < shared)
    if not folders or folders[-1].path != repo.folder:
        return None
    rest = chain[place[known.commits[shared - 1].id] + 1 :]
    return History(repo.head, known.commits[:shared] + tuple(_diffs(repo, rest, repo.folder)), folders)


def _whole(repo: Repository, chain: list[tuple[str, str]]) -> History:
    folder = repo.folder
    parts: list[tuple[str, list[Commit]]] = []  # newest first
    while True:
        commits = _diffs(repo, chain, folder)
        parts.append((folder, commits))
        first = next((index for index, (id, _) in enumerate(chain) if commits and id == commits[0].id), 0)
        origin = _origin(repo, *chain[first], folder) if first and len(parts) <= MAX_MOVES else None
        if not origin:
            break
        commits[:1] = _move(repo, *chain[first], folder, origin)
        chain, folder = chain[:first], origin
    found: list[Commit] = []
    folders = []
    for folder, commits in reversed(parts):
        folders.append(Span(len(found), folder))
        found += commits
    return History(repo.head, tuple(found), tuple(folders))


def _diffs(repo: Repository, chain: Sequence[tuple[str, str]], folder: str) -> list[Commit]:
    # A second id in a line takes the place of the commit's parents, so that merges are compared with their first.
    lines = "".join(f"{id} {parent}\n" for id, parent in chain).encode()
    if not lines:
        return []
    out = repo.run(*_DIFF, *_RENAMES, "--root", "--stdin", "--", folder, input=lines, timeout=TIMEOUT_S)
    return _commits(out, git.encode(folder) + b"/")


def _origin(repo: Repository, commit: str, parent: str, folder: str) -> str | None:
    """Where the whole folder lay before the commit that it appears in: most of its files came unchanged from there."""
    out = repo.run(*_DIFF, "-M100%", parent, commit, timeout=TIMEOUT_S)
    within = git.encode(folder) + b"/"
    entries = [(path, before) for _, _, path, before in _raw(out) if path.startswith(within)]
    tails = [(before, b"/" + path.removeprefix(within)) for path, before in entries]
    origins = Counter(before.removesuffix(tail) for before, tail in tails if before.endswith(tail))
    best = origins.most_common(1)
    return git.decode(best[0][0]) if best and 2 * best[0][1] > len(entries) else None


def _move(repo: Repository, commit: str, parent: str, folder: str, origin: str) -> list[Commit]:
    """What a commit that moved the whole folder did to the files in it besides."""
    out = repo.run(*_DIFF, *_RENAMES, f"{parent}:{origin}", f"{commit}:{folder}", timeout=TIMEOUT_S)
    return _commits(commit.encode() + b"\0" + out, b"")


def _commits(out: bytes, within: bytes) -> list[Commit]:
    found = []
    for id, entries in itertools.groupby(_raw(out), itemgetter(0)):
        changed = [_change(header, path, before, within) for _, header, path, before in entries]
        if kept := tuple(filter(None, changed)):
            found.append(Commit(id.decode(), kept))
    return found


def _raw(out: bytes) -> Iterator[tuple[bytes, bytes, bytes, bytes]]:
    """What `diff-tree --raw -z` says: commit, modes with ids and status, path, and path before a rename."""
    commit = b""
    fields = iter(out.split(b"\0"))
    for part in fields:
        if part.startswith(b":"):
            path = next(fields)
            status = part[part.rindex(b" ") + 1 :]
            before, path = (path, next(fields)) if status[:1] in b"RC" else (b"", path)
            yield commit, part, path, before if status[:1] == b"R" else b""
        elif part:
            commit = part


def _change(header: bytes, path: bytes, before: bytes, within: bytes) -> Change | None:
    """An entry as a change below a folder; None when it is not there but, say, the folder itself as a link."""
    _, mode, _, id, _ = header.decode().split(" ")
    old = git.decode(before.removeprefix(within)) if before.startswith(within) else ""
    if not path.startswith(within):
        return Change(old, None) if old else None
    blob = None if mode == "000000" else Blob(mode, id)
    return Change(git.decode(path.removeprefix(within)), blob, old)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    # All that follows is relative to this, so that nobody can put a link in the way.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _load(cache: Path, repo: Repository) -> History | None:
    """What is kept there; None when that is odd in any way, or of another folder."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        with _opened(cache) as folder, os.fdopen(os.open(_FILE, flags, dir_fd=folder), "rb") as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            text = file.read(MAX_CACHE + 1) if regular else b""
        data = json.loads(text if len(text) <= MAX_CACHE else b"")
        known = _parsed(data)
        if data["format"] == _FORMAT and known.folders[-1].path == repo.folder and len(known.head) == len(repo.head):
            return known
    return None


def _parsed(data: Any) -> History:
    """Raises ValueError, TypeError, KeyError or IndexError when it is not what `keep` writes."""
    commits = tuple(
        Commit(id, tuple(Change(path, blob if blob is None else Blob(*blob), old) for path, blob, old in entries))
        for id, entries in data["commits"]
    )
    folders = tuple(Span(start, path) for start, path in data["folders"])
    starts = [span.start for span in folders]
    whole = all(type(start) is int for start in starts) and starts == sorted(starts) and starts[0] == 0
    if not whole or not all(commit.changes for commit in commits) or not isinstance(data["derived"], dict):
        raise ValueError
    _check([change for commit in commits for change in commit.changes], commits, folders, data["head"])
    return History(data["head"], commits, folders, data["derived"])


def _check(changes: list[Change], commits: tuple[Commit, ...], folders: tuple[Span, ...], head: Any) -> None:
    # Each distinct value once: there are ten times as many in all.
    blobs = {change.blob for change in changes if change.blob is not None}
    ids = {head, *(commit.id for commit in commits), *(blob.id for blob in blobs)}
    paths = {change.path for change in changes} | ({change.before for change in changes} - {""})
    paths |= {span.path for span in folders}
    good = {blob.mode for blob in blobs} <= _MODES and all(map(git.is_hash, ids))
    if not good or not all(isinstance(path, str) and git.encode(path) and "\0" not in path for path in paths):
        raise ValueError
