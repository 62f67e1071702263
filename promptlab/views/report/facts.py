"""What was run: how much of it, which prompts and models by their hashes, on which engines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from promptlab.core.compare import Comparison
from promptlab.core.events import Engine
from promptlab.core.record import ModelRef, PromptRef
from promptlab.views.report.show import count
from promptlab.views.server import server_facts

T = TypeVar("T")
NOT_RECORDED = "unknown"


@dataclass(frozen=True, slots=True)
class Machine:
    """An engine that gave answers, and how many."""

    engine: Engine
    answers: int

    @property
    def server(self) -> str:
        """Which server it was, in words; empty where it ran here."""
        return " · ".join(server_facts(self.engine.server)) if self.engine.server else ""

    @property
    def layout(self) -> str:
        """How its work was cut into calls."""
        return ", ".join(f"{name} {value}" for name, value in sorted(self.engine.layout.items()))


@dataclass(frozen=True, slots=True)
class Facts:
    """What was run."""

    samples: int
    """The most that any case has in a column."""
    missing: int
    """Answers that are not there."""
    modes: tuple[str, ...]
    prompts: tuple[PromptRef, ...]
    """Each label and hash once."""
    models: tuple[ModelRef, ...]
    machines: tuple[Machine, ...]
    away: frozenset[str]
    """Models that a server has."""


def facts(comparison: Comparison) -> Facts:
    """Gather what the records say about where they come from."""
    results = comparison.results
    records = [each.record for each in results]
    samples = max((each.sample for each in results), default=-1) + 1
    engines = _engines(record.engine for record in records if record.engine)
    prompts = {(record.prompt.label, record.prompt.hash): record.prompt for record in records}
    models = {(record.model.name, record.model.sha256, record.model.template_hash): record.model for record in records}
    return Facts(
        samples,
        len(comparison.columns) * len(comparison.cases) * samples - len(results),
        tuple(sorted({machine.engine.mode for machine in engines})),
        tuple(prompts.values()),
        tuple(models.values()),
        engines,
        frozenset(record.model.name for record in records if record.engine and record.engine.server),
    )


def _engines(engines: Iterable[Engine]) -> tuple[Machine, ...]:
    """Each engine once; an engine holds a mapping, so it is told apart by what is in it."""
    seen: dict[Hashable, Engine] = {}
    counts: Counter[Hashable] = Counter()
    for engine in engines:
        key = repr(engine)
        seen.setdefault(key, engine)
        counts[key] += 1
    return tuple(Machine(seen[key], number) for key, number in counts.most_common())


def amounts(comparison: Comparison, found: Facts) -> tuple[tuple[str, str], ...]:
    """The size of the comparison: pairs of a number and what it counts."""
    results = comparison.results
    cached = sum(each.cached for each in results)
    numbers = [
        (len(comparison.columns), "column", "columns"),
        (len({column.prompt for column in comparison.columns}), "prompt", "prompts"),
        (len({column.model for column in comparison.columns}), "model", "models"),
        (len(comparison.cases), "case", "cases"),
        (found.samples, "sample each", "samples each"),
        (len(results), "answer", "answers"),
    ]
    pairs = [(count(number), one if number == 1 else many) for number, one, many in numbers]
    return (*pairs, *([(count(cached), "from the history")] if cached else []))
