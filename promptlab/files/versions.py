"""Versions of prompts: `name@3`, `name@REV`. Git keeps them; this finds them, and reads them as they were."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptlab.core.formats import SUFFIXES, parse_file
from promptlab.core.prompt import NAME, Prompt, text_hash
from promptlab.core.schema import shorten
from promptlab.errors import NotFound, Problem, PromptlabError, SourceError, StoreError, UsageError
from promptlab.files import git, history
from promptlab.files.closure import Read, References
from promptlab.files.folder import MAX_BYTES
from promptlab.files.git import Blob, Repository
from promptlab.files.history import History, Version
from promptlab.files.store import FOLDER, own_folder

NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)
"""What stands after `@` when versions are counted; anything else is for git to understand."""
MAX_TAGS = 200
"""Tags that a list shows."""
LONG = 100
"""Commits of a history that is worth keeping in a file: a shorter one is read again as fast."""
_DERIVED = "versions 1"
"""The form of what is kept of versions, and how they are hashed."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A version as a log shows it."""

    number: int
    commit: str
    date: str
    """When the commit was written, ISO 8601."""
    hash: str
    subject: str
    file: str
    """Its path at that commit, below prompts/."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, as a list shows it. The text is its author's: whatever shows it has to clean it."""

    name: str
    commit: str
    date: str
    """When it was made, or its commit, ISO 8601."""
    subject: str


class Versions:
    """The versions of a library's prompts."""

    def __init__(self, root: Path, references: References, cache: Callable[[], Path | None]) -> None:
        self.root = root
        self._references = references
        self._cache = cache
        self._known: tuple[History, tuple[str, str, bool]] | None = None
        """A history, and of which repository, as it was then."""

    def place(self, prompt: Prompt) -> Prompt:
        """Say of a working copy which commit it stands on, whether it differs, and which version it is if it does not.

        Where something stands in the way of counting, it just has no number.
        """
        sources = {prompt.file: prompt.source, **prompt.partials}
        commit, dirty = git.state(self.root, {f"prompts/{name}": text.encode() for name, text in sources.items()})
        prompt = replace(prompt, commit=commit, dirty=dirty)
        if dirty is not False:
            return prompt
        try:
            with self._repository() as repo:
                found = [] if repo.shallow else self._versions(repo, prompt.file)
        except PromptlabError:
            return prompt
        same = found and found[-1].hash == prompt.hash
        return replace(prompt, label=f"{prompt.name}@{found[-1].number}") if same else prompt

    def load(self, name: str, version: str) -> Prompt:
        """Read `name@version` with all that it used then.

        Raises NotFound, UsageError when versions cannot be told apart here, and SourceError with every problem.
        """
        with self._repository(f"{name}@{version}") as repo:
            if NUMBER.fullmatch(version):
                found = self._numbered(repo, name, int(version))
                state = self._past(repo).state(found.commit)
                return self._build(repo, name, found.path, state, f"{name}@{found.number}", found.commit)
            return self._at_revision(repo, name, version)

    def log(self, name: str) -> list[Logged]:
        """All versions of a prompt, the newest first. Raises NotFound and UsageError."""
        with self._repository(f"the versions of {name}") as repo:
            found = self._all(repo, name)
            commits = repo.commit_info([version.commit for version in found])
        rows = [
            Logged(v.number, v.commit, c.date, v.hash, c.subject, v.path) for v, c in zip(found, commits, strict=True)
        ]
        return rows[::-1]

    def tags(self) -> list[Tag]:
        """The tags of the repository, the newest first, MAX_TAGS at most. Raises UsageError and StoreError."""
        wanted = "%(refname:strip=2)%00%(*objectname)%00%(objectname)%00%(creatordate:iso-strict)%00%(subject)"
        with self._repository("the tags") as repo:
            asked = ("for-each-ref", "--sort=-creatordate", f"--count={MAX_TAGS}", f"--format={wanted}", "refs/tags")
            lines = git.decode(repo.run(*asked)).split("\n")
        fields = [line.split("\0") for line in lines if line.count("\0") == 4]
        return [Tag(f[0], f[1] or f[2], f[3], f[4][: git.MAX_SUBJECT]) for f in fields]

    @contextmanager
    def _repository(self, wanted: str = "") -> Iterator[Repository]:
        repo = git.open_repository(self.root)
        if repo is None:
            raise UsageError(
                f"{shorten(wanted)} cannot be found: {self.root} is in no git repository with a commit",
                hint="Without git, a prompt is only what lies on the disk, under its name alone",
            )
        with repo:
            yield repo

    # --- by number ---

    def _numbered(self, repo: Repository, name: str, number: int) -> Version:
        found = self._all(repo, name)
        if not 0 < number <= len(found):
            has = f"its versions are 1 to {len(found)}" if len(found) > 1 else "its only version is 1"
            raise NotFound(f"{name} has no version {number}; {has}")
        return found[number - 1]

    def _all(self, repo: Repository, name: str) -> list[Version]:
        """Every version of a prompt. Raises NotFound when it has none."""
        if repo.shallow:
            raise UsageError(
                f"{name}: versions cannot be counted in a shallow clone, which lacks the older commits",
                hint="`git fetch --unshallow` brings them; `name@REV` works for every commit that is here",
            )
        for file in _files(name):
            if found := self._versions(repo, file):
                return found
        past = self._past(repo)
        renamed = next((new for file in _files(name) if (new := history.successor(past, file))), None)
        if renamed:
            raise NotFound(f"{name} was renamed, and its versions with it", hint=f"Ask for {_bare(renamed)}")
        hint = "A commit that holds one makes a version"
        raise NotFound(f"{shorten(repr(name))} has no versions: no commit holds a prompt of that name", hint=hint)

    def _versions(self, repo: Repository, file: str) -> list[Version]:
        past = self._past(repo)
        kept = past.derived.setdefault(_DERIVED, {})
        known = _checked(kept.get(file) if isinstance(kept, dict) else None, past)
        if known is not None:
            return known

        def closure(state: Mapping[str, Blob], path: str) -> tuple[str | None, frozenset[str]]:
            return self._closure(repo, state, path)

        found = history.versions(past, file, closure)
        if isinstance(kept, dict):
            kept[file] = [list(version) for version in found]
            self._keep(past)
        return found

    def _past(self, repo: Repository) -> History:
        """The history of prompts/."""
        now = (repo.head, repo.folder, repo.shallow)
        if self._known is None or self._known[1] != now:
            directory = self._cache()
            self._known = history.changes(repo, directory / FOLDER if directory else None), now
        return self._known[0]

    def _keep(self, past: History) -> None:
        """Keep a history for the next time, where it is long enough to be worth a file."""
        directory = self._cache() if len(past.commits) >= LONG else None
        with suppress(StoreError):
            if directory is not None:
                history.keep(past, own_folder(directory))

    def _closure(self, repo: Repository, state: Mapping[str, Blob], path: str) -> tuple[str | None, frozenset[str]]:
        read = _reader(repo, state)
        asked: set[str] = set()

        def told(file: str) -> str | None:
            asked.add(file)
            return read(file)

        try:
            source = told(path) or ""
            used = self._references.closure(path, source, told)
        except StoreError:  # git's fault, and not the prompt's
            raise
        except PromptlabError:
            return None, frozenset(asked)
        return text_hash(source, used), frozenset(asked)

    # --- by revision ---

    def _at_revision(self, repo: Repository, name: str, revision: str) -> Prompt:
        commit = repo.resolve(revision)
        if commit is None:
            raise NotFound(f"{shorten(name)}: git knows no commit {shorten(repr(revision))}")
        past = self._past(repo)
        for folder in dict.fromkeys((repo.folder, *(span.path for span in reversed(past.folders)))):
            state = repo.tree(commit, folder)
            for file in _former(past, name):
                if file in state:
                    return self._build(repo, name, file, state, f"{name}@{revision}", commit)
        raise NotFound(f"there is no prompt {shorten(repr(name))} at {shorten(repr(revision))}, commit {commit[:10]}")

    def _build(
        self, repo: Repository, name: str, file: str, state: Mapping[str, Blob], label: str, commit: str
    ) -> Prompt:
        """Read a prompt from git under the name that it has now."""
        read = _reader(repo, state)
        suffix = next(s for s in SUFFIXES if file.endswith(s))
        try:
            source = read(file) or ""
            prompt = parse_file(source, name + suffix)
            used = self._references.closure(file, source, read)
        except SourceError as error:  # in a file that is not what lies on the disk
            raise SourceError(replace(p, file=f"{label}: {p.file}") for p in error.problems) from None
        return replace(prompt.with_partials(used), label=label, commit=commit, dirty=False)


def _files(name: str) -> list[str]:
    return [name + suffix for suffix in SUFFIXES] if NAME.fullmatch(name) else []


def _bare(file: str) -> str:
    return next((file.removesuffix(s) for s in SUFFIXES if file.endswith(s)), file)


def _former(past: History, name: str) -> Iterable[str]:
    """Paths under which a prompt can be found in an older commit: its own, then those that it was renamed from."""
    files = _files(name)
    older = [span.path for file in files for span in reversed(history.lineage(past, file))]
    return dict.fromkeys([*older, *files])


def _reader(repo: Repository, state: Mapping[str, Blob]) -> Read:
    """Read files as a commit has them."""

    def read(file: str) -> str | None:
        blob = state.get(file)
        if blob is None:
            return None
        if not blob.is_file:
            raise SourceError([Problem(file, 0, 0, "is not a regular file")])
        try:
            return repo.blob(blob.id, MAX_BYTES, file).decode()
        except UnicodeDecodeError:
            raise SourceError([Problem(file, 0, 0, "is not UTF-8 text")]) from None

    return read


def _checked(kept: Any, past: History) -> list[Version] | None:
    """What was kept of a prompt's versions; None when it is nothing that we would have kept."""
    if not isinstance(kept, list):
        return None
    commits = {commit.id for commit in past.commits}
    found = []
    for number, each in enumerate(kept, 1):
        good = isinstance(each, list) and len(each) == 4 and each[0] == number and each[1] in commits
        if not good or not all(isinstance(part, str) for part in each[1:]) or not git.is_hash(each[2]):
            return None
        found.append(Version(*each))
    return found
