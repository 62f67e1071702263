"""Where things lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptlab.app.lab import history_folder
from promptlab.files.paths import cache_dir, find_library, model_file, working_folder
from promptlab.files.registry import user_file
from promptlab.files.settings import settings_file
from promptlab.files.store import FILE, FOLDER


@dataclass(frozen=True, slots=True)
class Places:
    """Paths, whether there is anything yet or not."""

    library: str
    prompts: str
    models_yaml: str
    your_models_yaml: str
    """The user's own; it need not be there."""
    history: str
    """The database of records."""
    model_store: str
    cache: str
    settings: str
    """The user's own; it need not be there."""


def places(library: Path | None) -> Places:
    """Find out; nothing is made. Raises NotFound."""
    root = find_library(working_folder(), library)
    return Places(
        library=str(root),
        prompts=str(root / "prompts"),
        models_yaml=str(root / "models.yaml"),
        your_models_yaml=str(user_file()),
        history=str(history_folder(root) / FOLDER / FILE),
        model_store=str(model_file("").parent),
        cache=str(cache_dir()),
        settings=str(settings_file()),
    )
