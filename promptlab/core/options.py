"""How an answer is drawn: options, their layers, and seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from promptlab.core.schema import shorten
from promptlab.errors import OptionError

MAX_SEED = 2**32 - 2
"""The engine takes 2**32 - 1 to mean "choose one yourself"."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an answer is drawn. Names and meanings are llama.cpp's; each field's default is the built-in value."""

    temperature: float = 0.8
    """0 always takes the most likely token."""
    top_k: int = 40
    """Draw from the k most likely tokens; 0 is all."""
    top_p: float = 0.95
    """Draw from the smallest set of tokens with this total probability; 1 is all."""
    min_p: float = 0.05
    """Leave out tokens less likely than this part of the most likely one; 0 is none."""
    repeat_penalty: float = 1.0
    """Divide the logits of the last 64 tokens by this; 1 is off."""
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    """The answer ends before any of these texts."""

    def plain(self) -> dict[str, Any]:
        """As JSON has it: the same after writing and reading."""
        return {**asdict(self), "stop": list(self.stop)}


OPTION_NAMES = (*(f.name for f in fields(Options)), "seed")


def _number(low: float, high: float, low_open: bool = False) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        ok = isinstance(value, int | float) and not isinstance(value, bool)  # nan fails every comparison below
        if ok and low <= value <= high and not (low_open and value == low):
            return None
        return f"wants a number {'above' if low_open else 'from'} {low:g} {'up to' if low_open else 'to'} {high:g}"

    return check


def _whole(low: int, high: int) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        ok = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if ok else f"wants a whole number from {low} to {high}"

    return check


def _stops(value: Any) -> str | None:
    values = [value] if isinstance(value, str) else value
    ok = (
        isinstance(values, list | tuple)
        and len(values) <= 16
        and all(isinstance(v, str) and 0 < len(v) <= 256 for v in values)
    )
    return None if ok else "wants a text or a list of up to 16 texts, each of 1 to 256 characters"


_RULES: dict[str, Callable[[Any], str | None]] = {
    "temperature": _number(0, 100),
    "top_k": _whole(0, 1_000_000),
    "top_p": _number(0, 1, low_open=True),
    "min_p": _number(0, 1),
    "repeat_penalty": _number(0, 100, low_open=True),
    "max_tokens": _whole(1, 1_000_000),
    "stop": _stops,
    "seed": _whole(0, MAX_SEED),
}


def check_option(name: str, value: Any) -> str | None:
    """Say what is wrong with one option, or None."""
    if name not in _RULES:
        return f"{shorten(name)!r} is not an option; there are {', '.join(OPTION_NAMES)}"
    reason = _RULES[name](value)
    return f"{name} {reason}; got {_shown(value)}" if reason else None


def _shown(value: Any) -> str:
    try:
        return shorten(repr(value))
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of very many digits"


def merge_options(*layers: Mapping[str, Any]) -> tuple[Options, int]:
    """Lay options over the built-in ones, the strongest layer last. Returns them and the base seed.

    Raises OptionError.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            if reason := check_option(name, value):
                raise OptionError(reason)
            merged[name] = value
    seed = merged.pop("seed", 0)
    if "stop" in merged:
        stop = merged["stop"]
        merged["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    for name in ("temperature", "top_p", "min_p", "repeat_penalty"):
        if name in merged:
            merged[name] = float(merged[name])
    return Options(**merged), seed


def draw_seed(base: int, case: str | None, sample: int, step: int) -> int:
    """The seed of one draw: the first 4 bytes of SHA-256(`base/case/sample/step`), modulo 2**32 - 1.

    It depends on neither model nor prompt version, so that columns side by side share their luck.
    """
    digest = hashlib.sha256(f"{base}/{case or ''}/{sample}/{step}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % (2**32 - 1)
