"""Case sets for one prompt: which there are, which fit it, and why a case does not."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from promptlab.app.cases import inputs_for, load_cases
from promptlab.app.lab import Lab
from promptlab.app.run import Request, complete_inputs
from promptlab.core.case import Case, CaseSet
from promptlab.core.checks import variables
from promptlab.core.prompt import Prompt
from promptlab.core.schema import shorten
from promptlab.errors import InputError, PromptlabError
from promptlab.files.cases import case_files
from promptlab.files.paths import working_folder

LOOKED_AT = 200
"""Cases of a set whose names of variables are compared with a prompt's inputs."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A case file, for one prompt."""

    file: str
    """Its path from the working folder."""
    cases: int = 0
    description: str = ""
    problem: str = ""
    """Why it cannot be read; empty where it can."""
    misfit: str = ""
    """Why it is not for the prompt, going by the names of variables; empty where it is."""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.file.rpartition("/")[2]

    @property
    def fits(self) -> bool:
        """Whether it can be read, and is for the prompt."""
        return not self.problem and not self.misfit


def case_sets(lab: Lab, prompt: str) -> list[Offer]:
    """All case files of seeds/: those that fit the prompt, then the others, then those that cannot be read.

    Where the prompt itself cannot be read, none is said to be not for it. Raises SourceError when seeds/ cannot be.
    """
    try:
        wanted = lab.library.load(prompt)
    except PromptlabError:
        wanted = None
    offers = [_offer(lab, path, wanted) for path in case_files(lab.root)]
    return sorted(offers, key=lambda each: (bool(each.problem), bool(each.misfit), each.file))


def _offer(lab: Lab, path: Path, prompt: Prompt | None) -> Offer:
    file = os.path.relpath(path)
    try:
        found = open_cases(lab, file)
    except PromptlabError as error:
        return Offer(file, problem=error.message.partition("\n")[0])
    misfit = _misfit_by_name(prompt, found.cases[:LOOKED_AT]) if prompt else ""
    return Offer(file, len(found.cases), found.description, "", misfit)


def _misfit_by_name(prompt: Prompt, cases: Iterable[Case]) -> str:
    known = {each.name for each in prompt.inputs}
    needed = {each.name for each in prompt.inputs if each.required}
    for case in cases:
        if unknown := case.vars.keys() - known - {name for check in case.asserts for name in variables(check)}:
            return f"gives {shorten(min(unknown))}, which {prompt.name} does not take"
        if missing := needed - case.vars.keys():
            return f"lacks {min(missing)}"
    return ""


def open_cases(lab: Lab, file: str) -> CaseSet:
    """The cases of a file. Raises SourceError and NotFound."""
    return load_cases(lab, [file])[0]


def place_of(cases: CaseSet) -> str:
    """Where their file is, from whatever folder one looks."""
    return os.path.normpath(working_folder() / cases.file)


def open_placed(lab: Lab, place: str) -> CaseSet:
    """The cases of a file that `place_of` has named. Raises SourceError and NotFound."""
    return open_cases(lab, os.path.relpath(place))


def of_case(lab: Lab, request: Request, cases: CaseSet, index: int) -> Request:
    """A request that says which case it is of, where what it gives is what the case gives: then it draws with the same
    seeds as a comparison does. As it is where anything was changed, or cannot be given.
    """
    case = cases.cases[index]
    prompts = [lab.library.load(name) for name in request.prompts]
    try:
        same = all(
            complete_inputs(lab, prompt, request.inputs, prompts) == inputs_for(lab, prompt, cases, case, prompts, {})
            for prompt in prompts
        )
    except InputError:
        return request
    return replace(request, case=case.id) if same else request


def misfit(lab: Lab, prompt: str, cases: CaseSet, index: int) -> str:
    """Why a case cannot be given to a prompt; empty where it can. Raises SourceError and NotFound."""
    wanted = lab.library.load(prompt)
    try:
        inputs_for(lab, wanted, cases, cases.cases[index], [], {})
    except InputError as error:
        return error.message.removeprefix(f"{wanted.name}: ")
    return ""
