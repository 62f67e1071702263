"""What a library wants beyond its own folder, and whether the user lets it."""

from __future__ import annotations

from dataclasses import dataclass

from promptlab.app.lab import Lab
from promptlab.files import trust
from promptlab.files.trust import Want

__all__ = ["Trusted", "Want", "Wanting"]


@dataclass(frozen=True, slots=True)
class Wanting:
    """What a library's models.yaml wants beyond it."""

    library: str
    entries: tuple[tuple[str, Want], ...]
    """Each thing with the entry that wants it."""
    new: frozenset[Want]
    """What of it is not trusted yet."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """A library that is trusted, and in what."""

    library: str
    servers: tuple[str, ...]
    paths: tuple[str, ...]


def wanting(lab: Lab) -> Wanting:
    """Find out; nothing is changed. Raises SourceError."""
    registry = lab.registry
    theirs = {name: model for name, model in registry.models.items() if name not in registry.yours}
    entries = tuple((name, want) for name, model in theirs.items() for want in sorted(trust.wants(model, lab.root)))
    allowed = {want for _, want in entries} if trust.allows_all(lab.root) else trust.trusted(lab.root)
    return Wanting(str(lab.root), entries, frozenset(want for _, want in entries) - allowed)


def trust_library(lab: Lab, shown: Wanting) -> None:
    """Trust a library in what has been shown, and in nothing that came after. Raises StoreError."""
    trust.trust(lab.root, {want for _, want in shown.entries})


def revoke(lab: Lab) -> bool:
    """Trust a library no more; False where it was not trusted. Raises StoreError."""
    return trust.revoke(lab.root)


def all_trusted() -> list[Trusted]:
    """Every library that is trusted. Raises StoreError."""
    return [Trusted(library, _of(wants, "server"), _of(wants, "path")) for library, wants in trust.everything().items()]


def _of(wants: frozenset[Want], kind: str) -> tuple[str, ...]:
    return tuple(sorted(want.what for want in wants if want.kind == kind))
