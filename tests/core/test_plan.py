"""Which models fit into memory together: by tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlab.core.plan import (
    KV_BUDGET,
    MAX_SLOTS,
    OVERHEAD,
    RESERVE,
    SHELF_BUDGET,
    Evict,
    Grant,
    Load,
    Loaded,
    Need,
    Never,
    Planned,
    Wait,
    admit,
    amount,
    schedule,
    shortage,
)

GB = 1 << 30


@pytest.mark.parametrize(
    ("need", "kv_least", "kv_most"),
    [
        (Need(GB), 0, 0),  # a model without such a cache
        (Need(GB, 1000, 4096), 4_096_000, MAX_SLOTS * 4_096_000),  # all slots fit
        (Need(GB, 23_040, 4096), 94_371_840, KV_BUDGET),  # SmolLM2: more than the budget would be of use
        (Need(GB, 131_072, 16_384), 2 * GB, 2 * GB),  # one conversation is more than the budget
    ],
)
def test_the_kv_cache_holds_one_conversation_at_least(need: Need, kv_least: int, kv_most: int) -> None:
    assert (need.kv_least, need.kv_most) == (kv_least, kv_most)
    assert need.least == GB + kv_least + OVERHEAD
    assert need.most == GB + kv_most + SHELF_BUDGET + OVERHEAD


def weighing(size: float) -> Need:
    """A model that needs as many GB, all in all, and gets more only for its shelf."""
    return Need(int(size * GB) - OVERHEAD)


def free(size: float) -> int:
    """Memory of which as many GB may be used."""
    return RESERVE + int(size * GB)


A, B, C = Loaded("a", 2 * GB), Loaded("b", 3 * GB), Loaded("c", 4 * GB)
HELD_A, HELD_B = Loaded("a", 2 * GB, idle=False), Loaded("b", 3 * GB, idle=False)


@pytest.mark.parametrize(
    ("need", "available", "loaded", "verdict"),
    [
        (weighing(1), free(1), [], Load(Grant(0, 0))),
        (weighing(1), free(1) - 1, [], Never(GB - 1)),
        (weighing(1), free(3), [A], Load(Grant(0, 0))),
        (weighing(1), free(2.5), [A], Evict(("a",))),
        (weighing(3), free(9), [A, B, C], Evict(("a", "b"))),
        (weighing(4), free(9), [C, A, B], Evict(("c",))),  # from the one least recently used
        (weighing(9), free(9), [A, B, C], Evict(("a", "b", "c"))),
        (weighing(9.5), free(9), [A, B, C], Never(9 * GB)),
        (weighing(2), free(6), [HELD_A, HELD_B], Wait()),
        (weighing(4), free(6), [HELD_A, B], Evict(("b",))),
        (weighing(5), free(6), [HELD_A, B], Wait()),
        (weighing(7), free(6), [HELD_A, B], Never(6 * GB)),
        (weighing(1), 0, [], Never(0)),  # the reserve is not to be had
    ],
)
def test_what_to_do_about_a_load(need: Need, available: int, loaded: list[Loaded], verdict: object) -> None:
    assert admit(need, available, loaded) == verdict


@pytest.mark.parametrize(
    ("loaded", "claim", "size"),
    [
        (Loaded("a", 3, rss=0, private=0), 3, 3),  # it has only begun
        (Loaded("a", 3, rss=2, private=2), 1, 3),  # half there: what is missing is spoken for
        (Loaded("a", 3, rss=3, private=1), 2, 3),  # pages of its file, which the system counts as free
        (Loaded("a", 3, rss=5, private=4), 1, 5),  # more than was planned
        (Loaded("a", 3, rss=5, private=6), 0, 5),
    ],
)
def test_what_a_loaded_model_claims_and_gives_back(loaded: Loaded, claim: int, size: int) -> None:
    assert (loaded.claim, loaded.size) == (claim, size)


CACHED = Need(GB - OVERHEAD, 1 << 10, 1 << 16)
"""It needs 64 MB of KV cache, and can use 1 GB and a shelf."""


@pytest.mark.parametrize(
    ("room", "grant"),
    [
        (1.0625, Grant(64 << 20, 0)),
        (1.3125, Grant(192 << 20, 0)),  # half of the 256 MB left over
        (3.0625, Grant(GB, 64 << 20)),  # the KV cache is full; the rest is for the shelf
        (99, Grant(GB, SHELF_BUDGET)),
    ],
)
def test_half_of_what_is_left_over_is_granted(room: float, grant: Grant) -> None:
    assert admit(CACHED, free(room), []) == Load(grant)


def test_a_schedule() -> None:
    needs = {"a": weighing(2), "b": weighing(3), "c": weighing(4), "big": weighing(9), "d": weighing(1)}
    shelf = Grant(0, SHELF_BUDGET)
    assert schedule(needs, free(5)) == [
        Planned("a", needs["a"], shelf),
        Planned("b", needs["b"], shelf, evicts=("a",)),
        Planned("c", needs["c"], shelf, evicts=("b",)),
        Planned("big", needs["big"], None, room=5 * GB),
        Planned("d", needs["d"], shelf, evicts=("c",)),
    ]


def test_models_that_fit_together() -> None:
    plan = schedule({"a": weighing(2), "b": weighing(3)}, free(6))
    assert [(each.name, each.evicts, each.beside) for each in plan] == [("a", (), ()), ("b", (), ("a",))]


SIZES = st.floats(0.2, 20).map(weighing)
LOADED = st.builds(
    Loaded,
    st.uuids().map(str),
    st.integers(0, 20 * GB),
    st.integers(0, 20 * GB),
    st.integers(0, 20 * GB),
    st.booleans(),
)


@given(SIZES, st.integers(0, 64 * GB), st.lists(LOADED, max_size=5))
def test_nobody_is_promised_what_is_not_there(need: Need, available: int, loaded: list[Loaded]) -> None:
    verdict = admit(need, available, loaded)
    room = available - RESERVE - sum(each.claim for each in loaded)
    match verdict:
        case Load(grant=grant):
            assert need.least <= need.size(grant) <= min(room, need.most)
        case Evict(names=names):
            assert all(each.idle for each in loaded if each.name in names)
            assert isinstance(admit(need, available + sum(x.size for x in loaded if x.name in names), loaded), Load)
        case Wait():
            assert any(not each.idle for each in loaded)
        case Never(room=room):
            assert room < need.least


def test_the_numbers_in_words() -> None:
    line = "m: needs 2.3 GB of memory (1.1 GB of weights, 1.1 GB of KV cache for 1,024 tokens, 157 MB besides)"
    assert shortage("m", Need(GB, 1 << 20, 1024), 5) == f"{line}, and 0 MB can be had"
    assert [amount(n) for n in (0, 999_600_000, 10**9, 41_234_000_000)] == ["0 MB", "1000 MB", "1.0 GB", "41.2 GB"]
