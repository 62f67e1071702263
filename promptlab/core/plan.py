"""Which models fit into memory together: arithmetic over bytes, before anything is loaded.

A model gets at least what one conversation of full length needs, and more where there is more: then it can work on
many at once. What it was granted counts as taken, whether it has used it yet or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MAX_SLOTS = 32
"""Conversations that a model works on at once."""
KV_BUDGET = 1 << 30
"""What their KV cache may take; a single conversation of full length may take more."""
SHELF_BUDGET = 256 << 20
"""What the cache of prefixes may take."""
OVERHEAD = 150 << 20
"""A worker besides that: the interpreter, the libraries, what is computed with."""
PER_WORD = 512
"""And for each token of its vocabulary, what it takes to hold answers to a constraint, once one is asked for."""
RESERVE = 512 << 20
"""Of the free memory, what is left to the rest of the machine."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a model may take besides its weights and the overhead."""

    kv: int
    shelf: int


@dataclass(frozen=True, slots=True)
class Need:
    """What a model needs of memory."""

    weights: int
    kv_per_token: int = 0
    context: int = 0
    """Tokens of its longest conversation."""
    vocabulary: int = 0
    """How many tokens it knows."""
    heads: int = 0
    """Of attention, in one layer."""
    embedding: int = 0
    """Numbers that stand for a token: how wide it is."""
    stems: int = 0
    """Conversations that are kept in the cache besides, for others to go on from (`engine/batch.py`)."""

    @property
    def besides(self) -> int:
        """What its worker takes besides weights and caches."""
        return OVERHEAD + self.vocabulary * PER_WORD

    @property
    def kv_least(self) -> int:
        """The KV cache of one conversation of full length."""
        return self.context * self.kv_per_token

    @property
    def kv_most(self) -> int:
        """The largest KV cache that is of use."""
        return max(self.kv_least, min(MAX_SLOTS * self.kv_least, KV_BUDGET))

    @property
    def least(self) -> int:
        """With less than this it is not loaded."""
        return self.size(Grant(self.kv_least, 0))

    @property
    def most(self) -> int:
        """It never takes more."""
        return self.size(Grant(self.kv_most, SHELF_BUDGET))

    def size(self, grant: Grant) -> int:
        """All that it takes with a grant."""
        return self.weights + grant.kv + grant.shelf + self.besides


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is in memory, or on its way there."""

    name: str
    planned: int
    rss: int = 0
    """What its process holds, pages of the model's file included."""
    private: int = 0
    """Of that, what the system counts as gone. Pages of a file it counts as free, though the model needs them."""
    idle: bool = True
    """Nobody needs it: it may be taken out."""

    @property
    def size(self) -> int:
        """What there is more of without it."""
        return max(self.planned, self.rss)

    @property
    def claim(self) -> int:
        """What of the free memory is spoken for."""
        return max(self.size - self.private, 0)


@dataclass(frozen=True, slots=True)
class Load:
    """There is room."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Evict:
    """There is room once these are out."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """There will be room when others are done."""


@dataclass(frozen=True, slots=True)
class Never:
    """It does not fit, not even alone."""

    room: int


Verdict = Load | Evict | Wait | Never


def admit(need: Need, available: int, loaded: Sequence[Loaded]) -> Verdict:
    """Decide about loading a model.

    `available` is the free memory as the system counts it, `loaded` the others with the least recently used first.
    """
    room = spare(available, loaded)
    if need.least <= room:
        return Load(_grant(need, room))
    out: list[str] = []
    for each in (each for each in loaded if each.idle):
        out.append(each.name)
        room += each.size
        if need.least <= room:
            return Evict(tuple(out))
    room += sum(each.size for each in loaded if not each.idle)
    return Wait() if need.least <= room else Never(max(room, 0))


def spare(available: int, loaded: Iterable[Loaded]) -> int:
    """What one more model could take without any of the others being taken out; below 0 where there is too little."""
    return available - RESERVE - sum(each.claim for each in loaded)


def _grant(need: Need, room: int) -> Grant:
    """Half of what is left over, so that the next model finds room beside this one; the KV cache before the shelf."""
    extra = min(need.most - need.least, (room - need.least) // 2)
    kv = min(extra, need.kv_most - need.kv_least)
    return Grant(need.kv_least + kv, extra - kv)


def shortage(name: str, need: Need, room: int) -> str:
    """Why a model is not loaded, in one line."""
    parts = f"{amount(need.weights)} of weights, {amount(need.kv_least)} of KV cache for {need.context:,} tokens"
    return (
        f"{name}: needs {amount(need.least)} of memory ({parts}, {amount(need.besides)} besides), "
        f"and {amount(room)} can be had"
    )


def amount(number: int) -> str:
    """A number of bytes for a reader."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


@dataclass(frozen=True, slots=True)
class Planned:
    """How one of several models would be loaded."""

    name: str
    need: Need
    grant: Grant | None
    """None where it does not fit."""
    evicts: tuple[str, ...] = ()
    """Models that must be out first."""
    beside: tuple[str, ...] = ()
    """Models that stay loaded beside it."""
    room: int = 0
    """Where it does not fit: what could be had."""


def schedule(needs: Mapping[str, Need], available: int) -> list[Planned]:
    """How models would be loaded one after another, each done with its work when the next one lacks room."""
    loaded: list[Loaded] = []
    plan: list[Planned] = []
    for name, need in needs.items():
        evicts: tuple[str, ...] = ()
        verdict = admit(need, available, loaded)
        if isinstance(verdict, Evict):
            evicts = verdict.names
            loaded = [each for each in loaded if each.name not in evicts]
            verdict = admit(need, available, loaded)
        if isinstance(verdict, Load):
            plan.append(Planned(name, need, verdict.grant, evicts, _names(loaded)))
            loaded.append(Loaded(name, need.size(verdict.grant)))
        elif isinstance(verdict, Never):
            plan.append(Planned(name, need, None, room=verdict.room))
    return plan


def _names(loaded: Iterable[Loaded]) -> tuple[str, ...]:
    return tuple(each.name for each in loaded)
