"""A file from an https address: what has come stays when the connection breaks, and the next request goes on there.

Range requests are those of RFC 9110, section 14; `If-Range` with a strong ETag makes sure that the rest is of the same
file. Redirects lead only to https, and nothing is sent but the request itself.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from promptlab.errors import PullError
from promptlab.files.wheel import CHUNK, Report, make_sure_of_room, settle

TIMEOUT_S = 30.0
"""How long a server may say nothing."""
TRIES = 4
"""Requests in a row that bring it no further than it has been."""
PAUSE_S = 0.5
"""Before the second of these; each time twice as long."""
MAX_REDIRECTS = 10
PARTIAL, ORIGIN = SUFFIXES = (".partial", ".origin")
"""Of what has come so far, and of the note that says what it is a part of."""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BROKEN = (http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)

Headers = dict[str, str]
Wait = Callable[[float], object]


def download(
    url: str,
    target: Path,
    report: Report,
    *,
    size: int | None = None,
    headers: Headers | None = None,
    wait: Wait = time.sleep,
) -> None:
    """Fetch a file to `target`. Beside it `target`.partial holds what has come so far, and outlives a failure.

    `size` is how many bytes the file must have, where that is known. `headers` are sent to this address only, not where
    a redirect leads. Raises PullError with one line that says why.
    """
    work = _Download(url, target, report, size, headers or {})
    tries, most = 0, work.done
    while True:
        try:
            work.request()
            break
        except _Broken as broken:
            tries = 1 if work.done > most else tries + 1
            most = max(most, work.done)
            if tries >= TRIES:
                raise PullError(
                    f"{broken}; what has come so far is kept, and the next pull goes on from there"
                ) from None
            wait(PAUSE_S * 2 ** (tries - 1))
    work.finish()


class _Broken(Exception):
    """The connection broke, or the server is busy: another try may help."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """Of what the partial file is a part."""

    url: str
    etag: str
    total: int | None


class _Download:
    """One file on its way."""

    def __init__(self, url: str, target: Path, report: Report, size: int | None, headers: Headers) -> None:
        self.url = url
        self.target = target
        self.partial = target.with_name(target.name + PARTIAL)
        self.note = target.with_name(target.name + ORIGIN)
        self.report = report
        self.size = size
        self.headers = headers
        self.origin = self._read_note()
        if self.origin is None:
            self.partial.unlink(missing_ok=True)
        self.total: int | None = None

    @property
    def done(self) -> int:
        """Bytes that are there."""
        return self.partial.stat().st_size if self.partial.exists() else 0

    def request(self) -> None:
        """Ask for what is missing, and write it down. Raises _Broken and PullError."""
        here = self.done
        try:
            with _open(self._asked(here)) as answer:
                self._take(answer, here)
        except urllib.error.HTTPError as error:
            error.close()
            self._refused(error.code, error.reason, here)
        except urllib.error.URLError as error:
            raise _failed(self.url, error.reason) from None
        except _BROKEN as error:
            raise _failed(self.url, error) from None

    def _asked(self, here: int) -> urllib.request.Request:
        headers = {"User-Agent": "promptlab", "Accept-Encoding": "identity"}
        if here and self.origin is not None:
            headers |= {"Range": f"bytes={here}-", "If-Range": self.origin.etag}
        request = urllib.request.Request(self.url, headers=headers)
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)
        return request

    def _take(self, answer: Any, here: int) -> None:
        total = _length(answer)
        if answer.status == http.client.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != here:
                self._forget()
                raise _Broken(f"{_host(self.url)} sent another part of the file than it was asked for")
            total = int(found[3])
        elif answer.status == http.client.OK:
            here = 0
        else:
            raise PullError(f"{_host(self.url)} answers {answer.status} {answer.reason}")
        if self.size is not None and total not in (None, self.size):
            raise PullError(f"the file has {total:,} bytes, and models.yaml says {self.size:,}")
        make_sure_of_room(self.target.parent, (total or 0) - here)
        self.total = total
        self._write_note(answer, total, keep=here > 0)
        with self.partial.open("ab" if here else "wb") as sink:
            self._copy(answer, sink, here)
            settle(sink)

    def _copy(self, answer: Any, sink: IO[bytes], done: int) -> None:
        most = self.size if self.total is None else self.total
        while chunk := answer.read1(CHUNK):
            done += len(chunk)
            if most is not None and done > most:
                raise PullError(f"{_host(self.url)} sends more than the {most:,} bytes that the file has")
            if most is None:
                make_sure_of_room(self.target.parent, len(chunk))
            sink.write(chunk)
            self.report(done, most)
        if most is not None and done < most:
            raise _Broken(f"the connection to {_host(self.url)} broke off after {done:,} of {most:,} bytes")

    def _refused(self, code: int, reason: str, here: int) -> None:
        if code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and here:
            self._forget()
            raise _Broken(f"{_host(self.url)} has another file there now")
        if code < 400:
            raise PullError(f"{_host(self.url)} leads in a circle, or to an address without https")
        if code in (408, 429) or code >= 500:
            raise _Broken(f"{_host(self.url)} answers {code} {reason}")
        raise PullError(f"{_host(self.url)} answers {code} {reason}")

    def finish(self) -> None:
        """Give the file its name."""
        self.partial.replace(self.target)
        self.note.unlink(missing_ok=True)

    # --- what the partial file is a part of --------------------------------------------------------------------------

    def _read_note(self) -> _Origin | None:
        try:
            found = json.loads(self.note.read_text(encoding="utf-8"))
            origin = _Origin(str(found["url"]), str(found["etag"]), found["total"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return origin if origin.url == self.url and origin.etag else None

    def _write_note(self, answer: Any, total: int | None, *, keep: bool) -> None:
        etag = answer.headers.get("ETag", "")
        if not keep:
            # With a weak one, or none, nobody could tell whether the rest is of the same file.
            self.origin = _Origin(self.url, etag, total) if etag.startswith('"') else None
            if self.origin is None:
                self.note.unlink(missing_ok=True)
            else:
                self.note.write_text(json.dumps(asdict(self.origin)), encoding="utf-8")

    def _forget(self) -> None:
        self.origin = None
        self.note.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only, and takes along no header that was meant for the first address."""

    max_redirections = MAX_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            fp.close()
            raise PullError(f"{_host(req.full_url)} leads to an address without https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _open(request: urllib.request.Request) -> Any:
    opener = urllib.request.build_opener(_SafeRedirects)
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        yield answer


def _length(answer: Any) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _failed(url: str, reason: object) -> Exception:
    """Why there was no answer, or no more of it, in one line."""
    host = _host(url)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return PullError(f"{host} shows no certificate that is trusted here; look at SSL_CERT_FILE")
    if isinstance(reason, http.client.IncompleteRead):
        return _Broken(f"the connection to {host} broke off")
    if isinstance(reason, TimeoutError):
        return _Broken(f"{host} does not answer in time")
    if isinstance(reason, ConnectionRefusedError):
        return _Broken(f"{host} refuses the connection")
    if isinstance(reason, OSError) and reason.errno is not None and reason.errno < 0:
        return PullError(f"there is no address for {host}; is there a network?")
    return _Broken(f"no connection to {host}: {' '.join(str(reason).split())[:200] or type(reason).__name__}")


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]
