"""A model for a reader, and as JSON: its entry, and what its file says."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

    from promptlab.app.model_details import Details, Header
    from promptlab.app.models import Entry
    from promptlab.app.reach import Reached


def as_json(found: Details) -> dict[str, Any]:
    """The entry, and below `file` what its file says: None where there is none, or it cannot be read."""
    header = found.header
    file = None if header is None else {**asdict(header), "problem": found.problem or None, "needs": found.least}
    if header is None and found.problem:
        file = {"problem": found.problem}
    return {**asdict(found.entry), "pinned": found.entry.sha256 is not None, "file": file}


def as_page(found: Details, reached: Reached | None = None) -> Text:
    """All of it on a page; `reached` is what its server said."""
    from promptlab.views.pages import fields, heading, page

    entry = found.entry
    title = f"{entry.name}: {entry.title}" if entry.title else entry.name
    blocks = [[heading(title), *fields(_entry(entry))]]
    if found.header is not None:
        blocks.append([heading("What its file says"), *fields(_file(found.header, found.least))])
    elif found.problem:
        blocks.append([heading("Its file cannot be read"), *fields({"why": found.problem})])
    if reached is not None:
        blocks.append([heading("Its server"), *fields(_server(reached))])
    return page(blocks)


def _server(reached: Reached) -> dict[str, Any]:
    from promptlab.views.server import UNKNOWN_WEIGHTS, server_facts

    if reached.server is None:
        return {"answers": "no", "why": reached.problem}
    return {
        "answers": "yes",
        "as": " · ".join(server_facts(reached.server)[1:]),
        "takes": f"{reached.context:,} tokens" if reached.context else None,
        "weights": UNKNOWN_WEIGHTS,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    from promptlab.views.table import size

    sources = {f"source {i}": source for i, source in enumerate(entry.sources, 1)}
    return {
        "from": _origin(entry),
        "trusted": None if entry.trusted is None else "yes" if entry.trusted else "no: see `promptlab trust`",
        "server": entry.server,
        "asked for": entry.model,
        "on disk": None if entry.server else entry.path or f"no: `{entry.pull_command}` fetches it",
        "size": f"{size(entry.bytes)} ({entry.bytes:,} bytes)" if entry.bytes else None,
        "pinned": None if entry.server else entry.sha256 or "no: its entry has no sha256",
        "license": entry.license,
        "default": "yes" if entry.default else "no",
        "tags": ", ".join(entry.tags),
        "context": None if entry.server else f"{entry.context:,} tokens",
        "options": entry.options or None,
        "chat template": entry.chat_template,
        "threads": None if entry.threads is None else str(entry.threads),
        "mode": None if entry.server else entry.mode,
        "KV cache": entry.kv_type,
        "GPU layers": str(entry.gpu_layers) if entry.gpu_layers else None,
        "base": entry.base,
        "made from": entry.base_sha256,
        "same weights": ", ".join(entry.variants),
        **sources,
    }


def _origin(entry: Entry) -> str:
    if entry.origin == "project":
        return "the library's models.yaml"
    return "your own models.yaml" + (", in the place of the library's entry" if entry.hides else "")


def _file(header: Header, least: int | None) -> dict[str, Any]:
    from promptlab.views.table import size

    shape = header.shape
    vocabulary = f"{header.tokenizer}, {shape.vocabulary:,} tokens".removeprefix(", ")
    return {
        "name": header.name,
        "architecture": f"{shape.architecture}, {shape.layers} layers of width {shape.embedding:,}",
        "parameters": f"{header.parameters:,}" if header.parameters else None,
        "quantization": header.quantization,
        "tensors": header.tensor_types,
        "trained for": f"{shape.context:,} tokens" if shape.context else None,
        "license": header.license or "not said",
        "tokenizer": vocabulary,
        "chat template": f"{len(header.chat_template):,} characters" if header.chat_template else "none",
        "needs": f"{size(least)} of memory at least" if least else None,
    }
