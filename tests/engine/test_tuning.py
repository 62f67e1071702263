"""What is chosen by measuring: on a device without a model, whose calls take as long as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from promptlab.engine.rules import Rules
from promptlab.engine.tuning import (
    CALL_S,
    CHUNK,
    CHUNKS,
    ROUNDS,
    SECONDS,
    SLOTS,
    Terms,
    Tuning,
    read_tuning,
    terms,
    tune,
)

Cost = Callable[[int, Tuning], float]
"""Seconds of a call by its tokens and what is arranged."""


def even(tokens: int, now: Tuning) -> float:
    return 0.001 * tokens


class Machine:
    """A device, and the clock that goes on when it computes."""

    def __init__(self, prompt: Cost = even, step: Cost = even, *, context: int = 4096, fits: int = 1 << 20) -> None:
        self.n_vocab, self.context, self.rules = 50, context, Rules()
        self.time = 0.0
        self.arranged = Tuning(0)
        self.calls: list[tuple[str, int]] = []
        self._prompt, self._step, self._fits = prompt, step, fits
        self._now = self.arranged
        self.resize(4, min(512, context))

    @property
    def kv_unified(self) -> bool:
        return self._now.kv_unified

    def arrange(self, tuning: Tuning) -> None:
        self.arranged = tuning

    def resize(self, slots: int, length: int) -> None:
        assert length <= self.context
        self.slots, self.length, self._now = slots, length, self.arranged
        self.used = [0] * slots

    def most_slots(self, length: int) -> int:
        return max(self._fits // length, 1)

    def prefill(self, slot: int, tokens: Sequence[int], start: int, outputs: int) -> None:
        assert self.used[slot] == start
        assert len(tokens) <= self._now.chunk
        assert start + len(tokens) <= self.length
        self.used[slot] += len(tokens)
        self._take("prompt", self._prompt, len(tokens))

    def step(self, tokens: Sequence[int], positions: Sequence[int], first: int) -> None:
        assert list(positions) == self.used[first : first + len(tokens)]
        assert max(positions) < self.length
        assert len(tokens) <= (self.rules.rows or 32)
        for slot in range(first, first + len(tokens)):
            self.used[slot] += 1
        self._take("step", self._step, len(tokens))

    def _take(self, what: str, cost: Cost, tokens: int) -> None:
        self.calls.append((what, tokens))
        self.time += cost(tokens, self._now)

    def cut(self, slot: int, length: int) -> bool:
        self.used[slot] = min(self.used[slot], length)
        return True

    def save(self, slot: int) -> npt.NDArray[np.uint8]:
        return np.array([self.used[slot]], np.uint8)

    def restore(self, slot: int, data: npt.NDArray[np.uint8]) -> None:
        assert not self.kv_unified, "cells that could have been shared"
        self.used[slot] = int(data[0])

    def copy(self, source: int, target: int) -> None:
        assert self.kv_unified, "slower than to restore it"
        self.used[target] = self.used[source]


def chosen(machine: Machine, usable: int = 2, *, exact: bool = False, **by_hand: Any) -> Tuning:
    threads = by_hand.pop("threads", None)
    return tune(machine, terms(usable, exact=exact, threads=threads, layout=by_hand), lambda: machine.time)


def test_the_usual_stays_where_nothing_makes_a_difference() -> None:
    machine = Machine()
    found = chosen(machine, 16)
    assert (found.threads, found.flash_attention, found.slots) == (16, False, SLOTS[0])
    assert found.chunk == min(CHUNKS)  # the sooner is something else's turn
    assert found.seen["threads"] == {"16": 1000.0, "8": 1000.0, "4": 1000.0}
    assert set(found.seen["flash_attention"]) == set(found.seen["kv_unified"]) == {"false", "true"}
    assert (machine.slots, machine.length) == (4, 512)
    assert replace(machine.arranged, seen={}) == replace(found, seen={})


@pytest.mark.parametrize(("slower", "threads"), [(2.0, 4), (1.05, 8)])
def test_fewer_threads_only_where_they_are_clearly_quicker(slower: float, threads: int) -> None:
    def cost(tokens: int, now: Tuning) -> float:
        return 0.001 * tokens * (slower if now.threads > 4 else 1)

    assert chosen(Machine(cost, cost), 8).threads == threads
    assert chosen(Machine(cost, cost), 8, threads=8).threads == 8
    assert 1 not in terms(3, exact=True, threads=None, layout={}).threads


def test_a_quantised_cache_has_flash_attention_unless_that_is_excluded() -> None:
    def flash(kv_type: str | None, *, exact: bool = False, **layout: bool) -> tuple[bool, ...]:
        return terms(2, exact=exact, threads=None, layout=layout, kv_type=kv_type).flash_attention

    assert flash("q8_0") == (True,)
    assert flash("q8_0", flash_attention=False) == (False,)
    assert flash("q8_0", exact=True) == (False,)
    assert flash("bf16") == flash(None) == (False, True)


@pytest.mark.parametrize("name", ["flash_attention", "kv_unified"])
def test_what_answers_may_depend_on_where_it_is_quicker_but_never_in_exact_mode(name: str) -> None:
    def cost(tokens: int, now: Tuning) -> float:
        return 0.001 * tokens * (0.5 if getattr(now, name) else 1)

    def found(**more: Any) -> Any:
        return getattr(chosen(Machine(cost, cost), **more), name)

    assert found() is True
    assert found(**{name: False}) is False
    assert found(exact=True) is False
    assert found(exact=True, **{name: True}) is False


def test_ways_to_look_at_the_cache_are_compared_by_many_answers_to_a_longer_prompt() -> None:
    """Where the cache is short, they cost the same."""

    def cost(rows: int, now: Tuning) -> float:
        return 0.001 * rows * (0.5 if now.flash_attention and rows == SLOTS[0] and max(machine.used) > 150 else 1)

    machine = Machine(step=cost)
    assert chosen(machine).flash_attention


def test_larger_parts_of_a_prompt_where_a_call_has_a_price_of_its_own() -> None:
    assert chosen(Machine(lambda tokens, *_: 0.02 + 0.0001 * tokens)).chunk == 512
    assert chosen(Machine(lambda tokens, *_: 0.0002 + 0.0001 * tokens)).chunk == 64


def test_a_part_of_a_prompt_takes_no_longer_than_others_should_wait() -> None:
    machine = Machine(lambda tokens, *_: 0.05 + 0.002 * tokens)
    found = chosen(machine)
    assert found.chunk == 128
    assert max(found.seen["chunk"], key=int) == "128"
    assert 0.05 + 0.002 * found.chunk <= CALL_S


def test_fewer_answers_at_once_where_that_is_quicker() -> None:
    assert chosen(Machine(step=lambda rows, *_: 0.001 * rows * (2 if rows > 8 else 1))).slots == 8
    assert chosen(Machine(step=lambda rows, *_: 0.01 + 0.001 * rows)).slots == SLOTS[0]


def test_no_more_answers_are_tried_than_fit_into_memory() -> None:
    machine = Machine(fits=256 * 20)
    assert chosen(machine, exact=True).slots == SLOTS[0]  # memory limits it later, by the length of what is asked
    assert max(tokens for what, tokens in machine.calls if what == "step") == 16
    assert chosen(Machine(fits=256 * 2)).slots == SLOTS[0]
    assert chosen(Machine(step=lambda rows, *_: 0.001 * rows * (2 if rows > 8 else 1), fits=256 * 20)).slots == 8


def test_what_is_set_by_hand_is_not_tried() -> None:
    machine = Machine()
    found = chosen(machine, 8, threads=3, chunk=100, slots=5, flash_attention=True, kv_unified=True)
    assert found == Tuning(3, True, True, 100, 5)
    assert not machine.calls
    assert machine.arranged == found


def test_what_else_runs_for_a_while_does_not_decide() -> None:
    busy = iter([9.0] * 5)

    def cost(rows: int, _: Tuning) -> float:
        return 0.001 * rows * next(busy, 1.0)

    found = chosen(Machine(step=cost), exact=True)
    assert found.slots == SLOTS[0]
    assert set(found.seen["slots"].values()) == {1000.0}


def test_a_slow_model_is_not_measured_for_long() -> None:
    machine = Machine(lambda tokens, *_: 0.1 * tokens, lambda rows, *_: 1.0 * rows)
    found = chosen(machine)
    assert (found.flash_attention, found.chunk, found.slots) == (False, min(CHUNKS), SLOTS[0])
    assert len(found.seen["slots"]) == 1
    once = [6.4 + 6 * 4, 3.2 + 6.4, 6.4 + 32, 2 * (6.4 + 3 * 4)]
    assert machine.time < 2 * SECONDS + sum(once)  # the usual of each once, whatever it takes


def test_a_step_is_cut_into_calls_as_the_rules_want_them() -> None:
    machine = Machine()
    machine.rules = Rules(rows=3)
    chosen(machine)
    assert max(tokens for what, tokens in machine.calls if what == "step") == 3


def test_every_round_counts_where_there_is_time() -> None:
    machine = Machine(lambda tokens, *_: 1e-6 * tokens, lambda rows, *_: 1e-6 * rows)
    chosen(machine, exact=True)
    assert sum(call == ("step", 8) for call in machine.calls) == ROUNDS


@pytest.mark.parametrize("context", [16, 100, 700])
def test_a_small_context(context: int) -> None:
    assert chosen(Machine(context=context), 8).threads == 8


def test_what_is_kept_is_read_again() -> None:
    found = chosen(Machine(), 8)
    assert read_tuning(found.plain()) == found
    assert Terms((2,)).usual == Tuning(2, chunk=CHUNK)


@pytest.mark.parametrize(
    "kept",
    [
        None,
        {},
        {"threads": "2"},
        {"threads": True},
        {"threads": 0},
        {"threads": 2, "chunk": -1},
        {"threads": 2, "slots": 1 << 40},
        {"threads": 2, "flash_attention": 1},
        {"threads": 2, "kv_unified": "no"},
        {"threads": 2, "more": 1},
        {"threads": 2, "seen": [1]},
        {"threads": 2, "seen": {"slots": {"8": "many"}}},
        {"threads": 2, "seen": {"slots": 3}},
    ],
)
def test_what_is_no_finding_is_not_taken(kept: Any) -> None:
    assert read_tuning(kept) is None
