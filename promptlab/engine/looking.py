"""What a server says of a model that it has: who it is, and what it takes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptlab.core.events import Server
from promptlab.core.job import Model
from promptlab.core.schema import shorten
from promptlab.engine import connection
from promptlab.engine.completion import KINDS, LLAMA_CPP, VLLM, Unanswered, unsent

if TYPE_CHECKING:
    from openai import AsyncOpenAI

AT_ONCE = 4
"""Requests that one server gets at once, where it does not say how many it takes."""
MOST_AT_ONCE = 64
SHOWN = 8
"""Names of models that a message lists."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A model as a server has it."""

    server: Server
    name: str
    """What the server calls it, as it wants to be asked."""
    context: int
    """Tokens that fit into a conversation; 0 where it does not say."""
    slots: int
    """How many requests it gets at once."""


async def look(client: AsyncOpenAI, model: Model) -> Offer:
    """Ask a server what it has. Raises Unanswered where it has no such model, and what `connection.reason` can read."""
    listed = _listed(await connection.page(client, "/models"))
    name = _served_as(model, list(listed))
    said = listed[name]
    kind = KINDS.get(str(said.get("owned_by")), "")
    more = await _more(client) if kind == LLAMA_CPP else {}
    server = Server(
        connection.shown_address(str(model.server)),
        _shown(name),
        kind,
        _text(more.get("build_info")),
        unsent(kind),
        _identity(said, more, kind),
    )
    settings = more.get("default_generation_settings")
    context = _whole(settings.get("n_ctx")) if isinstance(settings, Mapping) else 0
    return Offer(server, name, context, min(_whole(more.get("total_slots")) or AT_ONCE, MOST_AT_ONCE))


async def _more(client: AsyncOpenAI) -> Mapping[str, Any]:
    """How llama.cpp's server was started; nothing where it was told not to say."""
    with contextlib.suppress(Exception):  # whatever goes wrong: it has answered before, and this is not needed
        found = await connection.page(client, _props(client))
        return found if isinstance(found, Mapping) else {}
    return {}


def _identity(said: Mapping[str, Any], more: Mapping[str, Any], kind: str) -> str:
    """SHA-256 over what is said of a model, as far as it stays the same as long as the model does."""
    # To llama.cpp's server and vLLM, `created` is the time at which they are asked.
    stays = {key: value for key, value in said.items() if key != "created" or kind not in (LLAMA_CPP, VLLM)}
    told = {"model": stays, **{each: more.get(each) for each in ("build_info", "model_path", "chat_template")}}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _text(value: Any) -> str:
    return shorten(value, 100) if isinstance(value, str) else ""


def _props(client: AsyncOpenAI) -> str:
    """Where llama.cpp's server says how it was started: beside `/v1`."""
    path = client.base_url.path.rstrip("/").removesuffix("/v1")
    return str(client.base_url.copy_with(path=f"{path}/props"))


def _listed(found: Any) -> dict[str, Mapping[str, Any]]:
    """The models that a server has, by their names."""
    data = found.get("data") if isinstance(found, Mapping) else None
    if not isinstance(data, list):
        raise Unanswered("does not list its models as an OpenAI-compatible one does: is its address right?")
    return {each["id"]: each for each in data if isinstance(each, Mapping) and isinstance(each.get("id"), str)}


def _served_as(model: Model, names: Sequence[str]) -> str:
    """What a server calls a model; where it has only one, and no name was given, that one."""
    wanted = model.model or model.name
    for name in (wanted, f"{wanted}:latest"):  # as Ollama has it
        if name in names:
            return name
    if model.model is None and len(names) == 1:
        return names[0]
    listed = ", ".join(shorten(name, 80) for name in names[:SHOWN]) + (" and more" if len(names) > SHOWN else "")
    has = f"it has {listed}; name one with `model:`" if names else "it has none"
    raise Unanswered(f"has no model {shorten(wanted)!r}: {has}")


def _shown(name: str) -> str:
    """A model's name for records, which may be shown to others: of a path on the server's machine only its end."""
    return shorten(re.split(r"[/\\]", name)[-1] if re.match(r"[/\\~]|[A-Za-z]:", name) else name, 200)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31 else 0
