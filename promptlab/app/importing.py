"""Turn another tool's prompt files into prompts of the library."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.app.new import free_path, write_file
from promptlab.core.interchange.dotprompt import SUFFIX as DOTPROMPT
from promptlab.core.interchange.dotprompt import Converted, Finding
from promptlab.core.prompt import NAME, SUFFIX
from promptlab.core.schema import shorten
from promptlab.errors import Problem, SourceError, UsageError

MAX_BYTES = 1024 * 1024
MAX_PARTIALS = 100


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it."""

    name: str
    """Of the prompt."""
    written: tuple[Path, ...]
    """The prompt's file, and those of the partials that it includes."""
    findings: tuple[Finding, ...]
    """Each construct that does not map, with its place in the file that it stands in."""
    missing: tuple[str, ...]
    """Partials that it includes, and that are neither beside it nor in the library."""

    @property
    def lost(self) -> int:
        """How many of the findings are losses."""
        return sum(f.kind == "lost" for f in self.findings)


def import_prompt(lab: Lab, file: Path, name: str | None = None) -> Imported:
    """Write a dotprompt file (`.prompt`), and the partials beside it that it includes, as prompts of the library.

    `name` is that of the new prompt; unless given, the file's. Nothing is written unless everything can be. Raises
    UsageError when it is no such file or something is in the way, SourceError when it cannot be read, StoreError.
    """
    if file.suffix != DOTPROMPT:
        hint = "A .prompty file needs no import: put it into prompts/" if file.suffix == ".prompty" else ""
        raise UsageError(f"{file} is no dotprompt file: its name does not end in {DOTPROMPT}", hint=hint)
    name = name or file.name.removesuffix(DOTPROMPT)
    if not NAME.fullmatch(name):
        raise UsageError(f"{shorten(name)!r} cannot be the name of a prompt", hint="Give another one with --name")
    if lab.library.exists(name):
        raise UsageError(f"there is a prompt {name} already", hint="Give another name with --name")
    main = _convert(lab, file, name)
    texts = {free_path(lab, name + SUFFIX): main.text}
    findings, missing = list(main.findings), []
    waiting, done = list(main.partials), set[str]()
    while waiting and len(done) < MAX_PARTIALS:
        partial = waiting.pop()
        if partial in done:
            continue
        done.add(partial)
        beside = file.parent / (partial + DOTPROMPT)
        there = lab.library.disk.read(partial + SUFFIX)
        if not beside.is_file():
            missing += [partial] if there is None else []
            continue
        converted = _convert(lab, beside, partial)
        if there is not None and there != converted.text:
            raise UsageError(
                f"the library has another {partial}{SUFFIX} than {beside}, and {name} would include that",
                hint="Rename one of them first",
            )
        if there is not None:
            continue
        texts[free_path(lab, partial + SUFFIX)] = converted.text
        findings += converted.findings
        waiting += converted.partials
    for path, text in texts.items():
        write_file(path, text)
    return Imported(name, tuple(texts), tuple(findings), tuple(missing))


def _convert(lab: Lab, file: Path, name: str) -> Converted:
    """Convert a file; problems and findings name it as it was given."""
    try:
        found = lab.sandbox.convert(_read(file), name)
    except SourceError as error:
        raise SourceError(replace(p, file=str(file)) for p in error.problems) from None
    placed = tuple(replace(f, problem=replace(f.problem, file=str(file))) for f in found.findings)
    return replace(found, findings=placed)


def _read(file: Path) -> str:
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UsageError(f"{file} is not a file")
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise SourceError([Problem(str(file), 0, 0, f"is larger than {MAX_BYTES:,} bytes")])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SourceError([Problem(str(file), data.count(b"\n", 0, error.start) + 1, 0, "is not UTF-8 text")]) from None
