"""Entries of models.yaml made from files, taken out again, and what lies in the model store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promptlab.app.lab import Lab, history_folder
from promptlab.core.job import Model
from promptlab.core.schema import shorten
from promptlab.core.text import sanitize_line
from promptlab.errors import EngineError, NotFound, StoreError, UsageError
from promptlab.files import foreign, stock
from promptlab.files.entrytext import add_entry, remove_entry
from promptlab.files.foreign import Skipped
from promptlab.files.gguf_header import Header, read_header
from promptlab.files.models import ALL, check_name
from promptlab.files.paths import model_file
from promptlab.files.pull import Progress, Tell
from promptlab.files.registry import Origin, Registry, edit, try_edit
from promptlab.files.sources import parse_source
from promptlab.files.stock import Hashed, Kept
from promptlab.files.store import Store

__all__ = ["Added", "Removed", "Skipped", "Usage", "Used"]

CONTEXT = 4096
"""Tokens of a conversation in a new entry, where the model was trained for as many."""
UNKNOWN = "unknown"
"""The license where a file says nothing."""
MAX_NAME = 64
_UNFIT = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Added:
    """A file that has an entry now."""

    name: str
    path: str
    """The file."""
    sha256: str | None
    """None where it has not been computed, because nothing was to be done."""
    bytes: int
    license: str
    kept: Kept | None
    """How it came into the store; None where nothing was done."""
    registry: str
    """The models.yaml that it is in."""
    notes: tuple[str, ...] = ()
    already: bool = False
    """There was an entry for this file before, and it has that name."""


@dataclass(frozen=True, slots=True)
class Removed:
    """An entry that is gone."""

    name: str
    registry: str
    freed: int | None
    """Bytes that are free now; None where the file was not to be deleted."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """A file in the model store."""

    path: str
    sha256: str | None
    bytes: int
    link: str | None
    """Where it leads, if it is a link."""
    shared: bool
    """It has another name on this disk, so removing it frees nothing."""
    entries: tuple[str, ...]
    """Those that name it."""
    runs: int
    """Of this library's history."""
    last_run: str | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What lies in the model store."""

    files: tuple[Used, ...]
    leftovers: tuple[Used, ...]
    """Of pulls that have not been finished."""
    bytes: int
    """Of all of it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to stand in a new entry, where the file does not decide it."""

    name: str | None = None
    license: str | None = None
    title: str | None = None
    project: bool = False
    """In the library's models.yaml, not the user's."""
    link: bool = False
    """The store gets a link to the file, not the file."""


def add_model(lab: Lab, file: Path, wish: Wish, progress: Tell) -> Added:
    """Make an entry for a GGUF file, and put the file into the store.

    Raises NotFound when there is no such file, UsageError when it is no GGUF file or the name is taken, StoreError and
    SourceError.
    """
    registry = lab.registry
    header = _header(file)
    name = _new_name(registry, wish, file)
    origin: Origin = "project" if wish.project else "yours"
    try_edit(lab.root, origin, lambda text: add_entry(text, name, {"license": UNKNOWN}))  # before a large file is read
    hashed = stock.hash_file(file, _reporting(progress, name, file.name))
    notes = [f"{same} is this file too" for same in _with_hash(registry.models, hashed.sha256)]
    if name in registry.models:
        notes.append(f"it is used instead of the project's {name}")
    sources = _sources(lab, hashed.path, origin)
    if not sources:
        notes.append("has no source: write one into its entry, so that others can pull it")
    license = _tidy(wish.license or header.license) or UNKNOWN
    if license == UNKNOWN:
        notes.append("the file names no license: look it up, and write it into its entry")
    values = _values(header, hashed, license, _tidy(wish.title or header.name or file.stem), sources)
    kept = stock.put(hashed, link=wish.link, may_copy=True)
    written = edit(lab.root, origin, lambda text: add_entry(text, name, values))
    return Added(name, str(hashed.path), hashed.sha256, hashed.bytes, license, kept, str(written), tuple(notes))


def remove_model(lab: Lab, name: str, *, file: bool) -> Removed:
    """Take an entry out of the models.yaml that it is in; with `file`, its file out of the store.

    Raises NotFound, UsageError when another entry names the file too, StoreError and SourceError.
    """
    registry = lab.registry
    if name not in registry.models:
        raise NotFound(f"there is no model {shorten(name)!r}", hint="`promptlab models list` shows those that are")
    model = registry.models[name]
    stays = name in registry.hidden and registry.origin(name) == "yours"
    if not stays and (variants := [each for each, other in registry.models.items() if other.base == name]):
        raise UsageError(f"{', '.join(variants)}: names {name} as its base", hint="Remove that first")
    others = [each for each in _all_with_hash(registry, model.sha256) if each != name]
    if stays and registry.hidden[name].sha256 == model.sha256:
        others.append(f"the project's {name}")
    if file and others:
        raise UsageError(f"{', '.join(others)}: has the file of {name} too, so it stays", hint="Leave out --file")
    origin = registry.origin(name)
    written = edit(lab.root, origin, lambda text: remove_entry(text, name))
    freed = stock.take_out(model.sha256) if file and model.sha256 else None
    return Removed(name, str(written), freed, (f"the project's {name} is used from now on",) if stays else ())


def store_folder() -> str:
    """Where the files of models lie."""
    return str(model_file("").parent)


def usage(lab: Lab) -> Usage:
    """Look at the model store. Nothing is changed. Raises StoreError and SourceError."""
    registry = lab.registry
    with Store.open(history_folder(lab.root), create=False) as store:
        runs = store.runs_by_weights()
    files = tuple(_used(each, registry, runs) for each in stock.stored())
    leftovers = tuple(_used(each, registry, {}) for each in stock.leftovers())
    return Usage(files, leftovers, sum(each.bytes for each in (*files, *leftovers) if each.link is None))


def import_ollama(lab: Lab, folder: Path | None, progress: Tell, *, dry_run: bool) -> Iterator[Added | Skipped]:
    """Make entries for the models that Ollama has on disk, by link; each is told as soon as it is there.

    Raises NotFound when there is no such folder, and SourceError.
    """
    where = foreign.ollama_folder(folder)
    return _import(lab, foreign.ollama_models(where), progress, dry_run)


def import_lmstudio(lab: Lab, folder: Path | None, progress: Tell, *, dry_run: bool) -> Iterator[Added | Skipped]:
    """The same for LM Studio. Raises NotFound and SourceError."""
    where = foreign.lmstudio_folder(folder)
    return _import(lab, foreign.lmstudio_models(where), progress, dry_run)


def _import(
    lab: Lab, found: Iterator[foreign.Found | Skipped], progress: Tell, dry_run: bool
) -> Iterator[Added | Skipped]:
    taken = set(lab.registry.models)
    done: dict[Path, Added] = {}
    for each in found:
        if isinstance(each, Skipped):
            yield each
        elif each.path in done:  # under another name there: it is large, so it is not read again
            yield replace(done[each.path], notes=(), already=True)
        else:
            try:
                added = _take(lab, each, taken, progress, dry_run)
            except (EngineError, StoreError) as error:
                yield Skipped(each.name, error.message.removeprefix(f"{each.path}: "))
                continue
            taken.add(added.name)
            done[each.path] = added
            yield added


def _take(lab: Lab, found: foreign.Found, taken: set[str], progress: Tell, dry_run: bool) -> Added:
    """Make an entry for one file of another program."""
    header = read_header(found.path)
    name = _free_name(found.name, taken)
    license = _tidy(header.license) or UNKNOWN
    notes = (f"its {' and '.join(found.unused)} are not used here",) if found.unused else ()
    if dry_run:
        return Added(name, str(found.path), None, header.shape.bytes, license, None, "", notes)
    hashed = stock.hash_file(found.path, _reporting(progress, name, found.name))
    kept = stock.put(hashed, link=False, may_copy=False)
    if same := _with_hash(lab.models, hashed.sha256):
        return Added(same[0], str(found.path), hashed.sha256, hashed.bytes, license, kept, "", (), already=True)
    values = _values(header, hashed, license, _tidy(header.name or found.name), _sources(lab, hashed.path, "yours"))
    written = edit(lab.root, "yours", lambda text: add_entry(text, name, values))
    return Added(name, str(found.path), hashed.sha256, hashed.bytes, license, kept, str(written), notes)


# --- a new entry


def _header(file: Path) -> Header:
    try:
        if not file.is_file():  # nor anything that would have to be waited for, such as a pipe
            raise NotFound(f"there is no file {file}")
        return read_header(file)
    except OSError as error:
        raise UsageError(f"{shorten(str(file))}: {error.strerror}") from None
    except EngineError as error:
        raise UsageError(error.message) from None


def _values(header: Header, hashed: Hashed, license: str, title: str, sources: list[str]) -> dict[str, Any]:
    """What stands in an entry, in the order of the design."""
    values: dict[str, Any] = {"title": title, "license": license, "sha256": hashed.sha256, "bytes": hashed.bytes}
    if sources:
        values["sources"] = sources
    values["context"] = max(min(header.shape.context or CONTEXT, CONTEXT), 16)
    if not header.chat_template:
        values["chat_template"] = "plain"
    return values


def _new_name(registry: Registry, wish: Wish, file: Path) -> str:
    """The name of a new entry. Raises UsageError when it is taken."""
    name = fitting_name(file.stem) if wish.name is None else wish.name
    try:
        check_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    taken = name in registry.models
    # The user may put something in the place of a project's entry, but not without saying so.
    if taken and (wish.project or wish.name is None or name in registry.yours):
        raise UsageError(f"there is a model {shorten(name)!r} already", hint="Give this one another name with --name")
    return name


def fitting_name(text: str) -> str:
    """A name for an entry that resembles a text."""
    name = _UNFIT.sub("-", text.lower()).strip("-._")[:MAX_NAME].rstrip("-._")
    return f"{name}-model" if name == ALL else name or "model"


def _free_name(text: str, taken: set[str]) -> str:
    name = fitting_name(text)
    count = 1
    free = name
    while free in taken:
        count += 1
        free = f"{name[: MAX_NAME - 8]}-{count}"
    return free


def _sources(lab: Lab, path: Path, origin: Origin) -> list[str]:
    """Where an entry says that its file is: in a project only what is in it, as elsewhere nobody else has it."""
    root = lab.root.resolve()
    if origin == "project" and not path.is_relative_to(root):
        return []
    text = path.relative_to(root).as_posix() if origin == "project" else str(path)
    try:
        parse_source(text)
    except ValueError:  # a path that cannot be written down
        return []
    return [text]


def _tidy(text: str) -> str:
    """What a file says, which is anybody's, as one line."""
    return sanitize_line(text).strip()


def _reporting(progress: Tell, name: str, source: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(Progress(name, "verify", done, total, source))


# --- who names a file


def _with_hash(models: Mapping[str, Model], sha256: str | None) -> list[str]:
    return [] if sha256 is None else [name for name, model in models.items() if model.sha256 == sha256]


def _all_with_hash(registry: Registry, sha256: str | None) -> list[str]:
    """Entries that are hidden by others of the same name count too."""
    return list(dict.fromkeys([*_with_hash(registry.models, sha256), *_with_hash(registry.hidden, sha256)]))


def _used(each: stock.Stored, registry: Registry, runs: Mapping[str, tuple[int, str]]) -> Used:
    count, last = runs.get(each.sha256 or "", (0, None))
    names = tuple(_all_with_hash(registry, each.sha256))
    return Used(str(each.path), each.sha256, each.bytes, each.link, each.names > 1, names, count, last)
