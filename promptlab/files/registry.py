"""All models that there are: those of the project's models.yaml, and those of the user's own.

The user's wins where both have an entry of one name. Paths in the user's file begin at its folder, and `~` is the home
folder. What a project's entry may do beyond its library is told here, by `files.trust`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from promptlab.core.job import Model
from promptlab.core.schema import shorten
from promptlab.core.variants import in_circles
from promptlab.errors import Problem, SourceError, UsageError
from promptlab.files import trust
from promptlab.files.changing import change
from promptlab.files.models import Entries, parse_models, read_entries, read_text
from promptlab.files.paths import config_dir, is_packaged
from promptlab.files.sources import LocalPath, parse_source
from promptlab.files.writing import write_new

FILE = "models.yaml"
ATTEMPTS = 3
"""How often it is tried to change a file that others change at the same time."""
Origin = Literal["project", "yours"]


@dataclass(frozen=True, slots=True)
class Registry:
    """The models of a library and the user's, as one."""

    models: dict[str, Model]
    yours: frozenset[str]
    """Those that are the user's own; the others are the project's."""
    hidden: Mapping[str, Model]
    """Entries of the project in whose place one of the user's stands."""

    def origin(self, name: str) -> Origin:
        """Where an entry is from."""
        return "yours" if name in self.yours else "project"


def user_file() -> Path:
    """The user's own models.yaml; it need not be there."""
    return config_dir() / FILE


def file_of(library: Path, origin: Origin) -> tuple[Path, str]:
    """The models.yaml that an entry is in, and what problems call it."""
    return (library / FILE, FILE) if origin == "project" else (user_file(), str(user_file()))


def read_registry(library: Path) -> Registry:
    """Read both. Raises SourceError with every problem of both."""
    own = user_file()
    problems: list[Problem] = []
    project, yours = Entries(FILE, {}, {}), Entries(str(own), {}, {})
    try:
        if not _is_users(library, own):
            project = read_entries(library / FILE, FILE)
    except SourceError as error:
        problems += error.problems
    try:
        yours = read_entries(own, str(own), own=True)
    except SourceError as error:
        problems += error.problems
    if problems:
        raise SourceError(problems)
    return _merged(library, project, yours, own.parent)


def edit(library: Path, origin: Origin, change_text: Callable[[str], str]) -> Path:
    """Change one of the files: `change_text` is given what it says, or nothing, and returns what it is to say.

    Nothing is written where the result would have problems. Returns the file. Raises SourceError, UsageError when it
    may not be changed, StoreError, and what `change_text` raises.
    """
    path, label = file_of(library, origin)
    for _ in range(ATTEMPTS):
        old, new = try_edit(library, origin, change_text)
        try:
            if old is not None:
                change(path, label, old, new)
                return path
            if write_new(path, new):
                return path
        except UsageError:
            if read_text(path, label, own=origin == "yours") == old:
                raise
        # Somebody else has changed it meanwhile; what they wrote is read, and stays.
    raise UsageError(f"{label} is being changed by somebody else; try again")


def try_edit(library: Path, origin: Origin, change_text: Callable[[str], str]) -> tuple[str | None, str]:
    """What a file says, and what it would say; nothing is written. Raises what `edit` does."""
    path, label = file_of(library, origin)
    if origin == "project" and is_packaged(library):
        raise UsageError("this library ships with promptlab and is not changed", hint="`promptlab init` makes your own")
    old = read_text(path, label, own=origin == "yours")
    new = change_text(old or "")
    _check(library, origin, parse_models(new, label))
    if old is not None and not os.access(path, os.W_OK):
        raise UsageError(f"{label} is read-only")
    return old, new


def _is_users(library: Path, own: Path) -> bool:
    """Whether a library lies in the user's own folder: then there is one file, which is the user's."""
    return os.path.realpath(library) == os.path.realpath(own.parent)


def _check(library: Path, origin: Origin, new: Entries) -> None:
    """Make sure that both files together have no problem that they did not have, once one of them says this."""
    own = user_file()
    before: set[Problem] = set()
    try:
        read_registry(library)
    except SourceError as error:
        before = {problem for problem in error.problems if problem.file != new.label}
    try:
        if origin == "project":
            _merged(library, new, read_entries(own, str(own), own=True), own.parent)
        else:
            project = Entries(FILE, {}, {}) if _is_users(library, own) else read_entries(library / FILE, FILE)
            _merged(library, project, new, own.parent)
    except SourceError as error:
        if not before.issuperset(error.problems):
            raise


def _merged(library: Path, project: Entries, yours: Entries, folder: Path) -> Registry:
    """Both together; `folder` is where the user's file is."""
    own = {name: replace(_at_home(model, folder), trusted=True) for name, model in yours.models.items()}
    theirs = {name: model for name, model in project.models.items() if name not in own}
    hidden = {name: model for name, model in project.models.items() if name in own}
    models = {name: own.get(name, model) for name, model in project.models.items()} | own
    _check_bases(models, project, yours)
    models |= _with_trust(library, theirs)
    return Registry(models, frozenset(own), hidden)


def _at_home(model: Model, folder: Path) -> Model:
    """An entry of the user's, with paths that do not depend on where it is used."""

    def absolute(text: str) -> str:
        source = parse_source(text)
        return str(folder / _expanded(source.path)) if isinstance(source, LocalPath) else text

    return replace(
        model,
        sources=tuple(
            absolute(source) if isinstance(source, str) else tuple(map(absolute, source)) for source in model.sources
        ),
    )


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # of a user that there is not
        return Path(text)


def _with_trust(library: Path, theirs: Mapping[str, Model]) -> dict[str, Model]:
    """The project's entries, told whether they may do what they want beyond their library."""
    wanted = {name: wants for name, model in theirs.items() if (wants := trust.wants(model, library))}
    if not wanted:
        return {}
    everything = trust.allows_all(library)
    allowed = frozenset() if everything else trust.trusted(library)
    return {
        name: replace(theirs[name], trusted=True) for name, wants in wanted.items() if everything or wants <= allowed
    }


def _check_bases(models: Mapping[str, Model], project: Entries, yours: Entries) -> None:
    """Raise SourceError for bases that are not there, or lead in a circle.

    The user's own file is for all projects, so a base there may be an entry of a project that is not in use now.
    """
    problems = [
        replace(place, message=f"there is no entry {shorten(str(project.models[name].base))!r}, its base")
        for name, place in project.bases.items()
        if project.models[name].base not in models
    ]
    circles = in_circles(models)
    for name in circles:
        place = yours.bases.get(name) or project.bases[name]
        problems.append(replace(place, message=f"the bases of {name} lead in a circle: {', '.join(circles[:8])}"))
    if problems:
        raise SourceError(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
