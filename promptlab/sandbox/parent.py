"""The parent's side: start the child, ask it, kill it, start another."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from promptlab.core.checker import Finding
from promptlab.core.constraint import Constraint
from promptlab.core.program import Ask, Message, Reference, Transcript
from promptlab.core.prompt import Prompt
from promptlab.errors import InputError, Problem, PromptlabError, RenderError, SourceError

if TYPE_CHECKING:
    from promptlab.core.interchange.dotprompt import Converted

MAX_REPLY = 64 * 1024 * 1024
"""Bytes of one reply; a well-behaved child stays far below."""

START_S = 60.0
"""How long a child may take to get ready, on a machine that is busy."""

_LIGHT = ("references", "chat", "diff")
"""What a child does without all that it can import."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one rendering may use."""

    wall_s: float = 5.0
    memory_bytes: int = 768 * 1024 * 1024
    """Address space of the child, the interpreter's own 100 MB included."""


class Sandbox:
    """A warm child process. Safe to use from several threads; one request at a time.

    Every method raises RenderError when the template fails or breaks a limit, and SourceError when it cannot be read.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._ready = False
        """Whether the child has said so."""
        self._loaded = False
        """Whether it has everything imported."""

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def warm(self) -> None:
        """Start the child without waiting for it: it gets ready while the caller does something else."""
        with self._lock:
            if self._child is None:
                self._start()

    def step(self, prompt: Prompt, inputs: Mapping[str, Any], answers: Sequence[str]) -> Ask | Transcript:
        """Run a program up to its next question: `core.program.step`."""
        reply = self._request("step", prompt.file, prompt=_sent(prompt), inputs=inputs, answers=list(answers))
        messages = tuple(Message(*m) for m in reply["messages"])
        if "name" in reply:
            constraint = Constraint(*reply["constraint"]) if reply["constraint"] else None
            return Ask(reply["name"], messages, reply["options"], constraint)
        return Transcript(messages, reply["answers"], reply["output"])

    def complete(self, prompt: Prompt, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check values and fill in defaults: `core.prompt.complete`. Raises InputError too."""
        reply: dict[str, Any] = self._request("complete", prompt.file, prompt=_sent(prompt), given=given)
        return reply

    def references(self, source: str, file: str, first_line: int = 1) -> tuple[Reference, ...]:
        """Name what a template includes and calls: `core.program.references`."""
        found = self._request("references", file, source=source, first_line=first_line)
        return tuple(Reference(*each) for each in found)

    def check(self, file: str, files: Mapping[str, str]) -> tuple[Finding, ...]:
        """Say what is wrong with a prompt, or a partial: `core.checker.check`."""
        return tuple(Finding(*each) for each in self._request("check", file, files=files))

    def add_example(self, file: str, source: str, question: str, answer: str) -> str:
        """Add a worked example to the text of a prompt's file: `core.fewshot.add_example`."""
        made: str = self._request("example", file, source=source, question=question, answer=answer)
        return made

    def diff(self, what: str, old: str, new: str) -> list[str]:
        """Say what changed between two texts: `core.textdiff.unified`. `what` names them in an error."""
        found: list[str] = self._request("diff", what, old=old, new=new)
        return found

    def convert(self, source: str, name: str) -> Converted:
        """Turn a dotprompt file into one of ours: `core.dotprompt.convert`."""
        from promptlab.core.interchange.dotprompt import Converted, Finding  # here because hardly anybody asks for it

        text, findings, partials = self._request("convert", name, source=source, name=name)
        return Converted(text, tuple(Finding(kind, Problem(*p)) for kind, *p in findings), tuple(partials))

    def chat(self, template: str, messages: Sequence[Message], *, bos: str, eos: str) -> tuple[str, bool]:
        """Render a model's chat template: `core.chat.render`."""
        sent = [asdict(m) for m in messages]
        text, moved = self._request(
            "chat", "the model's chat template", template=template, messages=sent, bos=bos, eos=eos
        )
        return text, moved

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._kill()

    def _request(self, op: str, what: str, **arguments: Any) -> Any:
        try:
            line = json.dumps({"op": op, "file": what, **arguments}, allow_nan=False).encode() + b"\n"
        except RecursionError:
            raise InputError(f"{what}: a value is nested too deeply") from None
        except (TypeError, ValueError) as error:
            raise InputError(f"{what}: a value is not plain data: {error}") from None
        with self._lock:
            reply = self._exchange(op, line, what)
        if "error" in reply:
            raise _error(reply)
        return reply["result"]

    def _exchange(self, op: str, line: bytes, what: str) -> dict[str, Any]:
        try:
            if self._child is None or self._child.poll() is not None:
                self._kill()
                self._start()
            assert self._child is not None
            self._await_ready(self._child)
            if op not in _LIGHT and not self._loaded:
                # Importing may take long on a busy machine, and that is no fault of the template's.
                self._talk(self._child, b'{"op": "load"}\n', START_S)
                self._loaded = True
            return self._talk(self._child, line, self.limits.wall_s)
        except TimeoutError:
            self._kill()
            raise RenderError(f"{what}: took longer than {self.limits.wall_s:g} s and was stopped") from None
        except (EOFError, OSError, ValueError):
            code = self._kill()
            raise RenderError(
                f"{what}: the process that renders it died ({_reason(code)}); it needs too much"
            ) from None
        except BaseException:  # Ctrl+C in the middle of an exchange: the next one must not read this one's reply
            self._kill()
            raise

    def _talk(self, child: subprocess.Popen[bytes], line: bytes, wall_s: float) -> dict[str, Any]:
        assert child.stdin is not None
        assert child.stdout is not None
        deadline = time.monotonic() + wall_s
        self._send(child.stdin.fileno(), line, deadline)
        reply = bytearray()
        while not reply.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                raise TimeoutError
            chunk = os.read(child.stdout.fileno(), 1 << 20)
            reply += chunk
            if not chunk or len(reply) > MAX_REPLY:
                raise EOFError
        result: dict[str, Any] = json.loads(reply)
        return result

    def _send(self, pipe: int, line: bytes, deadline: float) -> None:
        # The child is waiting for a request and reads it at once; if it is stuck all the same, do not wait for ever.
        rest = memoryview(line)
        while rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [pipe], [], left)[1]:
                raise TimeoutError
            rest = rest[os.write(pipe, rest[: select.PIPE_BUF]) :]  # as much as fits for certain, once it is writable

    def _start(self) -> None:
        # -P keeps the working folder, which may be a stranger's library, off the import path.
        command = [
            sys.executable,
            "-P",
            "-m",
            "promptlab.sandbox.child",
            str(self.limits.memory_bytes),
            str(self.limits.wall_s),
        ]
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "SYSTEMROOT", "LD_LIBRARY_PATH")}
        environment = absolute_paths(kept) | {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,  # Ctrl+C in the terminal is for the parent
            )
        except OSError as error:
            raise PromptlabError(f"the process that renders templates does not start: {error}") from None
        self._ready = self._loaded = False

    def _await_ready(self, child: subprocess.Popen[bytes]) -> None:
        if self._ready:
            return
        assert child.stdout is not None
        self._ready = bool(select.select([child.stdout], [], [], START_S)[0]) and child.stdout.readline() == b"ready\n"
        if not self._ready:
            code = self._kill()
            raise PromptlabError(
                f"the process that renders templates does not start ({_reason(code)})",
                hint="`promptlab doctor` says more",
            )

    def _kill(self) -> int | None:
        child, self._child = self._child, None
        if child is None:
            return None
        code = child.poll()
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        return code if code is not None else child.returncode


def absolute_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a child that works in another folder: relative parts of PYTHONPATH still mean the same.

    An empty part, which would mean the child's working folder, is left out.
    """
    changed = dict(environment)
    if "PYTHONPATH" in changed:
        folders = changed["PYTHONPATH"].split(os.pathsep)
        changed["PYTHONPATH"] = os.pathsep.join(str(Path(p).absolute()) for p in folders if p)
    return changed


def _sent(prompt: Prompt) -> dict[str, Any]:
    return {
        "name": prompt.name,
        "suffix": prompt.suffix,
        "body": prompt.body,
        "body_line": prompt.body_line,
        "inputs": [[i.name, i.schema, i.required, i.place] for i in prompt.inputs],
        "options": dict(prompt.options),
        "output": prompt.output and [prompt.output.kind, prompt.output.value],
        "output_place": prompt.output_place,
        "partials": dict(prompt.partials),
    }


def _error(reply: Mapping[str, Any]) -> PromptlabError:
    if reply["error"] == "SourceError":
        return SourceError(Problem(*p) for p in reply["problems"])
    kind = InputError if reply["error"] == "InputError" else RenderError
    return kind(reply["message"], hint=reply.get("hint", ""))


def _reason(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
