"""A peer: llama.cpp's server as xllamacpp brings it, asked over HTTP on loopback, all requests at once."""

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xllamacpp

from peers import child

SLOT_TOKENS = 512
"""Room for each sequence."""


def start(task: dict[str, Any]) -> Any:
    """Load the model and listen. What a setting leaves open (None) stays as the server has it."""
    setting = task["setting"]
    parameters = xllamacpp.CommonParams()
    parameters.model.path = task["path"]
    parameters.n_parallel = setting["slots"]
    parameters.n_ctx = setting["slots"] * SLOT_TOKENS
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = task["threads"]
    parameters.verbosity = 1
    if setting["flash"] is not None:
        kinds = xllamacpp.llama_flash_attn_type
        on, off = kinds.LLAMA_FLASH_ATTN_TYPE_ENABLED, kinds.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.flash_attn_type = on if setting["flash"] else off
    if setting["unified"] is not None:
        parameters.kv_unified = setting["unified"]
    return xllamacpp.Server(parameters)


def post(address: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask for completions of a prompt; they come when they are all there."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/completion", data, {"Content-Type": "application/json"})
    # Not through a proxy, whatever the environment says.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        answer = json.load(response)
    return answer if isinstance(answer, list) else [answer]


def requests(task: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each prompt, or for each sample. Tokens that end a text cannot be drawn, so answers are full."""
    fixed = {**task["sampler"], "n_predict": task["new_tokens"], "ignore_eos": True}
    asked = zip(task["prompts"], task["seeds"], strict=True)
    if task["setting"]["n_cmpl"]:
        return [{**fixed, "prompt": ids, "seed": seeds[0], "n_cmpl": len(seeds)} for ids, seeds in asked]
    return [{**fixed, "prompt": ids, "seed": seed} for ids, seeds in asked for seed in seeds]


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Time from the first request to the last answer."""
    server = start(task)
    address = server.listening_address
    post(address, {**task["sampler"], "prompt": task["warm_up"], "n_predict": 8})
    bodies = requests(task)
    with ThreadPoolExecutor(len(bodies)) as threads:
        begin = time.perf_counter()
        answers = [a for some in threads.map(lambda body: post(address, body), bodies) for a in some]
        seconds = time.perf_counter() - begin
    return {
        "tokens": sum(a["tokens_predicted"] for a in answers),
        "seconds": seconds,
        "prompt_tokens": sum(a["tokens_evaluated"] for a in answers),
        # Samples of one request share their prompt; each repeats the count of the first.
        "computed": sum(a["timings"]["prompt_n"] for a in answers if a["index"] == 0),
        "build": f"xllamacpp {xllamacpp.__version__} ({' '.join(xllamacpp.get_system_info().split())})",
    }


if __name__ == "__main__":
    child.serve(measure)
