"""Quantises a model's file with llama.cpp's own quantiser: C code over a file, so in a child process with limits.

The child is this module too: `python -m promptlab.engine.quantize SOURCE TARGET TYPE MEMORY BYTES SECONDS`. It writes
a line `done total`, in tensors, for each tensor that it begins, and ends when its input closes.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from promptlab.core.text import sanitize_line
from promptlab.engine.process import environment
from promptlab.errors import EngineError

COMMAND = (sys.executable, "-P", "-m", "promptlab.engine.quantize")


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to store a model."""

    ftype: int
    """llama.cpp's number for it (`llama_ftype`)."""
    bits: float
    """Of a number, in most tensors."""


# Those that need no importance matrix: which numbers matter most is not known here.
KINDS: Mapping[str, Kind] = {
    **{"q4_0": Kind(2, 4.5), "q4_1": Kind(3, 5), "q5_0": Kind(8, 5.5), "q5_1": Kind(9, 6), "q8_0": Kind(7, 8.5)},
    **{"q2_k": Kind(10, 3.5), "q3_k_s": Kind(11, 3.75), "q3_k_m": Kind(12, 4.25), "q3_k_l": Kind(13, 4.5)},
    **{"q4_k_s": Kind(14, 4.75), "q4_k_m": Kind(15, 5), "q5_k_s": Kind(16, 5.6), "q5_k_m": Kind(17, 5.75)},
    **{"q6_k": Kind(18, 6.6), "iq4_nl": Kind(25, 4.5), "iq4_xs": Kind(30, 4.5)},
    **{"f16": Kind(1, 16), "bf16": Kind(32, 16), "f32": Kind(0, 32)},
}
LARGEST_BITS = 8.5
"""The tensor that holds the vocabulary is stored with more bits than the others."""
MEMORY = 4 << 30
"""Address space of the child besides the file, which is mapped: the interpreter, libraries, rows and threads."""
RATE = 50_000
"""Numbers in a second of a processor's time, at least: a thirtieth of what IQ4_NL does, the slowest kind."""
STDERR, MAX_REASON = 2000, 300
"""Characters that are kept of what the child says, and that are told."""
_TENSOR = re.compile(r"\[ *(\d+)/ *(\d+)\]")

Tell = Callable[[int, int], None]
"""Hears how many tensors are done, of how many. It may raise an exception to stop."""


def expected_bytes(kind: str, parameters: int, largest: int) -> int:
    """About how large a file becomes: a little more rather than less, without what is before the tensors."""
    bits = KINDS[kind].bits
    most = min(2 * largest, parameters)  # what reads the vocabulary, and what writes it
    return int(((parameters - most) * bits + most * max(bits, LARGEST_BITS)) / 8)


def quantize(source: Path, target: Path, kind: str, parameters: int, tell: Tell) -> None:
    """Write `target`. What is half done when this ends early is the caller's to remove. Raises EngineError."""
    size = source.stat().st_size
    limits = (size + MEMORY, size + 4 * parameters, 600 + parameters // RATE)
    command = [*COMMAND, str(source), str(target), str(KINDS[kind].ftype), *map(str, limits)]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment(),
            start_new_session=True,  # Ctrl+C in the terminal is for the parent, which then ends it
        )
    except OSError as error:
        raise EngineError(f"the quantiser cannot be started: {error.strerror or error}") from None
    with child:
        said = bytearray()
        assert child.stdout is not None
        assert child.stderr is not None
        reader = threading.Thread(target=_read, args=(child.stderr, said), daemon=True)
        reader.start()
        try:
            for line in child.stdout:
                done, total = map(int, line.split())
                tell(done, total)
            code = child.wait()
        finally:
            child.kill()
            reader.join()
    if code:
        raise EngineError(_reason(code, said.decode("utf-8", "replace")))


def _read(stream: IO[bytes], said: bytearray) -> None:
    """Read all, keep the end."""
    while chunk := stream.read1(4096):  # type: ignore[attr-defined]  # a pipe is buffered
        said += chunk
        del said[:-STDERR]


def _reason(code: int, said: str) -> str:
    lines = [sanitize_line(line) for line in said.splitlines() if line.strip()]
    how = f"it was killed by signal {-code}" if code < 0 else f"it ended with code {code}"
    return f"llama.cpp cannot quantise this file: {lines[-1][:MAX_REASON] if lines else how}"


# --- the child's side ------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Quantise within limits; what goes wrong is the last line of standard error."""
    source, target, ftype, memory, size, seconds = arguments
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for what, most in (
        (resource.RLIMIT_AS, int(memory)),
        (resource.RLIMIT_FSIZE, int(size)),
        (resource.RLIMIT_CPU, int(seconds)),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from promptlab.engine import llama  # here, so that the parent does not load llama.cpp

    def heard(line: str) -> None:
        if found := _TENSOR.match(line):
            out.write(f"{int(found[1]) - 1} {found[2]}\n")
            out.flush()

    try:
        llama.quantize(Path(source), Path(target), int(ftype), llama.Log(heard))
    except (EngineError, BrokenPipeError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # not sys.exit: a thread still reads standard input
