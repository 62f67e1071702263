"""The prompt library: the prompts of one folder, as they are and as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from promptlab.core.checker import Finding
from promptlab.core.formats import parse_file
from promptlab.core.prompt import Prompt
from promptlab.core.schema import shorten
from promptlab.errors import NotFound, Problem, PromptlabError, SourceError, UsageError
from promptlab.files.closure import References, find
from promptlab.files.folder import Folder
from promptlab.files.versions import Logged, Tag, Versions
from promptlab.sandbox import Sandbox

_MISNAMED = "is not taken for a prompt: a name has letters, digits and `_ . -`, and begins with a letter or digit"


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt as a list shows it."""

    name: str
    description: str
    prompt: Prompt | None
    """Without what it uses. None when the file cannot be read."""
    problem: str = ""
    """Why not."""


class Library:
    """The prompts of one folder."""

    def __init__(self, root: Path, sandbox: Sandbox, cache: Callable[[], Path | None] = lambda: None) -> None:
        """`cache` names the folder whose .promptlab may keep what is found out about the history; None for nowhere."""
        self.root = root
        self.disk = Folder(root)
        self.references = References(sandbox)
        self.versions = Versions(root, self.references, cache)

    @property
    def folder(self) -> Path:
        """Where the prompts lie."""
        return self.disk.path

    def names(self) -> list[str]:
        """All prompts, sorted; partials (files whose name begins with `_`) are not among them."""
        return self.disk.names()

    def entries(self) -> list[Entry]:
        """All prompts with their descriptions; a file that cannot be read is an entry with a problem."""
        return [self._entry(name) for name in self.names()]

    def exists(self, name: str) -> bool:
        """Whether there is a prompt of this name, readable or not."""
        try:
            return find(name, self.disk.read) is not None
        except SourceError:
            return True

    def load(self, reference: str) -> Prompt:
        """Read a prompt and all that it uses: `name` as it lies on the disk, `name@3` or `name@REV` from git.

        Raises NotFound, with names that resemble it, and SourceError with every problem.
        """
        self.references.sandbox.warm()  # it gets ready while files and git are read
        name, at, version = reference.partition("@")
        return self.versions.load(name, version) if at else self._working_copy(name)

    def text(self, name: str) -> tuple[str, str]:
        """The path of a prompt's file, below prompts/, and its text. Raises NotFound and SourceError."""
        found = find(name, self.disk.read)
        if found is None:
            raise NotFound(f"there is no prompt {shorten(name)!r} in {self.folder}", hint=self._resembling(name))
        return found

    def log(self, name: str) -> list[Logged]:
        """All versions of a prompt, the newest first. Raises NotFound, and UsageError where they cannot be counted."""
        return self.versions.log(name)

    def tags(self) -> list[Tag]:
        """The tags of the repository, the newest first. Raises UsageError where there is none."""
        return self.versions.tags()

    def check(self, name: str) -> list[Finding]:
        """Say everything that is wrong with a prompt as it lies on the disk. Raises NotFound."""
        try:
            file, text = self.text(name)
        except SourceError as error:
            return _findings(error.problems)
        return self.check_text(file, text)

    def check_partials(self) -> list[Finding]:
        """Say what is wrong with partials by themselves, and which files are no prompts for their names.

        The names that partials use are checked with the prompts that include them.
        """
        found = [Finding(f, 0, 0, _MISNAMED, "warning") for f in self.disk.misnamed()]
        for file in self.disk.partials():
            try:
                text = self.disk.read(file) or ""
            except SourceError as error:
                found += _findings(error.problems)
            else:
                found += self.check_text(file, text)
        return found

    def check_text(self, file: str, text: str) -> list[Finding]:
        """Say everything that would be wrong with a file, by its path below prompts/, were this its text."""
        files, problems = self.references.gather(file, text, self.disk.read)
        try:
            return [*_findings(problems), *self.references.sandbox.check(file, files)]
        except PromptlabError as error:  # it takes too long, or too much
            reason = error.message.removeprefix(f"{file}: ")
            return [*_findings(problems), Finding(file, 0, 0, reason)]

    def _working_copy(self, name: str) -> Prompt:
        prompt = self._read(name)
        used = self.references.closure(prompt.file, prompt.source, self.disk.read)
        return self.versions.place(prompt.with_partials(used))

    def _read(self, name: str) -> Prompt:
        file, text = self.text(name)
        return parse_file(text, file)

    def _entry(self, name: str) -> Entry:
        try:
            prompt = self._read(name)
        except UsageError as error:
            return Entry(name, "", None, str(error).partition("\n")[0])
        return Entry(name, prompt.description, prompt)

    def _resembling(self, name: str) -> str:
        names = self.names()
        from rapidfuzz import process

        close = [match for match, _, _ in process.extract(name[:100], names, limit=3, score_cutoff=60)]
        if close:
            return f"Did you mean {' or '.join(close)}?"
        return f"There are {', '.join(names[:12])}{', …' if len(names) > 12 else ''}" if names else "It holds none yet"


def _findings(problems: Iterable[Problem]) -> list[Finding]:
    return [Finding(p.file, p.line, p.column, p.message) for p in problems]
