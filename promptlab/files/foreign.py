"""Model files that other programs have on this disk: Ollama and LM Studio. They are only read.

The folders may hold anything: what cannot be used is told, a line for each, and the rest goes on. Links that lead out
of the folder are not followed, and nothing is taken for a hash that was not computed here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab.core.schema import shorten
from promptlab.errors import NotFound

MAX_FILES = 10_000
"""Of a folder; who has more names a folder below it."""
MAX_MANIFEST = 1 << 20
MAX_DEPTH = 4
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_MODEL_LAYER = "application/vnd.ollama.image.model"
_OTHER_LAYERS = ("template", "params", "system", "adapter", "projector", "messages")
"""What Ollama keeps beside the weights, and what is not used here."""
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_USUAL_HOST, _USUAL_OWNER, _USUAL_TAG = "registry.ollama.ai", "library", "latest"


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a model."""

    name: str
    """What the other program calls it."""
    path: Path
    unused: tuple[str, ...] = ()
    """What else belongs to it there, and is not used here."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that cannot be used, and why."""

    name: str
    reason: str


def ollama_folder(given: Path | None) -> Path:
    """Where Ollama keeps its models: `given`, or OLLAMA_MODELS, or a usual place. Raises NotFound."""
    named = os.environ.get("OLLAMA_MODELS")
    usual = [Path(named)] if named else [Path("~/.ollama/models"), Path("/usr/share/ollama/.ollama/models")]
    return _folder(given, usual, "manifests", "Ollama")


def lmstudio_folder(given: Path | None) -> Path:
    """Where LM Studio keeps its models: `given`, or a usual place. Raises NotFound."""
    return _folder(given, [Path("~/.lmstudio/models"), Path("~/.cache/lm-studio/models")], "", "LM Studio")


def ollama_models(folder: Path) -> Iterator[Found | Skipped]:
    """What the manifests in a folder name: HOST/OWNER/MODEL/TAG, with the weights in blobs/."""
    manifests = folder / "manifests"
    for path in _files(manifests):
        if isinstance(path, Skipped):
            yield path
            continue
        parts = path.relative_to(manifests).parts
        if len(parts) == MAX_DEPTH:
            yield _ollama_model(folder, path, _ollama_name(*parts))


def lmstudio_models(folder: Path) -> Iterator[Found | Skipped]:
    """The GGUF files in a folder: PUBLISHER/REPOSITORY/FILE."""
    for path in _files(folder):
        if isinstance(path, Skipped):
            yield path
            continue
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() != ".gguf":
            continue
        if path.name.lower().startswith("mmproj"):
            yield Skipped(name, "is the part of a model that sees pictures, not a model")
        elif _PART.search(path.name):
            yield Skipped(name, "is one of several parts of a model; join them with llama.cpp's gguf-split")
        elif reason := _unusable(path, folder):
            yield Skipped(name, reason)
        else:
            yield Found(path.stem, path)


def _folder(given: Path | None, usual: Sequence[Path], inside: str, whose: str) -> Path:
    tried = [given] if given else usual
    for each in tried:
        try:
            path = each.expanduser()
            if (path / inside).is_dir():
                return path.resolve()
        except (OSError, RuntimeError):
            continue
    where = ", ".join(str(each / inside) for each in tried)
    raise NotFound(f"there are no models of {whose}: no folder {where}", hint="Name the folder")


def _files(folder: Path) -> Iterator[Path | Skipped]:
    """Everything in a folder and below, in order, that is no folder; links to folders are not followed."""
    count = 0
    for place, below, names in os.walk(folder):
        here = Path(place)
        below[:] = sorted(below) if len(here.relative_to(folder).parts) < MAX_DEPTH - 1 else []
        for name in [each for each in below if (here / each).is_symlink()]:
            yield Skipped((here / name).relative_to(folder).as_posix(), "is a link to a folder, and is not followed")
        for name in sorted(names):
            yield here / name
        count += 1 + len(names)
        if count > MAX_FILES:
            yield Skipped(folder.name, f"holds more than {MAX_FILES:,} files and folders; the rest is left out")
            return


def _ollama_name(host: str, owner: str, model: str, tag: str) -> str:
    name = model if tag == _USUAL_TAG else f"{model}:{tag}"
    name = name if owner == _USUAL_OWNER else f"{owner}/{name}"
    return name if host == _USUAL_HOST else f"{host}/{name}"


def _ollama_model(folder: Path, manifest: Path, name: str) -> Found | Skipped:
    layers = _layers(manifest, folder)
    if isinstance(layers, str):
        return Skipped(name, layers)
    kinds = [str(layer.get("mediaType", "")) for layer in layers]
    digests = [layer.get("digest") for layer, kind in zip(layers, kinds, strict=True) if kind == _MODEL_LAYER]
    if len(digests) != 1:
        return Skipped(name, f"has {len(digests) or 'no'} files of weights; one is what can be used")
    digest = _DIGEST.fullmatch(digests[0]) if isinstance(digests[0], str) else None
    if not digest:
        return Skipped(name, f"its manifest names no file of weights: {shorten(repr(digests[0]))}")
    blob = folder / "blobs" / f"sha256-{digest[1]}"
    if reason := _unusable(blob, folder):
        return Skipped(name, reason)
    return Found(name, blob, tuple(each for each in _OTHER_LAYERS if any(kind.endswith(f".{each}") for kind in kinds)))


def _layers(manifest: Path, folder: Path) -> list[dict[str, Any]] | str:
    """The layers that a manifest lists, or why it cannot be read."""
    if reason := _unusable(manifest, folder):
        return f"its manifest {reason}"
    try:
        with manifest.open("rb") as file:
            data = file.read(MAX_MANIFEST + 1)
        value = json.loads(data) if len(data) <= MAX_MANIFEST else None
    except OSError as error:
        return f"its manifest cannot be read: {error.strerror}"
    except (ValueError, RecursionError):
        value = None
    layers = value.get("layers") if isinstance(value, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        return "its manifest is not one of Ollama's"
    return layers


def _unusable(path: Path, folder: Path) -> str:
    """Why a file is not looked into; nothing where it may be."""
    try:
        if not path.resolve().is_relative_to(folder):
            return "is a link that leads out of the folder; `promptlab models add` takes the file itself"
        if not path.exists():
            return f"is not there: {path.name}"
        return "" if path.is_file() and os.access(path, os.R_OK) else "is no file that can be read"
    except (OSError, RuntimeError) as error:
        return f"cannot be looked at: {getattr(error, 'strerror', None) or error}"
