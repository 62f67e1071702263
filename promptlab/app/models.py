"""Models: list, look at, pull, verify."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.loading import pull_command, refuse_servers
from promptlab.app.pinning import Pinned
from promptlab.app.pinning import pin as pin_model
from promptlab.core.job import Mode, Model
from promptlab.core.schema import shorten
from promptlab.core.variants import variants
from promptlab.errors import NotFound, PromptlabError, UsageError
from promptlab.files.models import present, select_models, tags_of
from promptlab.files.paths import find_library, working_folder
from promptlab.files.pull import Progress, Tell, Verified, pull, verify
from promptlab.files.registry import Origin, Registry, read_registry
from promptlab.files.trust import wants

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
    origin: Origin
    """Whether it is the project's entry or one of the user's own."""
    hides: bool
    """It is the user's, and stands in the place of one of the project's."""
    trusted: bool | None
    """Whether it may go beyond the library, for its server or its sources; None where it does not want to."""
    server: str | None
    """The address that is asked instead of a file."""

    @property
    def askable(self) -> bool:
        """Whether it can be asked: its file is on disk, or a server has it that may be asked."""
        return self.present or (self.server is not None and self.trusted is not False)

    @property
    def pull_command(self) -> str:
        """What a user types to fetch it."""
        return pull_command(self.name, pinned=self.sha256 is not None)


@dataclass(frozen=True, slots=True)
class Entry(Listed):
    """Everything about a model."""

    sources: tuple[str | tuple[str, ...], ...]
    context: int
    options: dict[str, Any]
    chat_template: str | None
    threads: int | None
    tags: tuple[str, ...]
    mode: Mode
    base: str | None
    base_sha256: str | None
    """The hash of the base's file that it was quantised from."""
    variants: tuple[str, ...]
    """Other entries with the same weights, in another packaging."""
    kv_type: str | None
    gpu_layers: int
    model: str | None
    """What its server calls it."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that is on disk now."""

    name: str
    path: str
    fetched: bool
    """False when it was there before."""
    pinned: Pinned | None = None
    """Its hash, where that has been computed and written down now."""


def list_models(lab: Lab) -> list[Listed]:
    """All entries of models.yaml, in its order. Raises SourceError."""
    registry = lab.registry
    return [Listed(**_listed(registry, model, lab.root)) for model in registry.models.values()]


def list_entries(lab: Lab) -> list[Entry]:
    """Everything about all of them. Raises SourceError."""
    registry = lab.registry
    others = variants(registry.models)
    return [_entry(registry, model, lab.root, others[name]) for name, model in registry.models.items()]


def show_model(lab: Lab, name: str) -> Entry:
    """One entry. Raises NotFound and SourceError."""
    registry = lab.registry
    model = _only(registry.models, name)
    return _entry(registry, model, lab.root, variants(registry.models)[model.name])


def _entry(registry: Registry, model: Model, library: Path, others: tuple[str, ...]) -> Entry:
    return Entry(
        **_listed(registry, model, library),
        sources=model.sources,
        context=model.context,
        options=dict(model.options),
        chat_template=model.chat_template,
        threads=model.threads,
        tags=model.tags,
        mode=model.mode,
        base=model.base,
        base_sha256=model.base_sha256,
        variants=others,
        kv_type=model.kv_type,
        gpu_layers=model.gpu_layers,
        model=model.model,
    )


def pull_models(lab: Lab, names: Sequence[str], progress: Tell, *, pin: bool = False) -> Iterator[Pulled]:
    """Fetch what is not on disk of the models named, or of the default ones; tell each as soon as it is there.

    With `pin` the hashes of entries that have none are written into them. Raises PullError, NotFound, SourceError, and
    UsageError where nothing can be pulled, or not be pinned.
    """
    if pin and not names:
        raise UsageError("--pin is for entries that are named", hint="`promptlab models pull --pin NAME`")
    chosen = select_models(lab.models, names)
    if not (files := [model for model in chosen if model.server is None]):
        raise UsageError(f"there is nothing to pull: {', '.join(model.name for model in chosen)} answers at a server")
    for model in files:
        yield _pulled(lab, model, progress, pin)


def _pulled(lab: Lab, model: Model, progress: Tell, pin: bool) -> Pulled:
    if pin and model.sha256 is None:
        pinned = pin_model(lab, model, progress)
        return Pulled(model.name, str(pinned.path), True, pinned)
    path = present(model)
    return Pulled(model.name, str(path or pull(model, library=lab.root, progress=progress)), path is None)


def verify_models(lab: Lab, names: Sequence[str], progress: Tell) -> Iterator[Verified]:
    """Hash stored files again: of the models named, or of all that are on disk.

    Raises ModelMissing for a named one that is not there, UsageError for one on a server, NotFound and SourceError.
    """
    models = select_models(lab.models, names or ["all"])
    refuse_servers(models, "verifying a file")
    for model in models:
        yield verify(model, progress=progress)


def model_names(library: Path | None) -> list[str]:
    """Names and `tag:TAG` for shell completion: opens no history and loads nothing. Empty when something is wrong."""
    try:
        models = read_registry(find_library(working_folder(), library)).models
    except PromptlabError:
        return []
    return [*models, *tags_of(models)]


def one_model(lab: Lab, name: str) -> Model:
    """Look up exactly one entry. Raises NotFound and SourceError."""
    return _only(lab.models, name)


def _only(models: Mapping[str, Model], name: str) -> Model:
    if name in models:
        return models[name]
    found = select_models(models, [name or "?"])  # says which names resemble it
    if len(found) == 1:
        return found[0]
    raise NotFound(f"{shorten(name)!r} names several models; name one")


def _listed(registry: Registry, model: Model, library: Path) -> dict[str, Any]:
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
        "origin": registry.origin(model.name),
        "hides": model.name in registry.hidden,
        "trusted": model.trusted if model.name not in registry.yours and wants(model, library) else None,
        "server": model.server,
    }
