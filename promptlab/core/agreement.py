"""Who agrees with whom: answers to one case that say the same, and how often two columns do.

Two answers say the same when nothing is left between them but capitals, blanks, punctuation and the way in which JSON
is written. Whether two longer texts mean the same is not guessed: one digit may be all the difference.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NO_WORD = re.compile(r"[^\w\s.+\-%/]|_")
_LONE = re.compile(r"(?<!\w)[.+\-%/]+(?!\w)|[./+\-]+(?!\w)")
MAX_CHARACTERS = 100_000
"""Of an answer, that are looked at."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer to a case."""

    column: int
    sample: int
    output: Any


@dataclass(frozen=True, slots=True)
class Cluster:
    """Answers to one case that say the same."""

    text: str
    """The first of them, as it was said."""
    members: tuple[tuple[int, int], ...]
    """Column and sample of each."""


@dataclass(frozen=True, slots=True)
class Split:
    """The answers to one case."""

    case: str
    clusters: tuple[Cluster, ...]
    """The largest one first."""
    agreement: float | None
    """How probable it is that an answer of one column says the same as one of another; None with a single column."""


def same_form(output: Any) -> str:
    """What two answers have in common that say the same."""
    if not isinstance(output, str):
        return _canonical(output)
    text = output[:MAX_CHARACTERS].strip()
    if text[:1] in ("{", "["):
        try:
            return _canonical(json.loads(text))
        except (ValueError, RecursionError):
            pass
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_LONE.sub(" ", _NO_WORD.sub(" ", folded)).split()) or text


def _canonical(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)
    except RecursionError:  # which `repr` would end in, too
        return "nested too deeply to be compared"


def split(case: str, answers: Sequence[Said]) -> Split:
    """Put the answers to one case together that say the same."""
    groups: dict[str, list[Said]] = {}
    for each in answers:
        groups.setdefault(same_form(each.output), []).append(each)
    found = [Cluster(_text(g[0].output), tuple((each.column, each.sample) for each in g)) for g in groups.values()]
    found.sort(key=lambda cluster: -len(cluster.members))
    shares, _ = _shares(found)
    pairs = [_meet(shares[a], shares[b]) for a in shares for b in shares if a < b]
    return Split(case, tuple(found), math.fsum(pairs) / len(pairs) if pairs else None)


def _text(output: Any) -> str:
    return output if isinstance(output, str) else _canonical(output)


def _shares(clusters: Sequence[Cluster]) -> tuple[dict[int, dict[int, float]], Counter[int]]:
    """For each column, how often it says what, by the place of the cluster; and how many answers it has."""
    counts: dict[int, Counter[int]] = {}
    for place, cluster in enumerate(clusters):
        for column, _ in cluster.members:
            counts.setdefault(column, Counter())[place] += 1
    sizes = Counter({column: said.total() for column, said in counts.items()})
    return {c: {place: n / sizes[c] for place, n in said.items()} for c, said in counts.items()}, sizes


def _meet(a: Mapping[int, float], b: Mapping[int, float]) -> float:
    return math.fsum(share * b.get(place, 0.0) for place, share in a.items())


def agreement_matrix(columns: int, splits: Sequence[Split]) -> tuple[tuple[float | None, ...], ...]:
    """How probable it is that an answer of one column says the same as one of another to the same case: the mean over
    the cases that both have answered.

    On the diagonal, of two different samples of one column; None where there are none. The matrix is symmetric.
    """
    sums = [[0.0] * columns for _ in range(columns)]
    counts = [[0] * columns for _ in range(columns)]
    for each in splits:
        shares, sizes = _shares(each.clusters)
        for a in shares:
            for b in shares:
                met = _meet(shares[a], shares[b])
                if a == b:
                    if sizes[a] < 2:
                        continue
                    met = (met * sizes[a] - 1) / (sizes[a] - 1)  # not with itself
                sums[a][b] += met
                counts[a][b] += 1
    return tuple(
        tuple(sums[a][b] / counts[a][b] if counts[a][b] else None for b in range(columns)) for a in range(columns)
    )
