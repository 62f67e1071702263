"""What answers are drawn with, as it is typed and as it is told in one line. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textual.content import Content

from promptlab.core.options import OPTION_NAMES, Options, check_option
from promptlab.core.schema import read_json, shorten
from promptlab.tui import show

if TYPE_CHECKING:
    from promptlab.app.models import Entry
    from promptlab.core.job import Mode
    from promptlab.core.prompt import Prompt

MAX_SAMPLES = 16

NAMES = OPTION_NAMES
HINTS: Mapping[str, str] = {
    "temperature": "0 always takes the likeliest token; 100 is the most.",
    "top_k": "Draw from the k likeliest tokens; 0 is all.",
    "top_p": "Draw from the likeliest tokens with this probability together; 1 is all.",
    "min_p": "Leave out tokens less likely than this part of the likeliest; 0 is none.",
    "repeat_penalty": "Make tokens of the last 64 less likely; 1 is off.",
    "max_tokens": "Where an answer is cut off.",
    "stop": 'An answer ends before this text; \\n is a line break, ["a", "b"] are two texts.',
    "seed": "Another number is other luck.",
}
_BUILT_IN: Mapping[str, Any] = {**Options().plain(), "seed": 0}
_ALWAYS = ("temperature", "max_tokens", "seed")
"""Options that the line tells even where nobody has typed them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody has set for all runs."""

    options: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode | None = None
    """None leaves it to models.yaml."""
    wrong: tuple[str, ...] = ()
    """Why something that was typed is none."""


def read_option(name: str, text: str) -> Any:
    """The value of an option as it was typed. Raises ValueError with the reason."""
    text = text.strip()
    value = _stops(text) if name == "stop" else _number(text)
    if reason := check_option(name, value):
        raise ValueError(reason.removeprefix(f"{name} "))
    return value


def _number(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:
        return text


def _stops(text: str) -> Any:
    if text.startswith(("[", '"')):
        return _number(text)
    try:
        return json.loads('"' + text.replace('"', '\\"') + '"')  # so that \n is a line break
    except ValueError:
        return text


def read_samples(text: str) -> int:
    """The number of samples as it was typed. Raises ValueError with the reason."""
    value = _number(text.strip())
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SAMPLES:
        raise ValueError(f"wants a whole number from 1 to {MAX_SAMPLES}; got {shorten(text)!r}")
    return value


def holding(name: str, prompt: Prompt | None, models: Sequence[Entry]) -> tuple[Any, str]:
    """What holds of an option where nobody types anything, and who says so: the prompt, models.yaml, or nobody."""
    if prompt is not None and name in prompt.options:
        return prompt.options[name], "the prompt"
    said = [model.options.get(name, _BUILT_IN[name]) for model in models]
    if any(name in model.options for model in models):
        return (said[0] if said.count(said[0]) == len(said) else None), "models.yaml"
    return _BUILT_IN[name], ""


def placeholder(name: str, prompt: Prompt | None, models: Sequence[Entry]) -> str:
    """What an empty field says: what then holds."""
    value, whose = holding(name, prompt, models)
    shown = "each its own" if value is None else "none" if value in ([], ()) else _text(value)
    return f"{shown} · {whose}" if whose else shown


def _text(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else f"{value:g}")


def summary(asked: Asked, samples: int, prompt: Prompt | None, models: Sequence[Entry]) -> Content:
    """All that matters in one line: first what somebody has set, then what holds anyhow."""
    told = [_told(name, value) for name, value in asked.options.items()]
    told += [asked.mode] if asked.mode else []
    told += [_samples(samples)] if samples > 1 else []
    rest = [_told(name, holding(name, prompt, models)[0]) for name in _ALWAYS if name not in asked.options]
    rest += [] if samples > 1 else [_samples(samples)]
    parts = [show.line(each, f"bold {show.ACCENT}") for each in told] + [show.line(each, show.DIM) for each in rest]
    wrong = [show.line("✗", show.BAD)] if asked.wrong else []
    return show.join([*wrong, *parts], " · ")


def _told(name: str, value: Any) -> str:
    if name == "max_tokens":
        return f"{value if value is not None else '?'} tokens"
    return f"{name} {'?' if value is None else _text(value)}"


def _samples(samples: int) -> str:
    return f"{samples} sample{'' if samples == 1 else 's'}"
