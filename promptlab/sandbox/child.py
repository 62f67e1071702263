"""The child's side: read a request, render, reply, within limits. Started as `python -m promptlab.sandbox.child`."""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import sys
from collections.abc import Mapping
from typing import Any

from promptlab.core import chat, checker, program, textdiff
from promptlab.core.constraint import Constraint
from promptlab.core.program import Ask, Message
from promptlab.core.prompt import Input, Prompt, complete
from promptlab.errors import PromptlabError, RenderError, SourceError

IDLE_S = 0.02
"""How long to wait for a first request before the time is used to import what a later one may need."""


def main() -> None:
    """Serve requests, a JSON line each, until the input ends."""
    memory, wall_s = int(sys.argv[1]), float(sys.argv[2])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not break the protocol
    gc.set_threshold(50_000)  # syntax trees are many small things that do not refer in circles
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    replies.write(b"ready\n")
    replies.flush()
    if not select.select([sys.stdin], [], [], IDLE_S)[0]:
        _load({})
    for line in sys.stdin.buffer:
        _limit_cpu(wall_s)
        replies.write(json.dumps(_serve(line)).encode() + b"\n")
        replies.flush()


def _serve(line: bytes) -> dict[str, Any]:
    request: dict[str, Any] = {"file": "the request"}
    try:
        request = json.loads(line)
        return {"result": _OPERATIONS[request["op"]](request)}
    except SourceError as error:
        return {"error": "SourceError", "problems": [[p.file, p.line, p.column, p.message] for p in error.problems]}
    except PromptlabError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except MemoryError:
        return {"error": "RenderError", "message": f"{request['file']}: needs too much memory"}
    except RecursionError:
        return {"error": "RenderError", "message": f"{request['file']}: is nested too deeply"}
    except Exception as error:
        # The last line of defence: a stranger's template must never show a reader a traceback.
        return {
            "error": "RenderError",
            "message": f"{request['file']}: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
        }


def _load(_: Mapping[str, Any]) -> None:
    """Import what checks values against types: it is slow to import, and not every request needs it."""
    import jsonschema  # noqa: F401


def _step(request: Mapping[str, Any]) -> dict[str, Any]:
    result = program.step(_prompt(request["prompt"]), request["inputs"], tuple(request["answers"]))
    messages = [[m.role, m.content] for m in result.messages]
    if isinstance(result, Ask):
        # Options are the template's own values; what JSON cannot say has been refused as an option already.
        wanted = result.constraint and [result.constraint.kind, result.constraint.value]
        return {"name": result.name, "messages": messages, "options": dict(result.options), "constraint": wanted}
    return {"messages": messages, "answers": result.answers, "output": result.output}


def _complete(request: Mapping[str, Any]) -> dict[str, Any]:
    return complete(_prompt(request["prompt"]), request["given"])


def _references(request: Mapping[str, Any]) -> list[Any]:
    found = program.references(request["source"], request["file"], request["first_line"])
    return [[r.kind, r.name, r.line, r.optional] for r in found]


def _chat(request: Mapping[str, Any]) -> list[Any]:
    messages = [Message(**m) for m in request["messages"]]
    return list(chat.render(request["template"], messages, bos=request["bos"], eos=request["eos"]))


def _check(request: Mapping[str, Any]) -> list[Any]:
    found = checker.check(request["file"], request["files"])
    return [[f.file, f.line, f.column, f.message, f.severity] for f in found]


def _example(request: Mapping[str, Any]) -> str:
    from promptlab.core.fewshot import add_example  # here because hardly anybody asks for it

    return add_example(request["source"], request["file"], request["question"], request["answer"])


def _diff(request: Mapping[str, Any]) -> list[str]:
    return textdiff.unified(request["old"], request["new"])


def _convert(request: Mapping[str, Any]) -> list[Any]:
    from promptlab.core.interchange import dotprompt  # here because hardly anybody asks for it

    made = dotprompt.convert(request["source"], request["name"])
    findings = [[f.kind, f.problem.file, f.problem.line, f.problem.column, f.problem.message] for f in made.findings]
    return [made.text, findings, made.partials]


_OPERATIONS = {
    "convert": _convert,
    "diff": _diff,
    "example": _example,
    "load": _load,
    "step": _step,
    "complete": _complete,
    "references": _references,
    "check": _check,
    "chat": _chat,
}


def _prompt(data: Mapping[str, Any]) -> Prompt:
    inputs = tuple(Input(*i) for i in data["inputs"])
    return Prompt(
        data["name"],
        data["body"],
        data["body"],
        data["body_line"],
        "",
        inputs,
        data["options"],
        partials=data["partials"],
        output=data["output"] and Constraint(*data["output"]),
        output_place=data["output_place"],
        suffix=data["suffix"],
    )


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(what, (value, value))


def _limit_cpu(wall_s: float) -> None:
    """Let this request burn its share of processor time and no more, even if no parent is there to kill it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime + wall_s) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError, RenderError):
        sys.exit(1)
