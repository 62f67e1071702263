"""Everything that a prompt uses: what it includes and calls, and what that uses, wherever files are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from promptlab.core.formats import SUFFIXES, template_of
from promptlab.core.program import Reference
from promptlab.core.prompt import NAME
from promptlab.core.tagcheck import may_be_included, wrong_call, wrong_include
from promptlab.errors import Problem, PromptlabError, SourceError
from promptlab.sandbox import Sandbox

MAX_USED = 200
"""Files that a prompt may use."""

MAX_KNOWN = 10_000
"""Templates whose references are remembered."""

Read = Callable[[str], str | None]
"""From a path below prompts/ to the text of the file; None where there is none. Raises SourceError."""


class References:
    """Reads what templates refer to, each template once."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._known: dict[tuple[str, str], tuple[Reference, ...]] = {}

    def of(self, source: str, file: str) -> tuple[Reference, ...]:
        """What a file refers to. Raises SourceError, and RenderError when it takes too long to read."""
        if (source, file) not in self._known:
            if len(self._known) >= MAX_KNOWN:  # a playground may run for days
                self._known.clear()
            template, line = template_of(source, file)
            self._known[source, file] = self.sandbox.references(template, file, line)
        return self._known[source, file]

    def closure(self, file: str, source: str, read: Read) -> dict[str, str]:
        """The texts of everything that a prompt uses, by their paths below prompts/, sorted.

        Raises SourceError when something is not there or cannot be read.
        """
        found: dict[str, str] = {}
        waiting = [(file, r) for r in self.of(source, file)]
        while waiting:
            asker, reference = waiting.pop()
            for path in paths(reference):
                if path in found or (text := read(path)) is None:
                    continue
                if len(found) >= MAX_USED:
                    raise SourceError([Problem(file, 0, 0, f"uses more than {MAX_USED} files")])
                found[path] = text
                waiting += [(path, r) for r in self.of(text, path)]
            if reason := missing(reference, found):
                raise SourceError([Problem(asker, reference.line, 0, reason)])
        return dict(sorted(found.items()))

    def gather(self, file: str, source: str, read: Read) -> tuple[dict[str, str], list[Problem]]:
        """A file and whatever can be found of all that it uses, and why some of it cannot be read.

        What is not there, or refers to nothing that can be read, is for the checker to tell.
        """
        found = {file: source}
        problems: list[Problem] = []
        waiting = [file]
        while waiting and len(found) <= MAX_USED:
            each = waiting.pop()
            try:
                references = self.of(found[each], each)
            except PromptlabError:
                continue
            for path in [p for r in references for p in paths(r) if p not in found]:
                try:
                    text = read(path)
                except SourceError as error:
                    problems += error.problems
                    text = None
                if text is not None:
                    found[path] = text
                    waiting.append(path)
        return found, problems


def find(name: str, read: Read) -> tuple[str, str] | None:
    """The path of a prompt's file, below prompts/, and its text; None where there is none. Raises SourceError."""
    files = [name + suffix for suffix in SUFFIXES] if NAME.fullmatch(name) else []
    found = [(file, text) for file in files if (text := read(file)) is not None]
    if len(found) > 1:
        raise SourceError([Problem(found[1][0], 0, 0, f"is called {name}, like {found[0][0]}; rename one of them")])
    return found[0] if found else None


def paths(reference: Reference) -> Iterator[str]:
    """Where what a reference names can lie, below prompts/; nowhere when it is not a name of that kind."""
    if reference.kind == "call":
        yield from (reference.name + suffix for suffix in SUFFIXES)
    elif may_be_included(reference.name):
        yield reference.name


def missing(reference: Reference, found: dict[str, str]) -> str | None:
    """Say that what a reference names is not there, or None."""
    present = [file for file in paths(reference) if file in found]
    if reference.kind == "call":
        return wrong_call(reference.name, present)
    return wrong_include(reference.name, bool(present) or reference.optional)
