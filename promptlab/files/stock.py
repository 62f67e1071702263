"""Files of models that are on this machine already: hashed, put into the model store without a copy where that can be,
counted and taken out again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptlab.errors import StoreError
from promptlab.files.paths import cache_dir, model_file
from promptlab.files.wheel import copy, settle

Kept = Literal["was there", "clone", "hard link", "link", "copy"]
"""How a file came into the store. A clone shares its blocks with the original until one of them is changed; a hard link
is the same file under a second name; a link leads to the original, and ends with it.
"""
Report = Callable[[int, int], None]
"""Hears how many bytes are done, of how many."""
_FICLONE = 0x40049409
"""Linux: share the blocks of a file, where the file system can."""
MAX_LISTED = 100_000


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file as it was when its hash was computed."""

    path: Path
    """Without links."""
    sha256: str
    bytes: int
    seen: tuple[int, ...]
    """What the system says of it: if that changes, so may have what is in it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that lies in the model store or where pulls are prepared."""

    path: Path
    sha256: str | None
    """The hash in its name; None for what is no model."""
    bytes: int
    """Of what it leads to, where it is a link."""
    link: str | None
    """Where it leads, if it is a link."""
    names: int
    """How many names the file has on this disk; one where nothing else needs it."""


def hash_file(path: Path, report: Report) -> Hashed:
    """Compute the hash of a regular file. Raises StoreError when it cannot be read, or changes meanwhile."""
    digest = hashlib.sha256()
    with _errors(path):
        real = path.resolve(strict=True)
        with real.open("rb") as file:
            before = os.fstat(file.fileno())
            for done in copy(file, digest.update):
                report(done, before.st_size)
            if _seen(before) != _seen(os.fstat(file.fileno())):
                raise StoreError(f"{path} was changed while it was read", hint="Try again when it is finished")
    return Hashed(real, digest.hexdigest(), before.st_size, _seen(before))


def put(hashed: Hashed, *, link: bool, may_copy: bool) -> Kept:
    """Put a file into the store under its hash. The original stays as it is.

    `link`: as a link that leads to it. Otherwise as a clone or a hard link where the disk is the same; where it is not,
    as a copy, or without `may_copy` as a link. Raises StoreError.
    """
    target = model_file(hashed.sha256)
    with _errors(target):
        if target.exists():
            return "was there"
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            kept = _place(hashed, temporary, link, may_copy)
            if _seen(temporary.stat() if kept in ("hard link", "link") else hashed.path.stat()) != hashed.seen:
                raise StoreError(f"{hashed.path} was changed meanwhile", hint="Try again when it is finished")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    return kept


def take_out(sha256: str) -> int | None:
    """Remove a file from the store; None where there is none. Returns the bytes that are free then: none where the file
    has another name. Raises StoreError.
    """
    target = model_file(sha256)
    with _errors(target):
        if not target.is_symlink() and not target.exists():
            return None
        found, link = target.lstat(), target.is_symlink()
        target.unlink()
    return 0 if link or found.st_nlink > 1 else found.st_size


def stored() -> list[Stored]:
    """What lies in the model store, by name. Raises StoreError."""
    return _listed(cache_dir() / "models")


def leftovers() -> list[Stored]:
    """What unfinished pulls have left, by name; a folder counts as one, with all that is in it. Raises StoreError."""
    return [each for each in _listed(cache_dir() / "downloads") if each.path.suffix != ".lock"]


def _listed(folder: Path) -> list[Stored]:
    with _errors(folder):
        try:
            paths = sorted(folder.iterdir())[:MAX_LISTED]
        except FileNotFoundError:
            return []
        return [_stored(path) for path in paths]


def _stored(path: Path) -> Stored:
    link = str(path.readlink()) if path.is_symlink() else None
    stem = path.name.removesuffix(".gguf")
    sha256 = stem if len(stem) == 64 and set(stem) <= set("0123456789abcdef") else None
    try:
        found = path.stat()
    except OSError:  # a link that leads nowhere
        return Stored(path, sha256, 0, link, 1)
    if path.is_dir() and link is None:
        return Stored(path, sha256, _below(path), link, 1)
    return Stored(path, sha256, found.st_size, link, found.st_nlink)


def _below(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(place) / name).lstat().st_size
    return total


def _place(hashed: Hashed, target: Path, link: bool, may_copy: bool) -> Kept:
    if link:
        target.symlink_to(hashed.path)
        return "link"
    if _clone(hashed.path, target):
        return "clone"
    try:
        os.link(hashed.path, target)
        return "hard link"
    except OSError:  # another disk, a file of somebody else, a file system without them
        pass
    if not may_copy:
        target.symlink_to(hashed.path)
        return "link"
    _copy(hashed, target)
    return "copy"


def _clone(source: Path, target: Path) -> bool:
    with source.open("rb") as one, target.open("xb") as other:
        try:
            fcntl.ioctl(other.fileno(), _FICLONE, one.fileno())
        except OSError:
            target.unlink()
            return False
        settle(other)
    return True


def _copy(hashed: Hashed, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if hashed.bytes > free:
        raise StoreError(f"{hashed.bytes:,} bytes are needed, but only {free:,} are free in {target.parent}")
    digest = hashlib.sha256()
    with hashed.path.open("rb") as one, target.open("xb") as other:
        for _ in copy(one, digest.update, other.write):
            pass
        settle(other)
    if digest.hexdigest() != hashed.sha256:
        raise StoreError(f"{hashed.path} was changed while it was copied", hint="Try again when it is finished")


def _seen(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError:
        raise StoreError(f"{path} is a link that leads in a circle") from None
    except OSError as error:
        hint = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise StoreError(f"{error.filename or path}: {error.strerror or error}", hint=hint) from None
