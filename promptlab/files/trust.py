"""What a library of somebody else's may do beyond its own folder: only what the user has said that it may.

Asked for are the servers that its models.yaml names and the files outside it. What is said holds for the library at
that path and for exactly these addresses and files: whatever is new there, or leads elsewhere, must be asked for again.
It stands in the user's own folder, never in a library.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from promptlab.core.job import Model
from promptlab.errors import StoreError
from promptlab.files.paths import config_dir, is_packaged
from promptlab.files.sources import LocalPath, parse_source
from promptlab.files.writing import replace_file

MAX_BYTES = 4 << 20
_VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class Want:
    """Something beyond the library that an entry is about."""

    kind: Literal["path", "server"]
    what: str
    """An address as it stands there, or an absolute path without links."""


def trust_file() -> Path:
    """Where is kept what the user trusts."""
    return config_dir() / "trust.json"


def wants(model: Model, library: Path) -> frozenset[Want]:
    """What of an entry is beyond its library."""
    found = set() if model.server is None else {Want("server", model.server)}
    for source in model.sources:
        for text in (source,) if isinstance(source, str) else source:
            if (path := outside(text, library)) is not None:
                found.add(Want("path", path))
    return frozenset(found)


def outside(text: str, library: Path) -> str | None:
    """The file that a source stands for, where that is a path which leads out of the library; None otherwise."""
    source = parse_source(text)
    if not isinstance(source, LocalPath):
        return None
    root = os.path.realpath(library)
    path = os.path.realpath(os.path.join(root, source.path))  # noqa: PTH118  (also where links lead in a circle)
    return None if Path(path).is_relative_to(root) else path


def trusted(library: Path) -> frozenset[Want]:
    """What of a library the user trusts. A file that cannot be read trusts nothing."""
    try:
        return _wants(_read().get(_key(library)))
    except StoreError:
        return frozenset()


def allows_all(library: Path) -> bool:
    """Whether a library needs no trust: the one that ships."""
    return is_packaged(library)


def trust(library: Path, wanted: Iterable[Want]) -> None:
    """Trust a library in these respects, and no others. Raises StoreError."""
    kept: dict[str, list[str]] = {"server": [], "path": []}
    for want in sorted(wanted):
        kept[want.kind].append(want.what)
    _write({**_read(), _key(library): kept})


def revoke(library: Path) -> bool:
    """Trust a library no more; False where it was not trusted. Raises StoreError."""
    known = _read()
    if _key(library) not in known:
        return False
    _write({key: value for key, value in known.items() if key != _key(library)})
    return True


def everything() -> dict[str, frozenset[Want]]:
    """All that is trusted, by library. Raises StoreError."""
    return {library: _wants(kept) for library, kept in _read().items()}


def _key(library: Path) -> str:
    return os.path.realpath(library)


def _wants(kept: Any) -> frozenset[Want]:
    """What is kept of a library; the file is the user's, who may have written anything into it."""
    kinds: tuple[Literal["path", "server"], ...] = ("path", "server")
    found = kept if isinstance(kept, Mapping) else {}
    lists = {kind: found[kind] for kind in kinds if isinstance(found.get(kind), list)}
    return frozenset(Want(kind, text) for kind, texts in lists.items() for text in texts if isinstance(text, str))


def _read() -> dict[str, Any]:
    path = trust_file()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    try:
        value = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        value = None
    libraries = value.get("libraries") if isinstance(value, dict) and value.get("version") == _VERSION else None
    if not isinstance(libraries, dict):
        raise StoreError(f"{path} is damaged or of another version", hint="Remove it; nothing is trusted then")
    return libraries


def _write(libraries: Mapping[str, Any]) -> None:
    whole = {"version": _VERSION, "libraries": libraries}
    replace_file(trust_file(), json.dumps(whole, indent=2) + "\n")
