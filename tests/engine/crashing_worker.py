"""The real worker, but its first decode dies as it does in a bad build on a machine with AMX, unless in safe mode."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from promptlab.engine import llama, worker

honest = llama.Llama.decode


def decode(self: llama.Llama, ids: Sequence[int], position: int, *, logits: bool = True) -> None:
    if not self.safe_mode:
        os.kill(os.getpid(), signal.SIGSEGV)
    honest(self, ids, position, logits=logits)


llama.Llama.decode = decode  # type: ignore[method-assign]
worker.main()
