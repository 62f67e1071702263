"""Check prompts without any model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from promptlab.app.lab import Lab, open_lab
from promptlab.core.checker import Finding
from promptlab.engine.backend import Backend
from promptlab.errors import UsageError
from promptlab.files.folder import name_of
from promptlab.files.library import Library
from promptlab.files.paths import library_of, shipped_library, working_folder
from promptlab.sandbox import Sandbox

MANY = 100
"""Prompts for which a second sandbox is worth starting."""
MAX_SANDBOXES = 4


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking has found."""

    prompts: int
    """How many were checked."""
    findings: tuple[Finding, ...]
    """In the order of files and lines; what several prompts share is said once."""

    @property
    def errors(self) -> int:
        """How many of the findings are errors."""
        return sum(f.severity == "error" for f in self.findings)

    @property
    def warnings(self) -> int:
        """How many are warnings."""
        return len(self.findings) - self.errors


def check_prompts(lab: Lab, names: Iterable[str]) -> Checked:
    """Check the prompts with these names; without any, all prompts and partials of the library.

    Raises NotFound for a name that is none, and SourceError when prompts/ itself cannot be read.
    """
    chosen = list(dict.fromkeys(names))
    everything = not chosen
    chosen = chosen or lab.library.names()
    found = _check_many(lab, chosen)
    if everything:
        found += lab.library.check_partials()
    once = sorted(dict.fromkeys(found), key=lambda f: (f.file, f.line, f.column))
    return Checked(len(chosen), tuple(once))


def check_files(files: Iterable[Path], make_backend: Callable[[], Backend] | None = None) -> Checked:
    """Check prompts by their files, each in the library that holds it, wherever that is.

    A partial stands for all prompts of its library, as it may break any of them. Files of findings are named from the
    working folder. Raises UsageError for a file that lies in no library, and as `check_prompts` does.
    """
    chosen: dict[Path, list[str]] = {}
    whole: set[Path] = set()
    for file in files:
        root, below = library_of(file)
        name = name_of(below)
        chosen.setdefault(root, []).extend([name] if name else [])
        if name is None:
            whole.add(root)
    prompts = 0
    findings: list[Finding] = []
    for root, names in chosen.items():
        with open_lab(root, make_backend) as lab:
            checked = from_here(lab, check_prompts(lab, () if root in whole else names))
        prompts += checked.prompts
        findings += checked.findings
    return Checked(prompts, tuple(findings))


def check_library(lab: Lab) -> Checked:
    """Check a whole library, which must be somebody's: the one that ships is not what was meant.

    Raises UsageError when no library was found but that.
    """
    here = working_folder()
    if lab.root == shipped_library() and not here.is_relative_to(lab.root):
        raise UsageError(
            f"there is no library here: no folder prompts/ in {here} or above it",
            hint="Name files, or a library with --library before the command",
        )
    return check_prompts(lab, ())


def from_here(lab: Lab, checked: Checked) -> Checked:
    """The same, with files named from the working folder."""
    folder = os.path.relpath(lab.library.folder)
    return replace(checked, findings=tuple(replace(f, file=f"{folder}/{f.file}") for f in checked.findings))


def _check_many(lab: Lab, names: list[str]) -> list[Finding]:
    """Check prompts on all processors: a sandbox does one thing at a time."""
    count = min(os.cpu_count() or 1, MAX_SANDBOXES, -(-len(names) // MANY)) or 1
    with ExitStack() as stack:
        others = [Library(lab.root, stack.enter_context(Sandbox())) for _ in range(count - 1)]
        libraries = [lab.library, *others]
        parts = [names[i::count] for i in range(count)]
        with ThreadPoolExecutor(count) as threads:
            return [finding for found in threads.map(_check_some, libraries, parts) for finding in found]


def _check_some(library: Library, names: list[str]) -> list[Finding]:
    return [finding for name in names for finding in library.check(name)]
