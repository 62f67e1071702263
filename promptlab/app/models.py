"""Models: list, look at, pull, verify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.app.lab import Lab
from promptlab.core.job import Model
from promptlab.core.schema import shorten
from promptlab.errors import NotFound, PromptlabError
from promptlab.files.models import present, read_models, select_models
from promptlab.files.paths import find_library, working_folder
from promptlab.files.pull import Progress, Tell, Verified, pull, verify

__all__ = ["Entry", "Listed", "Progress", "Pulled", "Tell", "Verified"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as a list shows it."""

    name: str
    present: bool
    """Whether its file is on disk."""
    path: str | None
    sha256: str | None
    """None while an entry is not pinned."""
    bytes: int | None
    """Of the file, or as the entry says."""
    license: str
    default: bool
    title: str


@dataclass(frozen=True, slots=True)
class Entry(Listed):
    """Everything about a model."""

    sources: tuple[str | tuple[str, ...], ...]
    context: int
    options: dict[str, Any]
    chat_template: str | None
    threads: int | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that is on disk now."""

    name: str
    path: str
    fetched: bool
    """False when it was there before."""


def list_models(lab: Lab) -> list[Listed]:
    """All entries of models.yaml, in its order. Raises SourceError."""
    return [Listed(**_listed(model)) for model in lab.models.values()]


def list_entries(lab: Lab) -> list[Entry]:
    """Everything about all of them. Raises SourceError."""
    return [_entry(model) for model in lab.models.values()]


def show_model(lab: Lab, name: str) -> Entry:
    """One entry. Raises NotFound and SourceError."""
    return _entry(one_model(lab, name))


def _entry(model: Model) -> Entry:
    return Entry(
        **_listed(model),
        sources=model.sources,
        context=model.context,
        options=dict(model.options),
        chat_template=model.chat_template,
        threads=model.threads,
        tags=model.tags,
    )


def pull_models(lab: Lab, names: Sequence[str], progress: Tell) -> Iterator[Pulled]:
    """Fetch what is not on disk of the models named, or of the default ones; tell each as soon as it is there.

    Raises PullError, NotFound and SourceError.
    """
    for model in select_models(lab.models, names):
        path = present(model)
        yield Pulled(model.name, str(path or pull(model, library=lab.root, progress=progress)), path is None)


def verify_models(lab: Lab, names: Sequence[str], progress: Tell) -> Iterator[Verified]:
    """Hash stored files again: of the models named, or of all that are on disk.

    Raises ModelMissing for a named one that is not there, NotFound and SourceError.
    """
    for model in select_models(lab.models, names or ["all"]):
        yield verify(model, progress=progress)


def model_names(library: Path | None) -> list[str]:
    """Names for shell completion: opens no history and loads nothing. Empty when something is wrong."""
    try:
        return list(read_models(find_library(working_folder(), library) / "models.yaml"))
    except PromptlabError:
        return []


def one_model(lab: Lab, name: str) -> Model:
    """Look up exactly one entry. Raises NotFound and SourceError."""
    models = lab.models
    if name in models:
        return models[name]
    select_models(models, [name or "?"])  # says which names resemble it
    raise NotFound(f"{shorten(name)!r} names several models; name one")


def _listed(model: Model) -> dict[str, Any]:
    path = present(model)
    return {
        "name": model.name,
        "present": path is not None,
        "path": None if path is None else str(path),
        "sha256": model.sha256,
        "bytes": model.bytes if path is None else path.stat().st_size,
        "license": model.license,
        "default": model.default,
        "title": model.title,
    }
