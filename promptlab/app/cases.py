"""Case files: find them, read them, and say what is wrong with them before any model runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.run import Typed, complete_inputs
from promptlab.core.case import Case, CaseSet
from promptlab.core.casefile import MAX_PROBLEMS
from promptlab.core.checks import variables
from promptlab.core.prompt import Prompt
from promptlab.core.schema import shorten
from promptlab.errors import InputError, NotFound, Problem, PromptlabError, SourceError, UsageError
from promptlab.files.cases import FORMATS, case_files, read_cases
from promptlab.files.paths import find_library, working_folder


@dataclass(frozen=True, slots=True)
class CheckedCases:
    """What checking case files has found."""

    sets: tuple[CaseSet, ...]
    """Those that can be read."""
    problems: tuple[Problem, ...]
    """Of all files, in their order."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case file as a list shows it."""

    name: str
    file: str
    cases: int
    assertions: int
    description: str
    problem: str | None
    """Why it cannot be read; None when it can."""


def load_cases(lab: Lab, paths: Sequence[str]) -> list[CaseSet]:
    """Read the case files that were named, each once: paths from the working folder, or names in seeds/ of the library.

    A path may lead anywhere, as the user typed it; what a file outside the library refers to must be in its folder.
    Raises NotFound, and SourceError with every problem of all files.
    """
    checked = _read_all(_find_all(lab, paths))
    if checked.problems:
        raise SourceError(checked.problems)
    return list(checked.sets)


def check_cases(lab: Lab, paths: Sequence[str], prompts: Sequence[str] = ()) -> CheckedCases:
    """Find everything that is wrong with the case files that were named; without any, with all those in seeds/.

    With prompts, each case's variables must fit the inputs of each, as far as another one does not take them.
    Raises NotFound for what is not there, and SourceError for a prompt that cannot be read.
    """
    chosen = [lab.library.load(name) for name in prompts]
    checked = _read_all(_find_all(lab, paths) if paths else _in_seeds(lab))
    misfits = [problem for each in checked.sets for problem in _misfits(lab, each, chosen)]
    return CheckedCases(checked.sets, (*checked.problems, *misfits))


def list_cases(lab: Lab) -> list[CaseRow]:
    """The case files in seeds/; one that cannot be read is in the list with its problem. Raises SourceError."""
    return [_row(place) for place in _in_seeds(lab)]


def case_names(library: Path | None) -> list[str]:
    """Names for shell completion: reads no case file. Empty when something is wrong."""
    try:
        return [path.stem for path in case_files(find_library(working_folder(), library))]
    except PromptlabError:
        return []


def case_inputs(cases: CaseSet, case: Case) -> dict[str, Any]:
    """The variables of a case as `complete_inputs` takes them: those of CSV are read by the inputs' types."""
    as_typed = cases.typed
    return {name: Typed(v) if as_typed and isinstance(v, str) else v for name, v in case.vars.items()}


def inputs_for(
    lab: Lab, prompt: Prompt, cases: CaseSet, case: Case, beside: Sequence[Prompt], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The complete inputs of a prompt for a case; `given` is what every case has, unless it says otherwise.

    A variable that neither the prompt nor those `beside` it take is allowed where an assertion of the case uses it.
    Raises InputError.
    """
    known = {each.name for other in (prompt, *beside) for each in other.inputs}
    for_checks = {name for check in case.asserts for name in variables(check)} - known
    values = {**given, **case_inputs(cases, case)}
    return complete_inputs(lab, prompt, {n: v for n, v in values.items() if n not in for_checks}, beside)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a case file is."""

    path: Path
    label: str
    root: Path
    """What it refers to must be below."""


def _in_seeds(lab: Lab) -> list[_Place]:
    return [_place(lab, path, os.path.relpath(path)) for path in case_files(lab.root)]


def _find_all(lab: Lab, paths: Iterable[str]) -> list[_Place]:
    found: dict[str, _Place] = {}
    for path in paths:
        place = _find(lab, path)
        found.setdefault(os.path.realpath(place.path), place)
    return list(found.values())


def _find(lab: Lab, name: str) -> _Place:
    typed = working_folder() / name
    if _is_file(typed):
        return _place(lab, typed, name)
    names = [name] if name.endswith(tuple(FORMATS)) else [name + suffix for suffix in FORMATS]
    wanted = [folder / each for folder in (lab.root / "seeds", lab.root) for each in names]
    found = [path for path in wanted if _is_file(path)]
    if len(found) > 1:
        raise UsageError(f"{shorten(name)!r} may be {' or '.join(map(os.path.relpath, found))}; name one of them")
    if not found:
        there = [path.name for path in case_files(lab.root)]
        listed = f"There are {', '.join(there[:20])}{' and more' if len(there) > 20 else ''}" if there else ""
        raise NotFound(f"there is no case file {shorten(name)!r}, here or in {lab.root / 'seeds'}", hint=listed)
    return _place(lab, found[0], os.path.relpath(found[0]))


def _place(lab: Lab, path: Path, label: str) -> _Place:
    path = Path(os.path.normpath(path))
    if path.is_relative_to(lab.root):  # then a link in it must not lead out
        return _Place(path, label, lab.root)
    real = Path(os.path.realpath(path))
    return _Place(real, label, lab.root if real.is_relative_to(lab.root) else real.parent)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def _read_all(places: Iterable[_Place]) -> CheckedCases:
    sets: list[CaseSet] = []
    problems: list[Problem] = []
    for place in places:
        try:
            sets.append(read_cases(place.path, place.label, place.root))
        except SourceError as error:
            problems += error.problems
    return CheckedCases(tuple(sets), tuple(problems))


def _row(place: _Place) -> CaseRow:
    try:
        found = read_cases(place.path, place.label, place.root)
    except SourceError as error:
        return CaseRow(place.path.stem, place.label, 0, 0, "", str(error.problems[0]))
    return CaseRow(found.name, found.file, len(found.cases), found.assertions, found.description, None)


def _misfits(lab: Lab, cases: CaseSet, prompts: Sequence[Prompt]) -> list[Problem]:
    """What does not fit the inputs of prompts, at the case that has it."""
    problems: list[Problem] = []
    for index, case in enumerate(cases.cases):
        for prompt in prompts:
            try:
                inputs_for(lab, prompt, cases, case, prompts, {})
            except InputError as error:
                problems.append(cases.problem(index, error.message))
        if len(problems) >= MAX_PROBLEMS:
            return [*problems[:MAX_PROBLEMS], Problem(cases.file, 0, 0, "there are more problems")]
    return problems
