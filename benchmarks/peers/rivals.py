"""How peers are started: one child process for each run, never two at a time; and the server's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from peers.ours import DECODED
from peers.work import BenchError, Outcome, Task
from promptlab.engine.process import environment

TIMEOUT_S = 1800.0
OURS_SPIN = environment()
"""What our workers get: threads that wait do not spin for long."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a server is started and asked; None leaves it to the server."""

    slots: int = 16
    flash: bool | None = None
    unified: bool | None = None
    n_cmpl: bool = True
    """Samples of a prompt in one request, or a request for each."""
    short_spin: bool = False
    """With threads that wait as ours do; otherwise as OpenMP has it."""

    def __str__(self) -> str:
        told = {None: "default", True: "on", False: "off"}
        asked = "n_cmpl" if self.n_cmpl else "a request per sample"
        spin = ", short spin" if self.short_spin else ""
        return f"{self.slots} slots, {asked}, flash {told[self.flash]}, unified {told[self.unified]}{spin}"


STARTED = Setting()
"""As people start it."""
BEST = {
    # 2 AVX2 cores, tokens a second. All 12 settings with n_cmpl once, 16 new tokens, with 8, 16 and 32 slots each:
    # flash off, unified off: 56, 37, 28; unified on: 51, 41, 18; flash on, unified off: 62, 47, 28; on: 65, 47, 30. A
    # request per sample: 24 at best. With 64 new tokens and short spin: 8 slots, flash on, unified on: 82; this: 84.
    "smollm2-135m": Setting(slots=16, flash=False, unified=False),
    # The same: 49, 47, 44; 36, 32, 28; 38, 45, 42; 38, 41, 44. With short spin and 64 new tokens, 8, 16 and 32 slots,
    # flash off, unified off: 60, 56, 67; this: 69. Without short spin, 16 slots and its own defaults: 80 to 84.
    "gemma3-270m": Setting(slots=16, flash=True, unified=False),
}
"""The best setting for a model, as far as it is known; `--search` looks for it."""


def settings(short_spin: bool = False) -> Iterator[Setting]:
    """All that the search tries."""
    for flash, unified, slots, n_cmpl in product((False, True), (False, True), (8, 16, 32), (True, False)):
        yield Setting(slots, flash, unified, n_cmpl, short_spin)


def search(task: Task, short_spin: bool, tell: Callable[[str], None]) -> dict[Setting, Outcome]:
    """Run the server once in each setting; then the best one once more with threads that spin longer, or shorter."""
    found: dict[Setting, Outcome] = {}
    for setting in settings(short_spin):
        _try(task, setting, found, tell)
    if found:
        _try(task, replace(fastest(found), short_spin=not short_spin), found, tell)
    return found


def _try(task: Task, setting: Setting, found: dict[Setting, Outcome], tell: Callable[[str], None]) -> None:
    try:
        found[setting] = server(task, setting)
        tell(f"  {found[setting].rate:7.1f} tokens/s  {setting}")
    except BenchError as error:
        tell(f"   failed           {setting}: {error}")


def fastest(found: Mapping[Setting, Outcome]) -> Setting:
    """The setting with the highest rate."""
    return max(found, key=lambda setting: found[setting].rate)


def server(task: Task, setting: Setting) -> Outcome:
    """Run the server. Raises BenchError."""
    given = {**task.plain(), "setting": asdict(setting)}
    return Outcome(**_run("server", given, OURS_SPIN if setting.short_spin else os.environ))


def loop(task: Task, short_spin: bool = False) -> Outcome:
    """Run the loop over `Llama.generate`. Raises BenchError."""
    return Outcome(**_run("loop", task.plain(), OURS_SPIN if short_spin else os.environ))


def bare(task: Task, rows: int, layout: Mapping[str, Any]) -> float:
    """How many tokens a second `llama_decode` alone gives, laid out as ours. Raises BenchError."""
    given = {**task.plain(), "rows": rows, "layout": dict(layout), "new_tokens": min(task.new_tokens, DECODED)}
    rate: float = _run("bare", given, OURS_SPIN)["rate"]
    return rate


def _run(script: str, given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", f"peers.{script}"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            cwd=Path(__file__).parent.parent,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{script}: no result in {TIMEOUT_S:.0f} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise BenchError(f"{script}: {lines[-1] if lines else f'ended with code {done.returncode}'}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
