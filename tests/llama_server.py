"""A real llama.cpp server, as the package xllamacpp brings it, in a process of its own: prints its address.

    python -m tests.llama_server FILE

It ends when its input does.
"""

from __future__ import annotations

import importlib
import sys

SLOTS, TOKENS = 4, 2048


def main() -> None:
    """Serve a model until nobody wants it any more."""
    xllamacpp = importlib.import_module("xllamacpp")  # it says nothing of its types
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.n_parallel = SLOTS
    parameters.n_ctx = TOKENS
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = 1
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
