"""Variants of a model that is on disk, made by quantising its file, and registered with the model as their base."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from promptlab.app.lab import Lab
from promptlab.app.models import one_model
from promptlab.core.job import Model
from promptlab.core.schema import shorten
from promptlab.engine import quantize as quantiser
from promptlab.errors import ModelMissing, PromptlabError, StoreError, UsageError
from promptlab.files import stock
from promptlab.files.entrytext import add_entry
from promptlab.files.gguf_header import Header, read_header
from promptlab.files.models import check_name, present
from promptlab.files.paths import cache_dir, is_packaged, model_file
from promptlab.files.registry import Origin, edit

KINDS = tuple(quantiser.KINDS)
"""What a model can be quantised as."""
WHOLE = frozenset({"F32", "F16", "BF16"})
"""What is not quantised yet."""
SPARE = 1.1
"""Of the disk: what is expected of a file is up to a tenth too little, where rows do not divide into large blocks."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a variant has come."""

    name: str
    phase: Literal["quantise", "hash"]
    done: int
    """Tensors, or bytes."""
    total: int


Tell = Callable[[Step], None]
"""Hears how far it has come, and may raise an exception to stop."""


@dataclass(frozen=True, slots=True)
class Order:
    """A model, and what is to be made of it."""

    model: Model
    path: Path
    header: Header
    kinds: tuple[str, ...]
    origin: Origin
    """Whose models.yaml gets the entries."""

    @property
    def warning(self) -> str:
        """What to know before: what was lost is not to be had again. Empty where nothing was."""
        if self.header.quantization in WHOLE:
            return ""
        return (
            f"{self.model.name} is {self.header.quantization or 'quantised'} already: what that lost stays lost, and "
            "quantising it again loses more; a larger type such as q8_0 recovers nothing"
        )

    def variant(self, kind: str) -> str:
        """The name of the entry for one kind."""
        return f"{self.model.name}-{kind}"


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant that has a file and an entry now."""

    name: str
    kind: str
    title: str
    sha256: str
    bytes: int
    path: str
    base: str
    base_sha256: str
    how: Literal["made", "made again", "was there already"]
    """`made again`: its entry was there, but not its file."""
    registry: str | None
    """The models.yaml that its entry was written to; None where it was there."""


def order(lab: Lab, name: str, kinds: Sequence[str], *, project: bool) -> Order:
    """Look at a model and what is wanted of it; nothing is made yet.

    Raises UsageError, NotFound, ModelMissing, EngineError for a file that is no model, StoreError and SourceError.
    """
    model = one_model(lab, name)
    wanted = tuple(dict.fromkeys(kind.strip().lower() for text in kinds for kind in text.split(",") if kind.strip()))
    if unknown := [kind for kind in wanted if kind not in quantiser.KINDS]:
        raise UsageError(f"there is no type {shorten(unknown[0])!r}", hint=f"There are {', '.join(quantiser.KINDS)}")
    if not wanted:
        raise UsageError("no type is named", hint=f"There are {', '.join(quantiser.KINDS)}")
    if project and is_packaged(lab.root):
        raise UsageError("this library ships with promptlab and is not changed", hint="`promptlab init` makes your own")
    if model.server is not None:
        raise UsageError(f"{model.name} is behind a server, so there is no file to quantise")
    path = present(model)
    if path is None:
        raise ModelMissing(f"{model.name} is not on disk", hint=f"`promptlab models pull {model.name}` fetches it")
    found = Order(model, path, read_header(path), wanted, "project" if project else "yours")
    for kind in wanted:
        _check_entry(lab.models, found, kind)
    return found


def carry_out(lab: Lab, order: Order, tell: Tell) -> Iterator[Variant]:
    """Make what is not there yet, and tell each variant as soon as it has its entry.

    A variant has its file and its entry, or neither. Raises EngineError, StoreError, UsageError and SourceError.
    """
    for kind in order.kinds:
        entry = lab.models.get(order.variant(kind))
        if entry is not None and (path := present(entry)) is not None:
            size = path.stat().st_size
            yield _variant(order, kind, entry.title, str(entry.sha256), size, "was there already", None)
        else:
            yield _make(lab, order, kind, entry, tell)


def _check_entry(models: dict[str, Model], order: Order, kind: str) -> None:
    """Raise UsageError where the name of a variant cannot be one, or is that of something else."""
    name = order.variant(kind)
    try:
        check_name(name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    entry = models.get(name)
    if entry is not None and (entry.base, entry.base_sha256) != (order.model.name, order.model.sha256):
        raise UsageError(
            f"there is an entry {name} already, and it is not {order.model.name} as quantised here",
            hint=f"Take it out with `promptlab models remove {name}`, or give it another name",
        )


def _make(lab: Lab, order: Order, kind: str, entry: Model | None, tell: Tell) -> Variant:
    name = order.variant(kind)
    folder = _work_folder(order, kind)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"quantise-{name}-", ignore_cleanup_errors=True) as work:
        file = Path(work, "model.gguf")
        parameters = order.header.parameters
        quantiser.quantize(
            order.path, file, kind, parameters, lambda done, total: tell(Step(name, "quantise", done, total))
        )
        header = read_header(file)
        hashed = stock.hash_file(file, lambda done, total: tell(Step(name, "hash", done, total)))
        title = _title(order, header)
        if entry is not None and entry.sha256 != hashed.sha256:
            raise UsageError(
                f"{name}: its entry has another hash than what llama.cpp makes here: {hashed.sha256}",
                hint=f"Take it out with `promptlab models remove {name}`, then quantise again",
            )
        new = stock.put(hashed, link=False, may_copy=True) != "was there"
    if entry is not None:
        return _variant(order, kind, entry.title, hashed.sha256, hashed.bytes, "made again", None)
    try:
        values = _values(order, title, hashed)
        written = edit(lab.root, order.origin, lambda text: add_entry(text, name, values))
    except PromptlabError:
        if new:  # a file that no entry names would only take up room
            stock.take_out(hashed.sha256)
        raise
    return _variant(order, kind, title, hashed.sha256, hashed.bytes, "made", str(written))


def _work_folder(order: Order, kind: str) -> Path:
    """Where it is made: on the disk of the model store, and with room. Raises StoreError."""
    header, folder = order.header, cache_dir() / "downloads"
    before = order.path.stat().st_size // 10  # the vocabulary, mostly
    need = int(SPARE * quantiser.expected_bytes(kind, header.parameters, header.largest)) + min(before, 16 << 20)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror or error}") from None
    if need > free:
        hint = "Free some space, or let XDG_CACHE_HOME name another folder"
        raise StoreError(
            f"{order.variant(kind)} takes about {need:,} bytes, but only {free:,} are free in {folder}", hint=hint
        )
    return folder


def _title(order: Order, header: Header) -> str:
    """What it is, with the types that the tensors really have: llama.cpp keeps some in another than was asked for."""
    stem = re.sub(r"\s*\([^()]*\)$", "", order.model.title) or order.model.name
    source = order.header.quantization
    return f"{stem}: {header.tensor_types}{f', from {source}' if source else ''}"


def _values(order: Order, title: str, hashed: stock.Hashed) -> dict[str, Any]:
    """What stands in the entry: all that the parent's says of how it is used."""
    model = order.model
    values: dict[str, Any] = {
        "title": title,
        "license": model.license,
        "sha256": hashed.sha256,
        "bytes": hashed.bytes,
        "base": model.name,
        "base_sha256": model.sha256,
        "context": model.context,
    }
    same: dict[str, Any] = {
        "options": dict(model.options),
        "chat_template": model.chat_template,
        "threads": model.threads,
        "mode": None if model.mode == "exact" else model.mode,
        "layout": dict(model.layout),
        "tags": list(model.tags),
        "gpu_layers": model.gpu_layers,
        "kv_type": model.kv_type,
    }
    return values | {key: value for key, value in same.items() if value}


def _variant(
    order: Order,
    kind: str,
    title: str,
    sha256: str,
    size: int,
    how: Literal["made", "made again", "was there already"],
    registry: str | None,
) -> Variant:
    base = (order.model.name, str(order.model.sha256))
    return Variant(order.variant(kind), kind, title, sha256, size, str(model_file(sha256)), *base, how, registry)
