"""The ceiling: nothing but `llama_decode` with fixed tokens, as many rows and as long a cache as ours has."""

from __future__ import annotations

import time
from typing import Any

import llama_cpp as c

from peers import child

PIECE = 512
"""Tokens of the prompt computed in one call; it is not timed."""


def context(task: dict[str, Any], model: Any) -> Any:
    """A context laid out as ours."""
    rows, layout = task["rows"], task["layout"]
    parameters = c.llama_context_default_params()
    parameters.n_ctx = rows * (len(task["prompts"][0]) + task["new_tokens"] + 1)
    parameters.n_batch = parameters.n_ubatch = PIECE
    parameters.n_seq_max = parameters.n_outputs_max = rows
    parameters.n_threads = parameters.n_threads_batch = task["threads"]
    parameters.kv_unified = layout["kv_unified"]
    kinds = (c.LLAMA_FLASH_ATTN_TYPE_DISABLED, c.LLAMA_FLASH_ATTN_TYPE_ENABLED)
    parameters.flash_attn_type = kinds[bool(layout["flash_attention"])]
    parameters.no_perf = True
    made = c.llama_init_from_model(model, parameters)
    if not made:
        raise RuntimeError("llama.cpp cannot make the context")
    return made


def decode(context: Any, batch: Any, entries: list[tuple[int, int, int]]) -> None:
    """Compute (token, position, sequence); logits for the last token of each sequence."""
    batch.n_tokens = len(entries)
    for i, (token, position, sequence) in enumerate(entries):
        batch.token[i], batch.pos[i] = token, position
        batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        batch.logits[i] = i + 1 == len(entries) or entries[i + 1][2] != sequence
    if code := c.llama_decode(context, batch):
        raise RuntimeError(f"llama_decode failed with code {code}")
    c.llama_get_logits_ith(context, -1)  # waits until it is computed


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Time the decoding: `new_tokens` steps of `rows` tokens, behind a prompt that all rows have in their cache."""
    quiet = c.llama_log_callback(lambda level, text, data: None)
    c.llama_log_set(quiet, None)
    parameters = c.llama_model_default_params()
    parameters.n_gpu_layers = 0
    parameters.use_extra_bufts = task["layout"].get("extra_buffers", True)
    model = c.llama_model_load_from_file(task["path"].encode(), parameters)
    made = context(task, model)
    batch = c.llama_batch_init(PIECE, 0, 1)
    ids, rows = task["prompts"][0], task["rows"]
    for start in range(0, len(ids), PIECE):
        decode(made, batch, [(t, start + i, 0) for i, t in enumerate(ids[start : start + PIECE])])
    for row in range(1, rows):
        c.llama_memory_seq_cp(c.llama_get_memory(made), 0, row, -1, -1)
    steps = task["new_tokens"]
    # The first step is not timed: it builds the graph. With separate streams, rows are in order of their sequences.
    decode(made, batch, [(ids[0], len(ids), row) for row in range(rows)])
    begin = time.perf_counter()
    for step in range(1, steps):
        decode(made, batch, [(ids[(step + row) % len(ids)], len(ids) + step, row) for row in range(rows)])
    return {"rate": rows * (steps - 1) / (time.perf_counter() - begin)}


if __name__ == "__main__":
    child.serve(measure)
