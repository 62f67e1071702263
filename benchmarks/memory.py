"""What `promptlab models plan` expects of memory, beside what a worker holds: `uv run python benchmarks/memory.py`.

A worker loads a model and draws so many answers at once, each in a conversation of full length; then its resident
memory is read. llama.cpp writes zeros into the whole cache when it makes it, so all of it counts from then on; one of
the prompts is nearly as long as the context, so that what is computed with is touched too. With `--full`, all are.
Models must be on disk.
"""

from __future__ import annotations

import argparse
import queue
import random
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptlab.app.memory import estimate
from promptlab.core.chat import Segment
from promptlab.core.events import Failure
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.core.plan import Grant
from promptlab.engine.backend import Question
from promptlab.engine.memory import SystemMemory
from promptlab.engine.pool import COMMAND
from promptlab.engine.process import WorkerProcess
from promptlab.engine.protocol import ask_request, load_request
from promptlab.engine.rules import Found
from promptlab.errors import EngineError
from promptlab.files.models import present, read_models, select_models
from promptlab.files.paths import shipped_library

SEQUENCES = (1, 8, 32)
CONTEXT = 512
SHORT = 8
"""Words of a prompt that is not long."""
WORDS = ("river", "stone", "seven", "boats", "light", "under", "every", "house", "winter", "glass")
PLENTY = 1 << 40
WAIT_S = 900.0
FREELY = Found(align=1, least=2, rows=0, multiple=1)
"""What a worker would otherwise find out about the processor first, which takes seconds and no memory that stays."""


class _Heard:
    """Gives its worker one turn after another, and notes what it says."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()

    def said(self, worker: WorkerProcess, message: Mapping[str, Any]) -> None:
        """Take a message."""
        if message["event"] in ("turn", "waiting"):
            worker.send({"op": "turn"})
        else:
            self.events.put(message)

    def died(self, worker: WorkerProcess, failure: Failure) -> None:
        """It has ended."""
        self.events.put({"event": "died", "failure": failure.message})

    def wait(self, kind: str, count: int = 1) -> list[Mapping[str, Any]]:
        """The first so many messages of a kind, each of another sequence."""
        found: dict[int, Mapping[str, Any]] = {}
        while len(found) < count:
            message = self.events.get(timeout=WAIT_S)
            if message["event"] in ("died", "failed"):
                raise EngineError(str(message))
            if message["event"] == kind:
                found[message.get("seq", 0)] = message
        return list(found.values())


def measure(model: Model, path: Path, sequences: int, *, full: bool = False) -> int:
    """Bytes resident in a worker while it draws so many answers. Raises EngineError when it fails."""
    heard = _Heard()
    request = load_request(model, path, Grant(PLENTY, 0), safe_mode=False, known={"rules": FREELY.plain()})
    worker = WorkerProcess(COMMAND, heard, model, path, request)
    try:
        heard.wait("ready")
        for seq in range(sequences):
            prompt = _prompt(seq, model.context * 3 // 4 if full or seq == 0 else SHORT)
            # It may answer to the end of the context: so a slot of that length is kept for it.
            options = Options(temperature=1.0, max_tokens=model.context, stop=())
            question = Question(model.name, seq, (Segment(prompt, control=False),), options, seq, 1, None, False)
            worker.send(ask_request(question))
        worker.send({"op": "turn"})
        heard.wait("token", sequences)
        return SystemMemory().taken(worker.pid).rss
    finally:
        worker.kill()
        worker.close()


def _prompt(seed: int, words: int) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(words))


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("-m", "--model", action="append", default=[])
    parser.add_argument("--context", type=int, default=CONTEXT)
    parser.add_argument("--sequences", type=int, nargs="+", default=SEQUENCES)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--kv-type")
    parser.add_argument("--mode", default="exact")
    given = parser.parse_args()
    print(f"{'MODEL':20} {'CONTEXT':>7} {'SEQUENCES':>9} {'PLAN MB':>9} {'MEASURED MB':>12} {'RATIO':>6}")
    for model in select_models(read_models(shipped_library() / "models.yaml"), given.model):
        path = present(model)
        if path is None:
            sys.exit(f"{model.name} is not on disk")
        changed = replace(model, context=given.context, kv_type=given.kv_type, mode=given.mode)
        for sequences in given.sequences:
            planned = estimate(changed, path, sequences).total
            found = measure(changed, path, sequences, full=given.full)
            row = f"{planned / 1e6:9.1f} {found / 1e6:12.1f} {planned / found:6.2f}"
            print(f"{model.name:20} {given.context:7} {sequences:9} {row}", flush=True)


if __name__ == "__main__":
    main()
