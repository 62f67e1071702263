"""Case files: YAML, JSONL and CSV to cases, with every problem at file:line:column.

They may come from a stranger: what they refer to with `file://` is read only from inside the library, a file that must
not be too large, and nothing of it is ever run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from promptlab.core.case import Assertion, Case, CaseSet, check_id, vars_id
from promptlab.core.casecsv import read_csv
from promptlab.core.casefile import (
    MAX_CASES,
    MAX_PROBLEMS,
    MAX_SIZE,
    TOO_MUCH,
    VAR,
    Draft,
    Unfit,
    measure,
    read_jsonl,
    read_yaml,
)
from promptlab.core.schema import shorten
from promptlab.core.yamltext import Path as Way
from promptlab.errors import Problem, SourceError
from promptlab.files.references import References, read_inside

MAX_BYTES = 64 * 1024 * 1024
MAX_ASSERTS = 200
"""In one case."""
MAX_FILES = 10_000
FORMATS = {".yaml": read_yaml, ".yml": read_yaml, ".jsonl": read_jsonl, ".csv": read_csv}


def _check_id(id: str) -> str:
    if reason := check_id(id):
        raise ValueError(reason)
    return id


def _check_var(name: str) -> str:
    if not VAR.fullmatch(name):
        raise ValueError(f"{shorten(name)!r} is not the name of a variable: letters, digits and _")
    return name


def _number_as_text(id: Any) -> Any:
    return str(id) if isinstance(id, int) and not isinstance(id, bool) else id


_Id = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_check_id)]
_Var = Annotated[str, AfterValidator(_check_var)]
_Limit = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Assertion(_Strict):
    type: str = Field(min_length=1)
    value: Any = None
    threshold: _Limit | None = None
    weight: float = Field(1.0, ge=0, le=1_000_000)
    metric: str | None = Field(None, min_length=1)
    provider: str | None = Field(None, min_length=1)


class _Shared(_Strict):
    """What may stand in `defaultTest`."""

    vars: dict[_Var, Any] = {}
    asserts: list[Any] = Field([], alias="assert", max_length=MAX_ASSERTS)
    threshold: float | None = Field(None, ge=0, le=1)
    metadata: dict[str, Any] = {}


class _Test(_Shared):
    id: _Id | None = None
    description: str = ""


class _File(_Strict):
    description: str = ""
    shared: Any = Field({}, alias="defaultTest")
    tests: list[Any]


_Form = TypeVar("_Form", bound=BaseModel)
_NOUNS: Mapping[type[BaseModel], str] = {
    _Assertion: "an assertion",
    _Shared: "defaultTest",
    _Test: "a test",
    _File: "a case file",
}


def case_files(root: Path) -> list[Path]:
    """The case files of a library: those right in seeds/, sorted. What lies deeper is for them to refer to.

    Raises SourceError when the folder leads out of the library or cannot be read.
    """
    folder = root / "seeds"
    try:
        if not folder.is_dir():
            return []
        if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root)):
            raise SourceError([Problem(str(folder), 0, 0, "is a link that leads out of the library")])
        found = [file for file in folder.iterdir() if file.suffix in FORMATS and not file.name.startswith(".")]
    except OSError as error:
        raise SourceError([Problem(str(folder), 0, 0, f"cannot be read: {error.strerror}")]) from None
    if len(found) > MAX_FILES:
        raise SourceError([Problem(str(folder), 0, 0, f"holds more than {MAX_FILES:,} case files")])
    return sorted(found)


def read_cases(path: Path, label: str, root: Path) -> CaseSet:
    """Read a case file that lies below `root`, as everything that it refers to must. `label` is what problems call it.

    Raises SourceError with every problem found.
    """
    if path.suffix not in FORMATS:
        raise SourceError([Problem(label, 0, 0, f"is not a case file: their names end in {', '.join(FORMATS)}")])
    return parse_cases(read_text(path, label, root), path, label, root)


def read_text(path: Path, label: str, root: Path) -> str:
    """The text of a case file that lies below `root`. Raises SourceError."""
    return read_inside(path, root, MAX_BYTES, label)


def parse_cases(text: str, path: Path, label: str, root: Path) -> CaseSet:
    """Read what the case file at `path` says, or would say. Raises SourceError with every problem found."""
    return _Reading(FORMATS[path.suffix](text, label), References(path, label, root)).case_set(path.stem)


class _Reading:
    """One file being read."""

    def __init__(self, draft: Draft, references: References) -> None:
        self.draft = draft
        self.references = references
        self.problems = list(draft.problems)
        self.cases: list[Case] = []
        self.ids: dict[str, tuple[int, int]] = {}
        """Where the case with each id stands, in their order."""
        self.templates: list[Assertion] = []
        """What all cases share that holds variables to fill in."""
        self.sound = True
        """Whether all that cases share is known."""
        self.room = MAX_SIZE

    def case_set(self, name: str) -> CaseSet:
        file = self._validate(_File, self.draft.value, ())
        if file is not None:
            self._read_tests(file)
        if self.problems:
            found = sorted(dict.fromkeys(self.problems), key=self._order)
            more = [Problem(self.draft.file, 0, 0, "there are more problems")] if len(found) > MAX_PROBLEMS else []
            raise SourceError(found[:MAX_PROBLEMS] + more)
        assert file is not None
        draft = self.draft
        return CaseSet(name, draft.file, tuple(self.cases), tuple(self.ids.values()), file.description, draft.typed)

    def _order(self, problem: Problem) -> tuple[bool, str, int, int]:
        return problem.file != self.draft.file, problem.file, problem.line, problem.column

    def _read_tests(self, file: _File) -> None:
        if not file.tests and not self.problems:
            self._complain(("tests",), "there are no cases in it")
        if len(file.tests) > MAX_CASES:
            self._complain(("tests", MAX_CASES), f"there are more than {MAX_CASES:,} cases")
            return
        shared = self._read_shared(file.shared)
        size = measure({"vars": shared.vars, "metadata": shared.metadata})
        for index, value in enumerate(file.tests):
            self._read_test(index, value, shared, size)
            if len(self.problems) > MAX_PROBLEMS or self.room < 0:
                return

    def _read_shared(self, value: Any) -> Case:
        """What all cases share, as a case that has no id."""
        way: Way = ("defaultTest",)
        before = len(self.problems)
        shared = self._validate(_Shared, value, way) or _Shared.model_validate({})
        asserts = self._asserts(way, shared.asserts, None)
        vars = self._vars(way, shared.vars)
        self.templates = [each for each in asserts if "{{" in json.dumps(each.value)]
        self.sound = len(self.problems) == before
        return Case("", vars, asserts, shared.threshold, metadata=shared.metadata)

    def _read_test(self, index: int, value: Any, shared: Case, size: int) -> None:
        """Make a case of a test. `size` is that of what it shares."""
        way: Way = ("tests", index)
        before = len(self.problems)
        test = self._validate(_Test, value, way)
        if test is None:
            return
        vars = self._vars(way, test.vars)
        merged = {**shared.vars, **vars}
        sound = self.sound and len(self.problems) == before
        asserts = self._asserts(way, test.asserts, merged if sound else None)
        if len(shared.asserts) + len(asserts) > MAX_ASSERTS:
            self._complain(way, f"has more than {MAX_ASSERTS} assertions, with those of defaultTest")
        if not self._takes(way, size + measure({"vars": vars, "metadata": test.metadata})):
            return
        if len(self.problems) > before:
            return
        if sound:
            self._check_templates(way, merged)
        case = Case(
            id=vars_id(merged) if test.id is None else test.id,
            vars=merged,
            asserts=(*shared.asserts, *asserts),
            threshold=shared.threshold if test.threshold is None else test.threshold,
            description=test.description,
            metadata={**shared.metadata, **test.metadata},
        )
        self._add(way, case, named=test.id is not None)

    def _add(self, way: Way, case: Case, *, named: bool) -> None:
        if case.id not in self.ids:
            self.ids[case.id] = self.draft.place(way)
            self.cases.append(case)
            return
        line, column = self.ids[case.id]
        first = f"{self.draft.file}:{line}:{column}"
        if named:
            self._complain((*way, "id"), f"the id {shorten(case.id)!r} stands here a second time, first at {first}")
        else:
            self._complain(way, f"has the vars of the case at {first}, and no id that would tell them apart")

    def _vars(self, way: Way, vars: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._resolve((*way, "vars", name), value) for name, value in vars.items()}

    def _asserts(self, way: Way, asserts: Sequence[Any], vars: Mapping[str, Any] | None) -> tuple[Assertion, ...]:
        """Read assertions; with the vars of their case, what these fill in is looked at too."""
        found = [self._assertion((*way, "assert", index), each, vars) for index, each in enumerate(asserts)]
        return tuple(each for each in found if each is not None)

    def _check_templates(self, way: Way, vars: Mapping[str, Any]) -> None:
        """Say where what all cases share cannot be filled in with the vars of one."""
        from promptlab.core.checks import problem

        for each in self.templates:
            if reason := problem(each, vars):
                self._complain(way, f"with its vars, of defaultTest, {reason}")

    def _assertion(self, way: Way, value: Any, vars: Mapping[str, Any] | None) -> Assertion | None:
        from promptlab.core.checks import problem  # here because most who import this read no cases

        before = len(self.problems)
        read = self._validate(_Assertion, value, way)
        if read is None:
            return None
        wanted = self._resolve((*way, "value"), read.value, parse=True)
        made = Assertion(read.type, wanted, read.threshold, read.weight, read.metric, read.provider)
        if len(self.problems) == before and self._takes(way, measure(wanted)) and (reason := problem(made, vars)):
            self._complain(way, reason)
        return made

    def _resolve(self, way: Way, value: Any, *, parse: bool = False) -> Any:
        """What a reference leads to; anything else is what it is."""
        try:
            return self.references.resolve(value, parse=parse)
        except Unfit as error:
            self._complain(way, str(error))
        except SourceError as error:
            self.problems += error.problems
        return None

    def _takes(self, way: Way, size: int) -> bool:
        """Take that much of the room that there is; False where there is none left, which is said once."""
        if 0 <= self.room < size:
            self._complain(way, TOO_MUCH)
        self.room -= size
        return self.room >= 0

    def _validate(self, model: type[_Form], value: Any, way: Way) -> _Form | None:
        """Read a mapping; where it is wrong, say so, and read the rest of it, so that everything is said at once."""
        try:
            return model.model_validate(value)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        for detail in details[: MAX_PROBLEMS + 1]:
            self._complain((*way, *detail["loc"]), _message(model, detail))
        wrong = {detail["loc"][0] for detail in details if detail["loc"]}
        if not isinstance(value, dict):
            return None
        try:
            return model.model_validate({key: each for key, each in value.items() if key not in wrong})
        except ValidationError:
            return None

    def _complain(self, way: Way, message: str) -> None:
        self.problems.append(self.draft.problem(way, message))


def _message(model: type[BaseModel], error: ErrorDetails) -> str:
    kind, way = error["type"], error["loc"]
    what = next((step for step in reversed(way) if isinstance(step, str) and step != "[key]"), "")
    if kind == "missing":
        return f"{what} is missing"
    if kind == "extra_forbidden":
        known = ", ".join(field.alias or name for name, field in model.model_fields.items())
        return f"{shorten(what)!r} is not a key here; there are {known}"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "model_type":
        return f"{_NOUNS[model]} is a mapping of {', '.join(f.alias or n for n, f in model.model_fields.items())}"
    reason = re.sub(r"^\w+ should", "should", error["msg"]).replace("dictionary", "mapping")
    return f"{shorten(what)} {reason}"
