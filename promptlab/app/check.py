"""Check prompts without any model."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from promptlab.app.lab import Lab
from promptlab.core.checker import Finding
from promptlab.files.library import Library
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
