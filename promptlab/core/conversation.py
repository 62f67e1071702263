"""A conversation that goes on, as a prompt: so that its record holds all that is needed, and can be replayed.

Each message is a role tag whose text comes in as an input: nothing that anybody said is read as a template. Where the
last message is an assistant's, the answer goes on from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from promptlab.core import codec
from promptlab.core.interchange import yamlwrite
from promptlab.core.prompt import Prompt, parse
from promptlab.core.record import PromptRef, Record, Step
from promptlab.core.tape import Message
from promptlab.errors import SourceError

KEY = "continues"
"""Of the metadata: what a conversation goes on from."""
BEGUN = "begun"
"""The input that the answer of a branch begins with."""
_SUFFIXES = (".branch", ".turn")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a conversation goes on from."""

    record: str
    """The id of the record with the answer."""
    prompt: str
    """What the prompt is called that all began with."""
    step: int
    """Of the record, from 0."""
    token: int | None = None
    """The first token of the answer, from 0, that another one stands for; None where the whole answer stands."""
    id: int | None = None
    """The token that stands there."""


def branch(record: Record, step: int, token: int, id: int, begun: str) -> tuple[Prompt, dict[str, str]]:
    """The prompt, and its inputs, that goes on from an answer as far as it is `begun`; its output is all of it."""
    asked = record.steps[step]
    origin = Origin(record.id, _root(record.prompt), step, token, id)
    messages = list(asked.messages) if _is_open(asked.messages) else [*asked.messages, Message("assistant", "")]
    before = _begun(record)  # of a branch of a branch: what it began with is a part of the answer
    messages[-1] = replace(messages[-1], content=messages[-1].content.removesuffix(before))
    options = {**asked.options, "seed": record.seed}
    name = _name(record.prompt.name, ".branch")
    return _written(messages, origin, options, name, f"branch {token + 1}", begun=before + begun)


def next_turn(record: Record, text: str) -> tuple[Prompt, dict[str, str]]:
    """The prompt, and its inputs, that says something more after the last answer of a record."""
    messages = [*said(record.steps[-1]), Message("user", text)]
    origin = Origin(record.id, _root(record.prompt), len(record.steps) - 1)
    turns = sum(message.role == "user" for message in messages)
    options = {**record.options, "seed": record.seed}
    return _written(messages, origin, options, _name(record.prompt.name, ".turn"), f"turn {turns}")


def said(step: Step) -> list[Message]:
    """The conversation with its answer."""
    if not _is_open(step.messages):
        return [*step.messages, Message("assistant", step.text)]
    last = step.messages[-1]
    return [*step.messages[:-1], replace(last, content=last.content + step.text)]


def origin_of(prompt: PromptRef) -> Origin | None:
    """What a record's prompt goes on from; None where it is no such conversation."""
    try:
        found = parse(prompt.source, prompt.name).metadata.get(KEY)
        return None if found is None else codec.load(Origin, found)
    except (SourceError, ValueError):  # somebody else made it
        return None


def _begun(record: Record) -> str:
    origin, text = origin_of(record.prompt), record.inputs.get(BEGUN)
    return text if origin is not None and origin.token is not None and isinstance(text, str) else ""


def _is_open(messages: Sequence[Message]) -> bool:
    return messages[-1].role == "assistant"


def _root(prompt: PromptRef) -> str:
    origin = origin_of(prompt)
    return origin.prompt if origin else prompt.label


def _name(name: str, suffix: str) -> str:
    for each in _SUFFIXES:
        name = name.removesuffix(each)
    return name + suffix


def _written(
    messages: Sequence[Message],
    origin: Origin,
    options: Mapping[str, Any],
    name: str,
    what: str,
    begun: str | None = None,
) -> tuple[Prompt, dict[str, str]]:
    inputs = {f"message_{number}": message.content for number, message in enumerate(messages, 1)}
    contents = [f"{{{{ {each} }}}}" for each in inputs]
    end = ""
    if begun is not None:
        inputs[BEGUN] = begun
        contents[-1] += f"{{{{ {BEGUN} }}}}"
        end = f"{{% return {BEGUN} ~ output %}}\n"
    front = {
        "description": f"Goes on from an answer to {origin.prompt}.",
        "inputs": dict.fromkeys(inputs, "string"),
        "options": dict(options),
        "metadata": {KEY: {key: value for key, value in asdict(origin).items() if value is not None}},
    }
    body = "".join(
        f"{{% {message.role} verbatim %}}{content}{{% end{message.role} %}}\n"
        for message, content in zip(messages, contents, strict=True)
    )
    source = f"---\n{yamlwrite.write(front, spread='inputs')}---\n{body}{{% generate output %}}\n{end}"
    return replace(parse(source, name), label=f"{origin.prompt} {what}"), inputs
