"""What the tests of promptfoo's configs share: a folder in memory, and what comes of a config as the rest reads it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from promptlab.core import checker, prompt
from promptlab.core.case import CaseSet
from promptlab.core.casefile import Unfit
from promptlab.core.interchange.promptfoo import Converted, convert
from promptlab.core.program import step
from promptlab.files.cases import read_cases

FILE = "promptfooconfig.yaml"


class Folder:
    """The files beside a config."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def read(self, path: str) -> str:
        if path not in self.files:
            raise Unfit("is not there")
        return self.files[path]

    def find(self, pattern: str) -> list[str]:
        return sorted(path for path in self.files if fnmatchcase(path, pattern))


def converted(
    text: str, files: Mapping[str, str] | None = None, models: Collection[str] = (), file: str = FILE
) -> Converted:
    """What comes of a config; whatever it is, the rest of the program can read it."""
    found = convert(text, file, "it", Folder(files or {}), models)
    for made in found.prompts:
        assert checker.check(f"{made.name}.jinja", {f"{made.name}.jinja": made.text}) == []
    if found.cases is not None:
        assert len(case_set(found).cases) == found.cases.count
    return found


def case_set(found: Converted) -> CaseSet:
    """The cases, read as `cases check` reads them."""
    assert found.cases is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"it{found.cases.suffix}"
        path.write_text(found.cases.text, encoding="utf-8")
        return read_cases(path, path.name, Path(folder))


def reported(found: Converted, kind: str = "lost") -> list[str]:
    """What is said to be lost, or changed, with its place."""
    return [str(each.problem) for each in found.findings if each.kind == kind]


def said(found: Converted, inputs: Mapping[str, Any], number: int = 0) -> list[tuple[str, str]]:
    """What a prompt says first."""
    made = found.prompts[number]
    program = prompt.parse(made.text, made.name)
    return [(m.role, m.content) for m in step(program, prompt.complete(program, inputs), ()).messages]
