"""Differences between two answers, word by word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["same", "changed"]

_ALONE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Characters of languages that put no blanks between words: each is a word."""
_WORD = re.compile(rf"^\s+|(?:[{_ALONE}]|(?:(?![{_ALONE}])[\w\u0300-\u036f])+|[^\w\s])\s*")
MAX_CHARACTERS = 200_000
MAX_WORDS = 6_000
LEAST_SHARED = 0.3
"""Of the words of the first text; with less of it left in the other one, marks only hinder reading."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of two texts: the same words in both, or what the one has and what the other has in its place."""

    kind: Kind
    old: str
    new: str


def compare_words(old: str, new: str) -> tuple[Stretch, ...] | None:
    """Cut two texts into stretches that are the same and such that are not.

    The blanks after a word are no part of it. None where the texts are too long or have too little in common.
    """
    if max(len(old), len(new)) > MAX_CHARACTERS:
        return None
    a, b = _WORD.findall(old), _WORD.findall(new)
    if max(len(a), len(b)) > MAX_WORDS:
        return None
    from rapidfuzz.distance import Indel  # here because it is slow to import

    stretches: list[Stretch] = []
    shared = 0
    for each in Indel.opcodes([word.strip() for word in a], [word.strip() for word in b]):
        kind: Kind = "same" if each.tag == "equal" else "changed"
        shared += each.src_end - each.src_start if kind == "same" else 0
        stretch = Stretch(kind, "".join(a[each.src_start : each.src_end]), "".join(b[each.dest_start : each.dest_end]))
        if stretches and stretches[-1].kind == kind:
            last = stretches.pop()
            stretch = Stretch(kind, last.old + stretch.old, last.new + stretch.new)
        stretches.append(stretch)
    return tuple(stretches) if shared >= LEAST_SHARED * len(a) else None
