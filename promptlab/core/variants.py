"""Which models are the same weights in another packaging: quantised, with another template, KV cache or layout.

A model says so by its `base`, or by the hash that its base has; two entries with one hash are the same weights without
saying it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from promptlab.core.job import Model


def root(models: Mapping[str, Model], name: str) -> str:
    """The name at which the bases of a model end; it need not be an entry. In a circle, the first of its names."""
    return _ends(models)[0].get(name, name)


def in_circles(models: Mapping[str, Model]) -> list[str]:
    """The models whose bases lead back to themselves."""
    circles = _ends(models)[1]
    return [name for name in models if name in circles]


def _ends(models: Mapping[str, Model]) -> tuple[dict[str, str], set[str]]:
    """Where the bases of each model end, and which models are in circles; each base is followed once."""
    ends: dict[str, str] = {}
    circles: set[str] = set()
    for name in models:
        way: dict[str, None] = {}
        step = name
        while step not in ends and step not in way:
            way[step] = None
            base = models[step].base if step in models else None
            if base is None:
                ends[step] = step
            else:
                step = base
        if step not in ends:
            circle = list(way)[list(way).index(step) :]
            circles.update(circle)
            ends[step] = min(circle)
        ends |= dict.fromkeys(way, ends[step])
    return ends, circles


def families(models: Mapping[str, Model], names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Which of the models named are the same weights in different packagings, each family by itself.

    `models` are all entries: what two have in common need not be among those named.
    """
    grouped = _grouped(models)
    groups: dict[str, list[Model]] = {}
    for name in dict.fromkeys(names):
        if name in models:
            groups.setdefault(grouped[name], []).append(models[name])
    return tuple(
        tuple(model.name for model in group) for group in groups.values() if len(set(map(_packaging, group))) > 1
    )


def variants(models: Mapping[str, Model]) -> dict[str, tuple[str, ...]]:
    """For each model the others that are the same weights."""
    groups: dict[str, list[str]] = {}
    grouped = _grouped(models)
    for name, group in grouped.items():
        groups.setdefault(group, []).append(name)
    return {name: tuple(each for each in groups[group] if each != name) for name, group in grouped.items()}


def _grouped(models: Mapping[str, Model]) -> dict[str, str]:
    """For each model a name that all of the same weights have in common: by their bases, and by their hashes."""
    group = _ends(models)[0]
    by_hash: dict[str, str] = {}
    joined: dict[str, str] = {}
    for name, model in models.items():
        for sha256 in filter(None, (model.sha256, model.base_sha256)):
            mine = _final(joined, group[name])
            other = _final(joined, by_hash.setdefault(sha256, mine))
            if other != mine:
                joined[mine] = other
    return {name: _final(joined, group[name]) for name in models}


def _final(joined: dict[str, str], group: str) -> str:
    while (other := joined.get(group)) is not None:
        joined[group] = joined.get(other, other)  # the way is shorter the next time
        group = other
    return group


def _packaging(model: Model) -> Hashable:
    file = model.sha256 or (model.server, model.model or model.name)
    return file, model.chat_template, model.kv_type, tuple(sorted(model.layout.items()))
