"""Turn another tool's files into prompts of the library, and promptfoo's configs into cases too."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.app.new import free_path, write_file
from promptlab.core.casefile import Unfit
from promptlab.core.interchange import promptfoo, prompty
from promptlab.core.interchange.dotprompt import SUFFIX as DOTPROMPT
from promptlab.core.interchange.dotprompt import Converted, Finding
from promptlab.core.interchange.promptfoo_prompts import Made, slug
from promptlab.core.prompt import NAME, SUFFIX
from promptlab.core.schema import shorten
from promptlab.errors import Problem, PromptlabError, SourceError, UsageError
from promptlab.files.cases import FORMATS
from promptlab.files.references import read_inside
from promptlab.files.writing import replace_file

MAX_BYTES = 1024 * 1024
MAX_PARTIALS = 100
MAX_TOTAL = 64 * 1024 * 1024
"""Bytes of all files together that one config refers to."""
MAX_FILES = 1000
MAX_PATTERNS = 100
MAX_ENTRIES = 20_000
"""Files in a folder that are looked at for a pattern."""
CONFIG = "promptfooconfig"
"""What promptfoo looks for."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of it."""

    name: str
    """Of the prompt, or of what all prompts of a config have in common."""
    written: tuple[Path, ...]
    """The files of prompts, of the partials that they include, and of cases."""
    findings: tuple[Finding, ...]
    """Each construct that does not map, with its place in the file that it stands in."""
    missing: tuple[str, ...] = ()
    """Partials that it includes, and that are neither beside it nor in the library."""
    prompts: tuple[str, ...] = ()
    """The names of all prompts."""
    cases: str | None = None
    """The name of the case file in seeds/."""

    @property
    def lost(self) -> int:
        """How many of the findings are losses."""
        return sum(f.kind == "lost" for f in self.findings)


def import_file(lab: Lab, file: Path, name: str | None = None, *, force: bool = False) -> Imported:
    """Write what a file of another tool says into the library: dotprompt's `.prompt`, or a config of promptfoo's.

    `name` is that of the new prompt; unless given, the file's. Nothing is written unless everything can be, and
    nothing that is there is overwritten without `force`. Raises UsageError when it is no such file or something is in
    the way, SourceError when it cannot be read, StoreError.
    """
    if file.suffix in promptfoo.SUFFIXES:
        return _import_config(lab, file, name, force)
    if file.suffix != DOTPROMPT:
        hint = "A .prompty file needs no import: put it into prompts/" if file.suffix == ".prompty" else ""
        kinds = f"dotprompt's (*{DOTPROMPT}) or promptfoo's ({', '.join('*' + each for each in promptfoo.SUFFIXES)})"
        raise UsageError(f"{file} is no file that can be imported: {kinds}", hint=hint)
    return _import_prompt(lab, file, name or file.name.removesuffix(DOTPROMPT), force)


def _import_prompt(lab: Lab, file: Path, name: str, force: bool) -> Imported:
    """Write a dotprompt file, and the partials beside it that it includes, as prompts of the library."""
    _check_name(name)
    path = _prompt_path(lab, name, force)
    main = _convert(lab, file, name)
    texts = {path: main.text}
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
        if there is not None and there != converted.text and not force:
            raise UsageError(
                f"the library has another {partial}{SUFFIX} than {beside}, and {name} would include that",
                hint="Rename one of them first, or overwrite it with --force",
            )
        if there == converted.text:
            continue
        texts[free_path(lab, partial + SUFFIX)] = converted.text
        findings += converted.findings
        waiting += converted.partials
    _write(texts, force)
    return Imported(name, tuple(texts), tuple(findings), tuple(missing), (name,))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(f"{shorten(name)!r} cannot be the name of a prompt", hint="Give another one with --name")


def _prompt_path(lab: Lab, name: str, force: bool) -> Path:
    """Where a prompt is written. Raises UsageError where there is one already."""
    other = lab.library.disk.read(name + prompty.SUFFIX) is not None
    if other or (lab.library.exists(name) and not force):
        hint = "Give another name with --name" + ("" if other else ", or overwrite it with --force")
        raise UsageError(f"there is a prompt {name} already", hint=hint)
    return free_path(lab, name + SUFFIX)


def _write(texts: Mapping[Path, str], force: bool) -> None:
    for path, text in texts.items():
        if force and os.path.lexists(path):
            replace_file(path, text)
        else:
            write_file(path, text)


# --- promptfoo -------------------------------------------------------------------------------------------------------


def _import_config(lab: Lab, file: Path, name: str | None, force: bool) -> Imported:
    base = name or _base(file)
    _check_name(base)
    found = promptfoo.convert(_read(file), str(file), base, _Folder(file), _judges(lab))
    made, bad = _checked(lab, found.prompts, file)
    texts = {_prompt_path(lab, each.name, force): each.text for each in made}
    cases = base.replace("/", "-") if found.cases else None
    if found.cases and cases:
        texts[_cases_path(lab, cases, found.cases.suffix, force)] = found.cases.text
    _write(texts, force)
    names = tuple(each.name for each in made)
    return Imported(base, tuple(texts), (*found.findings, *bad), prompts=names, cases=cases)


def _base(file: Path) -> str:
    """What the prompts of a config are called: as its folder, where its own name is the one that all configs have."""
    stem = slug(file.stem.removeprefix(CONFIG)) if file.stem != CONFIG else ""
    return stem or slug(Path(os.path.abspath(file)).parent.name) or "imported"  # noqa: PTH100  (links are not followed)


def _judges(lab: Lab) -> frozenset[str]:
    try:
        return frozenset(lab.models)
    except PromptlabError:  # models.yaml is wrong, which is said where it matters
        return frozenset()


def _checked(lab: Lab, prompts: tuple[Made, ...], file: Path) -> tuple[list[Made], list[Finding]]:
    """The prompts that can be read as ours; about the others, what is wrong."""
    made: list[Made] = []
    bad: list[Finding] = []
    for each in prompts:
        try:
            wrong = [
                f.message
                for f in lab.sandbox.check(each.name + SUFFIX, {each.name + SUFFIX: each.text})
                if f.severity == "error"
            ]
        except PromptlabError as error:
            wrong = [error.message]
        if wrong:
            bad.append(Finding("lost", Problem(str(file), 0, 0, f"the prompt {each.name} is left out: {wrong[0]}")))
        else:
            made.append(each)
    return made, bad


def _cases_path(lab: Lab, name: str, suffix: str, force: bool) -> Path:
    """Where cases are written. Raises UsageError where there are some of that name already."""
    folder = lab.root / "seeds"
    free_path(lab, "x")  # the library that ships is nobody's to change
    if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(lab.root)):
        raise UsageError(f"{folder} is a link that leads out of the library")
    for each in FORMATS:
        if os.path.lexists(folder / (name + each)) and not (force and each == suffix):
            hint = "Give another name with --name" + (", or overwrite it with --force" if each == suffix else "")
            raise UsageError(f"{folder / (name + each)} is there already", hint=hint)
    return folder / (name + suffix)


class _Folder:
    """The folder of a config: what lies in it, once links are followed, may be read."""

    def __init__(self, config: Path) -> None:
        self.root = config.parent
        self.room = MAX_TOTAL
        self._texts: dict[str, str | Unfit] = {}
        self._found: dict[str, list[str]] = {}

    def read(self, path: str) -> str:
        """The text of a file, each read once. Raises Unfit."""
        if path not in self._texts:
            self._texts[path] = self._text(path)
        text = self._texts[path]
        if isinstance(text, Unfit):
            raise text
        return text

    def _text(self, path: str) -> str | Unfit:
        if len(self._texts) >= MAX_FILES:
            return Unfit(f"is one file too many: at most {MAX_FILES:,} are read")
        try:
            if not Path(os.path.realpath(self.root / path)).is_relative_to(os.path.realpath(self.root)):
                return Unfit("is a link that leads out of the config's folder, and only files in it are read")
            text = read_inside(self.root / path, self.root, self.room, path)
        except SourceError as error:
            problem = error.problems[0]
            return Unfit(problem.message + (f", in line {problem.line}" if problem.line else ""))
        except ValueError:  # a path with a NUL in it
            return Unfit("cannot be the name of a file")
        self.room -= len(text)
        return text

    def find(self, pattern: str) -> list[str]:
        """The files that a pattern fits, sorted; hidden ones and what lies behind links are left out. Raises Unfit."""
        parts = pattern.split("/")
        if parts.count("**") > 2:
            raise Unfit("has too many stars")
        if pattern not in self._found:
            if len(self._found) >= MAX_PATTERNS:
                raise Unfit(f"is one pattern too many: at most {MAX_PATTERNS} are looked for")
            self._found[pattern] = sorted(path for path in self._all if _fits(path.split("/"), parts))
        return self._found[pattern]

    @cached_property
    def _all(self) -> list[str]:
        """All files, by their paths. Raises Unfit where there are too many."""
        found: list[str] = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [each for each in folders if not each.startswith(".") and each != "node_modules"]
            below = os.path.relpath(folder, self.root).replace(os.sep, "/")
            found += [name if below == "." else f"{below}/{name}" for name in names if not name.startswith(".")]
            if len(found) > MAX_ENTRIES:
                raise Unfit(f"is a pattern, and there are more than {MAX_ENTRIES:,} files in the config's folder")
        return found


def _fits(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path, folder by folder, fits a pattern; `**` are any folders."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_fits(path[i:], pattern[1:]) for i in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _fits(path[1:], pattern[1:])


# --- reading ---------------------------------------------------------------------------------------------------------


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
