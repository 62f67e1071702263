"""Keep an answer as a case, which later answers are held against.

A file is changed whole or not at all, and only once what it would then say has been read again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from promptlab.app.cases import inputs_for
from promptlab.app.lab import Lab
from promptlab.app.new import free_path
from promptlab.core.addcase import add_test, new_file
from promptlab.core.case import Assertion, CaseSet, check_id, vars_id
from promptlab.core.checks import judge
from promptlab.core.checks.kinds import compact
from promptlab.core.prompt import Input, Prompt
from promptlab.core.record import Record
from promptlab.core.schema import shorten, takes_text
from promptlab.errors import PromptlabError, UsageError
from promptlab.files.cases import FORMATS, case_files, parse_cases, read_text
from promptlab.files.changing import change
from promptlab.files.references import SCHEME
from promptlab.files.writing import write_new

Holds = Literal["icontains", "equals", "nothing"]
"""What is expected of later answers: that they hold a text, that they are it, or nothing."""

MAX_ID = 40
"""Characters of an id that is proposed."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_NO_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class NewCase:
    """What is to be kept."""

    file: str
    """A name in seeds/, with or without its suffix; it need not be there yet."""
    id: str
    holds: Holds
    value: str
    """The text for `icontains` and `equals`."""
    new: bool = False
    """Whether it is to be a file that is not there yet."""


def answer_text(record: Record) -> str:
    """The answer as checks see it."""
    return record.output if isinstance(record.output, str) else compact(record.output)


def proposed_id(inputs: Mapping[str, Any]) -> str:
    """An id that says what the case is about."""
    texts = [value for value in inputs.values() if isinstance(value, str)]
    words = next((slug for text in texts if (slug := _NO_SLUG.sub("-", text[:200].lower()).strip("-"))), "")
    return words[:MAX_ID].rstrip("-") or vars_id(inputs)


def keep_case(lab: Lab, record: Record, wanted: NewCase) -> str:
    """Add the answer to a case file as a test. Gives the file's path from the working folder.

    Raises UsageError, with one line that says why not; SourceError where the file cannot be read; and StoreError.
    """
    if reason := _wrong(wanted):
        raise UsageError(reason)
    path = _path(lab, wanted.file)
    label = os.path.relpath(path)
    prompt = _prompt(lab, record)
    test = _test(record, wanted, prompt, path.suffix)
    if os.path.lexists(path):
        if wanted.new:
            raise UsageError(f"{label} is there already; choose it from the list, or call the new file something else")
        old = read_text(path, label, lab.root)
        before = parse_cases(old, path, label, lab.root)
        if any(case.id == wanted.id for case in before.cases):
            raise UsageError(f"{label} has a case {shorten(wanted.id)!r} already; choose another id")
        new = _made(label, lambda: add_test(old, path.suffix, test))
        _prove(lab, parse_cases(new, path, label, lab.root), before, record, test, prompt)
        change(path, label, old, new)
        return label
    new = _made(label, lambda: new_file(path.suffix, test))
    _prove(lab, parse_cases(new, path, label, lab.root), None, record, test, prompt)
    if not write_new(path, new):
        raise UsageError(f"{label} has just been made by somebody else; try again")
    return label


def _wrong(wanted: NewCase) -> str | None:
    """What cannot be right, whatever the file says."""
    if reason := check_id(wanted.id):
        return reason
    if wanted.holds == "nothing":
        return None
    if not wanted.value.strip():
        return "the text that is to hold is empty"
    if "{{" in wanted.value:
        return "the text that is to hold has {{ in it, where a case file fills in variables; choose a part without it"
    if wanted.value.startswith(SCHEME):
        return f"the text that is to hold begins with {SCHEME}, which a case file takes for a file to read"
    return None


def _path(lab: Lab, name: str) -> Path:
    """Where a case file lies, or will lie. Raises UsageError and SourceError."""
    name = name.strip().removeprefix("seeds/")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{shorten(name)!r} cannot be the name of a case file: letters, digits and _ . -")
    free_path(lab, "x")  # the library that ships is nobody's to change
    found = [path for path in case_files(lab.root) if name in (path.name, path.stem)]
    if len(found) > 1:
        raise UsageError(f"{name!r} may be {' or '.join(path.name for path in found)}; name one of them")
    path = found[0] if found else lab.root / "seeds" / (name if name.endswith(tuple(FORMATS)) else f"{name}.yaml")
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(lab.root)):
        raise UsageError(f"{os.path.relpath(path)} is a link that leads out of the library")
    return path


def _prompt(lab: Lab, record: Record) -> Prompt | None:
    """The prompt as it is now; None where there is none that can be read."""
    try:
        return lab.library.load(record.prompt.name)
    except PromptlabError:
        return None


def _test(record: Record, wanted: NewCase, prompt: Prompt | None, suffix: str) -> dict[str, Any]:
    """The test as it stands in the file."""
    declared = {each.name: each for each in prompt.inputs} if prompt else {}
    vars = {name: value for name, value in record.inputs.items() if not _is_absent(value, declared.get(name))}
    if name := next((n for n, value in vars.items() if isinstance(value, str) and value.startswith(SCHEME)), ""):
        raise UsageError(f"the input {name} begins with {SCHEME}, which a case file takes for a file to read")
    if suffix == ".csv":
        vars = {name: _typed(value, declared.get(name)) for name, value in vars.items()}
    test: dict[str, Any] = {"id": wanted.id, "vars": vars}
    if wanted.holds != "nothing":
        test["assert"] = [{"type": wanted.holds, "value": wanted.value}]
    return test


def _is_absent(value: Any, declared: Input | None) -> bool:
    """Whether None stands for a value that was not given."""
    return value is None and declared is not None and not declared.required and "default" not in declared.schema


def _typed(value: Any, declared: Input | None) -> str:
    """A value as somebody would type it."""
    as_it_is = isinstance(value, str) and (declared is None or takes_text(declared.schema))
    return str(value) if as_it_is else json.dumps(value, ensure_ascii=False)


def _made(label: str, make: Callable[[], str]) -> str:
    try:
        text = make()
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{label}: the answer or an input is no Unicode text") from None
    except ValueError as error:
        raise UsageError(f"{label} {error}" if str(error).startswith("has") else f"{label}: {error}") from None
    return text


def _prove(
    lab: Lab, after: CaseSet, before: CaseSet | None, record: Record, test: Mapping[str, Any], prompt: Prompt | None
) -> None:
    """See that the file says what it said, and the new case, and that this answer passes it. Raises UsageError."""
    case = after.cases[-1]
    if after.cases[:-1] != (before.cases if before else ()) or case.id != test["id"]:
        raise UsageError(f"{after.file}: a test cannot be added after its last one; add it by hand")
    asked = inputs_for(lab, prompt, after, case, [], {}) if prompt else dict(record.inputs)
    if any(asked.get(name) != value for name, value in record.inputs.items()):
        raise UsageError(f"{after.file}: with what all its cases share, this one would not ask the same")
    if prompt is None and {name: case.vars.get(name) for name in test["vars"]} != test["vars"]:
        raise UsageError(f"{after.file}: the inputs cannot be written there as they are")
    own = tuple(Assertion(each["type"], each["value"]) for each in test.get("assert", ()))
    if own and case.asserts[-1:] != own:
        raise UsageError(f"{after.file}: what is to hold cannot be written there as it is")
    (check,) = judge(replace(case, asserts=own), record, {}).checks or (None,)
    if check is not None and check.outcome != "pass":
        raise UsageError(f"this answer would not pass: {check.reason}")
