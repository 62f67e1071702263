"""The prompt library: files below prompts/, read only from inside it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from promptlab.core.prompt import NAME, SUFFIX, Prompt, parse
from promptlab.core.schema import shorten
from promptlab.errors import NotFound, Problem, SourceError, UsageError
from promptlab.files import git
from promptlab.sandbox import Sandbox

MAX_BYTES = 1024 * 1024
MAX_FILES = 20_000
MAX_PARTIALS = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """A prompt as a list shows it."""

    name: str
    description: str
    prompt: Prompt | None
    """Without partials. None when the file cannot be read."""
    problem: str = ""
    """Why not."""


class Library:
    """The prompts of one folder."""

    def __init__(self, root: Path, sandbox: Sandbox) -> None:
        self.root = root
        self.folder = root / "prompts"
        self._sandbox = sandbox

    def names(self) -> list[str]:
        """All prompts, sorted; partials (files whose name begins with `_`) are not among them."""
        return sorted(self._walk())

    def entries(self) -> list[Entry]:
        """All prompts with their descriptions; a file that cannot be read is an entry with a problem."""
        return [self._entry(name) for name in self.names()]

    def load(self, name: str) -> Prompt:
        """Read a prompt and all that it includes.

        Raises NotFound, with names that resemble it, and SourceError with every problem.
        """
        prompt = parse(self._source(name), name)
        return prompt.with_partials(self._partials(prompt))

    def version(self, prompt: Prompt) -> tuple[str | None, bool | None]:
        """The commit that is checked out, and whether the prompt, or what it includes, differs from it; None for both
        without git.
        """
        sources = {prompt.file: prompt.source, **prompt.partials}
        return git.state(self.root, {f"prompts/{name}": text.encode() for name, text in sources.items()})

    def _entry(self, name: str) -> Entry:
        try:
            prompt = parse(self._source(name), name)
        except UsageError as error:
            return Entry(name, "", None, str(error).partition("\n")[0])
        return Entry(name, prompt.description, prompt)

    def _source(self, name: str) -> str:
        if not NAME.fullmatch(name) or (text := self._read(name + SUFFIX)) is None:
            raise NotFound(f"there is no prompt {shorten(name)!r} in {self.folder}", hint=self._resembling(name))
        return text

    def _resembling(self, name: str) -> str:
        names = self.names()
        from rapidfuzz import process

        close = [match for match, _, _ in process.extract(name[:100], names, limit=3, score_cutoff=60)]
        if close:
            return f"Did you mean {' or '.join(close)}?"
        return f"There are {', '.join(names[:12])}{', …' if len(names) > 12 else ''}" if names else "It holds none yet"

    def _partials(self, prompt: Prompt) -> Mapping[str, str]:
        """Read everything that a prompt includes, and what that includes, and so on."""
        found: dict[str, str] = {}
        waiting = [(prompt.file, r) for r in self._sandbox.references(prompt.body, prompt.file, prompt.body_line)]
        while waiting:
            asker, name = waiting.pop()
            if name in found:
                continue
            if len(found) >= MAX_PARTIALS:
                raise SourceError([Problem(prompt.file, 0, 0, f"includes more than {MAX_PARTIALS} files")])
            text = self._partial(name, asker)
            found[name] = text
            waiting += [(name, r) for r in self._sandbox.references(text, name)]
        return dict(sorted(found.items()))

    def _partial(self, name: str, asker: str) -> str:
        if not name.rpartition("/")[2].startswith("_"):
            message = f"includes {shorten(name)!r}, but only files whose name begins with _ can be included"
            raise SourceError([Problem(asker, 0, 0, message)])
        text = None if ".." in name.split("/") or name.startswith("/") else self._read(name)
        if text is None:
            raise SourceError([Problem(asker, 0, 0, f"includes {shorten(name)!r}, which is not in {self.folder}")])
        return text

    def _read(self, relative: str) -> str | None:
        """Read a file; None when there is none. Raises SourceError when it is no text file inside the library."""
        try:
            data = self._bytes(self.folder / relative)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            if not (self.folder / relative).is_symlink():
                return None
            raise SourceError([Problem(relative, 0, 0, "is a link that leads nowhere")]) from None
        except RuntimeError:
            raise SourceError([Problem(relative, 0, 0, "is a link that leads in a circle")]) from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise SourceError([Problem(relative, 0, 0, f"cannot be read: {error.strerror}")]) from None
        if data is None:
            raise SourceError([Problem(relative, 0, 0, "is not a regular file inside the library")])
        if len(data) > MAX_BYTES:
            raise SourceError([Problem(relative, 0, 0, f"is larger than {MAX_BYTES:,} bytes")])
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
            raise SourceError([Problem(relative, line, column, "is not UTF-8 text")]) from None

    def _bytes(self, path: Path) -> bytes | None:
        """The beginning of a file, as much as may be read; None when it is no regular file inside the library."""
        real = path.resolve()
        if not real.is_relative_to(self._inside()):
            return None
        # Opened without waiting, so that a pipe in a stranger's library cannot hold us; then only a file is read.
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return file.read(MAX_BYTES + 1)

    def _inside(self) -> Path:
        """Where prompts/ really is. Raises SourceError when that is outside the library."""
        real = self.folder.resolve()
        if not real.is_relative_to(self.root.resolve()):
            raise SourceError([Problem(str(self.folder), 0, 0, "is a link that leads out of the library")])
        return real

    def _walk(self) -> Iterator[str]:
        self._inside()  # else a link to / would be walked
        count = 0
        for folder, folders, files in os.walk(self.folder):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for file in sorted(files):
                name = (Path(folder) / file).relative_to(self.folder).as_posix().removesuffix(SUFFIX)
                if not file.endswith(SUFFIX) or file.startswith("_") or not NAME.fullmatch(name):
                    continue
                count += 1
                if count > MAX_FILES:
                    raise SourceError([Problem(str(self.folder), 0, 0, f"holds more than {MAX_FILES:,} prompts")])
                yield name
