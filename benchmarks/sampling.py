"""How much of the time of drawing answers goes into sampling: `uv run python benchmarks/sampling.py`.

Answers to one prompt are drawn at once, in this process, as a worker draws them. Timed is each step of all of them, and
within it what comes after the model has computed: log-probabilities, the most likely tokens, drawing. Medians over the
steps. Models must be on disk.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from promptlab.core.chat import Segment
from promptlab.core.job import Model
from promptlab.core.options import Options
from promptlab.engine.backend import Question
from promptlab.engine.batch import Batch
from promptlab.engine.machine import default_threads
from promptlab.engine.process import environment
from promptlab.engine.tuning import Tuning
from promptlab.engine.worker import SWITCH_S
from promptlab.files.models import present, read_models, select_models
from promptlab.files.paths import shipped_library

PROMPT = "The lighthouse on the northern cape had been without a keeper for eleven years when the harbour board"
SIZES = (1, 8, 32)


class Timed(Batch):
    """Notes how long a step took, and its sampling."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.steps: list[tuple[int, float, float]] = []
        self._picking = 0.0

    def _pick(self, jobs: Sequence[Any]) -> Any:
        begun = time.perf_counter()
        picks = super()._pick(jobs)
        self._picking += time.perf_counter() - begun
        return picks

    def _step(self) -> Any:
        count, begun, self._picking = len(self.drawing), time.perf_counter(), 0.0
        events = super()._step()
        self.steps.append((count, time.perf_counter() - begun, self._picking))
        return events


def measure(model: Model, tokens: int, top: int) -> None:
    """Print a line for each number of answers."""
    from promptlab.engine.llama import Llama, Log

    path = present(model)
    if path is None:
        raise SystemExit(f"{model.name} is not on disk; `promptlab models pull` fetches it")
    llama = Llama(
        path,
        context=model.context,
        tuning=Tuning(default_threads()),
        safe_mode=False,
        log=Log(),
        progress=lambda _: None,
    )
    llama.warm_up()
    llama.keep_to(llama.try_rules().rules(wide=True))
    for size in SIZES:
        batch = Timed(llama, model.name, rules=llama.rules, threads=llama.tuning.threads)
        options = Options(temperature=0.8, min_p=0.1, max_tokens=tokens)
        for seq in range(size):
            asked = Question(model.name, seq, (Segment(PROMPT, control=False),), options, seq, top, None, False)
            batch.add(llama.begin(asked))
        while batch.busy:
            batch.advance()
        full = [(whole, picking) for count, whole, picking in batch.steps if count == size]
        whole, picking = (median(each[i] for each in full) for i in (0, 1))
        print(
            f"{model.name}: {size} at once: step {whole * 1000:.1f} ms, sampling {picking * 1000:.2f} ms, "
            f"{picking / whole:.1%} ({len(full)} steps, top {top})",
            flush=True,
        )


def main() -> None:
    """Measure the models named, or the default ones."""
    parser = argparse.ArgumentParser(description="The share of sampling in drawing answers.")
    parser.add_argument("-m", "--model", action="append", default=[])
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--top", type=int, default=1, help="alternatives that are reported with each token")
    asked = parser.parse_args()
    for model in select_models(read_models(shipped_library() / "models.yaml"), asked.model):
        measure(model, asked.tokens, asked.top)


if __name__ == "__main__":
    wanted = environment()
    if wanted != dict(os.environ):  # threads wait as a worker's do, which is read when the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], wanted)
    sys.setswitchinterval(SWITCH_S)
    main()
