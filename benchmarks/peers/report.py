"""What the rounds came to: medians, ratios, a table, JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from peers.work import Outcome, Task, prefix_tree

EXACT, FAST, LOOP, STARTED, BEST = "exact", "fast", "loop", "server", "best"
OURS = (EXACT, FAST)
TITLES = {
    EXACT: "promptlab, exact",
    FAST: "promptlab, fast",
    LOOP: "loop over Llama.generate",
    STARTED: "llama.cpp server, as people start it",
    BEST: "llama.cpp server, at its best",
}
TARGETS = {LOOP: 2.5, STARTED: 1.5, BEST: 1.15}
"""How many times a peer's rate ours shall be, in exact mode, as a geometric mean over the default models."""
CEILING = 0.9
"""The part of the bare decode rate that ours shall reach."""


@dataclass(slots=True)
class Result:
    """All that was measured with one model."""

    title: str
    task: Task
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    decoding: dict[str, list[float]] = field(default_factory=dict)
    """Of our modes: tokens a second while all rows are busy."""
    bare: dict[str, list[float]] = field(default_factory=dict)
    """`llama_decode` alone, laid out as each of our modes."""
    rows: dict[str, int] = field(default_factory=dict)
    """How many sequences each of our modes decodes together."""
    settings: dict[str, str] = field(default_factory=dict)
    """Of the servers."""
    searched: dict[str, float] = field(default_factory=dict)
    """Tokens a second of each setting that was tried."""

    def median(self, name: str) -> float | None:
        """Tokens a second of a competitor."""
        runs = self.outcomes.get(name)
        return statistics.median(o.rate for o in runs) if runs else None

    def ratio(self, ours: str, peer: str) -> float | None:
        """How many times a peer's rate ours is: medians divided."""
        above, below = self.median(ours), self.median(peer)
        return above / below if above and below else None

    def part(self, mode: str) -> float | None:
        """The part of the bare decode rate that a mode of ours reaches."""
        ours, bare = self.decoding.get(mode), self.bare.get(mode)
        return statistics.median(ours) / statistics.median(bare) if ours and bare else None

    @property
    def tree(self) -> int:
        """Tokens of all prompts, every common beginning counted once; what the warm-up has of them is not in it."""
        return prefix_tree([*self.task.prompts, self.task.warm_up]) - len(self.task.warm_up)

    def computed(self, name: str) -> int:
        """Prompt tokens that a competitor computed: the median."""
        return round(statistics.median(o.computed for o in self.outcomes[name]))


def spread(values: Sequence[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(values):7.1f} ({min(values):.1f}–{max(values):.1f})"


def times(ratio: float | None) -> str:
    """A ratio, if there is one."""
    return "–" if ratio is None else f"{ratio:.2f}×"


def table(name: str, result: Result) -> Iterator[str]:
    """The lines of one model."""
    task = result.task
    lengths = sorted(len(ids) for ids in task.prompts)
    samples = len(task.seeds[0])
    yield f"{name}: {result.title}"
    yield (
        f"  {len(lengths)} cases × {samples} samples, prompts of {lengths[0]} to {lengths[-1]} tokens"
        f" (prefix tree: {result.tree:,}), {task.new_tokens} new tokens each; {task.threads} threads"
    )
    yield f"  {'':<38}{'tokens/s':<24}{'exact is':<10}{'fast is':<10}{'prompt tokens computed':<24}generated"
    for each, runs in result.outcomes.items():
        ratios = (times(None if each == ours else result.ratio(ours, each)) for ours in OURS)
        computed = f"{result.computed(each):,} = {result.computed(each) / result.tree:.2f} tree"
        yield (
            f"  {TITLES[each]:<38}{spread([o.rate for o in runs]):<24}"
            + "".join(f"{r:<10}" for r in ratios)
            + f"{computed:<24}{min(o.tokens for o in runs):,}"
        )
    for each, setting in result.settings.items():
        yield f"  {TITLES[each]}: {setting}"
    for mode in OURS:
        if (part := result.part(mode)) is not None:
            yield (
                f"  decoding alone, {mode}, {result.rows[mode]} rows: {spread(result.decoding[mode]).strip()} of"
                f" {spread(result.bare[mode]).strip()} of bare llama_decode: {part:.2f} (target {CEILING})"
            )


def geometric(results: Mapping[str, Result], ours: str, peer: str) -> float | None:
    """The geometric mean of a ratio over the models; None where one has none."""
    ratios = [result.ratio(ours, peer) for result in results.values()]
    known = [r for r in ratios if r]
    return statistics.geometric_mean(known) if known and len(known) == len(ratios) else None


def summary(results: Mapping[str, Result]) -> Iterator[str]:
    """The lines over all models."""
    yield f"geometric mean over {', '.join(results)}:"
    for peer, target in TARGETS.items():
        exact, fast = (times(geometric(results, ours, peer)) for ours in OURS)
        yield f"  {TITLES[peer]:<38}exact is {exact} (target {target:g}×), fast is {fast}"


def plain(machine: Mapping[str, Any], results: Mapping[str, Result]) -> dict[str, Any]:
    """All of it as JSON has it."""
    return {
        "machine": dict(machine),
        "models": {name: _plain(result) for name, result in results.items()},
        "geometric_mean": {ours: {peer: geometric(results, ours, peer) for peer in TARGETS} for ours in OURS},
        "targets": {**TARGETS, "decoding": CEILING},
    }


def _plain(result: Result) -> dict[str, Any]:
    peers = [name for name in result.outcomes if name not in OURS]
    return {
        "title": result.title,
        "threads": result.task.threads,
        "prompt_tokens": [len(ids) for ids in result.task.prompts],
        "prefix_tree_tokens": result.tree,
        "tokens_per_s": {name: [o.rate for o in runs] for name, runs in result.outcomes.items()},
        "median": {name: result.median(name) for name in result.outcomes},
        "generated": {name: [o.tokens for o in runs] for name, runs in result.outcomes.items()},
        "prompt_tokens_computed": {name: [o.computed for o in runs] for name, runs in result.outcomes.items()},
        "ratio": {ours: {peer: result.ratio(ours, peer) for peer in peers} for ours in OURS},
        "settings": result.settings,
        "searched": result.searched,
        "rows": result.rows,
        "decoding": result.decoding,
        "bare_decode": result.bare,
        "part_of_bare_decode": {mode: result.part(mode) for mode in OURS},
    }
