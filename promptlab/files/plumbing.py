"""How git is started: safe on a repository that a stranger prepared, and bounded in time, in output and in memory.

A repository's own configuration can name programs that git runs: monitors, hooks, filters, transports. Only calls that
need none of them are made, those that could still be reached are switched off, and nothing is ever fetched.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from promptlab.errors import StoreError

MAX_OUTPUT = 256 * 1024 * 1024
MAX_MEMORY = 2 * 1024**3
"""Bytes that one git process may allocate; packs that are only mapped do not count. It needs a small part of this."""

_COMMAND = (
    *("git", "--no-pager", "--literal-pathspecs"),
    *("-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "core.attributesFile=/dev/null"),
    *("-c", "safe.bareRepository=explicit"),  # a folder that only looks like a repository is not one
)
# All other GIT_* are dropped: they are set while git runs a hook, for example, and would lead away from the folder that
# is asked about. These say how the user's git works, such as which folders it trusts.
_KEPT = ("GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
_SAFE = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    # A few kilobytes of a pack can unfold to gigabytes. This is per allocation; `_confine` limits the sum.
    "GIT_ALLOC_LIMIT": "256m",
    # A partial clone fetches what it lacks, and its configuration says by which program. git before 2.45 knows only
    # the second switch: no transport is allowed.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "LC_ALL": "C",
}
_HEADER = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) (blob|tree|commit|tag) ([0-9]{1,19})")
_CHUNK = 2048
"""Bytes of requests that are sent before their answers are read: pipes hold more, so that no side waits for ever."""
_MAX_LINE = 64 * 1024


class Died(StoreError):
    """A git that was to answer ended instead: the repository is damaged, or it will not have the question."""


class Answer(NamedTuple):
    """What `git cat-file` says about a name."""

    id: str
    """The object; empty when there is none."""
    kind: str
    """`blob`, `tree`, `commit` or `tag`; `missing`, or `ambiguous` for a beginning that several objects have."""
    size: int
    data: bytes = b""


def run(
    directory: Path,
    arguments: Sequence[str],
    timeout: float,
    *,
    input: bytes = b"",
    settings: Mapping[str, str] | None = None,
) -> bytes:
    """What git writes. Raises StoreError when it fails, is missing, takes too long or writes too much."""
    with _errors(arguments[0], timeout), _source(input) as source:
        # Not each commit's part at once: that would wake us thousands of times.
        child = _start(directory, arguments, {**(settings or {}), "GIT_FLUSH": "0"}, source)
        with _ended(child):
            out = _read_all(child, time.monotonic() + timeout)
    if child.returncode:
        raise StoreError(
            f"git {arguments[0]} failed (exit code {child.returncode})",
            hint="`git fsck` says whether the repository is whole",
        )
    return out


class Batch:
    """A `git cat-file` that stays and answers many requests. Safe to use from several threads.

    It is started when first needed, and again after it failed or was closed.
    """

    def __init__(self, directory: Path, *, contents: bool, settings: Mapping[str, str]) -> None:
        self._directory = directory
        self._settings = settings
        self._arguments = ("cat-file", "--batch" if contents else "--batch-check")
        self._contents = contents
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._unread = bytearray()

    def ask(self, names: Sequence[bytes], timeout: float, keep: int = 0) -> list[Answer]:
        """Look up names, none with a newline, in order; of each object at most `keep` bytes are kept.

        Raises Died when git ends, and StoreError when it is missing or takes longer than `timeout` over a few of them.
        """
        answers: list[Answer] = []
        with self._lock:
            try:
                with _errors("cat-file", timeout):
                    for chunk in _chunks(names):
                        deadline = time.monotonic() + timeout
                        self._send(chunk)
                        answers += [self._answer(deadline, keep) for _ in chunk]
            except BaseException:  # also Ctrl+C: the next request must not read this one's answer
                self._end()
                raise
        return answers

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def _send(self, names: Sequence[bytes]) -> None:
        if self._child and self._child.poll() is not None:
            self._end()
        if self._child is None:
            self._child = _start(self._directory, self._arguments, self._settings, subprocess.PIPE)
        assert self._child.stdin is not None
        self._child.stdin.write(b"".join(name + b"\n" for name in names))

    def _answer(self, deadline: float, keep: int) -> Answer:
        line = self._line(deadline)
        found = _HEADER.fullmatch(line)
        if not found:
            return Answer("", "ambiguous" if line.endswith(b" ambiguous") else "missing", 0)
        id, kind, size = found[1].decode(), found[2].decode(), int(found[3])
        if not self._contents:
            return Answer(id, kind, size)
        data = self._take(min(size, keep), deadline)
        for skipped in range(len(data), size, _MAX_LINE):
            self._take(min(_MAX_LINE, size - skipped), deadline)
        self._take(1, deadline)
        return Answer(id, kind, size, data)

    def _line(self, deadline: float) -> bytes:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > _MAX_LINE:
                raise EOFError
            self._fill(deadline)
        return self._take(end + 1, deadline)[:-1]

    def _take(self, count: int, deadline: float) -> bytes:
        while len(self._unread) < count:
            self._fill(deadline)
        data = bytes(self._unread[:count])
        del self._unread[:count]
        return data

    def _fill(self, deadline: float) -> None:
        assert self._child is not None
        data = _read(self._child, deadline)
        if not data:
            raise EOFError
        self._unread += data

    def _end(self) -> None:
        child, self._child = self._child, None
        self._unread.clear()
        if child:
            with _ended(child):
                pass


def _start(
    directory: Path, arguments: Sequence[str], settings: Mapping[str, str], source: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_KEPT)}
    child = subprocess.Popen(
        [*_COMMAND, "-C", str(directory), *arguments],
        bufsize=0,
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**kept, **_SAFE, **settings},
        start_new_session=True,  # Ctrl+C in the terminal is for us
    )
    _confine(child.pid)
    return child


def _confine(pid: int) -> None:
    # Trees that hold each other many times unfold without end, and git lists them in memory before it writes.
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError):  # it has ended already, or the user's limit is lower
            resource.prlimit(pid, resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))


@contextlib.contextmanager
def _source(data: bytes) -> Iterator[IO[bytes] | int]:
    """Something that a child can read all of this from, without anyone who feeds it."""
    if not data:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file


@contextlib.contextmanager
def _ended(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens, the child ends and its pipes are closed."""
    try:
        yield
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextlib.contextmanager
def _errors(name: str, timeout: float) -> Iterator[None]:
    """Turn what can happen to a child into StoreError."""
    try:
        yield
    except TimeoutError:
        raise StoreError(f"git {name} took longer than {timeout:g} s and was stopped") from None
    except (EOFError, BrokenPipeError):
        raise Died(
            f"git {name} ended without an answer: the repository is damaged, or a partial clone",
            hint="`git fsck` says what it lacks",
        ) from None
    except OSError as error:
        raise StoreError(f"git {name} cannot be run: {error.strerror or error}") from None


def _read_all(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    out = bytearray()
    while data := _read(child, deadline):
        out += data
        if len(out) > MAX_OUTPUT:
            raise StoreError(f"git writes more than {MAX_OUTPUT:,} bytes: the repository holds too much")
    try:
        child.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return bytes(out)


def _read(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    """What the child has written by now, waiting for something if need be; empty at its end."""
    assert child.stdout is not None
    poll = select.poll()
    poll.register(child.stdout, select.POLLIN)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError
    return os.read(child.stdout.fileno(), _MAX_LINE)


def _chunks(names: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Parts that are each sent at once."""
    start = size = 0
    for index, name in enumerate(names):
        if start < index and size + len(name) >= _CHUNK:
            yield names[start:index]
            start, size = index, 0
        size += len(name) + 1
    if start < len(names):
        yield names[start:]
