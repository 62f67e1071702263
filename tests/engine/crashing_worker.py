"""The real worker, but its first decode dies as it does in a bad build on a machine with AMX, unless in safe mode."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from promptlab.engine import llama, worker

honest = llama.Llama.prefill


def prefill(self: llama.Llama, slot: int, tokens: Sequence[int], start: int, outputs: int) -> None:
    if not self.safe_mode:
        os.kill(os.getpid(), signal.SIGSEGV)
    honest(self, slot, tokens, start, outputs)


llama.Llama.prefill = prefill  # type: ignore[method-assign]
worker.main()
