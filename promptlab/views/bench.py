"""How fast models are: what computed, and a table of rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from promptlab.core.bench import Benched, Decode, Rate
from promptlab.core.events import Engine
from promptlab.views.answer import DOT
from promptlab.views.pages import fields, heading, one_line, page
from promptlab.views.table import Grid, grid, size


def bench_page(found: Sequence[Benched]) -> Text:
    """What computed: this machine and build, then each model that was loaded."""
    engines = [each.engine for each in found if each.engine]
    shared = {"llama.cpp": _all(engines, "llama_cpp"), "cpu": _all(engines, "cpu"), "build": _all(engines, "build")}
    return page([fields(shared), *([heading(each.model), *fields(_facts(each))] for each in found if each.engine)])


def _all(engines: Sequence[Engine], name: str) -> str:
    """What all say, as a rule the same."""
    return DOT.join(dict.fromkeys(getattr(engine, name) for engine in engines))


def _facts(each: Benched) -> dict[str, str]:
    assert each.engine is not None
    engine, memory = each.engine, each.memory
    parts = [f"mode {engine.mode}", f"{engine.threads} threads", f"context {engine.context:,}"]
    held = [
        f"{size(number)} {when}"
        for number, when in ((memory.loaded, "when loaded"), (memory.after, "at the end"))
        if number is not None
    ]
    return {
        "engine": DOT.join([*parts, "safe mode"] if engine.safe_mode else parts),
        "layout": " ".join(f"{key}={one_line(value)}" for key, value in engine.layout.items()),
        **_tuning(each.tuning),
        "load": "" if each.load_s is None else f"{each.load_s:.2f} s",
        "memory": ", ".join(held),
    }


_TUNED = {"threads": "threads", "flash_attention": "flash", "kv_unified": "unified", "chunk": "chunk", "slots": "slots"}
"""As models.yaml calls them, but short."""
_ELSEWHERE = ("threads", "flash_attention", "kv_unified")
"""Where there was no choice, the lines about engine and layout say as much."""


def _tuning(tuning: Mapping[str, Any]) -> dict[str, str]:
    """What was chosen, and what it was chosen by."""
    seen = tuning.get("seen", {})
    shown = [name for name in _TUNED if name in tuning and (name in seen or name not in _ELSEWHERE)]
    return {_TUNED[name]: f"{one_line(tuning[name])}{_tried(seen.get(name, {}))}" for name in shown}


def _tried(rates: Mapping[str, float]) -> str:
    each = ", ".join(f"{one_line(value)}: {rate:,.0f}" for value, rate in rates.items())
    return f" (tokens/s with {each})" if each else ""


def bench_grid(found: Sequence[Benched]) -> Grid:
    """For each model a row for its prompts, and one for each number of answers at once."""
    rows = [(each.model, *row) for each in found if each.engine for row in _rows(each)]
    return grid(("MODEL", *_HEADERS), rows, right=range(2, len(_HEADERS) + 1))


def rates_grid(found: Benched) -> Grid:
    """The same of one model, without its name."""
    return grid(_HEADERS, _rows(found) if found.engine else [], right=range(1, len(_HEADERS)))


_HEADERS = ("WORK", "AT ONCE", "TOKENS/S", "LOW", "HIGH")


def _rows(each: Benched) -> list[tuple[str, ...]]:
    decoded = [("decode", str(rate.size), *_numbers(rate)) for rate in each.decode]
    return [("prefill", "1", *_numbers(each.prefill)), *decoded]


def _numbers(rate: Rate | Decode) -> tuple[str, ...]:
    return tuple("-" if n is None else f"{n:,.1f}" for n in (rate.tokens_per_s, rate.low, rate.high))
