"""Numbers as a reader sees them."""

from __future__ import annotations

import json
import math
from typing import Any

from promptlab.core.stats.intervals import Interval

SHORT_HASH = 12
MAX_TEXT = 200_000
"""Characters of one text that the report holds."""


def percent(share: float) -> str:
    """A rate: `62.5%`, `100%`. Never 0% or 100% of what is only close."""
    text = f"{share:.1%}"
    if text in ("0.0%", "100.0%"):
        return {0.0: "0%", 1.0: "100%"}.get(share, "<0.1%" if share < 0.5 else ">99.9%")
    return text


def points(difference: float) -> str:
    """A difference of rates, in points of a hundred, with its sign: `+12.5`."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def fixed(number: float) -> str:
    """A score: `0.62`."""
    return f"{number:.2f}"


def p_value(p: float) -> str:
    """A p-value: `0.031`, `<0.001`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.9995 else "1"


def count(number: int) -> str:
    """A number of things: `12,345`."""
    return f"{number:,}"


def seconds(value: float) -> str:
    """A time: `0.02 s`, `12.3 s`."""
    return f"{value:.2f} s" if value < 10 else f"{value:,.1f} s"


def short(sha256: str) -> str:
    """The beginning of a hash."""
    return sha256[:SHORT_HASH]


def middle(name: str, length: int = 30) -> str:
    """A name without its middle where it is long: how names end is what tells them apart, versions above all."""
    head = length // 3
    return name if len(name) <= length else f"{name[:head]}…{name[head + 1 - length :]}"


def level(interval: Interval) -> str:
    """How often such an interval holds the true value: `95%`."""
    return f"{interval.level:.0%}"


def as_text(value: Any) -> str:
    """A value as text: a text as it is, anything else as JSON on several lines; of a very long one the beginning."""
    text = value if isinstance(value, str) else _json(value)
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}\n… and {count(len(text) - MAX_TEXT)} characters more, which the history has"


def _json(value: Any) -> str:
    try:
        flat = json.dumps(value, ensure_ascii=False)
        return flat if len(flat) <= 60 else json.dumps(value, ensure_ascii=False, indent=2)
    except (TypeError, ValueError, RecursionError):
        return f"({type(value).__name__} that cannot be written as JSON)"


def heat(share: float) -> int:
    """A share as one of eleven colours, from 0 to 10."""
    return round(10 * min(max(share, 0.0), 1.0)) if math.isfinite(share) else 0
