"""What changed between two versions of a prompt: in its files, or in what a model would read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptlab.app.lab import Lab
from promptlab.app.prompts import Rendered, render_prompts
from promptlab.core.prompt import Prompt
from promptlab.core.tape import Message


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    label: str
    hash: str
    commit: str | None
    dirty: bool | None
    messages: tuple[Message, ...] | None = None
    """Of the first question, when what a model reads is compared."""
    tokens: int | None = None
    """How many of them, when a model is named."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A file, or what is read, that differs."""

    old: str
    """Its name on the old side; empty where there is none."""
    new: str
    lines: tuple[str, ...]
    """Hunks of a unified diff."""


@dataclass(frozen=True, slots=True)
class Diff:
    """Two versions of a prompt, compared."""

    old: Side
    new: Side
    changes: tuple[Changed, ...]
    """Empty where nothing differs."""
    token_change: int | None = None
    """How many tokens more the new one has, when a model is named."""


def diff_sources(lab: Lab, old: str, new: str | None) -> Diff:
    """Compare the files of two versions, with all that they use. Raises NotFound, UsageError and SourceError."""
    a, b = _load(lab, old, new)
    pairs = [((a.file, a.source), (b.file, b.source))]
    for file in sorted({*a.partials, *b.partials}):
        pairs.append(((file, a.partials.get(file, "")), (file, b.partials.get(file, ""))))
    changes = []
    for (old_file, old_text), (new_file, new_text) in pairs:
        if lines := _diff(lab, new_file, old_text, new_text):
            gone, added = old_file in a.partials, new_file in b.partials
            main = new_file == b.file
            changes.append(Changed(old_file if main or gone else "", new_file if main or added else "", lines))
    return Diff(_side(a), _side(b), tuple(changes))


def diff_rendered(lab: Lab, old: str, new: str | None, given: Mapping[str, Any], model: str | None) -> Diff:
    """Compare what a model would read of two versions, given the same values.

    Without a model these are the messages of the first question, with one the exact text, and the tokens are counted.
    Raises UsageError, RenderError and EngineError.
    """
    a, b = _load(lab, old, new)
    seen_a, seen_b = render_prompts(lab, [a, b], given, model)
    lines = _diff(lab, b.label, _text(seen_a), _text(seen_b))
    sides = _side(a, seen_a), _side(b, seen_b)
    change = None
    if sides[0].tokens is not None and sides[1].tokens is not None:
        change = sides[1].tokens - sides[0].tokens
    return Diff(*sides, (Changed(a.label, b.label, lines),) if lines else (), change)


def _load(lab: Lab, old: str, new: str | None) -> tuple[Prompt, Prompt]:
    """The two versions: one alone is compared with the working copy, and that with the commit checked out."""
    if new is None:
        name, at, _ = old.partition("@")
        old, new = (old, name) if at else (f"{name}@HEAD", name)
    return lab.library.load(old), lab.library.load(new)


def _diff(lab: Lab, what: str, old: str, new: str) -> tuple[str, ...]:
    return tuple(lab.sandbox.diff(what, old, new)) if old != new else ()


def _side(prompt: Prompt, seen: Rendered | None = None) -> Side:
    tokens = len(seen.tokens) if seen and seen.tokens is not None else None
    return Side(prompt.label, prompt.hash, prompt.commit, prompt.dirty, seen.messages if seen else None, tokens)


def _text(seen: Rendered) -> str:
    """What is compared: the exact text, or the messages below their roles."""
    if seen.text is not None:
        return seen.text + "\n"
    return "".join(f"== {m.role}\n{m.content}\n" for m in seen.messages)
