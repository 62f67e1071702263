"""What machine this is, as far as what is computed on it can depend on that."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from promptlab.core.job import Model
from promptlab.core.kv import USUAL
from promptlab.engine.tuning import terms

REVISION = 1
"""To be raised with any change in `engine/` after which the same question can get another answer."""


class Known(Protocol):
    """What was found out before about models on this machine."""

    def get(self, name: str) -> Mapping[str, Any] | None:
        """What is kept under a name, or None."""

    def put(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep it."""


def default_threads() -> int:
    """One for each processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name, as far as the system tells."""
    return _cpu("model name") or platform.processor() or platform.machine()


def _cpu(what: str) -> str:
    """What the system says of the first processor; nothing where it says nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(what))
    except (OSError, StopIteration):
        return ""


def loading_name(model: Model, path: Path, *, safe_mode: bool) -> str:
    """A name for a model as it is loaded here: file, build, processor, mode, and what can be chosen of its layout.

    The file is told by its place, size and time, as hashing it takes longer than what the name is for. The name is a
    hash, with the model's own name before it.
    """
    state = path.stat() if path.is_file() else None
    file = f"{path} {state.st_size} {state.st_mtime_ns}" if state else str(path)
    build = metadata.version("llama-cpp-python")
    cpu = f"{cpu_name()} {_cpu('flags')}"  # several kinds of processors may have one name
    exact = model.mode == "exact"
    choice = terms(default_threads(), exact=exact, threads=model.threads, layout=model.layout, kv_type=model.kv_type)
    how = [file, build, _library(), cpu, str(choice), model.mode, bool(model.layout.get("wide")), safe_mode]
    how += [REVISION, metadata.version("llguidance")]
    how += ["embedding"] if model.layout.get("embedding") else []
    # Added only where they are not the usual, so that what was found out before they could be set stays known.
    how += [f"kv_type {model.kv_type}"] if model.kv_type not in (None, USUAL) else []
    how += [f"gpu_layers {model.gpu_layers}"] if model.gpu_layers else []
    return f"{model.name} {hashlib.sha256(json.dumps(how).encode()).hexdigest()[:32]}"


def _library() -> str:
    """When the library was built: another build of the same version may have other kernels."""
    try:
        files = metadata.files("llama-cpp-python") or []
        found = next(file for file in files if file.name.startswith("libggml-cpu"))
        return str(Path(str(found.locate())).stat().st_mtime_ns)
    except (OSError, StopIteration, metadata.PackageNotFoundError):
        return ""
