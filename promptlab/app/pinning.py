"""Pin a model: fetch it once, compute its hash, and write that down in its entry, for the user to commit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.core.job import Model
from promptlab.errors import PromptlabError, PullError, UsageError
from promptlab.files.entrytext import set_value
from promptlab.files.models import parse_models, read_text
from promptlab.files.paths import is_packaged
from promptlab.files.pull import Arrived, Tell, pull_unpinned
from promptlab.files.registry import Origin, edit, file_of


@dataclass(frozen=True, slots=True)
class Pinned:
    """A model that has a hash now."""

    path: Path
    """Of its file in the store."""
    sha256: str
    written: str
    """Which models.yaml says it, as messages call that."""
    shared: bool
    """Whether that is the project's, so that it is to be committed."""


def pin(lab: Lab, model: Model, progress: Tell) -> Pinned:
    """Fetch a model without a hash, and write `sha256` and `bytes` into its entry; nothing else there changes.

    Whether that can be done is found out first. Raises UsageError, PullError and SourceError.
    """
    origin = lab.registry.origin(model.name)
    path, label = file_of(lab.root, origin)
    _make_sure_of_writing(lab.root, origin, path, label, model.name)
    before = _entry(path, label, origin, model.name)
    arrived = pull_unpinned(model, library=lab.root, progress=progress)

    def pinned(text: str) -> str:
        if parse_models(text, label).models.get(model.name) != before:
            raise UsageError(f"its entry in {label} has been changed meanwhile")
        return _with_hash(text, model.name, arrived, label)

    try:
        edit(lab.root, origin, pinned)
    except PromptlabError as error:
        hint = f"Write `sha256: {arrived.sha256}` there by hand: it is what was fetched"
        raise PullError(f"{model.name} is fetched, but not pinned: {error.message}", hint=hint) from None
    return Pinned(arrived.path, arrived.sha256, label, origin == "project")


def _make_sure_of_writing(library: Path, origin: Origin, path: Path, label: str, name: str) -> None:
    """Raise UsageError where the hash could not be written down, before much is fetched for nothing."""
    if origin == "project" and is_packaged(library):
        raise UsageError(f"{name} is not pinned in the library that ships", hint="`promptlab init` makes your own")
    real = Path(os.path.realpath(path))
    if not (os.access(real, os.W_OK) and os.access(real.parent, os.W_OK)):
        raise UsageError(f"{name} cannot be pinned: {label} is read-only")
    text = read_text(path, label, own=origin == "yours") or ""
    _with_hash(text, name, Arrived(path, "0" * 64, 1), label)


def _with_hash(text: str, name: str, arrived: Arrived, label: str) -> str:
    text = set_value(text, name, "sha256", arrived.sha256, label=label)
    return set_value(text, name, "bytes", arrived.bytes, label=label)


def _entry(path: Path, label: str, origin: Origin, name: str) -> Model | None:
    """An entry as it stands in its file."""
    return parse_models(read_text(path, label, own=origin == "yours") or "", label).models.get(name)
