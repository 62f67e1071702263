"""What a question becomes for an OpenAI-compatible server, and what its streamed answer becomes as events.

Everything that comes in is a stranger's: each value is looked at before it is used. Raises ValueError for what is no
answer, and Unanswered for what is one that cannot stand.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from promptlab.core.constraint import Constraint
from promptlab.core.events import UNCOUNTED, UNKNOWN, Alternative, Answered, FinishReason, Server, Timings, Token, Usage
from promptlab.core.schema import shorten
from promptlab.engine.backend import Question
from promptlab.errors import EngineError

LLAMA_CPP, VLLM = "llama.cpp", "vLLM"
KINDS = {"llamacpp": LLAMA_CPP, "vllm": VLLM, "library": "Ollama", "organization_owner": "LM Studio"}
"""Kinds of servers, by whom they say owns their models."""
BEYOND = ("top_k", "min_p", "repeat_penalty")
"""Options that are no part of the protocol."""
TAKEN = {LLAMA_CPP: BEYOND, VLLM: ("top_k", "min_p")}
"""Those of them that a kind of server takes, with our meaning."""
SPARE = 64
"""Pieces that may come beyond `max_tokens`: a server may count otherwise, but not without an end."""
TOKEN_BYTES = 8192
"""Bytes that a token of an answer may take, with all that is said of it."""
ENDS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


class Unanswered(EngineError):
    """A server's answer that cannot stand for one."""


def unsent(kind: str) -> tuple[str, ...]:
    """Options that a kind of server is not told of: its own values hold."""
    return tuple(name for name in BEYOND if name not in TAKEN.get(kind, ()))


def room_for(question: Question) -> int:
    """Bytes that the answer to a question may take."""
    return (1 << 20) + (question.options.max_tokens + SPARE) * TOKEN_BYTES


def request(question: Question, server: Server, name: str) -> tuple[str, dict[str, Any]]:
    """Where to ask, and what; `name` is what the server calls the model.

    Raises EngineError where such a server cannot be asked that.
    """
    options = question.options.plain()
    body: dict[str, Any] = {
        "model": name,
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": question.seed,
        **{name: options[name] for name in ("max_tokens", "temperature", "top_p")},
        **{name: options[name] for name in TAKEN.get(server.kind, ())},
    }
    if server.kind == VLLM and not body["top_k"]:
        body["top_k"] = -1  # its word for all
    if options["stop"]:
        body["stop"] = options["stop"]
    chat = bool(question.messages)
    if begun(question) and server.kind != LLAMA_CPP:
        what = "a server of this kind cannot be made to go on with an answer that has begun"
        raise EngineError(f"{question.model}: {what}")
    if question.constraint is not None:
        body |= _held(question, question.constraint, server.kind, chat=chat)
    if chat:
        messages = [{"role": each.role, "content": _clean(each.content)} for each in question.messages]
        # With `none`, all that the model says is in the answer, as it is where promptlab computes it.
        more = {"logprobs": True, "top_logprobs": max(question.top, 1), "reasoning_format": "none"}
        return "/chat/completions", body | {"messages": messages} | (more if server.kind == LLAMA_CPP else {})
    prompt = _clean("".join(segment.text for segment in question.segments))
    more = {"n_probs": max(question.top, 1)} if server.kind == LLAMA_CPP else {}
    return "/completions", body | {"prompt": prompt} | more


def _held(question: Question, constraint: Constraint, kind: str, *, chat: bool) -> dict[str, Any]:
    """What makes a server hold its answer to a constraint."""
    value = constraint.value
    if kind == LLAMA_CPP and constraint.kind in ("choices", "grammar"):
        return {"grammar": _one_of(value) if constraint.kind == "choices" else value}
    if constraint.kind in ("schema", "choices") and chat:
        schema = value if constraint.kind == "schema" else {"type": "string", "enum": list(value)}
        named = {"name": "answer", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if constraint.kind == "schema" and kind == LLAMA_CPP:
        return {"json_schema": value}
    what = f"{'a' if chat else 'a plain text of a'} {constraint.kind}".replace("a choices", "choices")
    raise EngineError(f"{question.model}: a server of this kind cannot hold an answer to {what}")


def begun(question: Question) -> str:
    """An answer that has begun, which llama.cpp's server goes on with; others begin a new one."""
    last = question.messages[-1] if question.messages else None
    return last.content if last is not None and last.role == "assistant" else ""


def quoted(question: Question, server: Server) -> bool:
    """Whether the answer comes as a JSON string, and is what stands in it."""
    return question.constraint is not None and question.constraint.kind == "choices" and server.kind != LLAMA_CPP


def _one_of(choices: Sequence[str]) -> str:
    """A grammar of choices."""
    return "root ::= " + " | ".join(map(_literal, choices))


def _literal(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(each, each) for each in _clean(text)) + '"'


def _clean(text: str) -> str:
    """Text that can be sent: half of a surrogate pair cannot."""
    return text.encode("utf-8", "replace").decode()


@dataclass(slots=True)
class Reply:
    """An answer while it comes."""

    seq: int
    limit: int
    """Pieces that may come."""
    quoted: bool = False
    prefix: str = ""
    """An answer that had begun. It is no part of this one, and some versions of the server say it once more."""
    parts: list[str] = field(default_factory=list)
    known: bool = True
    """Whether each token so far came with its id and its log-probability. Some of them alone would be no answer."""
    pieces: int = 0
    finish: FinishReason | None = None
    usage: Usage | None = None
    begun: float = field(default_factory=time.monotonic)
    first: float | None = None
    last: float = 0.0

    def take(self, data: Any) -> Iterator[Token]:
        """Take what the server sent at once."""
        if not isinstance(data, Mapping):
            raise ValueError("not a mapping")
        self.usage = _usage(data.get("usage")) or self.usage
        for choice in _list(data.get("choices"))[:1]:
            yield from self._choice(choice)

    def _choice(self, choice: Any) -> Iterator[Token]:
        if not isinstance(choice, Mapping):
            raise ValueError("a choice is not a mapping")
        delta = choice.get("delta")
        text = delta.get("content") if isinstance(delta, Mapping) else choice.get("text")
        if text is not None and not isinstance(text, str):
            raise ValueError("the content is not a text")
        end = choice.get("finish_reason")
        if text:
            tokens = list(_tokens(self.seq, choice.get("logprobs")))
            if not tokens and not self.parts and text == self.prefix:  # what was drawn would come with its tokens
                return
            yield from self._text(text, tokens)
        if end is not None:
            if not isinstance(end, str) or end not in ENDS:
                raise Unanswered(f"ended the answer with {shorten(repr(end))}, and not with a text")
            self.finish = ENDS[end]

    def _text(self, text: str, tokens: list[Token]) -> Iterator[Token]:
        self.pieces += 1
        if self.pieces > self.limit:
            raise Unanswered("went on and on after all the tokens that it was asked for")
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.parts.append(text)
        if self.quoted:
            return
        self.known = self.known and bool(tokens)
        if not self.known:
            yield Token(self.seq, UNKNOWN, text, 0.0)
            return
        for number, token in enumerate(tokens):
            yield Token(token.seq, token.id, "" if number else text, token.logprob, token.top)

    def end(self) -> Answered:
        """The whole answer. Raises Unanswered where it was broken off."""
        if self.finish is None:
            raise Unanswered("broke off the answer before its end")
        return self.answered(self.finish)

    def answered(self, finish: FinishReason) -> Answered:
        """As far as it has come."""
        first, last = self.first or self.begun, self.last or self.begun
        drawn = self.usage.completion_tokens if self.usage else self.pieces
        decode = last - first
        rate = (drawn - 1) / decode if drawn > 1 and decode > 0 else 0.0
        timings = Timings(0.0, first - self.begun, 0.0, decode, rate)
        return Answered(self.seq, self._whole(finish), finish, self.usage or UNCOUNTED, timings)

    def _whole(self, finish: FinishReason) -> str:
        text = "".join(self.parts)
        if not self.quoted or finish != "stop":
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return value if isinstance(value, str) else text


def _list(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError("not a list")
    return value


def _usage(value: Any) -> Usage | None:
    """Counts of tokens; None where they are none."""
    if not isinstance(value, Mapping):
        return None
    details = value.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    read, drawn = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    return None if read is None or drawn is None else Usage(read, min(cached or 0, read), drawn)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _tokens(seq: int, value: Any) -> Iterator[Token]:
    """Tokens with their ids and log-probabilities, as llama.cpp's server tells them; none where one lacks either."""
    found = value.get("content") if isinstance(value, Mapping) else None
    drawn = [_drawn(each) for each in found] if isinstance(found, list) else []
    if None in drawn:
        return
    for each, told in zip(drawn, found or (), strict=True):
        assert each is not None
        others = told.get("top_logprobs")
        top = tuple(a for a in map(_drawn, others) if a) if isinstance(others, list) else ()
        yield Token(seq, each.id, "", each.logprob, top)


def _drawn(value: Any) -> Alternative | None:
    if not isinstance(value, Mapping):
        return None
    id, logprob = _count(value.get("id")), value.get("logprob")
    if id is None or isinstance(logprob, bool) or not isinstance(logprob, int | float):
        return None
    return Alternative(id, min(float(logprob), 0.0)) if math.isfinite(logprob) else None
