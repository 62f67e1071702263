"""Loading models: what every use case that asks one does first."""

from __future__ import annotations

from collections.abc import Sequence

from promptlab.app.lab import Lab
from promptlab.core.job import Model
from promptlab.errors import EngineError, ModelMissing
from promptlab.files.gguf import check_header
from promptlab.files.models import present


def missing(models: Sequence[Model], more: str = "") -> ModelMissing:
    """Say that models are not on disk, and how to fetch them."""
    names = " ".join(model.name for model in models)
    what = "model is not on disk" if len(models) == 1 else "models are not on disk"
    return ModelMissing(f"{what}: {names}", hint=f"Fetch with `promptlab models pull {names}`{more}")


def start(lab: Lab, model: Model) -> None:
    """Begin to load a model. Raises EngineError when its file is gone, or is none."""
    path = present(model)
    if path is None:
        raise EngineError(f"{model.name}: its file has gone from the model store")
    check_header(path)
    lab.backend.load(model, path)
