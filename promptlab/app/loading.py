"""Loading models: what every use case that asks one does first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from promptlab.app.lab import Lab
from promptlab.core.job import Model
from promptlab.errors import EngineError, ModelMissing, UsageError
from promptlab.files.gguf import check_header
from promptlab.files.models import present, refuse_untrusted


def missing(models: Sequence[Model], more: str = "") -> ModelMissing:
    """Say that models are not on disk, and how to fetch them."""
    names = " ".join(model.name for model in models)
    what = "model is not on disk" if len(models) == 1 else "models are not on disk"
    pinned = all(model.sha256 for model in models)
    hint = f"Fetch with `{pull_command(names, pinned=pinned)}`{more if pinned else ''}"
    return ModelMissing(f"{what}: {names}", hint=hint)


def pull_command(names: str, *, pinned: bool) -> str:
    """What a user types to fetch models; those without a hash are given one by it."""
    return f"promptlab models pull {'' if pinned else '--pin '}{names}"


def absent(models: Iterable[Model]) -> list[Model]:
    """Those that cannot be asked: their files are not on disk, and no server has them."""
    return [model for model in models if model.server is None and present(model) is None]


def refuse_servers(models: Iterable[Model], what: str) -> None:
    """Raise UsageError where a server has one of these; `what` needs the weights themselves."""
    if names := [model.name for model in models if model.server is not None]:
        raise UsageError(f"{', '.join(names)}: {what} needs the weights, and a server has them")


def start(lab: Lab, model: Model) -> None:
    """Begin to load a model. Raises EngineError when its file is gone, or is none; and UsageError for a server that may
    not be asked.
    """
    if model.server is not None:
        refuse_untrusted([model])
        lab.backend.load(model, Path())
        return
    path = present(model)
    if path is None:
        raise EngineError(f"{model.name}: its file has gone from the model store")
    check_header(path)
    lab.backend.load(model, path)
