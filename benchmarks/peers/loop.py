"""A peer: a loop over `Llama.generate`, which keeps what it computed of a prompt, as far as the next one is alike."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import llama_cpp

from peers import child
from peers.work import common


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """All samples of a prompt one after another, then the next prompt: the order in which most can be kept."""
    threads = task["threads"]
    llama = llama_cpp.Llama(task["path"], n_threads=threads, n_threads_batch=threads, verbose=False)
    answer(llama, task, task["warm_up"], 8)
    tokens = computed = 0
    begin = time.perf_counter()
    for ids, seeds in zip(task["prompts"], task["seeds"], strict=True):
        for seed in seeds:
            llama.set_seed(seed)
            computed += len(ids) - min(common(ids, llama.input_ids[: llama.n_tokens]), len(ids) - 1)
            tokens += answer(llama, task, ids, task["new_tokens"])
    seconds = time.perf_counter() - begin
    asked = sum(len(ids) * len(seeds) for ids, seeds in zip(task["prompts"], task["seeds"], strict=True))
    features = " ".join(llama_cpp.llama_print_system_info().decode().split())
    build = f"llama-cpp-python {llama_cpp.__version__} ({features})"
    return {"tokens": tokens, "seconds": seconds, "prompt_tokens": asked, "computed": computed, "build": build}


def answer(llama: Any, task: dict[str, Any], ids: list[int], count: int) -> int:
    """Generate; it goes on after a token that ends the text, so there are always `count`."""
    sampler = {name.replace("temperature", "temp"): value for name, value in task["sampler"].items()}
    return sum(1 for _ in islice(llama.generate(ids, **sampler), count))


if __name__ == "__main__":
    child.serve(measure)
